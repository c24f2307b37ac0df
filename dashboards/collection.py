"""Which bins are due, read from a store: what the round is planned from.

In: a store, `round.toml`'s settings, now. Out: stops with their litres, and the bins that aren't
stops though they may have to be, each with its reason. The hours are those of the alert
`bin_overdue`; a level is believed as long as the registry says.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from dashboards.analysis.routing import Point, Stop
from dashboards.analysis.spans import HOUR_MS
from dashboards.analysis.time_to_full import TimeToFull, time_to_full
from dashboards.analysis.waste_service import due
from dashboards.round_configuration import RoundSettings, Unknown
from devices.kinds import WASTE_CONTAINER
from ingest.stores import Aggregate, Bucket, Query, Reader, Row
from ingest.stores.kinds import DEVICE_REGISTRY
from ingest.stores.query import ROWS_MAX

HOURS_BACK = 96
"""Of hourly means: 10,000 bins' stay within what a store answers at once."""

DAY_MS = 24 * HOUR_MS
REGISTRY_DAYS = 7  # what `city_health` keeps


class Bin(msgspec.Struct, frozen=True):
    """A registered bin. `level` is None when it is too old to be believed; `age_ms` is the newest
    level's, None when there never was one."""

    name: str
    label: str
    at: Point | None
    maintenance: bool
    level: float | None
    age_ms: int | None
    burning: bool


class Collection(msgspec.Struct, frozen=True):
    """What is due: `bins` counts all that are registered (of the site)."""

    bins: int
    stops: tuple[Stop, ...]
    skipped: dict[str, str]


async def collection(
    store: Reader, settings: RoundSettings, litres: Mapping[str, float], now_ms: int
) -> Collection:
    """The bins that must be emptied before the next round, the fullest first; `litres` is what
    those hold that aren't `bin_litres`.

    Raises:
        StoreError: the store can't be read now.
    """
    bins = await _bins(store, settings.site, now_ms)
    rows = await store.read(_hours(now_ms))
    hours: dict[str, list[tuple[int, float]]] = {}
    for row in rows:
        level = float(row.fields["filling_level"])
        hours.setdefault(row.tags["device"], []).append((row.time_ms, level))
    full_in = {
        name: said
        for name in bins
        if (said := time_to_full(hours.get(name, ()), now_ms)) is not None
    }
    return chosen(bins, full_in, settings, litres)


def chosen(
    bins: Mapping[str, Bin],
    full_in: Mapping[str, TimeToFull],
    settings: RoundSettings,
    litres: Mapping[str, float],
) -> Collection:
    """Pure: who is visited, and who isn't though it may be full."""
    levels = {name: one.level for name, one in bins.items() if one.level is not None}
    if settings.unknown is Unknown.VISIT:
        levels |= {name: 1.0 for name, one in bins.items() if one.level is None}
    stops: list[Stop] = []
    skipped = {name: _silence(bins[name]) for name in sorted(bins.keys() - levels.keys())}
    for name in due(levels, full_in, settings.hours):
        one = bins[name]
        if one.burning:
            skipped[name] = "on fire: the fire service first"
        elif one.maintenance:
            skipped[name] = "in maintenance"
        elif one.at is None:
            skipped[name] = "no place: give it one in its gateway's configuration"
        else:
            inside = levels[name] * litres.get(name, settings.bin_litres)
            known = one.level is not None
            stops.append(Stop(name, one.label, one.at, levels[name], inside, known))
    return Collection(len(bins), tuple(stops), skipped)


async def _bins(store: Reader, site: str, now_ms: int) -> dict[str, Bin]:
    registered = await store.read(_registry(site, now_ms))
    level_rows = await store.read(_newest("filling_level", now_ms))
    status_rows = await store.read(_newest("status", now_ms))
    levels = {row.tags["device"]: row for row in level_rows}
    statuses = {row.tags["device"]: row for row in status_rows}
    return {
        row.tags["device"]: _bin(
            row, levels.get(row.tags["device"]), statuses.get(row.tags["device"]), now_ms
        )
        for row in registered
        if row.fields.get("kind") == WASTE_CONTAINER.name
    }


def _bin(registered: Row, level: Row | None, status: Row | None, now_ms: int) -> Bin:
    fields = registered.fields
    expiry_ms = 1000 * float(fields.get("expiry_s", WASTE_CONTAINER.expiry_s))
    latitude, longitude = fields.get("latitude"), fields.get("longitude")
    at = None
    if latitude is not None and longitude is not None:
        at = Point(float(latitude), float(longitude))
    fresh = level is not None and now_ms - level.time_ms <= expiry_ms
    return Bin(
        name=registered.tags["device"],
        label=str(fields.get("label", "")),
        at=at,
        maintenance=bool(fields.get("maintenance", 0)),
        level=float(level.fields["filling_level"]) if level is not None and fresh else None,
        age_ms=None if level is None else now_ms - level.time_ms,
        burning=status is not None
        and now_ms - status.time_ms <= expiry_ms
        and status.fields["status"] == "burning",
    )


def _silence(one: Bin) -> str:
    if one.age_ms is None:
        return "unknown: no reading in three months"
    return f"unknown: no reading for {one.age_ms / HOUR_MS:.0f} h"


def _registry(site: str, now_ms: int) -> Query:
    return Query(
        kind=DEVICE_REGISTRY.name,
        fields=("kind", "label", "latitude", "longitude", "expiry_s", "maintenance"),
        start_ms=max(0, now_ms - REGISTRY_DAYS * DAY_MS),
        stop_ms=now_ms + HOUR_MS,
        aggregate=Aggregate.NEWEST,
        where={"site": (site,)} if site else {},
        bucket=Bucket.HEALTH,
        limit=ROWS_MAX,
    )


def _newest(field: str, now_ms: int) -> Query:
    return Query(
        kind=WASTE_CONTAINER.name,
        fields=(field,),
        start_ms=max(0, now_ms - 90 * DAY_MS),
        stop_ms=now_ms + 1,
        aggregate=Aggregate.NEWEST,
        limit=ROWS_MAX,
    )


def _hours(now_ms: int) -> Query:
    return Query(
        kind=WASTE_CONTAINER.name,
        fields=("filling_level",),
        start_ms=max(0, now_ms - HOURS_BACK * HOUR_MS),
        stop_ms=now_ms + 1,
        aggregate=Aggregate.MEAN,
        step_s=3600,
        limit=ROWS_MAX,
    )
