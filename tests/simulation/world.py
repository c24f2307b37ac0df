"""One schedule from its seed: the world is built, faults strike, it settles, it is judged.

    sensors ─▶ run_agent (real: intake, sealing, outbox, uplink, window) ─▶ simulated broker
            ─▶ Ingestor (real: subscriber, guard, joiner, fates, notes, dead letters)
            ─▶ simulated database

Everything is on one virtual loop. What is ours is real but for three things: the outbox's thread is
`process.Executor`, the two adapters to the MQTT library are `adapters.py`, the links are scripted.
`truth.py` sees each commit and each write as it happens, `courier.py` each message, and
`judgement.py` looks at what is left.
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
from tests.simulation.courier import Courier
from tests.simulation.database import Database
from tests.simulation.faults import Fault, plan, strike
from tests.simulation.judgement import LIVE_S, judge, judge_letters, judge_live
from tests.simulation.loop import VirtualLoop
from tests.simulation.machine import EPOCH_MS, Machine
from tests.simulation.network import Network
from tests.simulation.sensors import hear
from tests.simulation.truth import Account, Truth
from wire.topics import Leaf, topic

SETTLE_S = 1800.0
LIVE_FOR_S = 40.0
CALM_READINGS = 20
BACKED_OFF_S = 65.0
"""Longer than a link backs off for what the cloud did; what follows is about the link alone."""

GREETING_S = 1.0
MENDED_S = 120.0
OUTAGE_SHARE = 0.4
LOOK_S = 5.0
LOST_SHARE = 0.2
"""Gateways that begin in 1970."""


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
    copies_max: int
    offset_error_ms: int


class World:
    """All the parts, and the time."""

    def __init__(self, loop: VirtualLoop, seed: int, folder: Path) -> None:
        self.loop, self.seed, self.folder = loop, seed, folder
        self.rng = rng = random.Random(f"world {seed}")
        self._hash = hashlib.blake2b()
        self.lasts_s, self.faults = plan(rng)
        self.healed = False
        self.helpers: list[asyncio.Task[None]] = []
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
            for n in range(rng.choice([1, 1, 2, 2, 3]))
        ]
        self.ingestors = [
            IngestMachine(self, f"ingest-{n}", random.Random(f"ingest-{n} {seed}"), folder)
            for n in range(rng.choice([1, 2]))
        ]
        letters = [ingestor.letters for ingestor in self.ingestors]
        self.truth = Truth(loop.time, self.database, letters)
        self.truth.trace = self.trace
        self.courier = Courier(loop.time, self.truth, self.broker)
        self.broker.on_batch = self.courier.published
        for one in self.machines:
            self.truth.accounts[one.name] = Account()
        self._spoil(rng)
        self.database.on_write = self.truth.wrote
        self.database.on_fault = self.truth.problem
        self.group: asyncio.TaskGroup

    def __str__(self) -> str:
        lying = [one.name for one in self.machines if one.card.lying]
        return (
            f"{len(self.machines)} gateways, {len(self.ingestors)} ingestors, lying cards {lying},"
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
            for helper in (self.watch.run(), self._look()):
                self.helpers.append(group.create_task(helper))
            for one in self.machines:
                self.helpers.append(group.create_task(hear(one)))
                if self.rng.random() < LOST_SHARE:
                    one.begin_unsynchronised(1000 - EPOCH_MS, self.rng.uniform(2.0, 60.0))
                one.start()
            for ingestor in self.ingestors:
                ingestor.start()
            for fault in self.faults:
                self.loop.call_at(fault.at_s, self._strike, fault)
            await asyncio.sleep(self.lasts_s)
            await self._heal()
            live = await self._settle()
            settled_s = self.loop.time() - self.lasts_s
            await self._end()
        for one in self.machines:
            for why in judge(self.truth, one):
                self.truth.problem(f"{one.name}: {why}")
        for why in judge_letters(self.truth):
            self.truth.problem(why)
        return self.outcome(settled_s, live)

    def _strike(self, fault: Fault) -> None:
        self.trace(str(fault))
        strike(self, fault)

    async def _heal(self) -> None:
        """Faults stop."""
        self.healed = True
        if not self.broker.up:
            self.broker.back()
        self.broker.duplicate_share = self.broker.reorder_share = self.broker.refuse_share = 0.0
        self.broker.queue_max = 1000
        self.broker.hates = lambda message: False
        self.database.mode = "well"
        self.network.slow.clear()
        self.network.mend()
        for one in self.machines:
            one.disk_slow_s, one.disk_failing = 0.0, False
            one.card.spare()
        runners: list[Machine | IngestMachine] = [*self.machines, *self.ingestors]
        for each in runners:
            if each.process is not None:
                each.process.fuse = None
                self.loop.spare(each.process)
        for ingestor in self.ingestors:
            ingestor.give_room()
        for one in self.machines:
            await self._restart_for_parked(one)
            one.start()

    async def _restart_for_parked(self, one: Machine) -> None:
        """What was parked is tried again at the next start: an operator sees to it."""
        if one.process is not None and _has_parked(one):
            one.off = True
            one.stop.set()
            await one.process.ended.wait()
            one.off = False

    async def _settle(self) -> list[float]:
        """What waited goes; then a link goes and returns while readings come, and they flow at
        once; then until nothing waits."""
        if not await self._until(self._calm):
            self.truth.problem(f"not calm {SETTLE_S:.0f} s after the last fault: {self._waiting()}")
        for one in self.machines:  # parked by a hang-up that was under way when the faults stopped
            await self._restart_for_parked(one)
            one.start()
        live: list[float] = []
        if not self._is_held_up() and self.rng.random() < OUTAGE_SHARE:
            await asyncio.sleep(BACKED_OFF_S)
            live = await self._outage()
        for one in self.machines:
            one.quiet = True
            self.truth.accounts[one.name].told = None
        # A line that makes the database fail is given up when others are taken. Now none come.
        self.later(MENDED_S, self.database.poison.clear)
        await self._until(lambda: self._settled() or any(map(_has_parked, self.machines)))
        for one in self.machines:  # parked on disk only once the disk was well
            await self._restart_for_parked(one)
            one.start()
        await self._until(self._settled)
        return live

    def _is_held_up(self) -> bool:
        """Whether something else than the link makes readings wait: poison, two gateways of
        one name."""
        twins = any(one.name != one.gateway for one in self.machines)
        return bool(self.database.poison) or twins

    async def _outage(self) -> list[float]:
        """How long each reading takes to the database that is sealed after a link's return."""
        one = self.rng.choice(self.machines)
        self.network.part(one.name, self.rng.choice([3.0, 20.0, 45.0, 100.0]))
        await self._until(lambda: not self.network.reaches(one.name))
        await self._until(lambda: self.network.reaches(one.name) and self._linked(one))
        await asyncio.sleep(GREETING_S)  # what is sealed before it has ended is backlog
        linked = self.loop.time()
        await asyncio.sleep(LIVE_FOR_S + LIVE_S + 1.0)
        return judge_live(self.truth, one.name, linked, linked + LIVE_FOR_S)

    async def _until(self, holds: Callable[[], bool]) -> bool:
        """Whether it holds within `SETTLE_S`."""
        deadline = self.loop.time() + SETTLE_S
        while self.loop.time() < deadline and not holds():  # noqa: ASYNC110 - many parts
            await asyncio.sleep(0.5)
        return holds()

    def _waiting(self) -> list[int]:
        return [self.truth.accounts[one.name].ledger.waiting for one in self.machines]

    def _linked(self, one: Machine) -> bool:
        """Whether this gateway is connected and somebody listens to it."""
        return any(
            session.client.process is one.process and session.wire.carries
            for session in self.broker.sessions.values()
        ) and self.broker.listening(topic(one.gateway, Leaf.BATCH))

    def _calm(self) -> bool:
        """Whether everybody is up, connected, on time, and has little left to send."""
        return all(
            one.synchronised
            and self._linked(one)
            and self.truth.accounts[one.name].ledger.waiting <= CALM_READINGS
            for one in self.machines
        )

    def _settled(self) -> bool:
        return all(
            not one.pending
            and (ledger := self.truth.accounts[one.name].told) is not None
            and ledger.waiting + ledger.open == 0
            and ledger.accepted == len(self.truth.accounts[one.name].accepted)
            for one in self.machines
        )

    async def _end(self) -> None:
        """SIGTERM to everybody."""
        for helper in self.helpers:
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
        """Ask agents for their ledger now and then; `truth` judges it."""
        while True:
            await asyncio.sleep(self.rng.uniform(0.5, 1.5) * (2.0 if self._near() else LOOK_S))
            for one in self.machines:
                process = one.process
                if process is None or process.dead or process.sink is None:
                    continue
                try:
                    async with asyncio.timeout(60.0):
                        await process.sink.ledger()
                except (OutboxFailing, TimeoutError):
                    continue

    def _near(self) -> bool:
        """Whether the end may be near, and only an agent's ledger can say so."""
        return any(one.quiet for one in self.machines)

    def outcome(self, settled_s: float, live: list[float]) -> Outcome:
        """All there is to tell."""
        self.trace("end", sorted(self.database.points))
        accounts = self.truth.accounts.values()
        counts = Counter(self.broker.counts) + Counter(self.database.answers)
        counts["power cuts on a lying disk"] = sum(one.card.cuts for one in self.machines)
        for account in accounts:
            counts["readings rejected"] += sum(account.ledger.rejected.values())
            counts["readings dropped"] += sum(account.ledger.dropped.values())
        return Outcome(
            self.seed,
            str(self),
            self.faults,
            self.truth.problems,
            self.loop.time() * len(self.machines) / 3600,
            sum(len(account.accepted) for account in accounts),
            self.database.again,
            self.truth.ledgers,
            settled_s,
            self._hash.hexdigest()[:16],
            live,
            counts,
            self.courier.copies_max,
            self.truth.times.offset_error_ms,
        )


def _has_parked(one: Machine) -> bool:
    """Whether it runs, and its outbox says that a row is parked."""
    opened = one.process.executor.opened if one.process and one.process.executor else None
    if opened is None or one.process is None or one.process.dead:
        return False
    return bool(opened.summary().parked)
