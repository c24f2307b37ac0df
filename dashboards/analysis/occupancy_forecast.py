"""Occupancy in the next hours: what this hour usually is, corrected by how today differs.

    seasonal(t) = mean of the same weekday and hour in the past; of the same hour of any day where
                  fewer than `WEEKS_MIN` such weekdays are known
    forecast(now + h) = seasonal(now + h) + KEEPS^h · (last known − seasonal(then)), within 0..1

Seasonal-naive with a level correction: a busy morning stays busy for a while, and not until night.
What it isn't: it knows no rain, no holiday and no Ramadan. `errors` gives its mean absolute error
beside those of two who know less: "as it is now" and "as a week ago".
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, tzinfo
from statistics import fmean

import msgspec

from dashboards.analysis.spans import HOUR_MS, Cell, Points

KEEPS = 0.4
"""How much of today's difference is left an hour later. On the simulated city the error is least
here and changes by 3 % from 0 to 0.8: its hours differ by themselves more than its days do."""

WEEKS_MIN = 2
WEEK_H = 168


class Seasons(msgspec.Struct, frozen=True):
    """What an hour of the week, and an hour of any day, usually is."""

    of_week: dict[Cell, list[float]]
    of_day: dict[int, list[float]]

    def at(self, time_ms: int, zone: tzinfo) -> float | None:
        """The usual value of that hour; None when no such hour is known."""
        cell = _cell(time_ms, zone)
        weeks = self.of_week.get(cell, [])
        values = weeks if len(weeks) >= WEEKS_MIN else self.of_day.get(cell.hour, [])
        return fmean(values) if values else None


class Errors(msgspec.Struct, frozen=True):
    """Mean absolute errors over the same hours; shares of occupancy."""

    ours: float
    as_now: float
    as_a_week_ago: float
    hours: int


def seasons(past: Points, zone: tzinfo) -> Seasons:
    """From hourly shares (start of the hour, 0..1)."""
    of_week: defaultdict[Cell, list[float]] = defaultdict(list)
    of_day: defaultdict[int, list[float]] = defaultdict(list)
    for time_ms, value in past:
        cell = _cell(time_ms, zone)
        of_week[cell].append(value)
        of_day[cell.hour].append(value)
    return Seasons(dict(of_week), dict(of_day))


def occupancy_forecast(past: Points, hours: int, zone: tzinfo) -> list[tuple[int, float]]:
    """The next `hours` hours after the last one of `past`; fewer where nothing is known of them."""
    return _ahead(seasons(past, zone), past, hours, zone)


def errors(past: Points, days: int, hours: int, zone: tzinfo) -> Errors | None:
    """How good it was in the last `days` days: at every hour of them, the next `hours` hours were
    forecast from what was known then. None when there is less than a week before them."""
    known = dict(past)
    first = len(past) - 24 * days
    ours: list[float] = []
    as_now: list[float] = []
    week_ago: list[float] = []
    for at in range(max(first, 1), len(past) - 1):
        before = past[:at]
        for time_ms, said in occupancy_forecast(before, hours, zone):
            ago = known.get(time_ms - WEEK_H * HOUR_MS)
            if time_ms not in known or ago is None:
                continue
            ours.append(abs(said - known[time_ms]))
            as_now.append(abs(before[-1][1] - known[time_ms]))
            week_ago.append(abs(ago - known[time_ms]))
    if not ours:
        return None
    return Errors(fmean(ours), fmean(as_now), fmean(week_ago), len(ours))


def _ahead(usual: Seasons, past: Points, hours: int, zone: tzinfo) -> list[tuple[int, float]]:
    if not past:
        return []
    last_ms, last = past[-1]
    then = usual.at(last_ms, zone)
    off = last - then if then is not None else 0.0
    found = []
    for ahead in range(1, hours + 1):
        time_ms = last_ms + ahead * HOUR_MS
        value = usual.at(time_ms, zone)
        if value is not None:
            found.append((time_ms, min(1.0, max(0.0, value + KEEPS**ahead * off))))
    return found


def _cell(time_ms: int, zone: tzinfo) -> Cell:
    local = datetime.fromtimestamp(time_ms / 1000, zone)
    return Cell(local.weekday(), local.hour)
