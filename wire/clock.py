"""City time: the one clock that readings, polls, seals, expiry, guard and pages share.

In production city time is the machine's time. Under `gampong demo --speed` every process gets the
same `CityTime`, so that a simulated day passes in minutes for all of them alike. Network time-outs
are never city time: they use `Clock.monotonic()`, which always runs at the wall's rate.

This file is the only one that reads the machine's clock.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

import msgspec


class Clock(Protocol):
    """What every part of the line is given instead of a clock of its own."""

    def now_ms(self) -> int:
        """City time, Unix milliseconds."""
        ...

    def uptime_s(self) -> float:
        """Seconds of city time since an arbitrary start; never steps, even when the time is set."""
        ...

    def monotonic(self) -> float:
        """Wall seconds since an arbitrary start, for network time-outs."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait so many seconds of city time."""
        ...

    async def pause(self, seconds: float) -> None:
        """Wait so many wall seconds."""
        ...


class CityTime(msgspec.Struct, frozen=True):
    """City time as an offset and a rate: at wall time `wall_ms` it was `city_ms`.

    Given to a process as `WALL_MS:CITY_MS:RATE` (see `parse`).
    """

    wall_ms: int
    city_ms: int
    rate: float = 1.0

    def at(self, wall_ms: float) -> int:
        """City time at that wall time, both Unix milliseconds."""
        return int(self.city_ms + (wall_ms - self.wall_ms) * self.rate)

    @property
    def argument(self) -> str:
        """The text that `parse` takes."""
        return f"{self.wall_ms}:{self.city_ms}:{self.rate:g}"

    @classmethod
    def parse(cls, text: str) -> CityTime:
        """The inverse of `argument`.

        Raises:
            ValueError: not three numbers, or a rate that isn't above 0 and at most 10,000.
        """
        wall, city, rate = text.split(":")
        parsed = cls(int(wall), int(city), float(rate))
        if not 0 < parsed.rate <= 10_000:
            raise ValueError(f"rate must be above 0 and at most 10,000, got {rate}")
        return parsed


REAL_TIME = CityTime(0, 0)


class SystemClock:
    """The machine's clocks, seen as city time."""

    def __init__(self, city: CityTime = REAL_TIME) -> None:
        self.city = city

    def now_ms(self) -> int:
        return self.city.at(time.time() * 1000)

    def uptime_s(self) -> float:
        return time.monotonic() * self.city.rate

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self.city.rate)

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
