"""When a bin will be full, and between which hours: the alert's own forecast with its uncertainty.

The slope and the hours are `ingest.rules.forecast`'s (Theil-Sen over hourly means since the last
collection), so that a page, the round and the alert `bin_overdue` never say different things.
What is added here is how sure that is. Waste doesn't fall in steadily: whoever knows only a line
errs by the hour of the day most of all, more than Sen's own interval allows, which takes readings
for independent. So the interval is read off the bin itself: the rates of all stretches of
`STRETCH_H` hours since it was emptied, their 10th and 90th percentile. What it covers of the
simulated city's truth is a test.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from dashboards.analysis.spans import HOUR_MS, Points
from ingest.rules.forecast import FULL, HOURS_MAX, RATE_MIN_PER_H, forecast, since_emptied

STRETCH_H = 6
LOW_SHARE, HIGH_SHARE = 0.10, 0.90
STALE_MS = 4 * HOUR_MS


class TimeToFull(msgspec.Struct, frozen=True):
    """Hours until `FULL`, the earliest and the latest that its own past makes likely.

    `rate_per_h` is in parts of the whole an hour. `HOURS_MAX` stands for "not before long".
    """

    hours: float
    hours_low: float
    hours_high: float
    rate_per_h: float


def time_to_full(hours: Points, now_ms: int) -> TimeToFull | None:
    """From hourly means (start of the hour, level 0..1); 0 hours when it is full already.

    None when it can't be said: no reading for four hours, or not enough of them.
    """
    if not hours or now_ms - hours[-1][0] > STALE_MS:
        return None
    if hours[-1][1] > FULL:
        return TimeToFull(0.0, 0.0, 0.0, 0.0)
    said = forecast(hours, now_ms)
    if said is None:
        return None
    missing = FULL - hours[-1][1]
    rates = sorted(_rates(since_emptied(hours)))
    if not rates:
        return TimeToFull(said.hours_to_full, 0.0, HOURS_MAX, said.rate_per_h)
    slow = rates[int(LOW_SHARE * (len(rates) - 1))]
    fast = rates[round(HIGH_SHARE * (len(rates) - 1))]
    return TimeToFull(
        said.hours_to_full,
        min(_hours(missing, fast), said.hours_to_full),
        max(_hours(missing, slow), said.hours_to_full),
        said.rate_per_h,
    )


def hourly_means(levels: Points) -> list[tuple[int, float]]:
    """Points as the means of their UTC hours, what the roll-up's hours are."""
    sums: dict[int, tuple[float, int]] = {}
    for time_ms, level in levels:
        hour_ms = time_ms - time_ms % HOUR_MS
        total, count = sums.get(hour_ms, (0.0, 0))
        sums[hour_ms] = total + level, count + 1
    return [(hour_ms, total / count) for hour_ms, (total, count) in sorted(sums.items())]


def _rates(filling: Sequence[tuple[int, float]]) -> list[float]:
    """The rate of every stretch; of the whole when it is shorter than one."""
    by_hour = dict(filling)
    rates = [
        (by_hour[time_ms + STRETCH_H * HOUR_MS] - level) / STRETCH_H
        for time_ms, level in filling
        if time_ms + STRETCH_H * HOUR_MS in by_hour
    ]
    (first_ms, first), (last_ms, last) = filling[0], filling[-1]
    if not rates and last_ms > first_ms:
        rates = [(last - first) * HOUR_MS / (last_ms - first_ms)]
    return rates


def _hours(missing: float, rate_per_h: float) -> float:
    return HOURS_MAX if rate_per_h < RATE_MIN_PER_H else min(missing / rate_per_h, HOURS_MAX)
