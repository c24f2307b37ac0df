"""How bays are used: occupancy by hour and weekday, turnover, dwell, overstay.

In: what each bay said (`occupied` 0 or 1, ascending). Out: stays, and figures of a set of bays.

A stay begins with the first reading that says taken and ends with the first that says free. One
that was there before the range, is there after it, or passes through a time in which nobody knew is
`whole=False`: it counts as a vehicle, but its length isn't known, so it isn't in the dwell.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import tzinfo
from statistics import fmean, median

import msgspec

from dashboards.analysis.spans import Cell, Points, by_start, cell_of, spans

MINUTE_MS = 60_000
DAY_H = 24.0


class Stay(msgspec.Struct, frozen=True):
    """One vehicle in one bay. `arrived` is False for one that stood there when the range began,
    or when a time that nobody knew ended."""

    device: str
    start_ms: int
    stop_ms: int
    whole: bool
    arrived: bool

    @property
    def minutes(self) -> float:
        return (self.stop_ms - self.start_ms) / MINUTE_MS


class Usage(msgspec.Struct, frozen=True):
    """Figures of some bays over a range.

    `occupancy` is taken of known bay-hours; None when nothing was known. `turnover` is arrivals a
    bay and known day. Dwell is of whole stays, in minutes. `overstays` are stays longer than the
    limit, those counted too that aren't over.
    """

    bays: int
    occupancy: float | None
    by_hour: dict[Cell, float]
    turnover: float | None
    stays: int
    dwell_mean_min: float | None
    dwell_median_min: float | None
    overstays: int
    unknown_share: float


class BayHours(msgspec.Struct, frozen=True):
    """Bay-hours of some bays, by the start of each local hour: known, and of these taken. Those of
    several sets of bays, or of several ranges that begin at whole hours, add up."""

    bays: int
    known: dict[int, float]
    taken: dict[int, float]
    unknown_h: float

    @property
    def shares(self) -> list[tuple[int, float]]:
        """The share taken in every hour that was known, as (start of the hour, share)."""
        return [(hour_ms, self.taken[hour_ms] / self.known[hour_ms]) for hour_ms in self.known]

    def since(self, start_ms: int, stop_ms: int) -> BayHours:
        """The part from the start of a local hour to the end of the range."""
        known = {hour_ms: known_h for hour_ms, known_h in self.known.items() if hour_ms >= start_ms}
        every_h = self.bays * (stop_ms - start_ms) / (60 * MINUTE_MS)
        return BayHours(self.bays, known, self.taken, max(0.0, every_h - sum(known.values())))


def stays(device: str, occupied: Points, start_ms: int, stop_ms: int, hold_ms: int) -> list[Stay]:
    """The bay's stays in the range, ascending."""
    found: list[Stay] = []
    began_ms, knew_before, sure = -1, False, False
    for span in spans(occupied, start_ms, stop_ms, hold_ms):
        if span.value is None:
            if began_ms >= 0:  # nobody saw it go
                found.append(Stay(device, began_ms, span.start_ms, False, sure))
            began_ms, knew_before = -1, False
            continue
        if span.value >= 0.5 and began_ms < 0:
            began_ms, sure = span.start_ms, knew_before
        elif span.value < 0.5 and began_ms >= 0:
            found.append(Stay(device, began_ms, span.start_ms, sure, sure))
            began_ms = -1
        knew_before = True
    if began_ms >= 0:
        found.append(Stay(device, began_ms, stop_ms, False, sure))
    return found


def usage(
    bays: Mapping[str, Points],
    start_ms: int,
    stop_ms: int,
    hold_ms: int,
    zone: tzinfo,
    overstay_min: float,
) -> Usage:
    """What the bays were used for in the range, by the clock of `zone`."""
    hours = bay_hours(bays, start_ms, stop_ms, hold_ms, zone)
    everybody = [
        stay
        for device, occupied in bays.items()
        for stay in stays(device, occupied, start_ms, stop_ms, hold_ms)
    ]
    return usage_of(hours, everybody, zone, overstay_min)


def usage_of(
    hours: BayHours, everybody: Sequence[Stay], zone: tzinfo, overstay_min: float
) -> Usage:
    """The same, from the bays' hours and their stays."""
    known: defaultdict[Cell, float] = defaultdict(float)
    taken: defaultdict[Cell, float] = defaultdict(float)
    for hour_ms, known_h in hours.known.items():
        cell = cell_of(hour_ms, zone)
        known[cell] += known_h
        taken[cell] += hours.taken[hour_ms]
    known_h = sum(known.values())
    every_h = known_h + hours.unknown_h
    whole = [stay.minutes for stay in everybody if stay.whole]
    arrived = sum(stay.arrived for stay in everybody)
    return Usage(
        bays=hours.bays,
        occupancy=sum(taken.values()) / known_h if known_h else None,
        by_hour={cell: taken[cell] / hours for cell, hours in sorted(known.items())},
        turnover=arrived / (known_h / DAY_H) if known_h else None,
        stays=arrived,
        dwell_mean_min=fmean(whole) if whole else None,
        dwell_median_min=median(whole) if whole else None,
        overstays=len(longer_than(everybody, overstay_min)),
        unknown_share=hours.unknown_h / every_h if every_h else 1.0,
    )


def bay_hours(
    bays: Mapping[str, Points], start_ms: int, stop_ms: int, hold_ms: int, zone: tzinfo
) -> BayHours:
    """How long the bays were known and taken, hour by hour."""
    known: defaultdict[int, float] = defaultdict(float)
    taken: defaultdict[int, float] = defaultdict(float)
    unknown_h = 0.0
    for occupied in bays.values():
        for span in spans(occupied, start_ms, stop_ms, hold_ms):
            if span.value is None:
                unknown_h += span.hours
                continue
            for hour_ms, piece in by_start(span, zone):
                known[hour_ms] += piece.hours
                taken[hour_ms] += piece.hours if span.value >= 0.5 else 0.0
    return BayHours(len(bays), dict(sorted(known.items())), taken, unknown_h)


def joined(every: Iterable[BayHours]) -> BayHours:
    """The hours of all these bays together."""
    bays, unknown_h = 0, 0.0
    known: defaultdict[int, float] = defaultdict(float)
    taken: defaultdict[int, float] = defaultdict(float)
    for hours in every:
        bays, unknown_h = bays + hours.bays, unknown_h + hours.unknown_h
        for hour_ms, known_h in hours.known.items():
            known[hour_ms] += known_h
            taken[hour_ms] += hours.taken[hour_ms]
    return BayHours(bays, dict(sorted(known.items())), taken, unknown_h)


def hourly_occupancy(
    bays: Mapping[str, Points], start_ms: int, stop_ms: int, hold_ms: int, zone: tzinfo
) -> list[tuple[int, float]]:
    """The share of taken bay-time in every hour that was known, as (start of the hour, share)."""
    return bay_hours(bays, start_ms, stop_ms, hold_ms, zone).shares


def longer_than(found: Sequence[Stay], limit_min: float) -> list[Stay]:
    """Stays beyond the limit, the longest first."""
    return sorted(
        (stay for stay in found if stay.minutes > limit_min),
        key=lambda stay: (-stay.minutes, stay.device, stay.start_ms),
    )
