"""What fires now and what has been, for whoever asks beside the watch: command line and pages.

In: the store and the desk's file. Nothing here changes anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from ingest.alerts.desk import DeskFile, desk_path, load_desk
from ingest.alerts.memory import DAY_MS, HOUR_MS, STATE_DAYS
from ingest.configuration import IngestConfiguration
from ingest.rules import RULES, Level, Severity
from ingest.rules.kinds import RULE_CHANGE, RULE_STATE
from ingest.rules.standing import Key, Place, key_of
from ingest.stores import Aggregate, Bucket, Query, Reader, Row
from ingest.stores.open import open_store
from ingest.stores.query import ROWS_MAX
from wire.clock import Clock

_TAGS = ("device", "gateway", "site", "zone")
_ORDER = (Severity.CRITICAL, Severity.WARNING, Severity.INFO)

WRITTEN_MS = 2 * HOUR_MS
"""The watch writes every subject each hour: what is older than that beside the newest is gone."""

HISTORY_MAX = 2_000
"""Lines of one answer; the newest."""


class Alert(msgspec.Struct, frozen=True):
    """Something that fires. `who` and `why` are of the one who acknowledged or silenced it;
    `until_ms` is the end of a silence, 0 where there is none."""

    rule: str
    place: Place
    level: Level
    since_ms: int
    value: float
    who: str = ""
    why: str = ""
    until_ms: int = 0

    @property
    def note(self) -> str:
        """Who has it, and what they said; empty for nobody."""
        return f"{self.who}: {self.why}" if self.who else ""


class Past(msgspec.Struct, frozen=True):
    """A line of the history; `until_ms` is the end of a silence."""

    found_ms: int
    rule: str
    became: str
    place: Place
    at_ms: int
    value: float
    who: str
    why: str
    until_ms: int = 0


async def current(configuration: IngestConfiguration, clock: Clock) -> list[Alert]:
    """What fires, the worst first: told before muted, then by severity and age.

    Raises:
        StoreError: the store can't be read now.
        ConfigurationError: the desk's file is damaged.
    """
    desk = load_desk(desk_path(Path(configuration.watch.registry_path)))
    async with open_store(configuration.store, clock) as store:
        return await firing(store, desk, clock.now_ms())


async def firing(store: Reader, desk: DeskFile, now_ms: int) -> list[Alert]:
    """The same from an open store: the watch's word of the last two hours, which holds all that
    fires. Where it has been away for longer, what it said last.

    Raises:
        StoreError: the store can't be read now.
    """
    rows = await store.read(_newest(now_ms - WRITTEN_MS, now_ms))
    if not rows:
        rows = await store.read(_newest(now_ms - STATE_DAYS * DAY_MS, now_ms))
    return firing_of(rows, desk, now_ms)


def firing_of(rows: Sequence[Row], desk: DeskFile, now_ms: int) -> list[Alert]:
    """What the newest point of each subject says; of a device that has moved, its newest one."""
    newest_ms = max((row.time_ms for row in rows), default=0)
    found: dict[Key, tuple[int, Alert]] = {}
    for row in rows:
        if row.time_ms <= newest_ms - WRITTEN_MS:
            continue
        place = Place.of(row.tags)
        for rule in RULES.keys() & row.fields.keys():
            key = key_of(RULES[rule], place)
            if key not in found or found[key][0] < row.time_ms:
                found[key] = row.time_ms, _alert(rule, place, row)
    fires = [alert for _, alert in found.values() if alert.level >= Level.MUTED]
    return sorted((_answered(alert, desk, now_ms) for alert in fires), key=_worst_first)


async def history(store: Reader, now_ms: int, days: float) -> list[Past]:
    """What changed in the last days, the oldest first; the newest `HISTORY_MAX` where it was more.

    Raises:
        StoreError: the store can't be read now.
    """
    query = Query(
        kind=RULE_CHANGE.name,
        fields=tuple(RULE_CHANGE.fields),
        start_ms=max(0, now_ms - int(days * DAY_MS)),
        stop_ms=now_ms + DAY_MS,
        group=_TAGS,
        bucket=Bucket.HOURLY,
        limit=HISTORY_MAX,
    )
    return [_past(row) for row in await store.read(query)]


def _past(row: Row) -> Past:
    fields = row.fields
    return Past(
        row.time_ms,
        str(fields["rule"]),
        str(fields["became"]),
        Place.of(row.tags),
        int(fields["at_ms"]),
        float(fields["value"]),
        str(fields.get("who", "")),
        str(fields.get("why", "")),
        int(fields.get("until_ms", 0)),
    )


def _newest(start_ms: int, now_ms: int) -> Query:
    return Query(
        kind=RULE_STATE.name,
        fields=tuple(RULE_STATE.fields),
        start_ms=max(0, start_ms),
        stop_ms=now_ms + DAY_MS,
        aggregate=Aggregate.NEWEST,
        group=_TAGS,
        bucket=Bucket.HEALTH,
        limit=ROWS_MAX,
    )


def _alert(rule: str, place: Place, row: Row) -> Alert:
    fields = row.fields
    since_ms = int(fields.get(f"{rule}_since_ms", row.time_ms))
    value = float(fields.get(f"{rule}_value", 0.0))
    return Alert(rule, place, Level(int(fields[rule])), since_ms, value)


def _answered(alert: Alert, desk: DeskFile, now_ms: int) -> Alert:
    """With who sees to it, or who silenced it."""
    known = (alert.rule, alert.place.device, alert.since_ms)
    for one in desk.acknowledged:
        if (one.rule, one.device, one.since_ms) == known:
            return msgspec.structs.replace(alert, who=one.who, why=one.why)
    for silence in desk.silences:
        if silence.matches(alert.rule, alert.place, now_ms):
            ends_ms = silence.until_ms
            return msgspec.structs.replace(
                alert, who=silence.who, why=silence.why, until_ms=ends_ms
            )
    return alert


def _worst_first(alert: Alert) -> tuple[int, int, int, Sequence[str]]:
    severity = _ORDER.index(RULES[alert.rule].severity)
    return -alert.level, severity, alert.since_ms, (alert.rule, alert.place.device)
