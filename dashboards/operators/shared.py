"""Answers shared by every viewer's page: what many ask for is asked of the store once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from wire.clock import Clock

SHARED_MAX = 64
"""Answers kept for the next viewer; the one that was asked for longest ago goes first."""

_T = TypeVar("_T")


class Shared:
    """What many viewers ask for is reckoned once; who asks meanwhile waits for the same."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._turns: dict[str, tuple[asyncio.Lock, int]] = {}  # and how many ask
        self._answers: OrderedDict[str, tuple[float, Any]] = OrderedDict()

    async def get(self, key: str, old_s: float, make: Callable[[], Awaitable[_T]]) -> _T:
        """The answer by that name, made anew when it is older than `old_s` wall seconds.

        What `make` raises is raised, and nothing is kept of it.
        """
        turn, asking = self._turns.get(key) or (asyncio.Lock(), 0)
        self._turns[key] = turn, asking + 1
        try:
            async with turn:
                at_s, answer = self._answers.get(key, (float("-inf"), None))
                if self._clock.monotonic() - at_s > old_s:
                    answer = await make()
                    self._answers[key] = (self._clock.monotonic(), answer)
                self._answers.move_to_end(key)
        finally:
            turn, asking = self._turns.pop(key)
            if asking > 1:
                self._turns[key] = turn, asking - 1
        if len(self._answers) > SHARED_MAX:
            self._answers.popitem(last=False)
        made: _T = answer
        return made
