"""When a bin will be full: a line through its hours since it was last emptied. Pure.

What it is: the Theil-Sen slope, the median of the slopes between all pairs of hourly means, so that
a few wild hours don't turn it (up to 29 % of them may be anything; Rousseeuw, Leroy 1987, 3.7). The
time to full is what is missing now, divided by that slope. What it isn't: it knows no market days,
no holidays and no weather, and a bin filled by one lorry surprises it. It says nothing before a bin
has been filling for `HOURS_MIN` hours.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from statistics import median

import msgspec

FULL = 0.85
HOURS_MIN = 4
EMPTIED = 0.20
"""A fall by so much is a collection: what was before says nothing any more."""

RATE_MIN_PER_H = 0.001
"""Slower than two weeks from half to full is standing still, as far as the sensor can tell."""

HOURS_MAX = 10_000.0
HOUR_MS = 3_600_000


class Forecast(msgspec.Struct, frozen=True):
    """Hours until it is full, at most `HOURS_MAX`, and the rate in parts of its whole an hour."""

    hours_to_full: float
    rate_per_h: float


def forecast(hours: Sequence[tuple[int, float]], now_ms: int) -> Forecast | None:
    """From hourly means (start of the hour, filling level 0..1), ascending; None: can't be said.

    Full bins have no forecast: they are `bin_full`'s. One that has just been emptied isn't full
    before long.
    """
    if not hours or now_ms - hours[-1][0] > 4 * HOUR_MS:
        return None
    filling = since_emptied(hours)
    if len(filling) < HOURS_MIN:
        return Forecast(HOURS_MAX, 0.0) if len(filling) < len(hours) else None
    rate = median(
        (late - early) * HOUR_MS / (late_ms - early_ms)
        for (early_ms, early), (late_ms, late) in combinations(filling, 2)
    )
    middle_ms = filling[-1][0] + HOUR_MS // 2
    level = filling[-1][1] + max(rate, 0.0) * (now_ms - middle_ms) / HOUR_MS
    if level > FULL:
        return None
    if rate < RATE_MIN_PER_H:
        return Forecast(HOURS_MAX, rate)
    return Forecast(min((FULL - level) / rate, HOURS_MAX), rate)


def since_emptied(hours: Sequence[tuple[int, float]]) -> Sequence[tuple[int, float]]:
    """The hours after the last collection: where the middle one of three hours is lower than the
    middle one of the three before. One wild hour is no collection."""
    levels = [level for _, level in hours]
    for index in range(len(levels) - 1, 0, -1):
        before, after = levels[max(0, index - 3) : index], levels[index : index + 3]
        if median(before) - median(after) > EMPTIED:
            return hours[index:]
    return hours
