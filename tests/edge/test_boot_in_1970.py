"""A machine that boots in 1970 doesn't know the time, whoever is to be trusted with it."""

from __future__ import annotations

import asyncio

import pytest

from edge.configuration import OutboxSettings, TimeSettings
from edge.intake import EARLIEST_MS, LATEST_MS
from edge.outbox_thread import OutboxThread
from edge.timekeeping import Timekeeping
from tests.edge.outbox.rig import START_MS, HandClock


class SteppedClock(HandClock):
    """Waits without turning the time."""

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(0)


@pytest.mark.parametrize("trust", ["system", "ntp"])
def test_a_clock_in_1970_is_not_trusted_until_it_is_set(tmp_path, monkeypatch, trust):
    async def scenario() -> None:
        monkeypatch.setattr("edge.timekeeping.LOOK_S", 0.001)
        clock = SteppedClock(now_ms=5000)
        keeping = Timekeeping(TimeSettings(trust=trust), clock, lambda: True)
        assert not keeping.time_trusted()
        settings = OutboxSettings(path=str(tmp_path / "outbox.db"), ballast_bytes=0)
        outbox = await OutboxThread.open(settings, keeping.clock, "", "boot")
        try:
            async with asyncio.TaskGroup() as group:
                told = asyncio.Event()
                group.create_task(keeping.run(outbox, told.set))
                for _ in range(5):
                    await asyncio.sleep(0.001)
                    assert not keeping.time_trusted()
                clock.ms = START_MS
                await told.wait()
                assert keeping.time_trusted()
        finally:
            await outbox.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("cloud_ms", [0, EARLIEST_MS - 1, LATEST_MS + 1, -(10**18), 10**18])
def test_a_cloud_that_names_an_impossible_time_is_not_believed(cloud_ms):
    keeping = Timekeeping(TimeSettings(trust="ntp"), HandClock(), lambda: False)
    keeping.heard(cloud_ms)
    assert keeping.clock.cloud_offset_ms is None
    keeping.heard(START_MS)
    assert keeping.clock.now_ms() == START_MS
