"""A gateway: its clock, its card, its agent as a process, and the sensors that hang on it."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from devices.bosch_tps110 import HEARTBEAT, STATUS
from devices.chirpstack import Uplink
from devices.dfrobot_a02yyuw import encode
from devices.reading import Values
from edge.agent import run_agent
from edge.configuration import (
    ChirpStack,
    Container,
    Device,
    EdgeConfiguration,
    Gateway,
    OutboxSettings,
    TimeSettings,
    UartPort,
    UplinkSettings,
)
from edge.links import NotAccepted, Sink
from tests.simulation.loop import PROCESS, Process
from wire.configuration import Broker
from wire.messages import LinkStatus

if TYPE_CHECKING:
    from tests.simulation.world import World

EPOCH_MS = 1_790_000_000_000
DISTANCES = range(31, 4500)
UPLINKS_AT_ONCE = 8


class MachineClock:
    """`wire.clock.Clock` of one machine: uptime since its boot, a wall clock that may be off."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.off_ms = 0
        self.booted_s = 0.0

    def now_ms(self) -> int:
        return self._world.true_ms() + self.off_ms

    def uptime_s(self) -> float:
        return self._world.loop.time() - self.booted_s + 7.0

    def monotonic(self) -> float:
        return self._world.loop.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Machine:
    """One gateway's hardware, which outlives its agents."""

    def __init__(self, world: World, name: str, rng: random.Random, folder: Path) -> None:
        self.world, self.name, self.rng = world, name, rng
        self.clock = MachineClock(world)
        self.boot = f"boot-{name}-1"
        self.boots = 1
        self.synchronised = True
        self.disk_slow_s = self.disk_slowest_s = 0.0
        self.disk_failing = False
        self.process: Process | None = None
        self.stop = asyncio.Event()
        self.stopped = False
        self.path = folder / f"{name}.db"
        self.pending: dict[int, Uplink] = {}
        self.uplinks = self.polls = 0
        self.some = asyncio.Event()
        self.quiet = False
        self.poll_s = rng.choice([2.0, 5.0, 10.0, 30.0])
        self.configuration = self._configure()

    def _configure(self) -> EdgeConfiguration:
        rng = self.rng
        return EdgeConfiguration(
            gateway=Gateway(name=self.name, site="pasar"),
            broker=Broker(keepalive_s=rng.choice([10, 30, 60])),
            outbox=OutboxSettings(
                path=str(self.path),
                ballast_bytes=0,
                seal_interval_s=rng.choice([5.0, 10.0, 60.0]),
            ),
            uplink=UplinkSettings(
                window=rng.choice([1, 4, 4]), backfill_window=rng.choice([1, 4, 4])
            ),
            time=TimeSettings(trust="ntp"),
            link=(
                UartPort(name="uart", port="none"),
                ChirpStack(name="radio", broker=Broker()),
            ),
            device=(
                Device(
                    name=f"bin-{self.name}",
                    driver="dfrobot_a02yyuw",
                    link="uart",
                    dead_band=0.0,
                    container=Container(empty_mm=4500.0, full_mm=0.0),
                ),
                *(
                    Device(
                        name=f"bay-{n}-{self.name}",
                        driver="bosch_tps110",
                        link="radio",
                        dev_eui=self.dev_eui(n),
                    )
                    for n in range(2)
                ),
            ),
        )

    def dev_eui(self, number: int) -> str:
        return f"{int(self.name.rpartition('-')[2]):08x}{number:08x}"

    # Its life

    def start(self) -> None:
        """The service manager starts the agent."""
        if self.process is not None and not self.process.dead:
            return
        self.stop = asyncio.Event()
        process = Process(self.name, self.disk_s, self._died)
        process.machine = self  # type: ignore[attr-defined]
        self.process = process

        async def work() -> None:
            ledger = await run_agent(self.configuration, self.clock, self.stop)
            if not process.dead:
                self.world.truth.cards[self.name].ledger = ledger
                process.dead = True
                self.stopped = True

        process.start(self.world.group, work)

    def kill(self, silent: bool = False) -> None:
        if self.process is not None:
            self.process.kill(silent)

    def reboot(self, off_ms: int, synchronised_in_s: float) -> None:
        """The power goes and comes back; the clock starts wrong until NTP has spoken."""
        self.kill(silent=True)
        self.boots += 1
        self.boot = f"boot-{self.name}-{self.boots}"
        self.clock.booted_s = self.world.loop.time()
        self.clock.off_ms, self.synchronised = off_ms, False
        self.world.loop.call_later(synchronised_in_s, self._synchronise, self.boots)

    def set_right(self) -> None:
        """NTP corrects the clock, if the machine has it."""
        if self.synchronised:
            self.clock.off_ms = 0

    def _synchronise(self, boots: int) -> None:
        if boots == self.boots:
            self.clock.off_ms, self.synchronised = 0, True

    def _died(self) -> None:
        """What `kill -9` leaves on the card: the files as they are, nothing closed."""
        self.world.truth.cards[self.name].deaths.append(self.world.loop.time())
        process = self.process
        if process is not None and process.executor is not None and process.executor.opened:
            kept = {}
            for end in ("", "-wal"):
                path = self.path.with_name(self.path.name + end)
                if path.exists():
                    kept[path] = shutil.copyfile(path, path.with_name(f"{path.name}.kept"))
            process.executor.opened._file.close()
            for path, copy in kept.items():
                copy.replace(path)
            self.path.with_name(f"{self.path.name}-shm").unlink(missing_ok=True)
        restart_s = self.rng.uniform(0.5, 10.0)
        self.world.loop.call_later(restart_s, self.start)

    def disk_s(self) -> float:
        self.disk_slowest_s = max(self.disk_slowest_s, self.disk_slow_s)
        return self.rng.uniform(0.0005, 0.01) + self.rng.random() * self.disk_slow_s

    # What hangs on it

    async def hear(self) -> None:
        """The network server's devices, out there: they talk whether we listen or not."""
        while True:
            await asyncio.sleep(self.rng.uniform(1.0, 3.0 * self.poll_s))
            if self.quiet:
                continue
            self.uplinks += 1
            number = self.rng.randrange(2)
            port = self.rng.choice([STATUS, HEARTBEAT])
            occupied = self.rng.randrange(2)
            self.pending[self.uplinks] = Uplink(
                dev_eui=self.dev_eui(number),
                f_port=port,
                data=bytes((occupied,)),
                time_ms=self.world.true_ms(),
                frame_counter=self.uplinks,
            )
            self.some.set()

    def mark(self, uplink: Uplink) -> tuple[str, int]:
        return f"bay-{int(uplink.dev_eui[8:], 16)}-{self.name}", uplink.frame_counter


class Uart:
    """A polled sensor; each reading is another distance."""

    name = "uart"

    def __init__(self, machine: Machine, sink: Sink, trusted: Callable[[], bool]) -> None:
        self._machine, self._sink, self._trusted = machine, sink, trusted

    async def run(self) -> None:
        machine = self._machine
        while True:
            await asyncio.sleep(machine.poll_s * machine.rng.uniform(0.9, 1.1))
            process = PROCESS.get()
            if machine.quiet or process is None or not process.trip("poll"):
                continue
            machine.polls += 1
            distance = DISTANCES[machine.polls % len(DISTANCES)]
            device = f"bin-{machine.name}"
            stamp = machine.clock.now_ms() if self._trusted() else None
            card = machine.world.truth.cards[machine.name]
            card.polled[device, distance] = machine.world.loop.time(), stamp
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
        try:
            await self._sink.uplink(self.name, uplink)
        except NotAccepted:
            return False
        if process is None or not process.trip("acknowledge"):
            return False
        machine.world.truth.acknowledged(machine.name, machine.mark(uplink))
        if machine.rng.random() > 0.05 or machine.quiet:  # else the acknowledgement was lost
            machine.pending.pop(number, None)
        return True

    def status(self) -> LinkStatus:
        return LinkStatus(self.name, "up")


def make_links(
    configuration: EdgeConfiguration, sink: Sink, clock: Any, trusted: Callable[[], bool]
) -> Sequence[Any]:
    """In place of `edge.links.make.make_links`."""
    process = PROCESS.get()
    assert process is not None
    machine: Machine = process.machine  # type: ignore[attr-defined]
    process.sink = sink
    return [Uart(machine, sink, trusted), Radio(machine, sink)]
