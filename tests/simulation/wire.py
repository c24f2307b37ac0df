"""One TCP connection between a client and the broker, with what can happen to it.

Bytes arrive in order or not at all. A connection may be reset (both ends learn it), or stalled
until a moment or for ever (half-open): then nothing arrives, and each end finds out by its
keepalive.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable

Act = Callable[[], None]


class Direction:
    """One way: acts that happen at the other end, in order."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._queue: deque[tuple[float, Act]] = deque()
        self._last = 0.0

    def put(self, act: Act) -> None:
        if self._wire.closed:
            return
        self._last = max(self._last, self._wire.loop.time() + self._wire.delay_s())
        self._queue.append((self._last, act))
        if len(self._queue) == 1:
            self.arm()

    def arm(self) -> None:
        """Come back when the first may arrive."""
        if self._queue and self._wire.stalled_until < math.inf:
            at = max(self._queue[0][0], self._wire.stalled_until)
            self._wire.loop.call_at(at, self._pump)

    def _pump(self) -> None:
        now = self._wire.loop.time()
        if now < self._wire.stalled_until:
            self.arm()
            return
        while self._queue and self._queue[0][0] <= now + 1e-9 and not self._wire.closed:
            self._queue.popleft()[1]()
        if not self._wire.closed:
            self.arm()


class Wire:
    """Both ways, and the two ends' words for losing it."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, delay_s: Callable[[], float], keepalive_s: float
    ) -> None:
        self.loop, self.delay_s, self.keepalive_s = loop, delay_s, keepalive_s
        self.closed = False
        self.stalled_until = 0.0
        self._given_up = False  # the broker has closed its end; the client learns it by a reset
        self.up, self.down = Direction(self), Direction(self)
        self.client_lost: Callable[[str, int | None], None] = lambda reason, code: None
        self.broker_lost: Callable[[bool], None] = lambda with_will: None

    @property
    def carries(self) -> bool:
        """Whether bytes arrive now."""
        return not self.closed and self.loop.time() >= self.stalled_until

    def reset(self, code: int | None = None, reason: str = "connection reset") -> None:
        """Both ends learn it now; what was under way is gone."""
        if not self.closed:
            self.closed = True
            self.client_lost(reason, code)
            self.broker_lost(True)

    def stall(self, seconds: float) -> None:
        """Nothing arrives for so long; longer than the keepalive is noticed by both ends."""
        now = self.loop.time()
        self.stalled_until = max(self.stalled_until, now + seconds)
        self.loop.call_later(1.5 * self.keepalive_s, self._broker_looks, now)
        self.loop.call_later(1.6 * self.keepalive_s, self._client_looks, now)

    def leave(self, with_will: bool) -> None:
        """The client says DISCONNECT and closes."""
        if not self.closed:
            stalled = self.loop.time() < self.stalled_until
            if not stalled:
                self.up.put(lambda: self._left(with_will))
                self.client_lost = lambda reason, code: None
            else:
                self.vanish()

    def vanish(self) -> None:
        """The client's power is gone: the broker finds out by its keepalive."""
        if not self.closed:
            self.client_lost = lambda reason, code: None
            self.stall(math.inf)

    def mend(self) -> None:
        """A stall that has an end ends now."""
        if not self.closed and self.stalled_until < math.inf:
            self.stalled_until = 0.0
            if self._given_up:
                self.reset()
            self.up.arm()
            self.down.arm()

    def deaf(self) -> None:
        """Half-open from now on."""
        if not self.closed:
            self.stall(math.inf)

    def _left(self, with_will: bool) -> None:
        if not self.closed:
            self.closed = True
            self.broker_lost(with_will)

    def _broker_looks(self, since: float) -> None:
        if not self.closed and self.loop.time() < self.stalled_until:
            self.broker_lost(True)
            self._given_up = True
            if self.stalled_until < math.inf:
                self.loop.call_at(self.stalled_until, self.reset)

    def _client_looks(self, since: float) -> None:
        if not self.closed and self.loop.time() < self.stalled_until:
            self.closed = True
            self.client_lost("keepalive", None)
            self.broker_lost(True)
