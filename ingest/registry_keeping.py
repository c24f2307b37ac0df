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
from ingest.moves import waiting_moves
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

    async def accept_moves(self) -> set[str]:
        """Take up what operators have left (`ingest/moves.py`): on disk and told, then gone. The
        gateways that a device has moved to."""
        moved = set[str]()
        for path, move in await asyncio.to_thread(waiting_moves, self._path):
            if move is None:
                log.error("event=bad_move file=%s", path.name)
            elif path in self._unkept or self._registry.accept(move.device, move.gateway):
                if path not in self._unkept:
                    log.info("event=moved device=%s gateway=%s", move.device, move.gateway)
                    self._counts["moved"] += 1
                    moved.add(move.gateway)
                self._unkept.add(path)
                if not await self._keep_or_try_again():
                    continue
                self._unkept.discard(path)
            else:
                log.warning("event=no_such_claim device=%s gateway=%s", move.device, move.gateway)
            path.unlink(missing_ok=True)
        return moved & self._registry.inventories.keys()

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
