"""One seed, from nothing to its outcome: the real line with the simulation's parts in place."""

from __future__ import annotations

import asyncio
import math
import random
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import edge.agent
import edge.outbox_thread
import edge.timekeeping
import edge.uplink
import ingest.ownership
import ingest.subscriber
from edge.outbox_file import OutboxFailing
from tests.simulation import adapters, client, machine
from tests.simulation.cloud import IngestMachine
from tests.simulation.loop import PROCESS, Executor, Process, Stuck, VirtualLoop
from tests.simulation.machine import Machine
from tests.simulation.world import Outcome, World

MUTATING = ("journal", "seal", "park", "set_boot_offset", "new_epoch", "resend_since")


@contextmanager
def _in_place_of_the_real_ones(world_random: random.Random) -> Iterator[None]:
    """Put the simulation's parts where the real ones are imported."""

    def uuid4() -> uuid.UUID:
        return uuid.UUID(int=world_random.getrandbits(128), version=4)

    def of_machine() -> Machine:
        process = PROCESS.get()
        assert process is not None
        owner: Machine = process.machine  # type: ignore[attr-defined]
        return owner

    with (
        patch.object(uuid, "uuid4", uuid4),
        patch.object(ingest.subscriber, "uuid4", uuid4),
        patch.object(ingest.ownership, "uuid4", uuid4),
        patch.object(edge.outbox_thread, "ThreadPoolExecutor", Executor),
        patch.object(edge.uplink, "connect", adapters.edge_connect),
        patch.object(ingest.subscriber, "connected", adapters.ingest_connected),
        patch.object(ingest.ownership, "connected", adapters.ingest_connected),
        patch.object(edge.agent, "make_links", machine.make_links),
        patch.object(edge.agent, "identity", lambda path: f"machine {path}"),
        patch.object(edge.agent, "boot_id", lambda: of_machine().boot),
        patch.object(edge.timekeeping, "ntp_synchronised", lambda: of_machine().synchronised),
    ):
        yield


def _refuse(process: Process, name: str) -> OutboxFailing | None:
    owner = getattr(process, "machine", None)
    if owner is not None and owner.disk_failing and name in MUTATING:
        return OutboxFailing("the disk fails", "")
    return None


def simulate(seed: int) -> Outcome:
    """Run the schedule of one seed."""
    random.seed(seed)
    loop = VirtualLoop()
    with (
        TemporaryDirectory(prefix="gampong-", dir=_fast_folder()) as folder,
        _in_place_of_the_real_ones(random.Random(f"uuid {seed}")),
    ):
        asyncio.set_event_loop(loop)
        world = World(loop, seed, Path(folder))
        client.NETWORK[:] = [world.network]
        Executor.saw, Executor.refuse = world.truth.saw, _refuse
        loop.set_exception_handler(lambda _, context: world.truth.problem(_unhandled(context)))
        try:
            return loop.run_until_complete(world.run())
        except (Stuck, BaseExceptionGroup) as error:
            world.truth.problem(f"{type(error).__name__}: {_flat(error)}")
            return world._outcome(0.0, [])
        finally:
            _bury(loop, world)
            asyncio.set_event_loop(None)
            loop.close()


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
            return
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.wait(left, timeout=1.0))


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
