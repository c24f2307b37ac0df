"""The embedded store: one SQLite file that the ingestor, the watch and pages share.

Write-ahead logging lets pages read while the ingestor writes; `synchronous=FULL` means that what
is answered as written is on the disk. Writers take turns in short BEGIN IMMEDIATE transactions of
at most `LINES_MAX` lines and wait for each other up to `busy_timeout_s`; after that, lines are
Kept. Every blocking call runs in the one thread of a store, which alone holds the connection; a
cancelled write may still be done, which is as harmless as writing twice.

Python's calls in that thread are in `sqlite_file`, the SQL is in `sql`.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, Self, TypeVar

from ingest.stores import Bucket, Kept, Query, Row, StoreError, Written
from ingest.stores.configuration import SqliteSettings
from ingest.stores.live import Changes
from ingest.stores.points import BadLine, LineReader, Point, Reason
from ingest.stores.query import check_query, matches_nothing
from ingest.stores.sql import tables
from ingest.stores.sqlite_file import SqliteFile, explain
from wire.clock import Clock

LINES_MAX = 5_000
PRUNE_ROWS = 5_000
_DAY_MS = 86_400_000

_P = ParamSpec("_P")
_T = TypeVar("_T")


class SqliteStore:
    """One SQLite file (see `Store` and `LiveStore`)."""

    def __init__(self, settings: SqliteSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._readers = {bucket: LineReader(bucket) for bucket in Bucket}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite")
        self._file = SqliteFile(settings.path, settings.busy_timeout_s)

    @classmethod
    async def open(cls, settings: SqliteSettings, clock: Clock) -> Self:
        """Make the file where it is missing, and its tables what this version's kinds need.

        Raises:
            StoreError: names the file and the remedy.
        """
        store = cls(settings, clock)
        try:
            await store._in_thread(store._file.open)
        except (sqlite3.Error, StoreError) as error:
            await store.close()
            raise StoreError(f"can't use {settings.path}: {_say(error)}") from error
        return store

    async def write(self, bucket: Bucket, lines: Sequence[str]) -> Written | Kept:
        """See `Store`."""
        rejected: dict[int, str] = {}
        for start in range(0, len(lines), LINES_MAX):
            piece = lines[start : start + LINES_MAX]
            try:
                bad = await self._in_thread(self._write, bucket, piece)
            except sqlite3.Error as error:
                return _kept(error)
            rejected |= {start + index: reason for index, reason in bad.items()}
        return Written(rejected)

    async def read(self, query: Query) -> list[Row]:
        """See `Store`."""
        checked = check_query(query)
        if matches_nothing(checked):
            return []
        return await self._ask(self._file.read, checked)

    async def changes(
        self, kinds: Sequence[str], cursor: int, bucket: Bucket = Bucket.CITY
    ) -> Changes:
        """See `LiveStore`. The cursor is the number of the last change seen."""
        return await self._ask(self._file.changes, kinds, cursor, bucket)

    async def prune(self) -> int:
        """See `LiveStore`. Goes in small steps, between which others write."""
        removed = 0
        for bucket, kind in tables():
            oldest_ms = self._oldest_ms(bucket)
            while step := await self._ask(
                self._file.delete_older, bucket, kind, oldest_ms, PRUNE_ROWS
            ):
                removed += step
        return removed

    async def probe(self) -> Kept | None:
        """See `Store`."""
        try:
            await self._in_thread(self._file.probe)
        except sqlite3.Error as error:
            return _kept(error)
        return None

    async def close(self) -> None:
        """See `Store`."""
        await self._in_thread(self._file.close)
        self._thread.shutdown(wait=False)

    def _write(self, bucket: Bucket, lines: Sequence[str]) -> dict[int, str]:
        """In the thread: read the lines, write the good ones, and say what is wrong with others."""
        reader, oldest_ms = self._readers[bucket], self._oldest_ms(bucket)
        rejected: dict[int, str] = {}
        points: list[Point] = []
        for index, line in enumerate(lines):
            try:
                point = reader.read(line)
            except BadLine as error:
                rejected[index] = str(error.reason)
                continue
            if point.time_ms < oldest_ms:
                rejected[index] = str(Reason.RETENTION)
            else:
                points.append(point)
        if points:
            self._file.write(bucket, points)
        return rejected

    def _oldest_ms(self, bucket: Bucket) -> int:
        return self._clock.now_ms() - self._settings.retention.days(bucket) * _DAY_MS

    async def _in_thread(self, call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: call(*args, **kwargs))

    async def _ask(self, call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return await self._in_thread(call, *args, **kwargs)
        except sqlite3.Error as error:
            raise StoreError(f"{self._settings.path}: {_say(error)}") from error


def _kept(error: sqlite3.Error) -> Kept:
    reason, remedy = explain(error)
    return Kept(reason, f"{error}. {remedy}")


def _say(error: sqlite3.Error | StoreError) -> str:
    return f"{error}. {explain(error)[1]}" if isinstance(error, sqlite3.Error) else str(error)
