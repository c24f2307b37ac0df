"""History from the store: one question at a time, a few waiting, the rest sent away at once.

A question asks for one page, whose rows are the newest of its range; a page never cuts a moment in
two, so that the next one begins where it ended.
"""

from __future__ import annotations

import msgspec

from dashboards.archive import Archive
from dashboards.feed import OpenSource
from dashboards.opendata.public import fields_of
from ingest.stores import Bucket, Query, Row

WAITING_MAX = 16
"""Questions waiting for their turn; the next one is told to come again (503)."""

PATIENCE_S = 15.0
ROWS_MAX = 1000
DAY_MS = 86_400_000


class Step(msgspec.Struct, frozen=True):
    """What a row is of, and how much of it one question may span."""

    bucket: Bucket
    suffix: str
    range_ms_max: int
    range_ms: int


STEPS = {
    "reading": Step(Bucket.CITY, "", DAY_MS, 3_600_000),
    "hour": Step(Bucket.HOURLY, "", 31 * DAY_MS, DAY_MS),
    "day": Step(Bucket.HOURLY, "_day", 366 * DAY_MS, 31 * DAY_MS),
}
"""Readings as they were stored; hours in UTC; days by the city's calendar: the watch's."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """One page of history: rows of `kind` with `start_ms <= time < stop_ms`, the newest `limit`."""

    kind: str
    step: str
    start_ms: int
    stop_ms: int
    limit: int
    where: dict[str, tuple[str, ...]]


class Page(msgspec.Struct, frozen=True):
    """Rows by time; `next_stop_ms` asks for the page before, None when there is none."""

    rows: list[Row]
    next_stop_ms: int | None


class History:
    """Pages of history from the store. `close` it at the end."""

    def __init__(self, open_source: OpenSource) -> None:
        self._archive = Archive(open_source, waiting_max=WAITING_MAX, patience_s=PATIENCE_S)

    async def ask(self, question: Question, devices: int) -> Page:
        """Answer it; `devices` is how many rows one moment can have at the most.

        Raises:
            BusyError: too many are waiting, or the database takes too long.
            StoreError: the store is away, or refuses.
        """
        return _page(await self._archive.read(_query(question, devices)), question.limit)

    async def close(self) -> None:
        """Give the connection back."""
        await self._archive.close()


def _query(question: Question, devices: int) -> Query:
    step = STEPS[question.step]
    return Query(
        kind=question.kind + step.suffix,
        fields=fields_of(question.kind, summed=step.bucket is Bucket.HOURLY),
        start_ms=question.start_ms,
        stop_ms=question.stop_ms,
        where=question.where,
        bucket=step.bucket,
        limit=question.limit + devices + 1,
    )


def _page(rows: list[Row], limit: int) -> Page:
    """The newest whole moments that fit into `limit`, or one moment that doesn't."""
    if len(rows) <= limit:
        return Page(rows, None)
    first_ms = rows[-limit - 1].time_ms  # this moment doesn't fit, so the page begins after it
    kept = [row for row in rows if row.time_ms > first_ms]
    if not kept:
        kept = [row for row in rows if row.time_ms == first_ms]
    older = any(row.time_ms < kept[0].time_ms for row in rows)
    return Page(kept, kept[0].time_ms if older else None)
