"""Occupancy in the next hours: what this hour usually is, corrected by how today differs.

    seasonal(t) = mean of the same weekday and hour in the past; of the same hour of any day where
                  fewer than `WEEKS_MIN` such weekdays are known
    forecast(now + h) = seasonal(now + h) + KEEPS^h · (last known − seasonal(then)), within 0..1

Seasonal-naive with a level correction: a busy morning stays busy for a while, and not until night.
What it isn't: it knows no rain, no holiday and no Ramadan. `errors` gives its mean absolute error
beside those of two who know less: "as it is now" and "as a week ago". How sure an hour is, is read
off the last days: what was forecast then for as many hours ahead, beside what came (`bounded`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import tzinfo
from statistics import fmean

import msgspec

from dashboards.analysis.spans import HOUR_MS, Cell, Points, cell_of

KEEPS = 0.4
"""How much of today's difference is left an hour later. On the simulated city the error is least
here and changes by 3 % from 0 to 0.8: its hours differ by themselves more than its days do."""

WEEKS_MIN = 2
WEEK_H = 168

LOW_SHARE, HIGH_SHARE = 0.10, 0.90
"""Four hours in five lie between the bounds."""

TRIED_MIN = 24
"""Fewer forecasts of that many hours ahead say nothing of the next one."""


class Seasons(msgspec.Struct, frozen=True):
    """What an hour of the week, and an hour of any day, usually is."""

    of_week: dict[Cell, list[float]]
    of_day: dict[int, list[float]]

    def at(self, time_ms: int, zone: tzinfo) -> float | None:
        """The usual value of that hour; None when no such hour is known."""
        cell = cell_of(time_ms, zone)
        weeks = self.of_week.get(cell, [])
        values = weeks if len(weeks) >= WEEKS_MIN else self.of_day.get(cell.hour, [])
        return fmean(values) if values else None

    def add(self, hour: tuple[int, float], zone: tzinfo) -> None:
        """One more hour is known."""
        cell = cell_of(hour[0], zone)
        self.of_week.setdefault(cell, []).append(hour[1])
        self.of_day.setdefault(cell.hour, []).append(hour[1])


class Ahead(msgspec.Struct, frozen=True):
    """An hour to come: its start, the share that will be taken, and between which shares it will
    lie four times in five; no bounds where too little has been tried."""

    time_ms: int
    share: float
    low: float | None
    high: float | None


class Errors(msgspec.Struct, frozen=True):
    """Mean absolute errors over the same hours; shares of occupancy."""

    ours: float
    as_now: float
    as_a_week_ago: float
    hours: int


def seasons(past: Points, zone: tzinfo) -> Seasons:
    """From hourly shares (start of the hour, 0..1)."""
    found = Seasons({}, {})
    for hour in past:
        found.add(hour, zone)
    return found


def occupancy_forecast(past: Points, hours: int, zone: tzinfo) -> list[tuple[int, float]]:
    """The next `hours` hours after the last one of `past`; fewer where nothing is known of them."""
    return _ahead(seasons(past, zone), past, hours, zone)


def bounded(past: Points, days: int, hours: int, zone: tzinfo) -> list[Ahead]:
    """The same hours with their bounds, from what was forecast in the last `days` days: at every
    hour of them, as many hours ahead, from what was known then."""
    known = dict(past)
    missed: defaultdict[int, list[float]] = defaultdict(list)
    for at, found in _tried(past, days, hours, zone):
        for time_ms, said in found:
            if time_ms in known:
                missed[(time_ms - past[at - 1][0]) // HOUR_MS].append(known[time_ms] - said)
    ahead = []
    for time_ms, share in occupancy_forecast(past, hours, zone):
        off = sorted(missed[(time_ms - past[-1][0]) // HOUR_MS])
        low = high = None
        if len(off) >= TRIED_MIN:
            low = share + min(0.0, off[int(LOW_SHARE * (len(off) - 1))])
            high = share + max(0.0, off[round(HIGH_SHARE * (len(off) - 1))])
            low, high = max(0.0, low), min(1.0, high)
        ahead.append(Ahead(time_ms, share, low, high))
    return ahead


def errors(past: Points, days: int, hours: int, zone: tzinfo) -> Errors | None:
    """How good it was in the last `days` days: at every hour of them, the next `hours` hours were
    forecast from what was known then. None when there is less than a week before them."""
    known = dict(past)
    ours: list[float] = []
    as_now: list[float] = []
    week_ago: list[float] = []
    for at, found in _tried(past, days, hours, zone):
        for time_ms, said in found:
            ago = known.get(time_ms - WEEK_H * HOUR_MS)
            if time_ms not in known or ago is None:
                continue
            ours.append(abs(said - known[time_ms]))
            as_now.append(abs(past[at - 1][1] - known[time_ms]))
            week_ago.append(abs(ago - known[time_ms]))
    if not ours:
        return None
    return Errors(fmean(ours), fmean(as_now), fmean(week_ago), len(ours))


def _tried(
    past: Points, days: int, hours: int, zone: tzinfo
) -> Iterator[tuple[int, list[tuple[int, float]]]]:
    """For every hour of the last `days` days: how many hours were known then, and the forecast from
    them."""
    first = max(len(past) - 24 * days, 1)
    usual = seasons(past[:first], zone)
    for at in range(first, len(past) - 1):
        yield at, _ahead(usual, past[:at], hours, zone)
        usual.add(past[at], zone)


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
