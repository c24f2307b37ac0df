"""When the machine's time is believed, and what happens to the boot's offset."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from edge.configuration import OutboxSettings, TimeSettings
from edge.outbox_thread import OutboxThread
from edge.timekeeping import Timekeeping, ntp_synchronised
from tests.edge.uplink.far_side import until
from wire.clock import CityTime, SystemClock

NTP, SYSTEM = TimeSettings(trust="ntp"), TimeSettings(trust="system")
CLOUD_MS = 1_900_000_000_000


def boots(folder: Path) -> list[tuple[int | None, str]]:
    with sqlite3.connect(folder / "outbox.db") as connection:
        return connection.execute("SELECT offset_ms, quality FROM boots").fetchall()


def test_someone_else_or_a_simulation_answers_for_the_time_at_once():
    def asked() -> bool:
        raise AssertionError("not to be asked")

    simulated = SystemClock(CityTime(0, 0, 60.0))
    assert Timekeeping(SYSTEM, SystemClock(), asked).time_trusted()
    assert Timekeeping(NTP, simulated, asked).time_trusted()
    assert Timekeeping(NTP, SystemClock(), lambda: True).time_trusted()
    assert not Timekeeping(NTP, SystemClock(), lambda: False).time_trusted()


def test_the_systems_word_can_be_had():
    assert ntp_synchronised() in (True, False)


@pytest.mark.parametrize("trust", [SYSTEM, NTP])
def test_the_boots_offset_is_committed_once_the_time_is_known(tmp_path, trust):
    async def scenario() -> None:
        synchronised: list[bool] = []
        clock = SystemClock()
        keeping = Timekeeping(trust, clock, lambda: bool(synchronised))
        settings = OutboxSettings(path=str(tmp_path / "outbox.db"), ballast_bytes=0)
        outbox = await OutboxThread.open(settings, keeping.clock, "", "boot")
        told = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(keeping.run(outbox, told.set))
                if trust is NTP:
                    await asyncio.sleep(0)
                    assert boots(tmp_path) == [(None, "")]
                    synchronised.append(True)
                await until(told.is_set)
        finally:
            await outbox.close()
        [(offset_ms, quality)] = boots(tmp_path)
        assert offset_ms is not None
        assert abs(offset_ms + 1000 * clock.uptime_s() - clock.now_ms()) < 2000
        assert quality == ""

    asyncio.run(scenario())


def test_the_clouds_time_stands_until_the_system_knows_better(tmp_path):
    async def scenario() -> None:
        synchronised: list[bool] = []
        keeping = Timekeeping(NTP, SystemClock(), lambda: bool(synchronised))
        settings = OutboxSettings(path=str(tmp_path / "outbox.db"), ballast_bytes=0)
        outbox = await OutboxThread.open(settings, keeping.clock, "", "boot")
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(keeping.run(outbox, lambda: None))
                keeping.heard(CLOUD_MS)
                keeping.heard(CLOUD_MS + 10**9)  # only the first word counts
                await until(keeping.time_trusted)
                assert 0 <= keeping.clock.now_ms() - CLOUD_MS < 60_000
                synchronised.append(True)
                await until(lambda: abs(keeping.clock.now_ms() - SystemClock().now_ms()) < 1000)
        finally:
            await outbox.close()

    asyncio.run(scenario())
