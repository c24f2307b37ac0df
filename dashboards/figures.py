"""The figures of a range of days, read from a store: parking, waste, WiFi.

In: a store, the configuration, a range. Out: tables that pages and `gampong figures` show. What is
read is readings, a day at a time; what is computed is `dashboards.analysis`.
"""

from __future__ import annotations

from collections import defaultdict

import msgspec

from dashboards.analysis.availability import Month, availability, reached
from dashboards.analysis.occupancy_forecast import Errors, errors, occupancy_forecast
from dashboards.analysis.parking import Usage, hourly_occupancy, usage
from dashboards.analysis.spans import points_of
from dashboards.analysis.time_to_full import TimeToFull, hourly_means, time_to_full
from dashboards.analysis.visitors import Online, clients_of, online
from dashboards.analysis.waste_service import Service, service
from dashboards.readings import Range, days, expiries, said
from devices.kinds import PARKING_SPOT, WASTE_CONTAINER, WIFI_ACCESS_POINT
from ingest.stores import Bucket, Query, Reader, Row
from ingest.stores.kinds import REVENUE
from ingest.stores.query import ROWS_MAX

FORECAST_H = 6
"""So far ahead a driver decides."""

ERRORS_DAYS = 3
"""The last ones of the range, in which each hour is forecast from what was known then."""


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


async def parking(store: Reader, asked: Range, overstay_min: float) -> list[ParkingZone]:
    """Every zone that has said something, by site and zone.

    Raises:
        StoreError: the store can't be read now, or not so much of it.
    """
    found = await said(store, PARKING_SPOT, "occupied", asked)
    zones: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for device in sorted(found.points):
        zones[found.places[device]].append(device)
    sums = await _takings(store, asked)
    figures = []
    for (site, zone), devices in sorted(zones.items()):
        bays = {device: found.points[device] for device in devices}
        hold_ms = max(found.hold_ms[device] for device in devices)
        past = hourly_occupancy(bays, asked.start_ms, asked.stop_ms, hold_ms, asked.zone)
        figures.append(
            ParkingZone(
                site,
                zone,
                usage(bays, asked.start_ms, asked.stop_ms, hold_ms, asked.zone, overstay_min),
                occupancy_forecast(past, FORECAST_H, asked.zone),
                errors(past, ERRORS_DAYS, FORECAST_H, asked.zone),
                sums.get((site, zone)),
            )
        )
    return figures


async def waste(store: Reader, asked: Range) -> list[WasteBin]:
    """Every bin that has said something, by name.

    Raises:
        StoreError: the store can't be read now, or not so much of it.
    """
    found = await said(store, WASTE_CONTAINER, "filling_level", asked, ("status", "burning"))
    figures = []
    for device, levels in sorted(found.points.items()):
        hold_ms, fires_ms = found.hold_ms[device], found.words_ms.get(device, ())
        fresh = asked.stop_ms - levels[-1][0] <= hold_ms
        figures.append(
            WasteBin(
                device,
                *found.places[device],
                levels[-1][1] if fresh else None,
                time_to_full(hourly_means(levels), asked.stop_ms),
                service(levels, asked.start_ms, asked.stop_ms, hold_ms, fires_ms),
            )
        )
    return figures


async def wifi(store: Reader, asked: Range) -> list[Corner]:
    """Every corner that has said something, by name.

    Raises:
        StoreError: the store can't be read now, or not so much of it.
    """
    known = await expiries(store, WIFI_ACCESS_POINT, asked.stop_ms)
    fields = ("up", "portal", "clients")
    rows: list[Row] = []
    async for day in days(store, WIFI_ACCESS_POINT, fields, asked, known):
        rows += day
    places = {row.tags["device"]: (row.tags["site"], row.tags["zone"]) for row in rows}
    up, internet, clients = points_of(rows, "up"), reached(rows), clients_of(rows)
    corners = []
    for device in sorted(internet):
        hold_ms = known.get(device, int(1000 * WIFI_ACCESS_POINT.expiry_s))
        span = asked.start_ms, asked.stop_ms, hold_ms, asked.zone
        corners.append(
            Corner(
                device,
                *places[device],
                availability(up.get(device, ()), internet[device], *span),
                online(clients.get(device, ()), *span),
            )
        )
    return corners


async def takings(store: Reader, asked: Range) -> list[Row]:
    """What the watch reckoned: a row a zone and day that began in the range.

    Raises:
        StoreError: the store can't be read now.
    """
    query = Query(
        kind=REVENUE.name,
        fields=("expected_idr", "received_idr", "judged"),
        start_ms=asked.start_ms,
        stop_ms=asked.stop_ms,
        bucket=Bucket.HOURLY,
        limit=ROWS_MAX,
    )
    return await store.read(query)


async def _takings(store: Reader, asked: Range) -> dict[tuple[str, str], Takings]:
    found: defaultdict[tuple[str, str], Takings] = defaultdict(lambda: Takings(0, 0.0, 0.0))
    for row in await takings(store, asked):
        place = row.tags["site"], row.tags["zone"]
        before = found[place]
        found[place] = Takings(
            before.days + 1,
            before.expected_idr + float(row.fields.get("expected_idr", 0.0)),
            before.received_idr + float(row.fields.get("received_idr", 0.0)),
        )
    return found
