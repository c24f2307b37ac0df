"""How a link is: up or down, why, and its errors by reason. And how long to wait before a retry."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from wire.clock import Clock
from wire.messages import LinkStatus

DETAIL_MAX = 200
LOOK_S = 1.0
"""Wall seconds after which a wait notices that it has become shorter."""

log = logging.getLogger(__name__)


class Health:
    """One link's word about itself, kept by the link and read by the gateway's status."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._state, self._detail = "down", "not started"
        self._errors: Counter[str] = Counter()

    @property
    def is_up(self) -> bool:
        return self._state == "up"

    def up(self, detail: str = "") -> None:
        """It works; `detail` is a remark that an operator should read nevertheless."""
        if not self.is_up:
            log.info("event=link_up link=%s", self.name)
        self._state, self._detail = "up", detail[:DETAIL_MAX]

    def down(self, detail: str) -> None:
        """It doesn't, and why, with the remedy where there is one."""
        detail = detail[:DETAIL_MAX]
        if self.is_up or detail != self._detail:
            log.warning("event=link_down link=%s why=%r", self.name, detail)
        self._state, self._detail = "down", detail

    def remark(self, detail: str) -> None:
        """Something an operator should read, whatever the state."""
        detail = detail[:DETAIL_MAX]
        if detail and detail != self._detail:
            log.warning("event=link_remark link=%s what=%r", self.name, detail)
        if self.is_up:
            self._detail = detail

    def count(self, reason: str, many: int = 1) -> None:
        """So many more errors of that reason."""
        self._errors[reason] += many

    def status(self) -> LinkStatus:
        return LinkStatus(self.name, self._state, dict(self._errors), self._detail)


class Backoff:
    """Waits that double from `low_s` to `high_s`, all in wall seconds.

    Each is drawn between half of it and the whole, so that many gateways that lost one broker
    don't come back in the same moment.
    """

    def __init__(self, low_s: float, high_s: float) -> None:
        self._low_s, self._high_s = low_s, high_s
        self._next_s = low_s

    def next_s(self) -> float:
        """The wait before the next try."""
        wait_s, self._next_s = self._next_s, min(2 * self._next_s, self._high_s)
        return wait_s * random.uniform(0.5, 1.0)

    def reset(self) -> None:
        """What was tried has held: the next failure is a new one."""
        self._next_s = self._low_s


async def sleep_until(clock: Clock, due_s: Callable[[], float]) -> None:
    """Wait until that second of the city's uptime, which may come nearer meanwhile."""
    while (left_s := due_s() - clock.uptime_s()) > 0:
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_S):
                await clock.sleep(left_s)
