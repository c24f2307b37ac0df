"""What hangs on a gateway: a polled sensor, and radio sensors behind a network server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from devices.bosch_tps110 import HEARTBEAT, STATUS
from devices.chirpstack import Uplink
from devices.dfrobot_a02yyuw import encode
from devices.reading import Values
from edge.links import NotAccepted, Sink
from tests.simulation.machine import dev_eui
from tests.simulation.process import PROCESS
from tests.simulation.times import Heard
from wire.clock import Clock
from wire.messages import LinkStatus

if TYPE_CHECKING:
    from tests.simulation.machine import Machine

DISTANCES = range(31, 4500)
UPLINKS_AT_ONCE = 8


async def hear(machine: Machine) -> None:
    """The network server's devices, out there: they talk whether anybody listens or not."""
    while True:
        await asyncio.sleep(machine.rng.uniform(1.0, 3.0 * machine.poll_s))
        if machine.quiet:
            continue
        machine.uplinks += 1
        number = machine.rng.randrange(2)
        occupied = machine.rng.randrange(2)
        uplink = Uplink(
            dev_eui=dev_eui(machine.name, number),
            f_port=machine.rng.choice([STATUS, HEARTBEAT]),
            data=bytes((occupied,)),
            time_ms=machine.world.true_ms(),
            frame_counter=machine.uplinks,
        )
        heard = Heard(machine.world.loop.time(), uplink.time_ms, uplink.time_ms, occupied=occupied)
        machine.world.truth.heard(machine.name, _mark(machine, uplink), heard)
        machine.pending[machine.uplinks] = uplink
        machine.some.set()


def _mark(machine: Machine, uplink: Uplink) -> tuple[str, int]:
    return f"bay-{int(uplink.dev_eui[8:], 16)}-{machine.name}", uplink.frame_counter


class Uart:
    """A polled sensor; each reading is another distance."""

    name = "uart"

    def __init__(
        self, machine: Machine, sink: Sink, clock: Clock, trusted: Callable[[], bool]
    ) -> None:
        self._machine, self._sink, self._clock, self._trusted = machine, sink, clock, trusted

    async def run(self) -> None:
        machine, process = self._machine, PROCESS.get()
        assert process is not None
        while True:
            await asyncio.sleep(machine.poll_s * machine.rng.uniform(0.9, 1.1))
            if machine.quiet or not process.trip("poll"):
                continue
            machine.polls += 1
            distance = DISTANCES[machine.polls % len(DISTANCES)]
            device = f"bin-{machine.name}"
            heard = Heard(
                machine.world.loop.time(),
                machine.world.true_ms(),
                self._clock.now_ms() if self._trusted() else None,
                int(1000 * self._clock.uptime_s()),
                machine.boot,
                machine.clock.regime,
            )
            machine.world.truth.heard(machine.name, (device, distance), heard)
            self._sink.polled(device, encode(Values({"distance_mm": float(distance)})))

    def status(self) -> LinkStatus:
        return LinkStatus(self.name, "up")


class Radio:
    """The network server's session: every uplink again until it is acknowledged."""

    name = "radio"

    def __init__(self, machine: Machine, sink: Sink) -> None:
        self._machine, self._sink = machine, sink

    async def run(self) -> None:
        machine = self._machine
        while True:
            machine.some.clear()
            some = list(machine.pending.items())[:UPLINKS_AT_ONCE]
            if not some:
                await machine.some.wait()
                await asyncio.sleep(machine.rng.uniform(0.001, 0.05))
                continue
            results = await asyncio.gather(*(self._take(number, up) for number, up in some))
            if not all(results):
                await asyncio.sleep(machine.rng.uniform(0.5, 3.0))

    async def _take(self, number: int, uplink: Uplink) -> bool:
        machine, process = self._machine, PROCESS.get()
        answer: asyncio.Future[NotAccepted | None] = asyncio.get_running_loop().create_future()
        self._sink.uplink(
            self.name, uplink, lambda refused: None if answer.done() else answer.set_result(refused)
        )
        if await answer is not None:
            return False
        if process is None or not process.trip("acknowledge"):
            return False
        machine.world.truth.acknowledged(machine.name, _mark(machine, uplink))
        if machine.rng.random() > 0.05 or machine.quiet:  # else the acknowledgement was lost
            machine.pending.pop(number, None)
        return True

    def status(self) -> LinkStatus:
        return LinkStatus(self.name, "up")


def make_links(
    configuration: Any,
    sink: Sink,
    clock: Clock,
    trusted: Callable[[], bool],
    newest_ms: Callable[[str], int | None],
) -> Sequence[Any]:
    """In place of `edge.links.make.make_links`."""
    process = PROCESS.get()
    assert process is not None
    process.sink = sink
    machine: Machine = process.machine
    return [Uart(machine, sink, clock, trusted), Radio(machine, sink)]
