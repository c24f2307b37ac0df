"""Batches from the broker, one connection for live and one for back-fill: the verb is receive.

Ingestors of one group subscribe together (`$share`): each batch goes to one of them. The broker's
acknowledgement is flow control only, no promise: each message gets it when its fate is known and
told, or `ACKNOWLEDGE_S` after it came, in order of arrival. While the gate is shut (the store is
away, or the process ends) nothing is subscribed, so that gateways learn from their PUBACKs at once
that nobody listens.

Room: `UNACKNOWLEDGED_MAX` messages or `UNACKNOWLEDGED_BYTES_MAX` wait for their acknowledgement;
then the connection isn't read on, and the broker waits. For that reason each subscriber has a
second connection that only confirms: the broker's answers to confirmations would wait behind the
batches that wait for them.

A connection that ends, and its companion with it, is made anew after 0.2 s, doubling up to 3 s,
with jitter. What was in hand goes on to the store and is confirmed over whichever connection lives.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import NamedTuple
from uuid import uuid4

from ingest.broker import Connection, Door, Lost, Received, connected
from ingest.counters import Counters
from ingest.guard import Envelope
from wire.clock import Clock
from wire.topics import Leaf, shared

log = logging.getLogger(__name__)

ACKNOWLEDGE_S = 5.0
UNACKNOWLEDGED_MAX, UNACKNOWLEDGED_BYTES_MAX = 5_000, 32 * 1024 * 1024
RECONNECT_S_MIN, RECONNECT_S_MAX = 0.2, 3.0

Handle = Callable[[Envelope, asyncio.Event], Awaitable[None]]
"""Takes a message; sets the event when its fate is known and told."""


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


class _Unacknowledged(NamedTuple):
    received: Received
    settled: asyncio.Event
    due_s: float


class _Room:
    """Counts what waits for its acknowledgement; `enter` waits while that is too much."""

    def __init__(self) -> None:
        self._messages = self._bytes = 0
        self._left = asyncio.Event()

    async def enter(self, size: int) -> None:
        while not self.entered(size):
            self._left.clear()
            await self._left.wait()

    def entered(self, size: int) -> bool:
        """Enter if there is room now."""
        fits = self._bytes + size <= UNACKNOWLEDGED_BYTES_MAX
        if self._messages and not (fits and self._messages < UNACKNOWLEDGED_MAX):
            return False
        self._messages += 1
        self._bytes += size
        return True

    def leave(self, size: int) -> None:
        self._messages -= 1
        self._bytes -= size
        self._left.set()


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
        self._in_hand: set[asyncio.Event] = set()
        self.subscribed = False

    @property
    def in_hand(self) -> int:
        """Messages whose fate isn't known yet."""
        self._in_hand = {event for event in self._in_hand if not event.is_set()}
        return len(self._in_hand)

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
            room = _Room()
            unacknowledged: asyncio.Queue[_Unacknowledged] = asyncio.Queue()  # bounded by `room`
            group.create_task(_until_lost(confirming))
            group.create_task(self._acknowledge(connection, unacknowledged, room))
            group.create_task(self._follow_gate(connection))
            async for received in connection.messages():
                size = len(received.envelope.payload)
                if not room.entered(size):
                    await room.enter(size)
                settled = asyncio.Event()
                self._in_hand.add(settled)
                due_s = self._clock.monotonic() + ACKNOWLEDGE_S
                unacknowledged.put_nowait(_Unacknowledged(received, settled, due_s))
                await self._handle(received.envelope, settled)

    async def _acknowledge(
        self,
        connection: Connection,
        unacknowledged: asyncio.Queue[_Unacknowledged],
        room: _Room,
    ) -> None:
        while True:
            message = await unacknowledged.get()
            if not message.settled.is_set():
                try:
                    async with asyncio.timeout(message.due_s - self._clock.monotonic()):
                        await message.settled.wait()
                except TimeoutError:
                    pass
            if message.settled.is_set():
                self._in_hand.discard(message.settled)
            await connection.acknowledge(message.received)
            room.leave(len(message.received.envelope.payload))

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
