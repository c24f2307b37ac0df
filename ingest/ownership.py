"""Which gateway a device belongs to, as the watch says it.

In: the retained registry message. Out: `owner_of(device, time_ms)` for the guard. An ingestor takes
no batch before it has a registry: until then gateways learn from their acknowledgements that nobody
listens, and keep what they have. A registry once heard stays in force while the broker or the
watch is away.
"""

from __future__ import annotations

import asyncio
import logging
import random
import sys
from uuid import uuid4

import msgspec

from ingest.broker import Door, Lost, connected
from ingest.counters import Counters
from ingest.newcomers import Newcomers
from ingest.registry import NEW_A_DAY, Owner, owner_at
from wire.clock import Clock
from wire.malformed import MALFORMED
from wire.topics import REGISTRY_TOPIC

log = logging.getLogger(__name__)

RECONNECT_S_MIN, RECONNECT_S_MAX = 0.2, 3.0
SAY_EVERY_S = 30.0


async def ask_registry(
    door: Door, clock: Clock, within_s: float, new_a_day: int = NEW_A_DAY
) -> Ownership | None:
    """The registry as the broker has it now; None when there is none within so many seconds."""
    ownership = Ownership(door, clock, Counters(), new_a_day)
    async with asyncio.TaskGroup() as group:
        listening = group.create_task(ownership.run())
        try:
            async with asyncio.timeout(within_s):
                await ownership.known.wait()
        except TimeoutError:
            return None
        finally:
            listening.cancel()
    return ownership


class Ownership:
    """The registry as this ingestor has it. `known` is set by the first one heard; `newcomers`
    are judged by it, `new_a_day` for each gateway."""

    def __init__(
        self, door: Door, clock: Clock, counters: Counters, new_a_day: int = NEW_A_DAY
    ) -> None:
        self._door, self._clock, self._counters = door, clock, counters
        self._owners: dict[str, str | list[Owner]] = {}  # one for ever, or one after another
        self.newcomers = Newcomers(new_a_day, self._whose)
        self.known = asyncio.Event()

    def owner_of(self, device: str, time_ms: int) -> str | None:
        """The gateway that owned the device then; None for a device nobody has announced."""
        owners = self._owners.get(device)
        return owner_at(owners, time_ms) if isinstance(owners, list) else owners

    def _whose(self, device: str) -> str | list[Owner] | None:
        return self._owners.get(device)

    def take(self, payload: bytes) -> None:
        """A registry message; one that can't be read changes nothing and is counted."""
        try:
            owners = msgspec.json.decode(payload, type=dict[str, list[Owner]])
        except MALFORMED as error:
            self._counters.noise["registry"] += 1
            log.error("event=bad_registry why=%r", str(error)[:200])
            return
        before = self._owners
        self._owners = {
            device: sys.intern(held[0].gateway) if len(held) == 1 else held
            for device, held in owners.items()
            if held
        }
        changed = {device for device, whose in self._owners.items() if before.get(device) != whose}
        self.newcomers.owners_changed(changed | (before.keys() - self._owners.keys()))
        self.known.set()

    async def run(self) -> None:
        """Listen until cancelled."""
        pause_s = RECONNECT_S_MIN
        while True:
            try:
                async with connected(self._door, f"gampong-registry-{uuid4().hex[:12]}") as link:
                    await link.subscribe(REGISTRY_TOPIC)
                    async for received in link.messages():
                        pause_s = RECONNECT_S_MIN
                        self.take(received.envelope.payload)
                        await link.acknowledge(received)
            except Lost as lost:
                log.warning("event=broker_lost for=registry why=%s", lost)
            await self._clock.pause(pause_s * random.uniform(0.5, 1.0))
            pause_s = min(2 * pause_s, RECONNECT_S_MAX)

    async def say_while_unknown(self) -> None:
        """Tell why nothing comes, until something does."""
        while not self.known.is_set():
            await self._clock.pause(SAY_EVERY_S)
            if not self.known.is_set():
                log.warning("event=no_registry remedy='start gampong watch'")
