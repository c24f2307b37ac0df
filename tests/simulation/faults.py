"""A schedule: which fault happens when. All of it follows from the seed.

A fault that lasts ends by itself; `World.heal` ends all of them.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from tests.simulation.faults_of_cards import CARD_FAULTS

if TYPE_CHECKING:
    from tests.simulation.cloud import IngestMachine
    from tests.simulation.machine import Machine
    from tests.simulation.process import Process
    from tests.simulation.world import World

LONG_SHARE = 0.005
OFTEN = ("gateway loses power", "power cut at a write", "agent killed", "ingestor killed")


class Fault(msgspec.Struct, frozen=True):
    """At so many seconds, this, for so long, to the nth of its kind."""

    at_s: float
    name: str
    seconds: float
    nth: int

    def __str__(self) -> str:
        return f"{self.at_s:8.2f} s  {self.name} for {self.seconds:.1f} s (of {self.nth})"


def plan(rng: random.Random) -> tuple[float, list[Fault]]:
    """How long faults go on, and which."""
    lasts_s = rng.uniform(30.0, 150.0)
    if rng.random() < LONG_SHARE:
        lasts_s = rng.uniform(900.0, 2400.0)
    mostly = [rng.choice(OFTEN), *rng.sample(sorted(FAULTS), rng.randint(3, 8))]
    faults = []
    for _ in range(rng.randint(4, 16)):
        name = rng.choice(mostly)
        seconds = rng.choice([0.5, 3.0, 12.0, 40.0, 70.0]) * rng.uniform(0.5, 1.5)
        faults.append(Fault(rng.uniform(3.0, lasts_s), name, seconds, rng.randrange(1000)))
    return lasts_s, sorted(faults, key=lambda fault: fault.at_s)


def strike(world: World, fault: Fault) -> None:
    """Let it happen."""
    FAULTS[fault.name](world, fault)


Strike = Callable[["World", Fault], None]


def _gateway(world: World, fault: Fault) -> Machine:
    return world.machines[fault.nth % len(world.machines)]


def _ingestor(world: World, fault: Fault) -> IngestMachine:
    return world.ingestors[fault.nth % len(world.ingestors)]


def _anybody(world: World, fault: Fault) -> str:
    names = [one.name for one in world.machines] + [one.name for one in world.ingestors]
    return names[fault.nth % len(names)]


def _kill(world: World, process: Process | None, fault: Fault) -> None:
    """It dies where it next touches the world, or at one of its next awaits: any of them."""
    if process is None or process.dead:
        return
    if fault.nth % 2:
        process.fuse = 1 + fault.nth % 61
    else:
        world.loop.doom(process, 1 + int(10 ** (fault.nth / 320)))


def _kill_agent(world: World, fault: Fault) -> None:
    _kill(world, _gateway(world, fault).process, fault)


def _kill_ingestor(world: World, fault: Fault) -> None:
    _kill(world, _ingestor(world, fault).process, fault)


def _reboot(world: World, fault: Fault) -> None:
    machine = _gateway(world, fault)
    off_ms = [-world.true_ms() + 1000, -3_600_000 * (1 + fault.nth % 7)][fault.nth % 2]
    machine.reboot(off_ms, fault.seconds)


def _step_clock(world: World, fault: Fault) -> None:
    machine = _gateway(world, fault)
    steps_ms = [-1500, 1500, -3_600_000, 3_600_000, -86_400_000 // 3, 217_331, -61_007]
    machine.step_clock(steps_ms[fault.nth % len(steps_ms)])
    if fault.nth % 3 == 0:
        world.later(fault.seconds, machine.set_right)


def _restart_agent(world: World, fault: Fault) -> None:
    machine = _gateway(world, fault)
    machine.stop.set()
    world.later(12.0, machine.start)


def _cut(world: World, fault: Fault) -> None:
    world.network.cut(_anybody(world, fault))


def _flap(world: World, fault: Fault) -> None:
    name = _anybody(world, fault)
    for number in range(6):
        world.later(fault.seconds * number / 6, lambda: world.network.cut(name))


def _part(world: World, fault: Fault) -> None:
    world.network.part(_anybody(world, fault), fault.seconds)


def _half_open(world: World, fault: Fault) -> None:
    world.network.deafen(_anybody(world, fault))


def _delay(world: World, fault: Fault) -> None:
    name = _anybody(world, fault)
    world.network.slow[name] = 0.2 * fault.seconds
    world.later(fault.seconds, lambda: world.network.slow.pop(name, None))


def _broker(empty: bool) -> Strike:
    def restart(world: World, fault: Fault) -> None:
        if world.broker.up:
            world.broker.restart(empty)
            world.later(fault.seconds, world.broker.back)

    return restart


def _drop_queues(world: World, fault: Fault) -> None:
    world.broker.drop_queues()


def _share(name: str, share: float) -> Strike:
    def set_share(world: World, fault: Fault) -> None:
        setattr(world.broker, name, share)
        world.later(fault.seconds, lambda: setattr(world.broker, name, 0.0))

    return set_share


def _hate(world: World, fault: Fault) -> None:
    """Some batches draw a DISCONNECT, each time."""
    world.broker.hates = lambda message: message.payload[-1] % 5 == fault.nth % 5
    world.later(3 * fault.seconds, lambda: setattr(world.broker, "hates", lambda message: False))


def _short_queue(world: World, fault: Fault) -> None:
    world.broker.queue_max = 3
    world.later(fault.seconds, lambda: setattr(world.broker, "queue_max", 1000))


def _database(mode: str) -> Strike:
    def change(world: World, fault: Fault) -> None:
        world.database.mode = mode
        world.later(fault.seconds, lambda: setattr(world.database, "mode", "well"))

    return change


def _conflict(world: World, fault: Fault) -> None:
    """The database has another type for a device's field, until somebody mends it."""
    device = _gateway(world, fault).configuration.device[fault.nth % 3].name
    world.database.conflicts.add(device)
    world.later(2 * fault.seconds, lambda: world.database.conflicts.discard(device))


def _replay(world: World, fault: Fault) -> None:
    _ingestor(world, fault).replay()


def _stop_ingestor(world: World, fault: Fault) -> None:
    _ingestor(world, fault).stop.set()


def _all_ingestors(world: World, fault: Fault) -> None:
    for ingestor in world.ingestors:
        ingestor.kill()


FAULTS: dict[str, Strike] = {
    "agent killed": _kill_agent,
    "ingestor killed": _kill_ingestor,
    "all ingestors killed": _all_ingestors,
    "gateway loses power": _reboot,
    "clock steps": _step_clock,
    "agent restarted": _restart_agent,
    "ingestor restarted": _stop_ingestor,
    "connection cut": _cut,
    "connection flaps": _flap,
    "partition": _part,
    "half-open": _half_open,
    "delay": _delay,
    "broker restarts": _broker(empty=False),
    "broker restarts empty": _broker(empty=True),
    "broker drops its queues": _drop_queues,
    "broker delivers twice": _share("duplicate_share", 0.3),
    "broker reorders topics": _share("reorder_share", 0.5),
    "broker refuses": _share("refuse_share", 0.5),
    "broker hangs up on a batch": _hate,
    "slow client disconnected": _short_queue,
    "database away": _database("away"),
    "database slow": _database("slow"),
    "database 429": _database("too_many"),
    "database 500 after writing": _database("told_no"),
    "database writes a part": _database("torn"),
    "database 401": _database("locked"),
    "type conflict": _conflict,
    "dead letters replayed": _replay,
    **CARD_FAULTS,
}
