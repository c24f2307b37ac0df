"""The trend from a real SQLite file, piece by piece: what a count of all readings at once gives."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

from dashboards.device import Device
from dashboards.store_file import open_source
from dashboards.trend import STEP_MS, Bay, Replay, Trend
from dashboards.trend_reader import TrendReader
from ingest.stores.configuration import SqliteSettings
from ingest.stores.live import Change
from tests.dashboards.small_city import bay, place, store_lines
from wire.clock import SystemClock

MINUTE_MS = 60_000
START_MS = SystemClock().now_ms() // STEP_MS * STEP_MS


class HandClock(SystemClock):
    """City time and the wall's seconds, both as a test sets them."""

    def __init__(self) -> None:
        super().__init__()
        self.ms, self.seconds = START_MS, 1000.0

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.seconds

    def pass_minutes(self, minutes: float) -> None:
        self.ms += int(minutes * MINUTE_MS)
        self.seconds += minutes * 60


def registered(names: list[str], expiry_s: float) -> list[Device]:
    devices = []
    for name in names:
        row = place(name, "parking_spot", START_MS, expiry_s=expiry_s).row
        devices.append(Device(name, "parking_spot", row))
        devices[-1].register(row)
    return devices


async def counted(reader: TrendReader, source, devices: list[Device]) -> Trend:
    """Look until a count is done."""
    for _ in range(100):
        trend = await reader.look(source, devices)
        if trend:
            return trend
    raise AssertionError("no count was finished in 100 looks")


def expected(
    trend: Trend, readings: list[Change], devices: list[Device]
) -> dict[str, list[float | None]]:
    """All readings at once."""
    replay = Replay({device.name: Bay(device.site, device.expiry_s) for device in devices})
    replay.take([change.row for change in readings])
    found = [replay.at(time_ms) for time_ms in trend.times]
    return {site: [shares[site] for shares in found] for site in found[0]}


def test_hours_read_piece_by_piece_are_counted_as_if_read_at_once(tmp_path: Path, seed: int):
    rng, clock = random.Random(seed), HandClock()
    names = [f"bay-{n:02d}" for n in range(8)]

    async def scenario() -> None:
        path = tmp_path / "city.db"
        readings: list[Change] = []
        for name in names:
            times = rng.sample(range(START_MS - 16 * 3_600_000, START_MS), 60)
            readings += [bay(name, time_ms, rng.randrange(2)) for time_ms in times]
        await store_lines(path, readings)
        devices = registered(names, rng.choice((700.0, 5_000.0, 30_000.0)))
        async with open_source(SqliteSettings(path=str(path)), clock) as source:
            reader = TrendReader(clock)
            trend = await counted(reader, source, devices)
            assert trend.shares == expected(trend, readings, devices)
            for _ in range(6):
                clock.pass_minutes(rng.uniform(5, 9))
                new = [
                    bay(rng.choice(names), clock.ms - rng.randrange(4 * MINUTE_MS), 1)
                    for _ in range(5)
                ]
                readings += new
                await store_lines(path, new)
                trend = await counted(reader, source, devices)
                assert trend.shares == expected(trend, readings, devices)

    asyncio.run(scenario())


def test_a_reading_hours_late_is_counted_at_the_next_whole_count(tmp_path: Path):
    clock = HandClock()

    async def scenario() -> None:
        path = tmp_path / "city.db"
        readings = [bay("bay-01", START_MS - n * 3_600_000, 0) for n in range(5)]
        await store_lines(path, readings)
        devices = registered(["bay-01"], 7_200.0)
        async with open_source(SqliteSettings(path=str(path)), clock) as source:
            reader = TrendReader(clock)
            await counted(reader, source, devices)
            late = bay("bay-01", START_MS - 90 * MINUTE_MS, 1)
            await store_lines(path, [late])
            clock.pass_minutes(5)
            trend = await counted(reader, source, devices)
            assert trend.shares == expected(trend, [*readings, late], devices)

    asyncio.run(scenario())


def test_nothing_is_read_while_no_step_has_passed(tmp_path: Path):
    clock = HandClock()

    async def scenario() -> None:
        path = tmp_path / "city.db"
        await store_lines(path, [bay("bay-01", START_MS, 0)])
        devices = registered(["bay-01"], 7_200.0)
        async with open_source(SqliteSettings(path=str(path)), clock) as source:
            reader = TrendReader(clock)
            await counted(reader, source, devices)
            clock.pass_minutes(1)
            assert await reader.look(source, devices) is None
            clock.pass_minutes(4)
            assert (await counted(reader, source, devices)).times[-1] == START_MS + STEP_MS

    asyncio.run(scenario())
