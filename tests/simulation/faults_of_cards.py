"""What happens to a gateway's card: slow, full, failing, cut off in a write, copied."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.simulation.sensors import hear

if TYPE_CHECKING:
    from tests.edge.disk.platter import Image
    from tests.simulation.faults import Fault
    from tests.simulation.machine import Machine
    from tests.simulation.truth import Account
    from tests.simulation.world import World

SERVICE_S = (0.3, 4.0)
"""A card is out of its gateway for so long."""

BUSY_S = 15.0
"""For so long the database is slow when a copy comes to life: what the other sent before is still
being confirmed, under the same numbers."""

FAILING_FOR_S = 25.0
"""As long as an outbox may take to notice that a disk is well again: it refuses until then."""


def _gateway(world: World, fault: Fault) -> Machine:
    return world.machines[fault.nth % len(world.machines)]


def _slow(world: World, fault: Fault) -> None:
    machine = _gateway(world, fault)
    machine.disk_slow_s = 0.03 * fault.seconds
    world.later(fault.seconds, lambda: setattr(machine, "disk_slow_s", 0.0))


def _fails(how: str) -> Callable[[World, Fault], None]:
    def begin(world: World, fault: Fault) -> None:
        machine = _gateway(world, fault)
        if machine.card.lying:
            machine.card.failing = how
            world.later(fault.seconds, lambda: setattr(machine.card, "failing", ""))
        else:
            machine.disk_failing = True
            world.later(fault.seconds, lambda: setattr(machine, "disk_failing", False))
        now = world.loop.time()
        window = (now, now + fault.seconds + FAILING_FOR_S)
        world.truth.accounts[machine.name].failing.append(window)

    return begin


def _cut(powerless: bool) -> Callable[[World, Fault], None]:
    """In the middle of a commit, a start or a checkpoint: any write, sync or rename."""

    def begin(world: World, fault: Fault) -> None:
        machine = _gateway(world, fault)
        if machine.card.lying:
            machine.card.cut_in(1 + int(10 ** (fault.nth / 450)), powerless)
        else:
            machine.kill(silent=powerless)

    return begin


def _with_card_out(
    world: World, machine: Machine, act: Callable[[], None], powerless: bool = True
) -> None:
    """While nobody starts the agent."""
    if machine.off:
        return
    machine.off = True
    machine.kill(silent=powerless)

    def put_back() -> None:
        act()
        machine.off = False
        machine.start()

    world.later(machine.rng.uniform(*SERVICE_S), put_back)


def _busy(world: World) -> None:
    """The database is slow for a while."""
    if not world.healed and world.database.mode == "well":
        world.database.mode = "slow"
        world.later(BUSY_S, lambda: setattr(world.database, "mode", "well"))


def _restored(world: World, fault: Fault) -> None:
    """An image is taken now, and written back to the card some time later."""
    machine = _gateway(world, fault)

    def take() -> None:
        image = machine.image()
        if image is not None:
            copy = world.truth.copy(machine.name)
            world.later(fault.seconds, lambda: again(image, copy))

    def again(image: Image, copy: Account) -> None:
        if not world.healed:
            _busy(world)
            world.later(BUSY_S / 3, lambda: swap(image, copy))

    def swap(image: Image, copy: Account) -> None:
        if not world.healed:
            _with_card_out(world, machine, lambda: put(image, copy))

    def put(image: Image, copy: Account) -> None:
        world.courier.copied.add(machine.gateway)
        machine.card.put(image)
        world.truth.restored(machine.name, copy)

    _with_card_out(world, machine, take)


def _cloned(world: World, fault: Fault) -> None:
    """A second gateway is set up with a copy of the card, with sensors of its own; somebody forgot
    to give it a name of its own."""
    machine = _gateway(world, fault)
    name = f"{machine.gateway}-twin"
    if name in world.truth.accounts:
        return
    world.truth.accounts[name] = world.truth.copy(machine.name)

    def copy() -> None:
        image = machine.image()
        if image is None or world.healed:
            del world.truth.accounts[name]
            return
        from tests.simulation.machine import Machine

        twin = Machine(world, name, random.Random(f"{name} {world.seed}"), world.folder)
        if fault.nth % 2:  # cards and machines that don't say who they are
            twin.hardware = machine.hardware
        twin.card.put(image)
        world.truth.accounts[name] = world.truth.copy(machine.name)
        world.courier.copied.add(machine.gateway)
        world.machines.append(twin)
        world.helpers.append(world.group.create_task(hear(twin)))
        world.later(fault.seconds, twin.start)
        world.later(max(0.0, fault.seconds - BUSY_S / 3), lambda: _busy(world))

    _with_card_out(world, machine, copy)


def _resent(world: World, fault: Fault) -> None:
    machine = _gateway(world, fault)
    _with_card_out(world, machine, lambda: machine.resend(), powerless=False)


CARD_FAULTS: dict[str, Callable[[World, Fault], None]] = {
    "disk slow": _slow,
    "disk full": _fails("full"),
    "disk fails": _fails("eio"),
    "killed at a write": _cut(powerless=False),
    "power cut at a write": _cut(powerless=True),
    "card restored": _restored,
    "card cloned": _cloned,
    "outbox resend": _resent,
}
