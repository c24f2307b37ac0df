"""What a live page and the watch need beside writing and reading."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from ingest.stores import Bucket, Row, Store


class Change(msgspec.Struct, frozen=True):
    """A point that is new since the last look, with every field it has and its four tags."""

    kind: str
    row: Row


class Changes(msgspec.Struct, frozen=True):
    """What is new, by time then tags, and the `cursor` to ask with next time."""

    changes: list[Change]
    cursor: int


class LiveStore(Store, Protocol):
    """A store that can be watched; both are.

        changes = await store.changes(kinds, 0)               # the newest point of every device
        changes = await store.changes(kinds, changes.cursor)  # again and again

    A point may come more than once, and points come in the order they were stored, not taken: the
    page keeps, for each device, the one whose own time is the highest. SQLite gives every point
    stored since the cursor, late ones too. InfluxDB can't say when a point was stored: it gives the
    newest point of each device of the gateways that something arrived from (the ingestor notes
    it), at the next look; within ten seconds where what arrived is hours old. What came without
    a note is found within half a minute, late ones within ten (`influx2_looks`).
    """

    async def changes(
        self, kinds: Sequence[str], cursor: int, bucket: Bucket = Bucket.CITY
    ) -> Changes:
        """What is new since `cursor`; 0 gives the newest point of every device of these kinds.

        Raises:
            StoreError: the database is away or refuses.
        """
        ...

    async def prune(self) -> int:
        """Remove what is older than the buckets' retention; how many points went.

        The watch calls it each hour. InfluxDB does this by itself: there it is 0.

        Raises:
            StoreError: the database is away or refuses.
        """
        ...
