"""Messages between their arrival and their acknowledgement, of one connection, in order.

    enter ─▶ in hand ─▶ settle (fate known and told) ─▶ leave, oldest first ─▶ PUBACK
                  └── or `ACKNOWLEDGE_S` after it came ──▶

The broker's acknowledgement is flow control only. Room: `UNACKNOWLEDGED_MAX` messages or
`UNACKNOWLEDGED_BYTES_MAX`; then nothing enters, the connection isn't read on, and the broker waits.
One message always enters.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

import msgspec

from wire.mqtt import Message

ACKNOWLEDGE_S = 5.0
UNACKNOWLEDGED_MAX, UNACKNOWLEDGED_BYTES_MAX = 5_000, 32 * 1024 * 1024


class Arrival(msgspec.Struct, eq=False):
    """A message in hand. `due_s` is when it is acknowledged at the latest."""

    message: Message
    due_s: float
    told: Callable[[], None]
    settled: bool = False

    def settle(self) -> None:
        """Its fate is known and told."""
        if not self.settled:
            self.settled = True
            self.told()


class Arrivals:
    """What waits for its acknowledgement. `changed` is set when some of it may have it."""

    def __init__(self) -> None:
        self._waiting: deque[Arrival] = deque()
        self._bytes = 0
        self.in_hand = 0
        self.changed = asyncio.Event()
        self._left = asyncio.Event()

    def enter(self, messages: Sequence[Message], now_s: float) -> list[Arrival]:
        """As many of the first as there is room for."""
        due_s, told, waiting = now_s + ACKNOWLEDGE_S, self._settled, self._waiting
        entered: list[Arrival] = []
        size = self._bytes
        if not waiting:
            self.changed.set()  # there is something that will be due
        for message in messages:
            size += len(message.payload)
            if waiting and (len(waiting) >= UNACKNOWLEDGED_MAX or size > UNACKNOWLEDGED_BYTES_MAX):
                break
            self._bytes = size
            arrival = Arrival(message, due_s, told)
            waiting.append(arrival)
            entered.append(arrival)
        self.in_hand += len(entered)
        return entered

    async def room(self) -> None:
        """Wait until something has left."""
        self._left.clear()
        await self._left.wait()

    def leave(self, now_s: float) -> list[Message]:
        """What may be acknowledged now, in order of arrival."""
        waiting = self._waiting
        leaving: list[Message] = []
        while waiting and (waiting[0].settled or waiting[0].due_s <= now_s):
            message = waiting.popleft().message
            self._bytes -= len(message.payload)
            leaving.append(message)
        if leaving:
            self._left.set()
        return leaving

    def due_s(self) -> float | None:
        """When the oldest must be acknowledged; None when nothing waits."""
        return self._waiting[0].due_s if self._waiting else None

    def _settled(self) -> None:
        self.in_hand -= 1
        self.changed.set()
