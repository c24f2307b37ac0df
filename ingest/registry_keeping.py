"""The registry on disk and with the ingestors: kept when it changes, told when it is kept.

In: the registry in memory, moves that operators accept. Out: its file, whole or not at all, and the
retained message that ingestors obey. On disk first: what they were told is never forgotten.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from contextlib import suppress
from pathlib import Path

import msgspec

from ingest.broker import Connection, Lost
from ingest.moves import Move, Retire, waiting_words
from ingest.registry import Registry
from ingest.registry_file import save_registry
from wire.clock import Clock
from wire.topics import REGISTRY_TOPIC

KEEP_EVERY_S = 0.3
log = logging.getLogger("gampong.watch")


class RegistryKeeping:
    """The only writer of the registry's file. `connection` is the watch's, None while there is
    none; `announced` says that the registry has changed and isn't kept yet."""

    def __init__(self, registry: Registry, path: Path, clock: Clock, counts: Counter[str]) -> None:
        self._registry, self._path, self._clock, self._counts = registry, path, clock, counts
        self.connection: Connection | None = None
        self.announced = asyncio.Event()
        self._keeping = asyncio.Lock()
        self._unkept: set[Path] = set()  # moves that hold in memory alone

    async def run(self) -> None:
        """Keep the registry at once when it changes, then with all that came meanwhile: at a city's
        first start, one write for each inventory would be a write of all for each."""
        while True:
            await self.announced.wait()
            self.announced.clear()
            await self._keep_or_try_again()
            await self._clock.pause(KEEP_EVERY_S)

    async def take_words(self) -> set[str]:
        """Take up what operators have left (`ingest/moves.py`): on disk and told, then gone. The
        gateways whose places have to be told anew."""
        touched = set[str]()
        for path, word in await asyncio.to_thread(waiting_words, self._path):
            if word is None:
                log.error("event=bad_word file=%s", path.name)
            elif path in self._unkept or self._take_up(word):
                if path not in self._unkept:
                    touched.add(word.gateway)
                self._unkept.add(path)
                if not await self._keep_or_try_again():
                    continue
                self._unkept.discard(path)
            path.unlink(missing_ok=True)
        return touched

    def _take_up(self, word: Move | Retire) -> bool:
        """Whether there was something to do."""
        now_ms = self._clock.now_ms()
        match word:
            case Move(device, gateway):
                name, done = f"device={device} ", self._registry.accept(device, gateway)
                event, problem = "moved", "no_such_claim"
            case Retire(gateway, back=True):
                name, done = "", self._registry.bring_back(gateway, now_ms)
                event, problem = "brought_back", "not_retired"
            case Retire(gateway):
                name, done = "", self._registry.retire(gateway, now_ms)
                event, problem = "retired", "no_such_gateway"
        if done:
            log.info("event=%s %sgateway=%s", event, name, gateway)
            self._counts[event] += 1
        else:
            log.warning("event=%s %sgateway=%s", problem, name, gateway)
        return done

    async def publish(self) -> None:
        """Tell the ingestors.

        Raises:
            Lost: the connection ended; told again on the next one.
        """
        if self.connection is not None:
            payload = msgspec.json.encode(self._registry.file.owners)
            await self.connection.publish(REGISTRY_TOPIC, payload, 0, self._refused, retain=True)

    async def _keep_or_try_again(self) -> bool:
        """Whether it is on disk. A full one ends neither alarms nor the cloud's time: the registry
        in memory goes on."""
        try:
            await self._keep()
        except OSError as error:
            self._counts["not_kept"] += 1
            log.error("event=registry_not_kept why=%r", str(error))
            self.announced.set()
            return False
        return True

    async def _keep(self) -> None:
        """On disk first, then to the ingestors."""
        async with self._keeping:
            self._registry.changed = False
            await asyncio.to_thread(save_registry, self._path, self._registry.file)
            with suppress(Lost):  # told again on the next connection
                await self.publish()

    def _refused(self, reason: str) -> None:
        self._counts[f"publish_{reason}"] += 1
