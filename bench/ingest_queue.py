"""A broker's queue, filled before anything is measured: what an ingestor takes, let loose.

    queue = await Queue.filled(line, ...)   # the ingestor is frozen
    rate = await queue.drained()            # readings a second

The batches are true ones, each sealed by a gateway of the fleet, and whoever made them is gone when
the clock starts: broker, ingestor and database have the machine for themselves. The end is the
confirmation of the last batch, heard by one more client, which also sends again what is held.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from functools import partial
from typing import Self

from bench.ingest_line import CloudLine
from simulators.fleet import FleetGateway
from simulators.fleet_link import FleetLink, Packet
from tests.processes import Gampong
from wire.batch import CONTENT_TYPE
from wire.messages import decode_confirm
from wire.topics import Leaf, every, topic

LINKS = 10
WITHIN_S = 120.0

Heard = Callable[[str, bytes], None]
"""Gets topic and payload."""

Batches = dict[tuple[str, int], Packet]
"""Gateway and sequence → the message."""


class Queue:
    """Batches that wait in the broker for an ingestor that stands still."""

    def __init__(self, line: CloudLine, ingestor: Gampong, batches: Batches) -> None:
        self._line, self.ingestor, self._batches = line, ingestor, batches
        self.readings = self.held = self._stored = 0
        self._listener: FleetLink | None = None
        self._all = asyncio.Event()

    @classmethod
    async def filled(
        cls, line: CloudLine, gateways: int, readings: int, batches: int, age_s: float, life: int
    ) -> Self:
        """Start an ingestor, freeze it, and give the broker so many batches of each gateway, sealed
        over the last `age_s`."""
        sealed = await asyncio.to_thread(_sealed, gateways, readings, batches, age_s, life)
        queue = cls(line, line.start_ingestor(), sealed)
        queue.readings = readings * len(sealed)
        os.kill(queue.ingestor.pid, signal.SIGSTOP)
        await publish(line, [*sealed.values()])
        return queue

    async def drained(self) -> float:
        """Let it go; readings a second until the last confirmation."""
        listener = self._listener = await connected(
            self._line, "listener", every(Leaf.CONFIRM), self._heard
        )
        began = time.monotonic()
        os.kill(self.ingestor.pid, signal.SIGCONT)
        async with asyncio.timeout(WITHIN_S):
            await self._all.wait()
        rate = self.readings / (time.monotonic() - began)
        listener.close()
        return rate

    def _heard(self, name: str, payload: bytes) -> None:
        for fate in decode_confirm(payload).fates:
            self._stored += fate.stored
            if not fate.final and self._listener is not None:
                self.held += 1
                batch = self._batches[name.split("/")[2], fate.sequence]
                self._listener.publish(batch, lambda _: None)
        if self._stored >= self.readings:
            self._all.set()


def _sealed(gateways: int, readings: int, batches: int, age_s: float, life: int) -> Batches:
    """As `bench.fleet_player` sends them, oldest first."""
    fleet = [FleetGateway(n, readings, seed=9, life=life) for n in range(1, gateways + 1)]
    now_ms = int(time.time() * 1000)
    packets: Batches = {}
    for place in range(batches, 0, -1):
        for gateway in fleet:
            batch = gateway.seal(now_ms - int(place * age_s * 1000 / batches))
            packets[gateway.name, batch.key.sequence] = Packet(
                topic(gateway.name, Leaf.BACKFILL),
                batch.payload,
                content_type=CONTENT_TYPE,
                correlation=batch.key.pack(),
                user=(("seal_ms", str(batch.seal_ms)),),
            )
    return packets


async def publish(line: CloudLine, packets: list[Packet]) -> None:
    """Publish all over some connections; done when the broker has them."""
    done = asyncio.Semaphore(0)
    links = [await connected(line, f"filling-{n}", "none", _ignore) for n in range(LINKS)]
    for place, packet in enumerate(packets):
        links[place % LINKS].publish(packet, lambda _: done.release())
    for _ in packets:
        await done.acquire()
    for link in links:
        link.close()


async def connected(line: CloudLine, name: str, topic_filter: str, heard: Heard) -> FleetLink:
    """A client that subscribed."""
    ready = asyncio.Event()
    link = FleetLink(name, [topic_filter], heard, ready.set, _ignore_end)
    loop = asyncio.get_running_loop()
    await loop.create_connection(partial(_itself, link), line.broker.host, line.broker.port)
    await ready.wait()
    return link


def _itself(link: FleetLink) -> FleetLink:
    return link


def _ignore(_name: str, _payload: bytes) -> None: ...


def _ignore_end(_code: int | None) -> None: ...
