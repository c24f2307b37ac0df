"""Standings and incidents as points, and back: what the watch knows outlives it in the store.

The fields are `ingest.rules.kinds`'. A subject's point holds all its rules at once, so the newest
point of a subject is its whole state. What can't be written stays due: a store that is away delays
points, and changes no standing.
"""

from __future__ import annotations

import logging
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping

from devices.reading import Value
from ingest.health import clean_text, point
from ingest.rules import RULES
from ingest.rules.evaluator import Change, Evaluator
from ingest.rules.incidents import Incident
from ingest.rules.kinds import DEVICE_INCIDENT, RULE_CHANGE, RULE_STATE
from ingest.rules.muting import Muting
from ingest.rules.rule import Level, Severity
from ingest.rules.standing import Key, Phase, Place, Standing, key_of
from ingest.stores import Aggregate, Bucket, Kept, Query, Row, Store
from ingest.stores.query import ROWS_MAX

log = logging.getLogger("gampong.watch")

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
CLEARED_MS = 5 * 60_000
"""What has cleared is written for so much longer: a reader that misses a minute still sees it."""

HISTORY_MAX = 10_000
"""Lines of the history that wait for the store; then the oldest go, counted."""

STATE_DAYS = 7
INCIDENT_DAYS = 5 * 366
SEVERITIES = (Severity.INFO, Severity.WARNING, Severity.CRITICAL)
_TAGS = ("device", "gateway", "site", "zone")


def place_tuple(place: Place) -> tuple[str, str, str, str]:
    return place.device, place.gateway, place.site, place.zone


def state_lines(
    standings: Iterable[tuple[Key, Standing]],
    open_incidents: Iterable[Incident],
    gone: Iterable[tuple[str, Place]],
    muting: Muting,
    now_ms: int,
) -> list[str]:
    """One `rule_state` line a subject. An open incident counts as firing since it happened; what is
    `gone` (acknowledged, retired) is 0, never absent."""
    fields: defaultdict[Place, dict[str, Value]] = defaultdict(dict)
    for rule, place in gone:
        fields[place] |= {rule: int(Level.CLEAR), f"{rule}_since_ms": now_ms}
    for (rule, _, _), standing in standings:
        fields[standing.place] |= {
            rule: int(muting.level(rule, standing)),
            f"{rule}_since_ms": standing.since_ms,
            f"{rule}_judged_ms": standing.judged_ms,
            f"{rule}_value": standing.value,
        }
    for one in open_incidents:
        level = Level.MUTED if muting.quiet(one.rule, one.place) else Level.TOLD
        known = fields[one.place].get(one.rule)
        if known is None or int(known) < level:
            fields[one.place] |= {
                one.rule: int(level),
                f"{one.rule}_since_ms": one.at_ms,
                f"{one.rule}_judged_ms": one.last_ms,
                f"{one.rule}_value": 1.0,
            }
    return [
        point(RULE_STATE, place_tuple(place), values | _worst(values), now_ms)
        for place, values in sorted(fields.items(), key=lambda item: place_tuple(item[0]))
    ]


def _worst(fields: Mapping[str, Value]) -> dict[str, Value]:
    """What a table lists first of this subject: told before muted before pending, then by
    severity, then what began first."""
    found: list[tuple[int, int, int, str]] = []
    for name in fields:
        if name in RULES and int(fields[name]) > Level.CLEAR:
            severity = SEVERITIES.index(RULES[name].severity) + 1
            found.append((int(fields[name]), severity, -int(fields[f"{name}_since_ms"]), name))
    if not found:
        return {"worst": "none", "worst_level": 0, "worst_severity": 0}
    level, severity, since, name = max(found)
    return {
        **{"worst": name, "worst_level": level, "worst_severity": severity},
        "worst_since_ms": -since,
    }


def incident_line(incident: Incident) -> str:
    """The point of an incident, at its own time."""
    name = incident.rule
    fields: dict[str, Value] = {
        name: "acknowledged" if incident.acknowledged else "open",
        f"{name}_last_ms": incident.last_ms,
        f"{name}_found_ms": incident.found_ms,
    }
    if incident.acknowledged:
        fields |= {f"{name}_who": clean_text(incident.who), f"{name}_why": clean_text(incident.why)}
    return point(DEVICE_INCIDENT, place_tuple(incident.place), fields, incident.at_ms)


def change_line(
    change: Change, time_ms: int, who: str = "", why: str = "", until_ms: int = 0
) -> str:
    """A line of the history at `time_ms`, which the caller keeps apart for each subject."""
    fields: dict[str, Value] = {
        "rule": change.rule,
        "became": change.became,
        "at_ms": change.at_ms,
        "value": change.value,
    }
    if who:
        fields |= {"who": clean_text(who), "why": clean_text(why)}
    if until_ms:
        fields["until_ms"] = until_ms
    return point(RULE_CHANGE, place_tuple(change.place), fields, time_ms)


class Memory:
    """What is due to the store, kept until it has it."""

    def __init__(self, store: Store) -> None:
        self.dropped = 0
        self._store = store
        self._history: deque[str] = deque()
        self._history_ms = 0
        self._incidents: dict[tuple[str, str, int], Incident] = {}
        self._health: list[str] = []
        self._gone: set[tuple[str, Place]] = set()
        self._changed: set[Place] = set()
        self._unclear: dict[Place, int] = {}  # when it was last so
        self._hour = 0

    def note(
        self, change: Change, now_ms: int, who: str = "", why: str = "", until_ms: int = 0
    ) -> None:
        """A line of the history. Each has a millisecond of its own."""
        self._changed.add(change.place)
        self._history_ms = max(self._history_ms + 1, now_ms)
        self._history.append(change_line(change, self._history_ms, who, why, until_ms))
        while len(self._history) > HISTORY_MAX:
            self._history.popleft()
            self.dropped += 1

    def gone(self, rule: str, place: Place) -> None:
        """A rule no longer says anything of that subject."""
        self._gone.add((rule, place))

    def lines(self, lines: Iterable[str]) -> None:
        """Points of the health bucket for the next write; those of this round only."""
        self._health = list(lines)

    async def keep(self, evaluator: Evaluator, muting: Muting, now_ms: int) -> None:
        """Write what is due: subjects that aren't clear or weren't lately, each hour all."""
        for incident in evaluator.changed:
            place = incident.place
            self._incidents[incident.rule, place.device, incident.at_ms] = incident
            self._changed.add(place)
        evaluator.changed.clear()
        if self._incidents:
            lines = [incident_line(one) for one in self._incidents.values()]
            if await self._write(Bucket.HOURLY, lines):
                self._incidents.clear()
        if self._history and await self._write(Bucket.HOURLY, list(self._history)):
            self._history.clear()
        whole = now_ms // HOUR_MS != self._hour
        unclear = {s.place for s in evaluator.standings.values() if s.phase is not Phase.CLEAR}
        unclear |= {incident.place for incident in evaluator.incidents.open}
        self._unclear |= dict.fromkeys(unclear, now_ms)
        own = {place for _, place in self._gone} | self._changed | self._unclear.keys()
        chosen = [item for item in evaluator.standings.items() if whole or item[1].place in own]
        lines = state_lines(chosen, evaluator.incidents.open, self._gone, muting, now_ms)
        health, self._health = self._health, []
        if await self._write(Bucket.HEALTH, [*health, *lines]):
            self._gone, self._changed, self._hour = set(), set(), now_ms // HOUR_MS
            self._unclear = {
                place: at_ms
                for place, at_ms in self._unclear.items()
                if now_ms - at_ms < CLEARED_MS
            }

    async def _write(self, bucket: Bucket, lines: list[str]) -> bool:
        outcome = await self._store.write(bucket, lines)
        if isinstance(outcome, Kept):
            log.warning("event=alerts_not_written lines=%d why=%s", len(lines), outcome.reason)
            return False
        for index, reason in outcome.rejected.items():
            log.error("event=alert_rejected why=%s line=%.200s", reason, lines[index])
        return True


async def read_standings(store: Store, now_ms: int) -> dict[Key, Standing]:
    """What was known when the watch last ran.

    Raises:
        StoreError: the store can't be read now.
    """
    query = Query(
        kind=RULE_STATE.name,
        fields=tuple(RULE_STATE.fields),
        start_ms=max(0, now_ms - STATE_DAYS * DAY_MS),
        stop_ms=now_ms + DAY_MS,
        aggregate=Aggregate.NEWEST,
        group=_TAGS,
        bucket=Bucket.HEALTH,
        limit=ROWS_MAX,
    )
    return standings_of(await store.read(query))


def standings_of(rows: Iterable[Row]) -> dict[Key, Standing]:
    """From the newest points; of a device that has moved, what its newest reading says."""
    found: dict[Key, Standing] = {}
    for row in rows:
        place = Place.of(row.tags)
        for rule in RULES.values():
            if rule.latches or not isinstance(row.fields.get(rule.id), int):
                continue
            standing = _standing(place, rule.id, row.fields)
            key = key_of(rule, place)
            if standing and (key not in found or found[key].judged_ms < standing.judged_ms):
                found[key] = standing
    return found


def _standing(place: Place, rule: str, fields: Mapping[str, Value]) -> Standing | None:
    names = (rule, f"{rule}_since_ms", f"{rule}_judged_ms", f"{rule}_value")
    level, since_ms, judged_ms, value = (fields.get(name) for name in names)
    if level is None or since_ms is None or judged_ms is None or value is None:
        return None
    phase = Phase.FIRING if int(level) >= Level.MUTED else Phase(int(level))
    return Standing(place, phase, int(since_ms), int(judged_ms), float(value))


async def read_incidents(store: Store, now_ms: int) -> list[Incident]:
    """Every incident that is open, and those of the last two days.

    Raises:
        StoreError: the store can't be read now.
    """
    query = Query(
        kind=DEVICE_INCIDENT.name,
        fields=tuple(DEVICE_INCIDENT.fields),
        start_ms=max(0, now_ms - INCIDENT_DAYS * DAY_MS),
        stop_ms=now_ms + DAY_MS,
        group=_TAGS,
        bucket=Bucket.HOURLY,
        limit=ROWS_MAX,
    )
    found = []
    for row in await store.read(query):
        for rule in RULES.values():
            if not rule.latches or rule.id not in row.fields:
                continue
            incident = _incident(rule.id, row)
            if not incident.acknowledged or now_ms - incident.last_ms < 2 * DAY_MS:
                found.append(incident)
    return found


def _incident(rule: str, row: Row) -> Incident:
    fields = row.fields
    return Incident(
        rule,
        Place.of(row.tags),
        row.time_ms,
        int(fields.get(f"{rule}_last_ms", row.time_ms)),
        int(fields.get(f"{rule}_found_ms", row.time_ms)),
        fields[rule] == "acknowledged",
        str(fields.get(f"{rule}_who", "")),
        str(fields.get(f"{rule}_why", "")),
    )
