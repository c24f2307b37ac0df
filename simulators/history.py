"""What happens to one thing, made day by day and only as far as it is asked.

Each day has a generator of its own and begins with what the day before left, so a city that starts
at another hour of the same day lives through the same day.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from simulators import local_time

T = TypeVar("T")
Minutes = npt.NDArray[np.float64]
"""A value for each of the 1,440 minutes of a day."""


class Daily:
    """A history that knows the days up to the one last asked for.

    Args:
        first_day: the local day it begins with, some days before anybody looks, so that what it
            began with no longer matters.
    """

    def __init__(self, first_day: int) -> None:
        self._next_day = first_day

    def reach(self, time_ms: int) -> None:
        """Live through every day that has begun by then."""
        while local_time.day_start(self._next_day) <= time_ms:
            self.live(self._next_day)
            self._next_day += 1

    def live(self, day: int) -> None:
        """Make one day; called once for each, in order."""
        raise NotImplementedError


class Steps(Generic[T]):
    """A value that changes at moments: append in order, look up at any time."""

    def __init__(self, value: T) -> None:
        self._times: list[int] = [0]
        self._values: list[T] = [value]

    @property
    def last(self) -> T:
        return self._values[-1]

    @property
    def last_ms(self) -> int:
        return self._times[-1]

    def append(self, time_ms: int, value: T) -> None:
        """The value from `time_ms` on; never before the last one."""
        self._times.append(max(time_ms, self._times[-1]))
        self._values.append(value)

    def at(self, time_ms: int) -> T:
        """The value at that moment."""
        return self._values[bisect_right(self._times, time_ms) - 1]

    def between(self, after_ms: int, to_ms: int) -> list[tuple[int, T]]:
        """Changes in (after, to], in order."""
        first, last = bisect_right(self._times, after_ms), bisect_right(self._times, to_ms)
        return list(zip(self._times[first:last], self._values[first:last], strict=True))


def arrivals_ms(per_minute: Minutes, day: int, draws: np.random.Generator) -> list[int]:
    """Moments of a non-homogeneous Poisson process (NHPP: tavaf), sorted.

    Counts of each minute are Poisson, their moments uniform inside it: exact for a rate that is
    constant within a minute.
    """
    counts = draws.poisson(per_minute)
    minutes = np.repeat(np.arange(local_time.DAY_MINUTES), counts)
    moments = np.sort((minutes + draws.random(minutes.size)) * local_time.MINUTE_MS)
    start = local_time.day_start(day)
    return [start + int(moment) for moment in moments]


def minutes_of(hours: tuple[float, ...]) -> Minutes:
    """A value for each of 24 hours as one for each minute."""
    return np.repeat(np.asarray(hours, dtype=np.float64), 60)


def window(first_h: float, last_h: float) -> npt.NDArray[np.bool_]:
    """The minutes from one hour of the day to another."""
    minute = np.arange(local_time.DAY_MINUTES)
    inside: npt.NDArray[np.bool_] = (minute >= first_h * 60) & (minute < last_h * 60)
    return inside
