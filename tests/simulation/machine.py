"""A gateway: its clock, its card, its agent as a process."""

from __future__ import annotations

import asyncio
import random
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from devices.chirpstack import Uplink
from edge.agent import run_agent
from edge.configuration import (
    CloudBroker,
    Device,
    EdgeConfiguration,
    Gateway,
    OutboxSettings,
    TimeSettings,
    UplinkSettings,
)
from edge.link_settings import ChirpStack, UartPort
from edge.mounting import Container
from edge.outbox import Outbox
from edge.outbox_file import OutboxError
from tests.edge.disk.platter import Image
from tests.simulation.card import BALLAST_BYTES, Card
from tests.simulation.process import Process
from wire.configuration import Broker

if TYPE_CHECKING:
    from tests.simulation.world import World

EPOCH_MS = 1_790_000_000_000
BOOTED_S = 7.0
"""Uptime when the agent starts at the earliest."""

SMALL_BYTES = 412 * 1024
"""Of which the log has more than half."""

LYING_SHARE, SMALL_SHARE = 0.3, 0.15


class MachineClock:
    """`wire.clock.Clock` of one machine: uptime since its boot, a wall clock that may be off."""

    def __init__(self, world: World) -> None:
        self._loop = world.loop
        self.off_ms = 0
        self.booted_s = 0.0
        self.regime = 0
        """Counts the steps: within one regime the clock only went forward."""

    def now_ms(self) -> int:
        return EPOCH_MS + int(self._loop.time() * 1000) + self.off_ms

    def step(self, off_ms: int) -> None:
        """Set it wrong, or right with 0."""
        self.off_ms = off_ms
        self.regime += 1

    def uptime_s(self) -> float:
        return self._loop.time() - self.booted_s + BOOTED_S

    def monotonic(self) -> float:
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Machine:
    """One gateway's hardware, which outlives its agents. A `twin` has another's card copied, other
    sensors, and the same gateway's name."""

    def __init__(self, world: World, name: str, rng: random.Random, folder: Path) -> None:
        self.world, self.name, self.rng = world, name, rng
        self.gateway = name.removesuffix("-twin")
        self.hardware = f"machine of {self.name}"
        self.clock = MachineClock(world)
        self.boot, self.boots = f"boot-{name}-1", 1
        self.synchronised = True
        self.stepped = False
        self.disk_slow_s = self.disk_slowest_s = 0.0
        self.disk_failing = False
        self.process: Process | None = None
        self.stop = asyncio.Event()
        self.off = False  # nobody starts its agent: its card is in another's hands
        self.quiet = False
        self.pending: dict[int, Uplink] = {}
        first = 1 if name == self.gateway else 2200
        self.uplinks = self.polls = first
        self.some = asyncio.Event()
        self.poll_s = rng.choice([1.5, 3.0, 5.0, 10.0])
        small = rng.random() < SMALL_SHARE
        self.card = Card(folder / name, rng, small or rng.random() < LYING_SHARE)
        self.configuration = self._configure(SMALL_BYTES if small else 1 << 30)

    def _configure(self, bytes_max: int) -> EdgeConfiguration:
        rng, name = self.rng, self.name
        container = Container(empty_mm=4500.0, full_mm=0.0)
        return EdgeConfiguration(
            gateway=Gateway(name=self.gateway, site="pasar"),
            broker=CloudBroker(keepalive_s=rng.choice([10, 30, 60])),
            outbox=OutboxSettings(
                path=str(self.card.path),
                bytes_max=bytes_max,
                ballast_bytes=BALLAST_BYTES if self.card.lying else 0,
                seal_interval_s=rng.choice([5.0, 10.0, 60.0]),
            ),
            uplink=UplinkSettings(
                window=rng.choice([1, 4, 4]), backfill_window=rng.choice([1, 4, 4])
            ),
            time=TimeSettings(trust="ntp"),
            link=(UartPort(name="uart", port="none"), ChirpStack(name="radio", broker=Broker())),
            device=(
                Device(
                    name=f"bin-{name}",
                    driver="dfrobot_a02yyuw",
                    link="uart",
                    dead_band=0.0,
                    container=container,
                ),
                *(
                    Device(
                        name=f"bay-{n}-{name}",
                        driver="bosch_tps110",
                        link="radio",
                        dev_eui=dev_eui(name, n),
                    )
                    for n in range(2)
                ),
            ),
        )

    # Its life

    def start(self) -> None:
        """The service manager starts the agent."""
        if self.off or (self.process is not None and not self.process.dead):
            return
        self.stop = asyncio.Event()
        process = self.process = Process(self.name, self.disk_s, self._died)
        process.machine = self

        async def work() -> None:
            try:
                ledger = await run_agent(self.configuration, self.clock, self.stop)
            except OutboxError as error:
                if process.dead:
                    raise
                self._gave_up(process, error)
                return
            if not process.dead:
                process.dead = True
                self.world.truth.closed(self.name, ledger)

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
        self.begin_unsynchronised(off_ms, synchronised_in_s)

    def begin_unsynchronised(self, off_ms: int, synchronised_in_s: float) -> None:
        """The clock is wrong by so much until NTP has spoken."""
        self.clock.step(off_ms)
        self.synchronised = False
        self.world.later(synchronised_in_s, partial(self._synchronise, self.boots))

    def step_clock(self, by_ms: int) -> None:
        """It is set wrong, or jumps."""
        self.stepped = True
        self.clock.step(self.clock.off_ms + by_ms)

    def set_right(self) -> None:
        """NTP corrects the clock, if the machine has it."""
        if self.synchronised:
            self.clock.step(0)

    def resend(self) -> None:
        """With the agent stopped, as an operator does."""
        if self.off or self.card.failing or (self.process is not None and not self.process.dead):
            return
        settings = self.configuration.outbox
        outbox = Outbox.open(settings, self.clock, self.hardware, self.card.connect, self.boot)
        self.world.truth.opened(self.name, outbox)
        outbox.resend_since(0)
        outbox.close()

    def image(self) -> Image | None:
        """The card's content, None when it can't be copied now: somebody has it open, or a reading
        on it doesn't know its time yet, which two machines would guess differently."""
        if self.process is not None and not self.process.dead:
            return None
        return None if self.world.truth.untimed(self.name) else self.card.image()

    def _synchronise(self, boots: int) -> None:
        if boots == self.boots:
            self.clock.step(0)
            self.synchronised = True

    def _died(self, silent: bool) -> None:
        """What a kill or a power cut leaves on the card; nothing was closed."""
        self.world.truth.died(self.name)
        process = self.process
        opened = process.executor.opened if process and process.executor else None
        self.card.died(opened, silent or (self.card.cut and self.card.powerless))
        self.world.later(self.rng.uniform(0.5, 10.0), self.start)

    def _gave_up(self, process: Process, error: OutboxError) -> None:
        """The agent ended by itself for its card's sake."""
        process.dead = True
        if not self.card.failing and not self.disk_failing:
            self.world.truth.problem(f"{self.name}: gave up on a sound card: {error}")
        self.world.truth.died(self.name)
        self.world.later(self.rng.uniform(2.0, 10.0), self.start)

    def disk_s(self) -> float:
        self.disk_slowest_s = max(self.disk_slowest_s, self.disk_slow_s)
        return self.rng.uniform(0.0005, 0.01) + self.rng.random() * self.disk_slow_s


def dev_eui(name: str, number: int) -> str:
    """Of a gateway's radio sensor."""
    digits = int(name.split("-")[1]) + (256 if name.endswith("-twin") else 0)
    return f"{digits:08x}{number:08x}"
