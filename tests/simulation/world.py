"""One schedule from its seed: the world is built, faults strike, it settles, it is judged.

    sensors ─▶ run_agent (real: intake, sealing, outbox, uplink, window) ─▶ simulated broker
            ─▶ Ingestor (real: subscriber, guard, joiner, fates, notes, dead letters)
            ─▶ simulated database

Everything is on one virtual loop. What is ours is real but for three things: the outbox's thread is
`loop.Executor`, the two adapters to the MQTT library are `adapters.py`, the links are scripted.
The promise is judged by `truth.py`, which sees each commit and each write as it happens.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec

from edge.outbox_file import OutboxFailing
from tests.simulation.broker import Broker
from tests.simulation.cloud import IngestMachine, Watch
from tests.simulation.database import Database
from tests.simulation.faults import Fault, plan, strike
from tests.simulation.loop import VirtualLoop
from tests.simulation.machine import EPOCH_MS, Machine
from tests.simulation.network import Network
from tests.simulation.truth import LIVE_S, Card, Truth
from wire.topics import Leaf, topic

SETTLE_S = 1800.0
LIVE_FOR_S = 60.0
CALM_READINGS = 20
BACKED_OFF_S = 75.0
"""Longer than a link backs off for what the cloud did; what follows is about the link alone."""

GREETING_S = 1.0
MENDED_S = 120.0


class Outcome(msgspec.Struct):
    """What came of one schedule."""

    seed: int
    city: str
    faults: list[Fault]
    problems: list[str]
    hours: float
    accepted: int
    again: int
    ledgers: int
    settled_s: float
    trace: str
    live_s: list[float]
    counts: Counter[str]


class World:
    """All the parts, and the time."""

    def __init__(self, loop: VirtualLoop, seed: int, folder: Path) -> None:
        self.loop, self.seed = loop, seed
        self.rng = rng = random.Random(f"world {seed}")
        self._hash = hashlib.blake2b()
        self.lasts_s, self.faults = plan(rng)
        self.broker = Broker(loop.time, random.Random(f"broker {seed}"))
        self.broker.trace = self.trace
        self.broker.redispatch = rng.random() < 0.5
        self.network = Network(loop, self.broker, random.Random(f"network {seed}"))
        self.database = Database(loop, random.Random(f"database {seed}"))
        self.registry = rng.random() < 0.3
        self.watch = Watch(self)
        self.watch.away = rng.random() < 0.3
        self.machines = [
            Machine(self, f"gw-{n}", random.Random(f"gw-{n} {seed}"), folder)
            for n in range(rng.choice([1, 2, 2, 3]))
        ]
        self.ingestors = [
            IngestMachine(self, f"ingest-{n}", random.Random(f"ingest-{n} {seed}"), folder)
            for n in range(rng.choice([1, 2]))
        ]
        letters = [ingestor.letters for ingestor in self.ingestors]
        self.truth = Truth(loop.time, self.database, letters)
        self.truth.trace = self.trace
        for one in self.machines:
            self.truth.cards[one.name] = Card()
        self._spoil(rng)
        self.database.on_write = self.truth.wrote
        self.database.on_fault = self.truth.problem
        self.group: asyncio.TaskGroup

    def __str__(self) -> str:
        return (
            f"{len(self.machines)} gateways, {len(self.ingestors)} ingestors,"
            f" registry {self.registry}, owners {self.watch.owners}, poison {self.database.poison},"
            f" conflicts {self.database.conflicts}, redispatch {self.broker.redispatch}"
        )

    def true_ms(self) -> int:
        return EPOCH_MS + int(self.loop.time() * 1000)

    def trace(self, *words: object) -> None:
        self._hash.update(f"{self.loop.time():.6f} {words!r}".encode())

    def later(self, seconds: float, act: Callable[[], object]) -> None:
        self.loop.call_later(seconds, act)

    def _spoil(self, rng: random.Random) -> None:
        """What is wrong all the time in some cities."""
        names = [device.name for one in self.machines for device in one.configuration.device]
        if rng.random() < 0.15:
            self.database.conflicts.add(rng.choice(names))
        if rng.random() < 0.15:
            self.database.poison.add(rng.choice(names))
        if self.registry and rng.random() < 0.5:
            self.watch.owners[rng.choice(names)] = [("somebody-else", 0)]
        self.broker.on_restart = self.watch.say_registry

    async def run(self) -> Outcome:
        """The schedule, from its first second to its judgement."""
        settled_s = 0.0
        live: list[float] = []
        async with asyncio.TaskGroup() as group:
            self.group = group
            self.watch.say_registry()
            helpers = [group.create_task(self.watch.run()), group.create_task(self._look())]
            for one in self.machines:
                helpers.append(group.create_task(one.hear()))
                one.start()
            for ingestor in self.ingestors:
                ingestor.start()
            for fault in self.faults:
                self.loop.call_at(fault.at_s, self._strike, fault)
            await asyncio.sleep(self.lasts_s)
            self._heal()
            live = await self._settle()
            settled_s = self.loop.time() - self.lasts_s
            await self._end(helpers)
        for one in self.machines:
            open_s = one.configuration.outbox.seal_interval_s + 10 * one.disk_slowest_s + 1.0
            self.truth.judge(one.name, open_s)
        return self._outcome(settled_s, live)

    def _strike(self, fault: Fault) -> None:
        self.trace(str(fault))
        strike(self, fault)

    def _heal(self) -> None:
        """Faults stop."""
        if not self.broker.up:
            self.broker.back()
        self.broker.duplicate_share = self.broker.reorder_share = self.broker.refuse_share = 0.0
        self.broker.queue_max = 1000
        self.database.mode = "well"
        self.network.slow.clear()
        self.network.mend()
        for one in self.machines:
            one.disk_slow_s, one.disk_failing = 0.0, False
            if one.process is not None:
                one.process.fuse = None
            if not one.stop.is_set() or one.process is None or one.process.dead:
                one.start()
        for ingestor in self.ingestors:
            if ingestor.process is not None:
                ingestor.process.fuse = None

    async def _settle(self) -> list[float]:
        """What waited goes; then a link goes and returns while readings come, and they flow at
        once; then until nothing waits."""
        if not await self._until(self._calm):
            self.truth.problem(f"not calm {SETTLE_S:.0f} s after the last fault: {self._waiting()}")
        await asyncio.sleep(BACKED_OFF_S)
        live = await self._outage() if not self.database.poison else []
        for one in self.machines:
            one.quiet = True
        # A line that makes the database fail is given up when others are taken. Now none come.
        self.later(MENDED_S, self.database.poison.clear)
        await self._until(self._settled)
        return live

    async def _outage(self) -> list[float]:
        """How long each reading takes to the database that is sealed after a link's return."""
        one = self.rng.choice(self.machines)
        self.network.part(one.name, self.rng.choice([3.0, 20.0, 45.0, 300.0]))
        await self._until(lambda: not self.network.reaches(one.name))
        await self._until(lambda: self.network.reaches(one.name) and self._linked(one))
        await asyncio.sleep(GREETING_S)  # what is sealed before it has ended is backlog
        linked = self.loop.time()
        await asyncio.sleep(LIVE_FOR_S + LIVE_S + 1.0)
        return self.truth.judge_live(one.name, linked, linked + LIVE_FOR_S)

    async def _until(self, holds: Callable[[], bool]) -> bool:
        """Whether it holds within `SETTLE_S`."""
        deadline = self.loop.time() + SETTLE_S
        while self.loop.time() < deadline and not holds():  # noqa: ASYNC110 - many parts
            await asyncio.sleep(0.25)
        return holds()

    def _waiting(self) -> list[int]:
        return [self.truth.cards[one.name].ledger.waiting for one in self.machines]

    def _linked(self, one: Machine) -> bool:
        """Whether this gateway is connected and somebody listens to it."""
        return any(
            name.startswith(f"{one.name}-") and session.wire.carries
            for name, session in self.broker.sessions.items()
        ) and self.broker.listening(topic(one.name, Leaf.BATCH))

    def _calm(self) -> bool:
        """Whether everybody is up, connected, on time, and has little left to send."""
        return all(
            one.synchronised
            and self._linked(one)
            and self.truth.cards[one.name].ledger.waiting <= CALM_READINGS
            for one in self.machines
        )

    def _settled(self) -> bool:
        return all(
            not one.pending
            and (ledger := self.truth.cards[one.name].ledger).waiting + ledger.open == 0
            and ledger.accepted == len(self.truth.cards[one.name].accepted)
            for one in self.machines
        )

    async def _end(self, helpers: list[asyncio.Task[None]]) -> None:
        """SIGTERM to everybody."""
        for helper in helpers:
            helper.cancel()
        for one in self.machines:
            one.stop.set()
            if one.process is not None:
                await one.process.ended.wait()
        for ingestor in self.ingestors:
            if ingestor.process is not None:
                ingestor.process.kill()
                await ingestor.process.ended.wait()

    async def _look(self) -> None:
        """Read every ledger each second; `truth` judges it."""
        while True:
            await asyncio.sleep(1.0)
            for one in self.machines:
                process = one.process
                if process is None or process.dead or process.sink is None:
                    continue
                try:
                    async with asyncio.timeout(60.0):
                        await process.sink.ledger()
                except (OutboxFailing, TimeoutError):
                    continue

    def _outcome(self, settled_s: float, live: list[float]) -> Outcome:
        self.trace("end", sorted(self.database.points))
        return Outcome(
            self.seed,
            str(self),
            self.faults,
            self.truth.problems,
            self.loop.time() * len(self.machines) / 3600,
            sum(len(card.accepted) for card in self.truth.cards.values()),
            self.database.again,
            self.truth.ledgers,
            settled_s,
            self._hash.hexdigest()[:16],
            live,
            Counter(self.broker.counts) + Counter(self.database.answers),
        )
