"""A thousand gateways and something that is away: the cloud's memory stays where it was, the broker
holds one copy of a batch, and afterwards everything is stored.

The gateways are played by `bench.fleet` with the uplink's own rules, and seal each minute. Their
minutes and time-outs are shortened, so that 12 s have as many seals, re-sends and questions as
three minutes of a city; GAMPONG_BOUNDED_SECONDS=240 is an hour.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from bench.fleet import Fleet
from bench.fleet_player import Plan
from bench.processes import used
from edge.configuration import UplinkSettings
from simulators.fleet_link import FleetLink
from tests.ingest.gateway import Child, child, configuration, eventually
from tests.servers import Mosquitto
from wire.batch import digest
from wire.clock import SystemClock
from wire.topics import Leaf, every

SECONDS = float(os.environ.get("GAMPONG_BOUNDED_SECONDS", "12"))
PACE = 15.0
"""How many times shorter than shipped the gateways' time-outs and minutes are."""

DRAINED_S = 120 + 2 * SECONDS

GATEWAYS = 1000
READINGS = 13
SHIPPED = UplinkSettings()
SENDING = UplinkSettings(
    confirm_timeout_s=SHIPPED.confirm_timeout_s / PACE,
    nobody_listens_probe_s=SHIPPED.nobody_listens_probe_s / PACE,
    retry_s_max=SHIPPED.retry_s_max / PACE,
)
KEEPALIVE_S = max(1, round(30 / PACE))
IN_FLIGHT_MAX = GATEWAYS * (SENDING.window + SENDING.backfill_window)
RETAINED = 2 * GATEWAYS  # inventory and status
SPARE = 200  # the broker's own, and what is under way between two looks
LOOK_S = 0.1
TABLES = ("city__parking_spot", "city__waste_container", "city__wifi_access_point")
GROWTH_BYTES = 16 * 1024 * 1024

pytestmark = pytest.mark.live


@pytest.fixture
def broker(tmp_path):
    config = "log_type none\nsys_interval 1\nmax_queued_messages 0\nset_tcp_nodelay true"
    with Mosquitto(tmp_path / "broker", config=config) as server:
        yield server


class Ear(FleetLink):
    """Hears what it subscribed to; `copies` has the wall times of each batch's copies."""

    def __init__(self, filters: list[str]) -> None:
        self.copies: dict[tuple[str, bytes], list[float]] = defaultdict(list)
        self.last: dict[str, int] = {}
        self.listening = asyncio.Event()
        super().__init__("ear", filters, self._hear, self.listening.set, lambda _: None)

    def _hear(self, name: str, payload: bytes) -> None:
        if name.startswith("$SYS"):
            self.last[name] = int(payload)
        elif payload:
            self.copies[name, digest(payload)].append(time.monotonic())


@asynccontextmanager
async def hearing(broker: Mosquitto, *filters: str) -> AsyncIterator[Ear]:
    ear = Ear([*filters])
    loop = asyncio.get_running_loop()
    await loop.create_connection(lambda: ear, broker.host, broker.port)
    await ear.listening.wait()
    try:
        yield ear
    finally:
        ear.close()


STORED = "$SYS/broker/store/messages/count"


@asynccontextmanager
async def publishing(broker: Mosquitto, seed: int) -> AsyncIterator[Fleet]:
    """The fleet, connected."""
    plan = Plan(
        port=broker.port,
        gateways=GATEWAYS,
        readings=READINGS,
        interval_s=60 / PACE,
        seed=seed,
        sending=SENDING,
    )
    fleet, stop = Fleet(plan, SystemClock()), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(fleet.run(stop))
        await eventually(lambda: fleet.tally.connected == GATEWAYS, "all gateways are connected")
        yield fleet
        stop.set()


async def all_is_stored(fleet: Fleet, store: Path) -> None:
    """What was sealed is confirmed, and is in the store once."""
    fleet.sealing = False
    async with asyncio.timeout(DRAINED_S):
        while fleet.tally.waiting:  # noqa: ASYNC110 - other processes set no asyncio.Event
            await asyncio.sleep(0.1)
    assert fleet.tally.rejected_readings == 0
    with sqlite3.connect(store) as file:
        counts = [file.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES]
    assert sum(counts) == fleet.tally.sealed_readings


@asynccontextmanager
async def away(store: Path) -> AsyncIterator[None]:
    """Nobody else can write to the store."""
    lock = sqlite3.connect(store, isolation_level=None, timeout=10)
    lock.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        lock.close()


async def watch(what: Callable[[], int]) -> tuple[int, int]:
    """The most of it in the first and in the second half of `SECONDS`."""
    loop = asyncio.get_running_loop()
    began, most = loop.time(), [0, 0]
    while (passed := loop.time() - began) < SECONDS:
        half = int(2 * passed / SECONDS)
        most[half] = max(most[half], what())
        await asyncio.sleep(LOOK_S)
    return most[0], most[1]


async def lateness() -> float:
    """By how much this busy process looked too late, at most, in `SECONDS`."""
    loop = asyncio.get_running_loop()
    began, latest = loop.time(), 0.0
    while (before := loop.time()) < began + SECONDS:
        await asyncio.sleep(LOOK_S)
        latest = max(latest, loop.time() - before - LOOK_S)
    return latest


def test_an_ingestor_without_its_database_does_not_grow_and_stores_everything_afterwards(
    tmp_path, broker, seed
):
    async def main(ingestor: Child) -> None:
        await ingestor.listens()
        async with hearing(broker, STORED) as ear, publishing(broker, seed) as fleet:
            async with away(store):
                await eventually(lambda: "store_away" in ingestor.log.read_text(), "it gives up")
                pid = ingestor.process.pid
                first, second = await watch(lambda: used(pid).resident_bytes)
                print(f"resident: {first / 1e6:.1f} MB, then {second / 1e6:.1f} MB")
                print(fleet.tally.summary())
                assert second - first < GROWTH_BYTES
                assert ear.last[STORED] < RETAINED + IN_FLIGHT_MAX + SPARE
            await all_is_stored(fleet, store)
        assert ingestor.log.read_text().count("broker_lost") == 0

    settings = configuration(tmp_path, broker)
    store = tmp_path / "store.db"
    with child(tmp_path, settings) as ingestor:
        asyncio.run(main(ingestor))


def test_with_an_ingestor_that_stopped_the_broker_holds_one_copy_of_a_batch_at_most(
    tmp_path, broker, seed
):
    async def main(ingestor: Child) -> None:
        await ingestor.listens()
        async with hearing(broker, STORED) as ear, publishing(broker, seed) as fleet:
            ingestor.send_signal(signal.SIGSTOP)
            first, second = await watch(lambda: ear.last.get(STORED, 0))
            print(f"held by the broker: {first}, then {second} messages")
            print(fleet.tally.summary())
            assert max(first, second) < RETAINED + IN_FLIGHT_MAX + SPARE
            assert second <= first + SPARE
            ingestor.send_signal(signal.SIGCONT)
            await all_is_stored(fleet, tmp_path / "store.db")

    settings = configuration(tmp_path, broker)
    keepalive = msgspec.structs.replace(settings.broker, keepalive_s=KEEPALIVE_S)
    with child(tmp_path, msgspec.structs.replace(settings, broker=keepalive)) as ingestor:
        asyncio.run(main(ingestor))


def test_to_someone_who_never_answers_each_copy_comes_after_the_former_is_dead(broker, seed):
    async def main() -> None:
        leaves = every(Leaf.BATCH), every(Leaf.BACKFILL)
        async with hearing(broker, *leaves) as ear, publishing(broker, seed) as fleet:
            late_s = await lateness()
            print(f"this process was late by {late_s:.2f} s", fleet.tally.summary())
        gaps = [
            later - earlier for times in ear.copies.values() for earlier, later in pairwise(times)
        ]
        assert gaps
        # The sender may see the PUBACK a turn of its loop earlier than the ear hears the copy.
        assert min(gaps) > SENDING.confirm_timeout_s - 2 * late_s - LOOK_S
        tries = SECONDS / SENDING.confirm_timeout_s + 1
        assert sum(map(len, ear.copies.values())) < IN_FLIGHT_MAX + GATEWAYS * tries

    asyncio.run(main())
