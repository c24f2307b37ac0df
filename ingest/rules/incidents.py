"""Events that stay until somebody has acknowledged them: a fire, a bin that was moved. Pure.

A reading that says so is an incident at its own time, however late it arrives: a fire during an
outage is found afterwards and told with its time. Readings within `SAME_MS` of an incident belong
to it, also to one that is already acknowledged; so a fire is told once, and told again when it
starts again an hour later. What a reading says that isn't over clears nothing here.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ingest.rules.rule import Rule
from ingest.rules.standing import AHEAD_MS, Key, Place, key_of

SAME_MS = 3_600_000
REMEMBERED_MAX = 20
"""Acknowledged incidents kept in memory for each subject; the store has all."""


class Incident(msgspec.Struct, frozen=True):
    """From `at_ms` (its identity) to at least `last_ms`, by the readings; `found_ms` is when the
    watch learnt of it."""

    rule: str
    place: Place
    at_ms: int
    last_ms: int
    found_ms: int
    acknowledged: bool = False
    who: str = ""
    why: str = ""

    def covers(self, time_ms: int) -> bool:
        return self.at_ms - SAME_MS <= time_ms <= self.last_ms + SAME_MS


class Incidents:
    """Every incident that is open, and the last ones that aren't."""

    def __init__(self, known: Iterable[Incident] = ()) -> None:
        self._known: dict[Key, list[Incident]] = {}
        for incident in sorted(known, key=lambda one: one.at_ms):
            self._list(incident.rule, incident.place).append(incident)

    def take(self, rule: Rule, place: Place, time_ms: int, now_ms: int) -> tuple[Incident, bool]:
        """The incident that a reading over the limit belongs to, and whether it is a new one."""
        known = self._known.setdefault(key_of(rule, place), [])
        for index, incident in enumerate(known):
            if incident.covers(time_ms):
                last_ms = max(incident.last_ms, time_ms)
                known[index] = msgspec.structs.replace(incident, last_ms=last_ms)
                return known[index], False
        incident = Incident(rule.id, place, time_ms, time_ms, now_ms)
        known.append(incident)
        self._forget(known)
        return incident, True

    def acknowledge(self, rule: str, device: str, who: str, why: str) -> list[Incident]:
        """Every open one of that rule and device, now acknowledged."""
        done = []
        for known in self._known.values():
            for index, incident in enumerate(known):
                mine = (incident.rule, incident.place.device) == (rule, device)
                if mine and not incident.acknowledged:
                    known[index] = msgspec.structs.replace(
                        incident, acknowledged=True, who=who, why=why
                    )
                    done.append(known[index])
        return done

    @property
    def open(self) -> list[Incident]:
        """What nobody has acknowledged, the oldest first."""
        found = [one for known in self._known.values() for one in known if not one.acknowledged]
        return sorted(found, key=lambda one: one.at_ms)

    def _list(self, rule: str, place: Place) -> list[Incident]:
        return self._known.setdefault((rule, place.device, ""), [])

    @staticmethod
    def _forget(known: list[Incident]) -> None:
        done = [one for one in known if one.acknowledged]
        for one in done[:-REMEMBERED_MAX]:
            known.remove(one)


def is_ahead(time_ms: int, now_ms: int) -> bool:
    """Whether a reading claims to be from the future."""
    return time_ms > now_ms + AHEAD_MS
