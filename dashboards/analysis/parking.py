"""How bays are used: occupancy by hour and weekday, turnover, dwell, overstay.

In: what each bay said (`occupied` 0 or 1, ascending). Out: stays, and figures of a set of bays.

A stay begins with the first reading that says taken and ends with the first that says free. One
that was there before the range, is there after it, or passes through a time in which nobody knew is
`whole=False`: it counts as a vehicle, but its length isn't known, so it isn't in the dwell.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import tzinfo
from statistics import fmean, median

import msgspec

from dashboards.analysis.spans import Cell, Points, by_hour, spans

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
    known: defaultdict[Cell, float] = defaultdict(float)
    taken: defaultdict[Cell, float] = defaultdict(float)
    unknown_h = 0.0
    everybody: list[Stay] = []
    for device, occupied in bays.items():
        for span in spans(occupied, start_ms, stop_ms, hold_ms):
            if span.value is None:
                unknown_h += span.hours
                continue
            for cell, piece in by_hour(span, zone):
                known[cell] += piece.hours
                taken[cell] += piece.hours if span.value >= 0.5 else 0.0
        everybody += stays(device, occupied, start_ms, stop_ms, hold_ms)
    known_h = sum(known.values())
    whole = [stay.minutes for stay in everybody if stay.whole]
    arrived = sum(stay.arrived for stay in everybody)
    return Usage(
        bays=len(bays),
        occupancy=sum(taken.values()) / known_h if known_h else None,
        by_hour={cell: taken[cell] / hours for cell, hours in sorted(known.items())},
        turnover=arrived / (known_h / DAY_H) if known_h else None,
        stays=arrived,
        dwell_mean_min=fmean(whole) if whole else None,
        dwell_median_min=median(whole) if whole else None,
        overstays=len(longer_than(everybody, overstay_min)),
        unknown_share=unknown_h / (unknown_h + known_h) if unknown_h + known_h else 1.0,
    )


def hourly_occupancy(
    bays: Mapping[str, Points], start_ms: int, stop_ms: int, hold_ms: int, zone: tzinfo
) -> list[tuple[int, float]]:
    """The share of taken bay-time in every hour that was known, as (start of the hour, share)."""
    known: defaultdict[int, float] = defaultdict(float)
    taken: defaultdict[int, float] = defaultdict(float)
    for occupied in bays.values():
        for span in spans(occupied, start_ms, stop_ms, hold_ms):
            if span.value is None:
                continue
            for _, piece in by_hour(span, zone):
                hour_ms = piece.start_ms - piece.start_ms % (60 * MINUTE_MS)
                known[hour_ms] += piece.hours
                taken[hour_ms] += piece.hours if span.value >= 0.5 else 0.0
    return [(hour_ms, taken[hour_ms] / hours) for hour_ms, hours in sorted(known.items())]


def longer_than(found: Sequence[Stay], limit_min: float) -> list[Stay]:
    """Stays beyond the limit, the longest first."""
    return sorted(
        (stay for stay in found if stay.minutes > limit_min),
        key=lambda stay: (-stay.minutes, stay.device, stay.start_ms),
    )
