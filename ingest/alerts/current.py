"""What fires now and what has been, for whoever asks beside the watch: command line and pages.

In: the store and the desk's file. Nothing here changes anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from ingest.alerts.desk import DeskFile, desk_path, load_desk
from ingest.alerts.memory import DAY_MS, read_incidents, read_standings
from ingest.configuration import IngestConfiguration
from ingest.rules import RULES, Level, Severity
from ingest.rules.kinds import RULE_CHANGE, RULE_STATE
from ingest.rules.standing import Phase, Place
from ingest.stores import Aggregate, Bucket, Query, Store
from ingest.stores.open import open_store
from wire.clock import Clock

_TAGS = ("device", "gateway", "site", "zone")
_ORDER = (Severity.CRITICAL, Severity.WARNING, Severity.INFO)


class Alert(msgspec.Struct, frozen=True):
    """Something that fires; `note` says who has it, or why nobody is told."""

    rule: str
    place: Place
    level: Level
    since_ms: int
    value: float
    note: str = ""


class Past(msgspec.Struct, frozen=True):
    """A line of the history."""

    found_ms: int
    rule: str
    became: str
    place: Place
    at_ms: int
    value: float
    who: str
    why: str


async def current(configuration: IngestConfiguration, clock: Clock) -> list[Alert]:
    """What fires, the worst first: told before muted, then by severity and age.

    Raises:
        StoreError: the store can't be read now.
        ConfigurationError: the desk's file is damaged.
    """
    desk = load_desk(desk_path(Path(configuration.watch.registry_path)))
    async with open_store(configuration.store, clock) as store:
        return await firing(store, desk, clock.now_ms())


async def firing(store: Store, desk: DeskFile, now_ms: int) -> list[Alert]:
    """The same from an open store.

    Raises:
        StoreError: the store can't be read now.
    """
    levels = await _levels(store, now_ms)
    found = []
    for (rule, device, _), standing in (await read_standings(store, now_ms)).items():
        if standing.phase is not Phase.FIRING:
            continue
        level = levels.get((rule, standing.place), Level.TOLD)
        note = next(
            (
                f"{one.who}: {one.why}"
                for one in desk.acknowledged
                if (one.rule, one.device, one.since_ms) == (rule, device, standing.since_ms)
            ),
            "",
        )
        found.append(Alert(rule, standing.place, level, standing.since_ms, standing.value, note))
    for incident in await read_incidents(store, now_ms):
        if not incident.acknowledged:
            level = levels.get((incident.rule, incident.place), Level.TOLD)
            found.append(Alert(incident.rule, incident.place, level, incident.at_ms, 1.0))
    return sorted(found, key=_worst_first)


async def history(configuration: IngestConfiguration, clock: Clock, days: float) -> list[Past]:
    """What changed in the last days, the oldest first.

    Raises:
        StoreError: the store can't be read now.
    """
    now_ms = clock.now_ms()
    query = Query(
        kind=RULE_CHANGE.name,
        fields=tuple(RULE_CHANGE.fields),
        start_ms=max(0, now_ms - int(days * DAY_MS)),
        stop_ms=now_ms + DAY_MS,
        group=_TAGS,
        bucket=Bucket.HOURLY,
    )
    async with open_store(configuration.store, clock) as store:
        rows = await store.read(query)
    return [
        Past(
            row.time_ms,
            str(row.fields["rule"]),
            str(row.fields["became"]),
            Place.of(row.tags),
            int(row.fields["at_ms"]),
            float(row.fields["value"]),
            str(row.fields.get("who", "")),
            str(row.fields.get("why", "")),
        )
        for row in rows
    ]


async def _levels(store: Store, now_ms: int) -> dict[tuple[str, Place], Level]:
    """As the watch last wrote them."""
    query = Query(
        kind=RULE_STATE.name,
        fields=tuple(RULES.keys() & RULE_STATE.fields.keys()),
        start_ms=max(0, now_ms - DAY_MS),
        stop_ms=now_ms + DAY_MS,
        aggregate=Aggregate.NEWEST,
        group=_TAGS,
        bucket=Bucket.HEALTH,
    )
    return {
        (rule, Place.of(row.tags)): Level(int(value))
        for row in await store.read(query)
        for rule, value in row.fields.items()
    }


def _worst_first(alert: Alert) -> tuple[int, int, int, Sequence[str]]:
    severity = _ORDER.index(RULES[alert.rule].severity)
    return -alert.level, severity, alert.since_ms, (alert.rule, alert.place.device)
