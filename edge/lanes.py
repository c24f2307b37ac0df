"""Lanes: two readings of a device never get the same time, whatever the clock does.

In: the clock's time, or a boot's uptime. Out: a stamp: tens of milliseconds plus a lane, so that
stamps of two lanes are never equal. All that must be remembered is each lane's *mark*, the highest
stamp ever made in it; marks are committed with the readings they belong to.

    lanes 0 to 5   polled readings. Used is the lane whose mark lies latest before now: while time
                   runs on, that is always the same one. A clock set back leaves a mark in the
                   future, so stamps go on in another lane until that time has passed. Under 2 s
                   isn't a step back: stamps go on just above the mark.
    lanes 6 to 9   readings of boots that didn't know the time. They bear tens of milliseconds of
                   uptime, and the offset that places them ends in the boot's lane.

A stamp is the clock's time rounded up: under 10 ms late. Where every lane's mark lies ahead (a
clock set back for the sixth time, each time by more), stamps go on above the lowest mark: late,
but no reading replaces another.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

LANES = 10
LANE_MS = 10
POLLED, BOOTS = range(6), range(6, LANES)
STEP_BACK_MS = 2000

Marks = tuple[int, ...]
"""The highest stamp of each lane, in Unix milliseconds; 0 where there is none."""


class Stamped(msgspec.Struct, frozen=True):
    """What has been stamped and committed: each lane's mark, and this boot's highest uptime."""

    marks: Marks
    uptime_ms: int


NOTHING_STAMPED = Stamped((0,) * LANES, -1)


class Lanes:
    """Stamps of one process. `marks` are those that were committed before it."""

    def __init__(self, marks: Marks) -> None:
        self._marks = list(marks)
        self._lane = POLLED[0]
        self._floor_ms = marks[self._lane]
        self._last: dict[str, int] = {}

    def stamp(self, device: str, now_ms: int) -> int:
        """A time that no reading of this device has had or will have."""
        self._choose(now_ms)
        last_ms = self._last.get(device, self._floor_ms)
        stamp = in_lane(max(now_ms, last_ms + 1), self._lane)
        self._last[device] = stamp
        self._marks[self._lane] = max(self._marks[self._lane], stamp)
        return stamp

    def _choose(self, now_ms: int) -> None:
        """Go over to another lane if this one's mark lies ahead, or another's fits better."""
        lane = _latest_before(now_ms, self._marks, POLLED)
        if self._marks[self._lane] < now_ms + STEP_BACK_MS and (
            self._marks[lane] <= self._marks[self._lane] or self._marks[lane] >= now_ms
        ):
            return
        self._lane, self._floor_ms = lane, self._marks[lane]
        self._last.clear()


def in_lane(time_ms: int, lane: int) -> int:
    """The first moment of that lane at or after `time_ms`."""
    return time_ms + (lane - time_ms) % LANE_MS


def uptime_stamp(uptime_ms: int, last_ms: int) -> int:
    """A boot's uptime as a stamp, after the last one."""
    return in_lane(max(uptime_ms, last_ms + 1), 0)


def offset_in_lane(marks: Sequence[int], offset_ms: int, first_ms: int) -> int:
    """The offset that places a boot's uptimes from `first_ms` on in a lane where nothing is."""
    lane = _latest_before(offset_ms + first_ms, marks, BOOTS)
    return in_lane(max(offset_ms, marks[lane] + 1 - first_ms), lane)


def marks_of(stamps: Iterable[int]) -> dict[int, int]:
    """The highest stamp of each lane that occurs."""
    marks: dict[int, int] = {}
    for stamp in stamps:
        lane = stamp % LANE_MS
        marks[lane] = max(marks.get(lane, 0), stamp)
    return marks


def _latest_before(time_ms: int, marks: Sequence[int], lanes: range) -> int:
    """The lane whose mark lies latest before that time; where all lie ahead, the lowest."""
    free = [lane for lane in lanes if marks[lane] < time_ms]
    if free:
        return max(free, key=lambda lane: marks[lane])
    return min(lanes, key=lambda lane: marks[lane])
