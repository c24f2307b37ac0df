"""The way from settings to a store, and to a database that is ready for one.

    async with open_store(configuration.store, clock) as store:
        fate = await store.write(Bucket.CITY, lines)

Each database's module is imported only when it is used: a page on SQLite loads no HTTP client.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ingest.stores.configuration import InfluxSettings, SqliteSettings, StoreSettings
from ingest.stores.live import LiveStore
from ingest.stores.onboarding import SetupRequest, Step
from wire.clock import Clock


@asynccontextmanager
async def open_store(settings: StoreSettings, clock: Clock) -> AsyncIterator[LiveStore]:
    """The store of these settings, closed at the end. `clock` is city time.

    Opening needs no answer from InfluxDB: while it is away, writes are Kept. SQLite's file is made
    and its tables brought up to the kinds of this version.

    Raises:
        StoreError: the token file can't be read, or the SQLite file can't be opened.
    """
    store: LiveStore
    if isinstance(settings, SqliteSettings):
        from ingest.stores.sqlite import SqliteStore

        store = await SqliteStore.open(settings, clock)
    else:
        from ingest.stores.influx2 import InfluxStore

        store = InfluxStore.open(settings, clock)
    try:
        yield store
    finally:
        await store.close()


async def setup(settings: StoreSettings, request: SetupRequest, clock: Clock) -> list[Step]:
    """Make the database ready: `gampong ingest setup`. Again and again without harm.

    SQLite: makes the file. InfluxDB: buckets with their retention, InfluxQL mappings, a token for
    writing and one for reading, each tried out before it returns.

    Raises:
        StoreError: says what is missing and what to do.
    """
    if isinstance(settings, InfluxSettings):
        from ingest.stores.influx2_setup import setup_influx

        return await setup_influx(settings, request, clock)
    async with open_store(settings, clock):
        return [Step("file", "ready", settings.path)]
