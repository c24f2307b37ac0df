"""Questions to the store from every viewer's page: one at a time, a few waiting, answers shared.

The store's first work is the city's readings, so all pages share one connection. It is opened when
it is first needed and again after it went away.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, TypeVar

from dashboards.feed import OpenSource
from dashboards.store_file import Source
from ingest.stores import Query, Row, StoreError
from wire.clock import Clock

WAITING_MAX = 64
"""Questions waiting for their turn; the next one is told that the store is busy."""

PATIENCE_S = 60.0
SHARED_MAX = 64
"""Answers kept for the next viewer; the one that was asked for longest ago goes first."""

_T = TypeVar("_T")


class Archive:
    """The store behind a queue: a `Reader`. `close` it at the end."""

    def __init__(self, open_source: OpenSource) -> None:
        self._open_source = open_source
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._opened = AsyncExitStack()
        self._source: Source | None = None

    async def read(self, query: Query) -> list[Row]:
        """See `Reader`.

        Raises:
            StoreError: the store is away, refuses, or too many wait for it.
        """
        if self._waiting >= WAITING_MAX:
            raise StoreError("too many questions at once; ask again in a minute")
        self._waiting += 1
        try:
            async with asyncio.timeout(PATIENCE_S), self._turn:
                return await self._read(query)
        except TimeoutError as error:
            raise StoreError(f"no answer within {PATIENCE_S:g} s") from error
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        """Give the connection back."""
        self._source = None
        await self._opened.aclose()

    async def _read(self, query: Query) -> list[Row]:
        try:
            if self._source is None:
                self._source = await self._opened.enter_async_context(self._open_source())
            return await self._source.read(query)
        except StoreError:
            await self.close()
            raise


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
