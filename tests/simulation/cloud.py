"""The cloud side: ingestors as processes, as much of the watch as the others need, an operator."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ingest.broker import Door
from ingest.configuration import DeadLetterSettings, IngestConfiguration, IngestSettings
from ingest.dead_letters import DeadLetters
from ingest.guard import Limits
from ingest.ingestor import Ingestor
from ingest.replay import replay
from ingest.stores.configuration import SqliteSettings
from tests.simulation.broker import Message
from tests.simulation.machine import MachineClock
from tests.simulation.process import Process
from wire.configuration import Broker
from wire.messages import CloudTime, encode_message
from wire.topics import REGISTRY_TOPIC, TIME_TOPIC

if TYPE_CHECKING:
    from tests.simulation.world import World

TIME_EVERY_S = 10.0
SMALL_LETTERS_BYTES, LETTERS_BYTES = 8_000, 1 << 24
"""About 25 letters, and as many as ever come."""


class IngestMachine:
    """A machine with an ingestor, started again whenever it ends."""

    def __init__(self, world: World, name: str, rng: random.Random, folder: Path) -> None:
        self.world, self.name, self.rng = world, name, rng
        self.clock = MachineClock(world)
        self.letters = folder / f"{name}-dead-letters.jsonl"
        self.process: Process | None = None
        self.ingestor: Ingestor | None = None
        self.stop = asyncio.Event()
        self.configuration = IngestConfiguration(
            store=SqliteSettings(path=str(folder / "none.db")),
            broker=Broker(keepalive_s=rng.choice([10, 30])),
            ingest=IngestSettings(
                registry="needed" if world.registry else "none",
                batch_lines_max=rng.choice([5, 50, 5000]),
                join_s=rng.choice([0.05, 0.1, 1.0]),
            ),
            dead_letters=DeadLetterSettings(
                path=str(self.letters),
                bytes_max=rng.choice([SMALL_LETTERS_BYTES, LETTERS_BYTES]),
                gateway_share=rng.choice([0.5, 1.0]),
            ),
        )

    def start(self) -> None:
        if self.process is not None and not self.process.dead:
            return
        self.stop = asyncio.Event()
        process = Process(self.name, lambda: self.rng.uniform(0.0005, 0.02), self._died)
        self.process = process
        door = Door(self.configuration.broker, None, None)

        async def work() -> None:
            self.ingestor = Ingestor(self.configuration, door, self.world.database, self.clock)
            await self.ingestor.run(self.stop)
            if not process.dead:  # SIGTERM: started again by the service manager
                process.dead = True
                self.world.loop.call_later(self.rng.uniform(0.5, 30.0), self.start)

        process.start(self.world.group, work)

    def kill(self, silent: bool = False) -> None:
        if self.process is not None:
            self.process.kill(silent)

    def _died(self, silent: bool) -> None:
        self.world.loop.call_later(self.rng.uniform(0.5, 30.0), self.start)

    def replay(self) -> None:
        """`gampong ingest replay`, while the ingestor runs."""
        process = Process(f"replay-{self.name}", lambda: 0.001, lambda silent: None)
        self.world.truth.buried()  # before some of it goes
        owner_of = self.ingestor.owner_of if self.ingestor and self.world.registry else None

        async def work() -> None:
            letters = DeadLetters.of(self.configuration.dead_letters)
            await replay(letters, self.world.database, self.clock, Limits(), owner_of)
            process.dead = True

        if self.letters.exists():
            process.start(self.world.group, work)

    def give_room(self) -> None:
        """An operator moves a dead-letter file away that is too small, and gives it more room."""
        letters = self.configuration.dead_letters
        if letters.bytes_max > SMALL_LETTERS_BYTES:
            return
        if self.letters.exists():
            moved = self.letters.with_name(f"{self.letters.name}.moved")
            self.world.truth.letters.append(self.letters.rename(moved))
        letters = msgspec.structs.replace(letters, bytes_max=LETTERS_BYTES)
        self.configuration = msgspec.structs.replace(self.configuration, dead_letters=letters)
        self.stop.set()


class Watch:
    """Tells the time, and the registry to whoever connects."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.owners: dict[str, list[tuple[str, int]]] = {}
        self.away = False

    def say_registry(self) -> None:
        payload = msgspec.json.encode(self.owners)
        self._world.broker.publish(None, Message(REGISTRY_TOPIC, payload, retain=True))

    async def run(self) -> None:
        while True:
            await asyncio.sleep(TIME_EVERY_S)
            if self._world.broker.up and not self.away:
                payload = encode_message(CloudTime(self._world.true_ms()))
                expires_at = self._world.loop.time() + 1.0
                self._world.broker.publish(
                    None, Message(TIME_TOPIC, payload, expires_at=expires_at)
                )
