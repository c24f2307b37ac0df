"""Batches from the broker, one connection for live and one for back-fill: the verb is receive.

Ingestors of one group subscribe together (`$share`): each batch goes to one of them. The broker's
acknowledgement is flow control only, no promise (`ingest.arrivals`). While the gate is shut (the
store is away, or the process ends) nothing is subscribed, so that gateways learn from their PUBACKs
at once that nobody listens.

When too much waits for its acknowledgement the connection isn't read on, and the broker waits. For
that reason each subscriber has a second connection that only confirms: the broker's answers to
confirmations would wait behind the batches that wait for them.

A connection that ends, and its companion with it, is made anew after 0.2 s, doubling up to 3 s,
with jitter. What was in hand goes on to the store and is confirmed over whichever connection lives.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from uuid import uuid4

from ingest.arrivals import Arrival, Arrivals
from ingest.broker import Connection, Door, Lost, connected
from ingest.counters import Counters
from wire.clock import Clock
from wire.topics import Leaf, shared

log = logging.getLogger(__name__)

RECONNECT_S_MIN, RECONNECT_S_MAX = 0.2, 3.0

Handle = Callable[[list[Arrival]], Awaitable[None]]
"""Takes messages; settles each when its fate is known and told."""


class Gate:
    """Whether batches may come. Subscriptions follow it."""

    def __init__(self) -> None:
        self._opened, self._shut = asyncio.Event(), asyncio.Event()
        self._opened.set()

    @property
    def is_open(self) -> bool:
        return self._opened.is_set()

    def open(self) -> None:
        self._shut.clear()
        self._opened.set()

    def shut(self) -> None:
        self._opened.clear()
        self._shut.set()

    async def until(self, is_open: bool) -> None:
        """Wait until it is open, or shut."""
        await (self._opened if is_open else self._shut).wait()


class Subscriber:
    """Takes what comes on one leaf. `connections` lists those that confirmations may go over."""

    def __init__(
        self,
        door: Door,
        group: str,
        leaf: Leaf,
        gate: Gate,
        handle: Handle,
        connections: list[Connection],
        clock: Clock,
        counters: Counters,
    ) -> None:
        self._door, self._leaf, self._gate, self._handle = door, leaf, gate, handle
        self._filter = shared(group, leaf)
        self._connections, self._clock, self._counters = connections, clock, counters
        self._arrivals: list[Arrivals] = []  # of this connection, and of those before
        self.subscribed = False

    @property
    def in_hand(self) -> int:
        """Messages whose fate isn't known yet."""
        self._arrivals = [each for each in self._arrivals if each.in_hand]
        return sum(each.in_hand for each in self._arrivals)

    async def run(self) -> None:
        """Stay connected until cancelled."""
        pause_s = RECONNECT_S_MIN
        while True:
            began_s = self._clock.monotonic()
            try:
                await self._receive()
            except* Lost as lost:
                log.warning("event=broker_lost leaf=%s why=%s", self._leaf, lost.exceptions[0])
            self.subscribed = False
            # Python 3.11's TaskGroup drops a cancellation that comes in the turn a child fails.
            if (task := asyncio.current_task()) and task.cancelling():
                raise asyncio.CancelledError
            if self._clock.monotonic() - began_s > RECONNECT_S_MAX:
                pause_s = RECONNECT_S_MIN
            await self._clock.pause(pause_s * random.uniform(0.5, 1.0))
            pause_s = min(2 * pause_s, RECONNECT_S_MAX)

    async def _receive(self) -> None:
        """One connection and its companion, from CONNECT to the end of either."""
        async with AsyncExitStack() as stack:
            name = f"{self._leaf}-{uuid4().hex[:12]}"
            confirming = await stack.enter_async_context(
                connected(self._door, f"gampong-confirm-{name}")
            )
            connection = await stack.enter_async_context(
                connected(self._door, f"gampong-ingest-{name}")
            )
            self._counters.connected += 1
            self._connections.append(confirming)
            stack.callback(self._connections.remove, confirming)
            group = await stack.enter_async_context(asyncio.TaskGroup())
            arrivals = Arrivals()
            group.create_task(_until_lost(confirming))
            group.create_task(self._acknowledge(connection, arrivals))
            group.create_task(self._follow_gate(connection))
            while True:
                messages = await connection.several()
                while messages:
                    entered = arrivals.enter(messages, self._clock.monotonic())
                    if not entered:
                        await arrivals.room()
                        continue
                    if arrivals not in self._arrivals:
                        self._arrivals.append(arrivals)
                    del messages[: len(entered)]
                    await self._handle(entered)

    async def _acknowledge(self, connection: Connection, arrivals: Arrivals) -> None:
        while True:
            due_s = arrivals.due_s()
            wait_s = None if due_s is None else due_s - self._clock.monotonic()
            try:
                async with asyncio.timeout(wait_s):
                    await arrivals.changed.wait()
            except TimeoutError:
                pass
            arrivals.changed.clear()
            connection.acknowledge_all(arrivals.leave(self._clock.monotonic()))

    async def _follow_gate(self, connection: Connection) -> None:
        while True:
            await self._gate.until(is_open=True)
            await connection.subscribe(self._filter)
            self.subscribed = True
            log.info("event=subscribed leaf=%s", self._leaf)
            await self._gate.until(is_open=False)
            await connection.unsubscribe(self._filter)
            self.subscribed = False
            log.info("event=unsubscribed leaf=%s", self._leaf)


async def _until_lost(connection: Connection) -> None:
    """Nothing comes here; its end is the end of both."""
    async for _ in connection.messages():
        pass
