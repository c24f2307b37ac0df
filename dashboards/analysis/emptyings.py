"""Emptyings recognised by themselves: where a bin's level falls and stays low.

In: a bin's levels (0..1) and when it burned. Out: its emptyings, each between two readings.

How: the middle one of three levels before a reading is compared with the middle one of three from
it on, so that a single wild echo is none. A fall of more than `FALL_MIN` is one. Rangers' noise is
1 to 2 % of a bin (city_patterns §2), medians of three err by less: 8 % is more than five of their
deviations. A bin that held less than that can't be seen being emptied; the service figures leave
it out on both sides. A fire lowers the level too: a fall within `FIRE_MS` after one isn't counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import msgspec

from dashboards.analysis.spans import HOUR_MS, Points

FALL_MIN = 0.08
AROUND = 3
FIRE_MS = HOUR_MS


class Emptying(msgspec.Struct, frozen=True):
    """Somebody took `before` - `after` out of the bin between the two times (milliseconds)."""

    after_ms: int
    until_ms: int
    before: float
    after: float


def emptyings(levels: Points, fires_ms: Sequence[int] = ()) -> list[Emptying]:
    """Every emptying, ascending. The last two readings can't hold one yet: it takes two low ones.

    `fires_ms` are the times of readings that said `burning`.
    """
    found: list[Emptying] = []
    index = 1
    while index <= len(levels) - 2:
        if not _falls(levels, index):
            index += 1
            continue
        # Around a fall several places qualify: it lies where one reading drops the most.
        rivals = range(index, min(index + AROUND, len(levels) - 1))
        steepest = max(
            (at for at in rivals if _falls(levels, at)), key=lambda at: _drop(levels, at)
        )
        if not _after_fire(levels[steepest][0], fires_ms):
            found.append(_emptying(levels, steepest))
        index = steepest + AROUND - 1
    return found


def _emptying(levels: Points, index: int) -> Emptying:
    before, after = _around(levels, index)
    return Emptying(levels[index - 1][0], levels[index][0], median(before), median(after))


def _falls(levels: Points, index: int) -> bool:
    """Whether the level falls at this reading, and not only near it."""
    if _drop(levels, index) < FALL_MIN / 2:
        return False
    before, after = _around(levels, index)
    return median(before) - median(after) >= FALL_MIN


def _drop(levels: Points, index: int) -> float:
    return levels[index - 1][1] - levels[index][1]


def _around(levels: Points, index: int) -> tuple[list[float], list[float]]:
    before = [level for _, level in levels[max(0, index - AROUND) : index]]
    return before, [level for _, level in levels[index : index + AROUND]]


def _after_fire(time_ms: int, fires_ms: Sequence[int]) -> bool:
    return any(0 <= time_ms - fire_ms <= FIRE_MS for fire_ms in fires_ms)
