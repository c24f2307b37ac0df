"""Sealing over a real outbox: durable when it says so, balanced always, honest when full."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

import pytest

from devices.chirpstack import Uplink
from devices.dfrobot_a02yyuw import encode
from devices.reading import Payload, Refusal, Values
from edge.configuration import Device, EdgeConfiguration, Gateway, OutboxSettings
from edge.intake import Intake
from edge.links import NotAccepted
from edge.outbox_file import OutboxDamaged
from edge.outbox_thread import OutboxThread
from edge.records import Line, Sealed, Tally
from edge.sealing import OPEN_MAX, Sealing
from edge.uplink_snapshot import LastReadings
from tests.edge.uplink.far_side import until
from wire.batch import decode_batch
from wire.clock import SystemClock

BAY = "24e124fffef00001"
NOW_MS = SystemClock().now_ms()


class Disk(sqlite3.Connection):
    """A connection whose next commits fail as told, and which counts those that didn't."""

    error: tuple[int, str] | None = None
    commits = 0

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        if sql == "COMMIT":
            if Disk.error is not None:
                failure = sqlite3.OperationalError("as told")
                failure.sqlite_errorcode, failure.sqlite_errorname = Disk.error
                raise failure
            Disk.commits += 1
        return super().execute(sql, *parameters)


FULL = (sqlite3.SQLITE_FULL, "SQLITE_FULL")
FAILING = (sqlite3.SQLITE_IOERR_FSYNC, "SQLITE_IOERR_FSYNC")
DAMAGED = (sqlite3.SQLITE_CORRUPT, "SQLITE_CORRUPT")


class Slow(SystemClock):
    """A wall that a test moves; city time stands still."""

    def __init__(self) -> None:
        super().__init__()
        self.wall = 0.0

    def monotonic(self) -> float:
        return self.wall

    async def pause(self, seconds: float) -> None:
        until_s = self.wall + seconds
        await until(lambda: self.wall >= until_s)

    async def sleep(self, seconds: float) -> None:
        await asyncio.Event().wait()


class Rig:
    """A `Sealing` and what it announced."""

    def __init__(self, sealing: Sealing, last: LastReadings) -> None:
        self.sealing, self.last = sealing, last
        self.announced: list[Sealed] = []
        sealing.announce = self.announced.extend

    def poll(self, distance: float) -> None:
        self.sealing.polled("bin-1", encode(Values({"distance_mm": distance})))

    async def report(self, time_ms: int, occupied: int, port: int = 1) -> None:
        await self.hear(Uplink(BAY, port, bytes([occupied]), time_ms))

    async def hear(self, uplink: Uplink) -> None:
        """An uplink, until it is committed; raises why it can't be."""
        answer: asyncio.Future[NotAccepted | None] = asyncio.get_running_loop().create_future()
        self.sealing.uplink(
            "lora", uplink, lambda refused: None if answer.done() else answer.set_result(refused)
        )
        if refused := await answer:
            raise refused


@asynccontextmanager
async def rig(folder: Path, clock: SystemClock | None = None, **outbox: Any) -> AsyncIterator[Rig]:
    Disk.error, Disk.commits = None, 0
    clock = clock or SystemClock()
    settings = OutboxSettings(path=str(folder / "outbox.db"), ballast_bytes=0, **outbox)
    configuration = EdgeConfiguration(
        gateway=Gateway(name="gateway-1", site="s"),
        outbox=settings,
        device=(
            Device(name="bin-1", driver="dfrobot_a02yyuw", link="uart", heartbeat_s=0.0),
            Device(name="bay-1", driver="bosch_tps110", link="lora", dev_eui=BAY),
        ),
    )
    thread = await OutboxThread.open(
        settings, clock, "", connect=lambda *a, **k: sqlite3.connect(*a, factory=Disk, **k)
    )
    try:
        tally, last = Tally(), LastReadings()
        intake = Intake(configuration, clock, tally, lambda: True, {})
        yield Rig(Sealing(settings, thread, intake, tally, clock, last), last)
    finally:
        Disk.error = None
        await thread.close()


def run(folder: Path, scenario: Callable[[Rig], Awaitable[None]], **outbox: Any) -> None:
    async def whole() -> None:
        async with rig(folder, **outbox) as made, asyncio.TaskGroup() as group:
            running = group.create_task(made.sealing.run())
            await scenario(made)
            made.sealing.end()
            await running
            ledger = await made.sealing.ledger()
            assert ledger.balanced
            assert ledger.open == 0

    asyncio.run(whole())


def test_a_polled_reading_is_open_until_it_is_sealed(tmp_path):
    async def scenario(made: Rig) -> None:
        made.sealing.refused("bin-1", Refusal.TIMEOUT)
        made.sealing.noise("uart", "garbage")
        made.poll(500)
        ledger = await made.sealing.ledger()
        assert (ledger.taken, ledger.open, ledger.accepted) == (2, 1, 0)
        assert made.last.batches() == []
        await made.sealing.seal()
        ledger = await made.sealing.ledger()
        assert (ledger.taken, ledger.open, ledger.accepted, ledger.waiting) == (2, 0, 1, 1)
        assert (ledger.refused, ledger.noise) == ({"timeout": 1}, {"garbage": 1})
        assert [batch.readings for batch in made.announced] == [1]
        assert len(made.last.batches()) == 1

    run(tmp_path, scenario)


def test_telemetry_is_sealed_each_interval(tmp_path):
    async def scenario(made: Rig) -> None:
        made.poll(500)
        await until(lambda: len(made.announced) == 1)
        made.poll(900)
        await until(lambda: len(made.announced) == 2)

    run(tmp_path, scenario, seal_interval_s=0.1)


def test_an_uplink_returns_when_it_is_on_disk_and_its_event_is_sealed_at_once(tmp_path):
    async def scenario(made: Rig) -> None:
        await made.report(NOW_MS, 1)
        ledger = await made.sealing.ledger()
        assert (ledger.taken, ledger.accepted, ledger.waiting) == (1, 1, 1)
        await until(lambda: len(made.announced) == 1)  # the interval is a minute
        assert made.announced[0].event

    run(tmp_path, scenario)


def test_uplinks_that_come_together_share_a_commit(tmp_path):
    async def scenario(made: Rig) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(200):
                group.create_task(made.report(NOW_MS - 1000 * number, 1, port=2))
        assert Disk.commits <= 5
        assert (await made.sealing.ledger()).accepted == 200

    run(tmp_path, scenario, event_gather_s=5)


def test_a_repeated_uplink_is_acknowledged_and_counted(tmp_path):
    async def scenario(made: Rig) -> None:
        await made.report(NOW_MS, 1)
        await made.report(NOW_MS, 1)
        ledger = await made.sealing.ledger()
        assert (ledger.taken, ledger.accepted, ledger.refused) == (2, 1, {"repeat": 1})

    run(tmp_path, scenario)


def test_an_uplink_of_a_stranger_is_acknowledged_and_refused(tmp_path):
    async def scenario(made: Rig) -> None:
        await made.hear(Uplink("0" * 16, 1, b"\1", NOW_MS))
        ledger = await made.sealing.ledger()
        assert (ledger.taken, ledger.refused) == (1, {"unknown_device": 1})

    run(tmp_path, scenario)


@pytest.mark.parametrize(("error", "reason"), [(FULL, "disk_full"), (FAILING, "disk_failing")])
def test_a_disk_that_takes_nothing_refuses_what_is_open_and_accepts_no_uplink(
    tmp_path, error, reason
):
    async def scenario(made: Rig) -> None:
        made.poll(500)
        Disk.error = error
        await made.sealing.seal()
        assert made.sealing.alarms == (reason,)
        with pytest.raises(NotAccepted):
            await made.report(NOW_MS, 1)
        made.poll(600)
        ledger = await made.sealing.ledger()
        assert ledger.balanced
        assert (ledger.taken, ledger.refused, ledger.open) == (2, {reason: 1}, 1)

    run(tmp_path, scenario)


def test_what_a_full_outbox_refuses_is_on_disk_at_once(tmp_path):
    # `make faults`, seed 1426: counts waited for a commit that never came, and died with the agent.
    async def scenario(made: Rig) -> None:
        made.poll(500)
        made.poll(900)
        await made.sealing.seal()
        assert made.sealing.alarms == ("disk_full",)
        with closing(sqlite3.connect(tmp_path / "outbox.db")) as beside:
            found = dict(beside.execute("SELECT name || reason, value FROM counters"))
        assert (found["taken"], found["refuseddisk_full"]) == (2, 2)

    run(tmp_path, scenario, bytes_max=340 * 1024)


def test_a_disk_that_is_well_again_takes_what_comes_and_what_comes_again(tmp_path):
    async def scenario(made: Rig) -> None:
        Disk.error = FAILING
        with pytest.raises(NotAccepted):
            await made.report(NOW_MS, 1)
        assert "disk_failing" in made.sealing.alarms
        Disk.error = None
        made.poll(600)
        await made.report(NOW_MS, 1)  # the same, and it is still news
        await until(lambda: made.announced)
        ledger = await made.sealing.ledger()
        assert (ledger.taken, ledger.accepted, ledger.waiting) == (2, 2, 2)
        assert made.sealing.alarms == ()
        assert made.announced[0].event

    run(tmp_path, scenario)


def test_a_damaged_file_ends_the_process_so_that_the_next_start_repairs_it(tmp_path):
    async def whole() -> None:
        async with rig(tmp_path) as made:
            made.poll(500)
            Disk.error = DAMAGED
            with pytest.raises(OutboxDamaged):
                await made.sealing.seal()

    asyncio.run(whole())


def test_open_readings_are_bounded(tmp_path):
    async def scenario(made: Rig) -> None:
        for number in range(OPEN_MAX + 3):
            made.poll(100 + number % 4000)
        ledger = await made.sealing.ledger()
        assert ledger.balanced
        assert (ledger.open, ledger.refused) == (OPEN_MAX, {"open_full": 3})

    run(tmp_path, scenario)


def test_events_are_sealed_so_many_times_a_minute_and_then_wait(tmp_path):
    async def whole() -> None:
        wall = Slow()

        async def moved(seconds: float) -> None:
            for _ in range(10):
                wall.wall += seconds / 10
                await asyncio.sleep(0.03)

        settings = {"event_seals_per_minute": 2, "event_gather_s": 0.1}
        async with rig(tmp_path, clock=wall, **settings) as made, asyncio.TaskGroup() as group:
            running = group.create_task(made.sealing.run())
            for number in range(4):
                reporting = group.create_task(made.report(NOW_MS + number, number % 2))
                await moved(1.0)
                await reporting
                await moved(1.0)
            assert len(made.announced) == 2
            await moved(45.0)
            assert len(made.announced) == 2
            await moved(15.0)
            assert [batch.readings for batch in made.announced] == [1, 1, 2]
            running.cancel()

    asyncio.run(whole())


def test_a_link_that_stops_waiting_does_not_undo_the_commit(tmp_path):
    async def scenario(made: Rig) -> None:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(made.report(NOW_MS, 1))
            await asyncio.sleep(0)
            task.cancel()
        await until(lambda: made.announced)
        ledger = await made.sealing.ledger()
        assert (ledger.taken, ledger.accepted) == (1, 1)

    run(tmp_path, scenario)


def test_what_is_open_or_queued_at_the_end_is_sealed(tmp_path):
    async def whole() -> None:
        async with rig(tmp_path) as made, asyncio.TaskGroup() as group:
            running = group.create_task(made.sealing.run())
            reporting = group.create_task(made.report(NOW_MS, 1))
            made.poll(500)
            await asyncio.sleep(0)
            made.sealing.end()
            await running
            await reporting
            ledger = await made.sealing.ledger()
            assert (ledger.open, ledger.waiting) == (0, 2)
            assert sum(batch.readings for batch in made.announced) == 2

    asyncio.run(whole())


def test_the_ledger_balances_at_every_moment(tmp_path, seed):
    draw = random.Random(seed)

    async def scenario(made: Rig) -> None:
        async def report(number: int) -> None:
            with suppress(NotAccepted):
                await made.report(NOW_MS - draw.randint(0, 300) * 1000, number % 2)

        async with asyncio.TaskGroup() as group:
            for number in range(600):
                Disk.error = draw.choice((None, None, None, FULL, FAILING))
                made.poll(draw.randint(100, 4000))
                match draw.randint(0, 5):
                    case 0:
                        group.create_task(made.sealing.seal())
                    case 1:
                        group.create_task(report(number))
                    case 2:
                        made.sealing.polled("bin-1", Payload(b"\xff\0"))
                    case 3:
                        await asyncio.sleep(0)
                    case 4:
                        assert (await made.sealing.ledger()).balanced
            Disk.error = None

    run(tmp_path, scenario, event_gather_s=0.001)


def test_an_event_with_a_number_of_its_own_is_in_no_snapshot():
    last = LastReadings()
    bay = "parking_spot,device=bay-1,site=s,zone=z occupied=1i 1790000000000"
    paid = "payment,device=t-1,site=s,zone=z amount_idr=2000i 1790000000123"
    last.take([Line(bay, "bay-1", "parking_spot", 1_790_000_000_000)])
    last.take([Line(paid, "t-1", "payment", 1_790_000_000_123, number="TX-7")])
    (payload,) = last.batches()
    assert decode_batch(payload) == [bay]
    assert last.newest("t-1", "payment") == paid
