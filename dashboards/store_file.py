"""The page's way to its store: one that never makes a database and notices when it is gone.

`open_store` makes a SQLite file where none is, which is right for who writes and wrong for who only
looks: a page would then show an empty city in place of one that is away. And an open file that is
moved or replaced goes on giving its last state for ever, so the page asks whether it is the same.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from ingest.stores import Bucket, Query, Row, StoreError
from ingest.stores.configuration import SqliteSettings, StoreSettings
from ingest.stores.live import Changes, LiveStore
from ingest.stores.open import open_store
from wire.clock import Clock


class Source:
    """What the feed reads: a store, as long as its file is the one that was opened."""

    def __init__(self, store: LiveStore, file: Path | None = None) -> None:
        self._store, self._file = store, file
        self._opened = _identity(file)

    async def read(self, query: Query) -> list[Row]:
        """See `Store`."""
        self._same_file()
        return await self._store.read(query)

    async def changes(
        self, kinds: Sequence[str], cursor: int, bucket: Bucket = Bucket.CITY
    ) -> Changes:
        """See `LiveStore`."""
        self._same_file()
        return await self._store.changes(kinds, cursor, bucket)

    def _same_file(self) -> None:
        if _identity(self._file) != self._opened:
            raise StoreError(f"{self._file} was moved or replaced")


@asynccontextmanager
async def open_source(settings: StoreSettings, clock: Clock) -> AsyncIterator[Source]:
    """The store of these settings, closed at the end.

    Raises:
        StoreError: there is no such file (yet), or it can't be opened.
    """
    file = Path(settings.path) if isinstance(settings, SqliteSettings) else None
    _identity(file)
    async with open_store(settings, clock) as store:
        yield Source(store, file)


def _identity(file: Path | None) -> tuple[int, int] | None:
    if file is None:
        return None
    try:
        status = file.stat()
    except OSError as error:
        raise StoreError(f"{file}: {error.strerror}; start the ingestor, it makes it") from error
    return status.st_dev, status.st_ino
