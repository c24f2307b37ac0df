"""Questions to the store from every viewer's page: one at a time, a few waiting.

The store's first work is the city's readings, so all who look share one connection. It is opened
when it is first needed and again after it went away.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from dashboards.feed import OpenSource
from dashboards.store_file import Source
from ingest.stores import Query, Row, StoreError


class BusyError(StoreError):
    """Too many questions at once, or no answer in time: come again."""


class Archive:
    """The store behind a queue: a `Reader`. `close` it at the end.

    Args:
        waiting_max: questions waiting for their turn or being answered; the next one is told at
            once that the store is busy.
        patience_s: how long one may take, its wait included.
    """

    def __init__(self, open_source: OpenSource, *, waiting_max: int, patience_s: float) -> None:
        self._open_source = open_source
        self._waiting_max = waiting_max
        self._patience_s = patience_s
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._opened = AsyncExitStack()
        self._source: Source | None = None

    async def read(self, query: Query) -> list[Row]:
        """See `Reader`.

        Raises:
            BusyError: too many wait for the store, or it takes too long.
            StoreError: it is away, or refuses.
        """
        if self._waiting >= self._waiting_max:
            raise BusyError("too many questions at once; ask again in a minute")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._patience_s), self._turn:
                return await self._read(query)
        except TimeoutError as error:
            raise BusyError(f"no answer within {self._patience_s:g} s") from error
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
