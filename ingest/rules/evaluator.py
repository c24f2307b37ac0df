"""One evaluator for everybody: points in, what changed out. Pure: no IO, no clock but arguments.

    changes = evaluator.take("waste_container", place, fields, time_ms, now_ms)

It is fed every point of the measurements that rules judge, in any order: readings, and what the
watch establishes each minute itself (health, zones, forecasts), whose time is that minute. The same
fixtures run against it and against the watch on both databases.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC

import msgspec

from devices.reading import Value
from ingest.rules import RULES
from ingest.rules.incidents import Incident, Incidents, is_ahead
from ingest.rules.rule import Rule
from ingest.rules.standing import (
    Hours,
    Key,
    Limit,
    Phase,
    Place,
    Standing,
    key_of,
    move,
    with_limits,
)

SOURCES: dict[str, tuple[Rule, ...]] = {
    source: tuple(
        rule for rule in RULES.values() if rule.source == source and not rule.no_data_fires
    )
    for source in {rule.source for rule in RULES.values()}
}
"""Measurement → the rules that judge its points."""


class Change(msgspec.Struct, frozen=True):
    """Something that history should know: `fires`, `clears`, `incident`, `retired`."""

    rule: str
    place: Place
    became: str
    at_ms: int
    value: float


class Evaluator:
    """Standings and incidents of a whole city."""

    def __init__(self, limits: Sequence[Limit] = (), hours: Hours | None = None) -> None:
        self.standings: dict[Key, Standing] = {}
        self.incidents = Incidents()
        self.counts: Counter[str] = Counter()
        self.changed: list[Incident] = []
        """Incidents that are new or longer; whoever keeps them empties the list."""
        self._limits: dict[str, list[Limit]] = defaultdict(list)
        for limit in limits:
            self._limits[limit.rule].append(limit)
        self._hours = hours or Hours(UTC)

    def restore(self, standings: Mapping[Key, Standing], incidents: Iterable[Incident]) -> None:
        """Go on from what was known before a restart."""
        self.standings = dict(standings)
        self.incidents = Incidents(incidents)

    def take(
        self,
        source: str,
        place: Place,
        fields: Mapping[str, Value],
        time_ms: int,
        now_ms: int,
        device_kind: str = "",
    ) -> list[Change]:
        """Judge one point. `device_kind` says what the device is, where the source doesn't."""
        rules = SOURCES.get(source, ())
        if rules and is_ahead(time_ms, now_ms):
            self.counts["ahead"] += 1
            return []
        changes = []
        for rule in rules:
            if rule.device_kinds and device_kind not in rule.device_kinds:
                continue
            value = rule.measure(fields)
            if value is None:
                continue
            change = self._judge(rule, place, value, time_ms, now_ms)
            if change is not None:
                changes.append(change)
        return changes

    def events(
        self, source: str, place: Place, fields: Mapping[str, Value], time_ms: int, now_ms: int
    ) -> list[Change]:
        """Judge a point by the latching rules alone: for data that was looked for because it came
        late. Points seen before change nothing."""
        changes = []
        for rule in SOURCES.get(source, ()):
            value = rule.measure(fields) if rule.latches else None
            if value is not None and not is_ahead(time_ms, now_ms):
                change = self._judge(rule, place, value, time_ms, now_ms)
                if change is not None:
                    changes.append(change)
        return changes

    def retire(self, key: Key, now_ms: int) -> Change | None:
        """The subject is no longer registered: an operator took it away. What it was until then;
        None when it was clear."""
        known = self.standings.pop(key, None)
        if known is None or known.phase is not Phase.FIRING:
            return None
        return Change(key[0], known.place, "retired", now_ms, known.value)

    def _judge(
        self, rule: Rule, place: Place, value: float, time_ms: int, now_ms: int
    ) -> Change | None:
        key = key_of(rule, place)
        if rule.latches:
            if not rule.over(value):
                return None
            incident, is_new = self.incidents.take(rule, place, time_ms, now_ms)
            self.changed.append(incident)
            return Change(rule.id, place, "incident", incident.at_ms, value) if is_new else None
        known = self.standings.get(key)
        holds = not rule.opening_hours or self._hours.hold(time_ms)
        limits = self._limits.get(rule.id)
        own = with_limits(rule, place, limits) if limits else rule
        after = move(own, known, place, value, time_ms, holds)
        if after is known:
            return None
        self.standings[key] = after
        was = known.phase if known else Phase.CLEAR
        if after.phase is Phase.FIRING and was is not Phase.FIRING:
            return Change(rule.id, place, "fires", after.since_ms, value)
        if was is Phase.FIRING and after.phase is Phase.CLEAR:
            return Change(rule.id, place, "clears", time_ms, value)
        return None
