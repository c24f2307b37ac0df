"""What links hand over, kept for a test to look at; and how to wait for it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from devices.chirpstack import Uplink
from devices.reading import Payload, Refusal
from edge.links import Answered, Link, NotAccepted
from wire.clock import SystemClock

WITHIN_S = 10.0
POLL_S = 0.002


class Heard:
    """A `Sink` that keeps everything. With `accepting` False it commits no uplink; while it is
    `holding` it answers none."""

    def __init__(self) -> None:
        self.clock = SystemClock()
        self.payloads: list[tuple[str, Payload]] = []
        self.refusals: Counter[tuple[str, str]] = Counter()
        self.noises: Counter[tuple[str, str]] = Counter()
        self.uplinks: list[Uplink] = []
        self.accepting = True
        self.holding = False
        self.together_most = 0
        self._waiting: list[tuple[Uplink, Answered]] = []

    def polled(self, device: str, payload: Payload) -> None:
        self.payloads.append((device, payload))

    def refused(self, device: str, reason: Refusal) -> None:
        self.refusals[device, str(reason)] += 1

    def noise(self, link: str, reason: str) -> None:
        self.noises[link, reason] += 1

    def uplink(self, link: str, uplink: Uplink, answered: Answered) -> None:
        self._waiting.append((uplink, answered))
        self.together_most = max(self.together_most, self.together)
        if not self.holding:
            asyncio.get_running_loop().call_soon(self._commit)

    @property
    def together(self) -> int:
        """Uplinks that were handed over and not answered yet."""
        return len(self._waiting)

    def commit(self) -> None:
        """Answer what waits, and from now on all that comes."""
        self.holding = False
        self._commit()

    def forget(self) -> None:
        """What waits was never committed: the agent was killed."""
        self._waiting.clear()

    def _commit(self) -> None:
        waiting, self._waiting = self._waiting, []
        for uplink, answered in waiting:
            if self.accepting:
                self.uplinks.append(uplink)
            answered(None if self.accepting else NotAccepted("disk full"))

    def count(self, device: str) -> int:
        """Payloads of that device."""
        return sum(1 for name, _ in self.payloads if name == device)

    def data(self, device: str) -> list[bytes]:
        return [payload.data for name, payload in self.payloads if name == device]


async def until(condition: Callable[[], object], within_s: float = WITHIN_S) -> None:
    """Wait for the condition; fail when it hasn't come true in time."""
    async with asyncio.timeout(within_s):
        while True:
            if condition():
                return
            await asyncio.sleep(POLL_S)


@asynccontextmanager
async def running(*links: Link) -> AsyncIterator[None]:
    """The links run for as long as the block does."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(link.run()) for link in links]
        yield
        for task in tasks:
            task.cancel()
