"""Where lines go and where panels read: one small interface, two databases.

`Store` is written by the ingestor and the watch, and read by pages. InfluxDB 2 is for cities,
SQLite for the demo, one-machine villages and tests. One contract suite runs over both
(`tests/ingest/stores`).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

import msgspec

from devices.reading import Value


class Bucket(StrEnum):
    """What is kept how long: readings 90 days, hourly and daily roll-ups for years, health 7 days.

    The member's value is the default name; a configuration may give another.
    """

    CITY = "city"
    HOURLY = "city_hourly"
    HEALTH = "city_health"


class Written(msgspec.Struct, frozen=True):
    """The database has every line but `rejected` (index in what was given → reason)."""

    rejected: dict[int, str] = {}


class Kept(msgspec.Struct, frozen=True):
    """The database took nothing that can be relied on: keep the lines and try again.

    `reason` is a short word for counters (`away`, `timeout`, `unauthorized`, `not_found`,
    `too_many_requests`, `server_error`, `too_large`); `retry_after_s` is what the database asked
    for, 0 when it didn't. `bisect` says that halves may fare better than the whole.
    """

    reason: str
    detail: str = ""
    retry_after_s: float = 0.0
    bisect: bool = False


class Aggregate(StrEnum):
    """How values of one group and step become one. `NEWEST` is the last by time."""

    NEWEST = "newest"
    MEAN = "mean"
    MIN = "min"
    MAX = "max"
    SUM = "sum"
    COUNT = "count"


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """What a panel holds; rendered to InfluxQL or SQL by the store.

    Args:
        kind: the measurement.
        fields: what to read, at least one.
        aggregate: how to join values; None gives the points themselves.
        group: tags to keep apart (`device`, `site`, `zone`, `gateway`).
        step_s: length of a time step, 0 for the whole range as one.
        start_ms, stop_ms: half-open range of time, Unix milliseconds.
        where: tag → allowed values; only names (`NAME_PATTERN`) get through.
        limit: most rows that come back; newest first when it cuts.
    """

    kind: str
    fields: tuple[str, ...]
    start_ms: int
    stop_ms: int
    aggregate: Aggregate | None = None
    group: tuple[str, ...] = ("device",)
    step_s: int = 0
    where: dict[str, tuple[str, ...]] = {}
    bucket: Bucket = Bucket.CITY
    limit: int = 100_000


class Row(msgspec.Struct, frozen=True):
    """One answer row: the step's start, or the point's own time for points and `NEWEST`.

    Fields without a value in the step are absent from `fields`.
    """

    time_ms: int
    tags: dict[str, str]
    fields: dict[str, Value]


class StoreError(Exception):
    """Reading failed; the text says what to do. Pages keep what they last had, with its age."""


class Reader(Protocol):
    """What answers queries: a store, or what stands before one."""

    async def read(self, query: Query) -> list[Row]:
        """Answer a query, ordered by time then tags.

        Raises:
            StoreError: the database is away or refuses.
        """
        ...


class Store(Reader, Protocol):
    """One database."""

    async def write(self, bucket: Bucket, lines: Sequence[str]) -> Written | Kept:
        """Write lines of protocol (millisecond times, gateway tag included). Never raises for
        what a database can answer; writing the same line again changes nothing."""
        ...

    async def probe(self) -> Kept | None:
        """None when writing is likely to work now."""
        ...

    async def close(self) -> None:
        """Give back connections and files."""
        ...
