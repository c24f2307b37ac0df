"""One seed, from nothing to its outcome: the real line with the simulation's parts in place."""

from __future__ import annotations

import asyncio
import gc
import math
import random
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import devices.driver
import edge.agent
import edge.outbox_room
import edge.outbox_thread
import edge.timekeeping
import edge.uplink
import ingest.ingestor
import ingest.ownership
import ingest.subscriber
from edge.outbox_file import OutboxFailing
from tests.simulation import adapters, client, sensors
from tests.simulation.card import BALLAST_BYTES
from tests.simulation.cloud import IngestMachine
from tests.simulation.loop import Stuck, VirtualLoop
from tests.simulation.machine import Machine
from tests.simulation.process import PROCESS, Executor, Process
from tests.simulation.world import Outcome, World

MUTATING = ("journal", "seal", "park", "set_boot_offset", "new_epoch")
BALLAST_RETRY_S = 20.0
LOOK_EVERY_S = 1.0
"""How often an ingestor looks after its store: four times less than it does."""

_open = edge.outbox_thread.OutboxThread.open


def _machine() -> Machine:
    process = PROCESS.get()
    assert process is not None
    owner: Machine = process.machine
    return owner


async def _open_on_card(settings: Any, clock: Any, identity: str, boot_id: str) -> Any:
    return await _open(settings, clock, identity, boot_id, _machine().card.connect)


def _disk_usage(path: Path) -> Any:
    process = PROCESS.get()
    failing = process is not None and process.machine.card.failing == "full"
    return SimpleNamespace(free=0 if failing else 4 * BALLAST_BYTES)


@contextmanager
def _in_place_of_the_real_ones(world_random: random.Random) -> Iterator[None]:
    """Put the simulation's parts where the real ones are imported."""

    def uuid4() -> uuid.UUID:
        return uuid.UUID(int=world_random.getrandbits(128), version=4)

    with (
        patch.object(uuid, "uuid4", uuid4),
        patch.object(ingest.subscriber, "uuid4", uuid4),
        patch.object(ingest.ownership, "uuid4", uuid4),
        patch.object(devices.driver, "driver_names", cache(devices.driver.driver_names)),
        patch.object(ingest.ingestor, "_LOOK_EVERY_S", LOOK_EVERY_S),
        patch.object(edge.outbox_thread, "ThreadPoolExecutor", Executor),
        patch.object(edge.outbox_room, "BALLAST_RETRY_S", BALLAST_RETRY_S),
        patch.object(edge.outbox_room, "shutil", SimpleNamespace(disk_usage=_disk_usage)),
        patch.object(edge.uplink, "connect", adapters.edge_connect),
        patch.object(ingest.subscriber, "connected", adapters.ingest_connected),
        patch.object(ingest.ownership, "connected", adapters.ingest_connected),
        patch.object(edge.agent, "OutboxThread", SimpleNamespace(open=_open_on_card)),
        patch.object(edge.agent, "make_links", sensors.make_links),
        patch.object(edge.agent, "identity", lambda path: _machine().hardware),
        patch.object(edge.agent, "boot_id", lambda: _machine().boot),
        patch.object(edge.timekeeping, "ntp_synchronised", lambda: _machine().synchronised),
    ):
        yield


def _refuse(process: Process, name: str) -> OutboxFailing | None:
    if process.machine.disk_failing and name in MUTATING:
        return OutboxFailing("the disk fails", "")
    return None


def simulate(seed: int) -> Outcome:
    """Run the schedule of one seed."""
    random.seed(seed)
    loop = VirtualLoop()
    gc.disable()  # a schedule is short; its garbage goes at its end
    with (
        TemporaryDirectory(prefix="gampong-", dir=_fast_folder()) as folder,
        _in_place_of_the_real_ones(random.Random(f"uuid {seed}")),
    ):
        asyncio.set_event_loop(loop)
        world = World(loop, seed, Path(folder))
        client.NETWORK[:] = [world.network]
        Executor.saw, Executor.failed = world.truth.saw, world.truth.failed
        Executor.refuse = _refuse
        loop.set_exception_handler(lambda _, context: world.truth.problem(_unhandled(context)))
        try:
            outcome: Outcome = loop.run_until_complete(world.run())
            return outcome
        except (Stuck, BaseExceptionGroup) as error:
            world.truth.problem(f"{type(error).__name__}: {_flat(error)}")
            return world.outcome(0.0, [])
        finally:
            _bury(loop, world)
            asyncio.set_event_loop(None)
            loop.close()
            gc.enable()
            gc.collect()


def _bury(loop: VirtualLoop, world: World) -> None:
    """After a schedule that broke off: end what is left of it, unseen."""
    loop.time_max_s = math.inf
    runners: list[Machine | IngestMachine] = [*world.machines, *world.ingestors]
    for one in runners:
        one.start = lambda: None  # type: ignore[method-assign]
        if one.process is not None:
            one.process.kill()
    for _ in range(10):
        left = asyncio.all_tasks(loop)
        if not left:
            break
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.wait(left, timeout=1.0))
    for machine in world.machines:
        machine.card.close()


def _unhandled(context: dict[str, Any]) -> str:
    error = context.get("exception")
    return f"{context['message']}: {_flat(error) if error else ''}"


def _flat(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(_flat(one) for one in error.exceptions)
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place else ""
    return f"{error!r} at {where}"


def _fast_folder() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None
