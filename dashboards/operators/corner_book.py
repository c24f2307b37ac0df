"""The WiFi corners' hours of this month and the one before, a day's readings at a time.

A month of fifty corners is two million readings, so no viewer waits for it: each look reads the one
day that is due first, today's again and again, and what is counted so far is shown with the time
from which on it holds. Days that are over are read again now and then, for what came late.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from dashboards.analysis.availability import Month
from dashboards.analysis.corner_hours import FIELDS, Hour, Hours, corner_hours, months
from dashboards.analysis.spans import HOUR_MS
from devices.kinds import WIFI_ACCESS_POINT
from ingest.stores import Query, Reader, Row, StoreError
from ingest.stores.query import ROWS_MAX

DAY_MS = 24 * HOUR_MS
PIECE_MS = 6 * HOUR_MS
"""Of readings asked for at once: a minute's reading of 2,700 corners is one answer."""

HOURS_DAYS = 8
"""So many days are kept by hour, older ones as a whole."""

AGAIN_MS = (60_000, 15 * 60_000, 6 * HOUR_MS)
"""After how long today, yesterday and an older day are read again, in city time."""


class Picture(msgspec.Struct, frozen=True):
    """What is counted so far.

    Args:
        hours: of all corners that said something, by device, of the last days.
        months: by device.
        from_ms: all is counted from then on.
        wanted_ms: and should be from then on.
        read_ms: when today was last read.
    """

    hours: dict[str, Hours]
    months: dict[str, list[Month]]
    from_ms: int
    wanted_ms: int
    read_ms: int

    @property
    def whole(self) -> bool:
        """Whether nothing is still to be read."""
        return self.from_ms <= self.wanted_ms


class _Day(msgspec.Struct, frozen=True):
    read_ms: int
    hours: dict[str, Hours]


class CornerBook:
    """One a process; `look` is called as often as somebody looks."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._days: dict[int, _Day] = {}  # by their start; no more than two months
        self._last = 0  # the day that was read in the last look that read one

    async def look(self, store: Reader, hold_ms: Mapping[str, int], now_ms: int) -> Picture:
        """Read the day that is due first, if any, and tell all that is known. `hold_ms` is for how
        long a corner's reading is believed, by device.

        Raises:
            StoreError: the store is away; what was counted stays.
        """
        wanted = self._wanted(now_ms)
        self._days = {start: day for start, day in self._days.items() if start in wanted}
        due = self._due(wanted, now_ms)
        if due is not None:
            self._last = due
            self._days[due] = await self._read(store, due, hold_ms, now_ms)
        return self._picture(wanted)

    def _wanted(self, now_ms: int) -> list[int]:
        """Starts of the local days that count, the newest first."""
        today = datetime.fromtimestamp(now_ms / 1000, self._zone)
        today = today.replace(hour=0, minute=0, second=0, microsecond=0)
        first = (today.replace(day=1) - timedelta(days=1)).replace(day=1)
        days = (today.date() - first.date()).days
        return [int((today - timedelta(days=back)).timestamp() * 1000) for back in range(days + 1)]

    def _due(self, wanted: list[int], now_ms: int) -> int | None:
        def is_due(back: int, start: int) -> bool:
            again_ms = AGAIN_MS[min(back, len(AGAIN_MS) - 1)]
            return start in self._days and now_ms - self._days[start].read_ms >= again_ms

        missing = [start for start in wanted if start not in self._days]
        old = [start for back, start in enumerate(wanted) if is_due(back, start)]
        if old and old[0] == wanted[0] and not (missing and self._last == wanted[0]):
            return old[0]  # but in a city at full speed, where it always is, not twice in a row
        return next(iter([*missing, *old]), None)

    async def _read(
        self, store: Reader, start_ms: int, hold_ms: Mapping[str, int], now_ms: int
    ) -> _Day:
        stop_ms = min(self._next_ms(start_ms), now_ms)
        holds = [*hold_ms.values(), int(1000 * WIFI_ACCESS_POINT.expiry_s)]
        rows: list[Row] = []
        first_ms = max(0, start_ms - max(holds))
        for at_ms in range(first_ms, stop_ms, PIECE_MS):
            query = Query(
                kind=WIFI_ACCESS_POINT.name,
                fields=FIELDS,
                start_ms=at_ms,
                stop_ms=min(at_ms + PIECE_MS, stop_ms),
                limit=ROWS_MAX,
            )
            piece = await store.read(query)
            if len(piece) == ROWS_MAX:
                raise StoreError(f"more than {ROWS_MAX} readings of WiFi corners in six hours")
            rows += piece
        believed = {row.tags["device"]: holds[-1] for row in rows} | dict(hold_ms)
        hours = await asyncio.to_thread(corner_hours, rows, start_ms, stop_ms, believed, self._zone)
        return _Day(now_ms, hours)

    def _next_ms(self, start_ms: int) -> int:
        local = datetime.fromtimestamp(start_ms / 1000, self._zone)
        return int((local + timedelta(days=1)).timestamp() * 1000)

    def _picture(self, wanted: list[int]) -> Picture:
        for start in wanted[HOURS_DAYS:]:
            if day := self._days.get(start):
                self._days[start] = _Day(day.read_ms, _joined(day.hours, start))
        by_hour: dict[str, Hours] = {}
        whole: dict[str, Hours] = {}
        for start in sorted(self._days):
            day = self._days[start]
            for device in day.hours.keys() | whole.keys():
                hours = day.hours.get(device) or self._silent(start, day)
                whole.setdefault(device, {}).update(hours)
                if start in wanted[:HOURS_DAYS]:
                    by_hour.setdefault(device, {}).update(hours)
        gap = next((n for n, start in enumerate(wanted) if start not in self._days), len(wanted))
        today = self._days.get(wanted[0])
        return Picture(
            by_hour,
            {device: months(hours, self._zone) for device, hours in sorted(whole.items())},
            wanted[gap - 1] if gap else wanted[0] + DAY_MS,
            wanted[-1],
            today.read_ms if today else 0,
        )

    def _silent(self, start_ms: int, day: _Day) -> Hours:
        """A day on which a corner that was there before said nothing."""
        stop_ms = min(self._next_ms(start_ms), day.read_ms)
        return {start_ms: Hour(unknown_h=(stop_ms - start_ms) / HOUR_MS)}


def _joined(hours: dict[str, Hours], start_ms: int) -> dict[str, Hours]:
    """A day as one sum a corner."""
    found = {}
    for device, each in hours.items():
        total = Hour()
        for hour in each.values():
            total.add(hour)
        found[device] = {start_ms: total}
    return found
