"""What the Parking page shows of days: use by hour and weekday, stays, the next hours, takings.

In: a store, now. Out: one `ParkingDays` for all viewers, whatever zone or period they choose. The
numbers are `dashboards.analysis`; four weeks of readings are the most that is read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import tzinfo

import msgspec

from dashboards.analysis.occupancy_forecast import Ahead, Errors, bounded, errors
from dashboards.analysis.parking import (
    BayHours,
    Stay,
    bay_hours,
    joined,
    longer_than,
    stays,
    usage_of,
)
from dashboards.analysis.spans import hour_start
from dashboards.figures import ERRORS_DAYS, FORECAST_H, takings
from dashboards.readings import DAY_MS, Range, Said, said
from devices.kinds import PARKING_SPOT
from ingest.stores import Reader

WEEK_DAYS, MONTH_DAYS = 7, 28
TRIED_DAYS = 14
"""So many days' forecasts say how sure the next one is."""

RECENT_HOURS = 36
STANDING_MAX = 50
"""Vehicles that stand too long now; more are counted, not listed."""

ZoneOf = tuple[str, str]
"""Site and zone; both empty: every bay of the city."""


class Period(msgspec.Struct, frozen=True):
    """Some days of a zone: see `Usage`. `cells` is (weekday 0 Monday, local hour, share taken)."""

    occupancy: float | None
    unknown_share: float
    vehicles: int
    turnover: float | None
    dwell_mean_min: float | None
    dwell_median_min: float | None
    overstays: int
    cells: list[tuple[int, int, float]]


class ZoneDays(msgspec.Struct, frozen=True):
    """A zone, or with no name all of them. `hours` are the last ones, (start, share taken)."""

    site: str
    zone: str
    bays: int
    week: Period
    month: Period
    hours: list[tuple[int, float]]
    ahead: list[Ahead]
    wrong: Errors | None


class Standing(msgspec.Struct, frozen=True):
    """A vehicle that has stood too long and stands there still. `seen` is False when nobody saw it
    come: it has stood there at least so long."""

    device: str
    site: str
    zone: str
    since_ms: int
    seen: bool


class Takings(msgspec.Struct, frozen=True):
    """A zone's day in rupiah, as the watch reckoned it; `day_ms` is its midnight."""

    site: str
    zone: str
    day_ms: int
    expected_idr: float
    received_idr: float
    judged: bool


class ParkingDays(msgspec.Struct, frozen=True):
    """Everything, as of `now_ms`; the first zone is all of them."""

    now_ms: int
    overstay_min: float
    zones: list[ZoneDays]
    standing: list[Standing]
    standing_count: int
    takings: list[Takings]


async def parking_days(
    store: Reader, now_ms: int, zone: tzinfo, overstay_min: float
) -> ParkingDays:
    """The last four weeks up to now.

    Raises:
        StoreError: the store can't be read now, or not so much of it.
    """
    start_ms = hour_start(max(0, now_ms - MONTH_DAYS * DAY_MS), zone)
    asked = Range(start_ms, now_ms, zone)
    found = await said(store, PARKING_SPOT, "occupied", asked)
    days = await takings(store, asked)
    zones: defaultdict[ZoneOf, list[str]] = defaultdict(list)
    for device in sorted(found.points):
        zones[found.places[device]].append(device)
    hours: dict[ZoneOf, BayHours] = {}
    stood: dict[ZoneOf, list[Stay]] = {}
    for place, devices in sorted(zones.items()):
        hours[place], stood[place] = _read(found, devices, asked)
    every = [stay for some in stood.values() for stay in some]
    shown = [_zone(place, hours[place], stood[place], asked, overstay_min) for place in hours]
    if shown:
        shown.insert(0, _zone(("", ""), joined(hours.values()), every, asked, overstay_min))
    standing = longer_than([stay for stay in every if stay.stop_ms == now_ms], overstay_min)
    return ParkingDays(
        now_ms=now_ms,
        overstay_min=overstay_min,
        zones=shown,
        standing=_standing(standing[:STANDING_MAX], found.places),
        standing_count=len(standing),
        takings=[
            Takings(
                row.tags["site"],
                row.tags["zone"],
                row.time_ms,
                float(row.fields.get("expected_idr", 0.0)),
                float(row.fields.get("received_idr", 0.0)),
                row.fields.get("judged") == 1,
            )
            for row in days
        ],
    )


def _read(found: Said, devices: Sequence[str], asked: Range) -> tuple[BayHours, list[Stay]]:
    """A zone's hours and stays; each bay is believed as long as its own heartbeat says."""
    hours = joined(
        bay_hours(
            {name: found.points[name]},
            asked.start_ms,
            asked.stop_ms,
            found.hold_ms[name],
            asked.zone,
        )
        for name in devices
    )
    stood = [
        stay
        for name in devices
        for stay in stays(
            name, found.points[name], asked.start_ms, asked.stop_ms, found.hold_ms[name]
        )
    ]
    return hours, stood


def _zone(
    place: ZoneOf, hours: BayHours, stood: Sequence[Stay], asked: Range, overstay_min: float
) -> ZoneDays:
    past = hours.shares
    week_ms = hour_start(asked.stop_ms - WEEK_DAYS * DAY_MS, asked.zone)
    return ZoneDays(
        *place,
        hours.bays,
        _period(hours, stood, max(week_ms, asked.start_ms), asked, overstay_min),
        _period(hours, stood, asked.start_ms, asked, overstay_min),
        past[-RECENT_HOURS:],
        bounded(past, TRIED_DAYS, FORECAST_H, asked.zone),
        errors(past, ERRORS_DAYS, FORECAST_H, asked.zone),
    )


def _period(
    hours: BayHours, stood: Sequence[Stay], start_ms: int, asked: Range, overstay_min: float
) -> Period:
    """From `start_ms`, the start of a local hour, to the range's end."""
    inside = [_cut(stay, start_ms) for stay in stood if stay.stop_ms > start_ms]
    use = usage_of(hours.since(start_ms, asked.stop_ms), inside, asked.zone, overstay_min)
    return Period(
        use.occupancy,
        use.unknown_share,
        use.stays,
        use.turnover,
        use.dwell_mean_min,
        use.dwell_median_min,
        use.overstays,
        [(cell.weekday, cell.hour, share) for cell, share in use.by_hour.items()],
    )


def _cut(stay: Stay, start_ms: int) -> Stay:
    """The part of it that lies in a range that begins later."""
    if stay.start_ms >= start_ms:
        return stay
    return Stay(stay.device, start_ms, stay.stop_ms, whole=False, arrived=False)


def _standing(found: Sequence[Stay], places: Mapping[str, ZoneOf]) -> list[Standing]:
    return [
        Standing(stay.device, *places[stay.device], stay.start_ms, stay.arrived) for stay in found
    ]
