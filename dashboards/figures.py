"""The figures of a range of days, read from a store: parking, waste, WiFi.

In: a store, the configuration, a range. Out: tables that pages and `gampong figures` show. What is
read is readings, a day at a time; what is computed is `dashboards.analysis`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import tzinfo

import msgspec

from dashboards.analysis.availability import Month, availability, reached
from dashboards.analysis.occupancy_forecast import Errors, errors, occupancy_forecast
from dashboards.analysis.parking import Usage, hourly_occupancy, usage
from dashboards.analysis.spans import HOUR_MS, points_of
from dashboards.analysis.time_to_full import TimeToFull, hourly_means, time_to_full
from dashboards.analysis.visitors import Online, clients_of, online
from dashboards.analysis.waste_service import Service, service
from dashboards.store_file import Source
from devices.kinds import KINDS, PARKING_SPOT, WASTE_CONTAINER, WIFI_ACCESS_POINT, Kind
from ingest.stores import Aggregate, Bucket, Query, Row, StoreError
from ingest.stores.kinds import DEVICE_REGISTRY, REVENUE
from ingest.stores.query import ROWS_MAX

DAY_MS = 24 * HOUR_MS
FORECAST_H = 6
"""So far ahead a driver decides."""

ERRORS_DAYS = 3
"""The last ones of the range, in which each hour is forecast from what was known then."""


class Range(msgspec.Struct, frozen=True):
    """Half-open, Unix milliseconds, by the clock of `zone`."""

    start_ms: int
    stop_ms: int
    zone: tzinfo


class Takings(msgspec.Struct, frozen=True):
    """What the watch reckoned for a zone's days that began in the range, in rupiah."""

    days: int
    expected_idr: float
    received_idr: float


class ParkingZone(msgspec.Struct, frozen=True):
    """One zone's figures; no takings where the watch reckons none. The forecast is (start of the
    hour, share taken); its errors are those of the last days of the range, None where there is no
    week before them."""

    site: str
    zone: str
    usage: Usage
    forecast: list[tuple[int, float]]
    errors: Errors | None
    takings: Takings | None


class WasteBin(msgspec.Struct, frozen=True):
    """One bin's figures."""

    device: str
    site: str
    zone: str
    level: float | None
    full_in: TimeToFull | None
    service: Service


class Corner(msgspec.Struct, frozen=True):
    """One corner's months and people."""

    device: str
    site: str
    zone: str
    months: list[Month]
    online: Online


class _Readings(msgspec.Struct, frozen=True):
    """Rows of a kind, the place of each device by its newest row, and how long each is believed."""

    rows: list[Row]
    places: dict[str, tuple[str, str]]
    hold_ms: dict[str, int]


async def parking(store: Source, asked: Range, overstay_min: float) -> list[ParkingZone]:
    """Every zone that has said something, by site and zone.

    Raises:
        StoreError: the store can't be read now, or not so much of it.
    """
    said = await _readings(store, PARKING_SPOT, ("occupied",), asked)
    points = points_of(said.rows, "occupied")
    zones: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for device in sorted(points):
        zones[said.places[device]].append(device)
    takings = await _takings(store, asked)
    figures = []
    for (site, zone), devices in sorted(zones.items()):
        bays = {device: points[device] for device in devices}
        hold_ms = max(said.hold_ms[device] for device in devices)
        past = hourly_occupancy(bays, asked.start_ms, asked.stop_ms, hold_ms, asked.zone)
        figures.append(
            ParkingZone(
                site,
                zone,
                usage(bays, asked.start_ms, asked.stop_ms, hold_ms, asked.zone, overstay_min),
                occupancy_forecast(past, FORECAST_H, asked.zone),
                errors(past, ERRORS_DAYS, FORECAST_H, asked.zone),
                takings.get((site, zone)),
            )
        )
    return figures


async def waste(store: Source, asked: Range) -> list[WasteBin]:
    """Every bin that has said something, by name.

    Raises:
        StoreError: the store can't be read now, or not so much of it.
    """
    said = await _readings(store, WASTE_CONTAINER, ("filling_level", "status"), asked)
    fires: defaultdict[str, list[int]] = defaultdict(list)
    for row in said.rows:
        if row.fields.get("status") == "burning":
            fires[row.tags["device"]].append(row.time_ms)
    figures = []
    for device, levels in sorted(points_of(said.rows, "filling_level").items()):
        hold_ms = said.hold_ms[device]
        fresh = asked.stop_ms - levels[-1][0] <= hold_ms
        figures.append(
            WasteBin(
                device,
                *said.places[device],
                levels[-1][1] if fresh else None,
                time_to_full(hourly_means(levels), asked.stop_ms),
                service(levels, asked.start_ms, asked.stop_ms, hold_ms, fires[device]),
            )
        )
    return figures


async def wifi(store: Source, asked: Range) -> list[Corner]:
    """Every corner that has said something, by name.

    Raises:
        StoreError: the store can't be read now, or not so much of it.
    """
    said = await _readings(store, WIFI_ACCESS_POINT, ("up", "portal", "clients"), asked)
    up, internet, clients = points_of(said.rows, "up"), reached(said.rows), clients_of(said.rows)
    return [
        Corner(
            device,
            *said.places[device],
            availability(
                up.get(device, ()),
                internet[device],
                asked.start_ms,
                asked.stop_ms,
                said.hold_ms[device],
                asked.zone,
            ),
            online(
                clients.get(device, ()),
                asked.start_ms,
                asked.stop_ms,
                said.hold_ms[device],
                asked.zone,
            ),
        )
        for device in sorted(internet)
    ]


async def _takings(store: Source, asked: Range) -> dict[tuple[str, str], Takings]:
    query = Query(
        kind=REVENUE.name,
        fields=("expected_idr", "received_idr"),
        start_ms=asked.start_ms,
        stop_ms=asked.stop_ms,
        bucket=Bucket.HOURLY,
        limit=ROWS_MAX,
    )
    found: defaultdict[tuple[str, str], Takings] = defaultdict(lambda: Takings(0, 0.0, 0.0))
    for row in await store.read(query):
        place = row.tags["site"], row.tags["zone"]
        before = found[place]
        found[place] = Takings(
            before.days + 1,
            before.expected_idr + float(row.fields.get("expected_idr", 0.0)),
            before.received_idr + float(row.fields.get("received_idr", 0.0)),
        )
    return found


async def _readings(store: Source, kind: Kind, fields: tuple[str, ...], asked: Range) -> _Readings:
    registered = await store.read(
        Query(
            kind=DEVICE_REGISTRY.name,
            fields=("kind", "expiry_s"),
            start_ms=max(0, asked.stop_ms - 7 * DAY_MS),
            stop_ms=asked.stop_ms + HOUR_MS,
            aggregate=Aggregate.NEWEST,
            bucket=Bucket.HEALTH,
            limit=ROWS_MAX,
        )
    )
    longest_ms = max(_expiries(registered, kind).values(), default=int(1000 * kind.expiry_s))
    rows: list[Row] = []
    for start_ms in range(max(0, asked.start_ms - longest_ms), asked.stop_ms, DAY_MS):
        stop_ms = min(start_ms + DAY_MS, asked.stop_ms)
        query = Query(
            kind=kind.name, fields=fields, start_ms=start_ms, stop_ms=stop_ms, limit=ROWS_MAX
        )
        day = await store.read(query)
        if len(day) == ROWS_MAX:
            raise StoreError(f"more than {ROWS_MAX} readings of {kind.name} a day: too many")
        rows += day
    places = {row.tags["device"]: (row.tags["site"], row.tags["zone"]) for row in rows}
    expiries = _expiries(registered, kind)
    hold_ms = {device: expiries.get(device, int(1000 * kind.expiry_s)) for device in places}
    return _Readings(rows, places, hold_ms)


def _expiries(registered: Sequence[Row], kind: Kind) -> Mapping[str, int]:
    return {
        row.tags["device"]: int(1000 * float(row.fields.get("expiry_s", KINDS[kind.name].expiry_s)))
        for row in registered
        if row.fields.get("kind") == kind.name
    }
