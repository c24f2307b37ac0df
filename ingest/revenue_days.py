"""Which days of revenue are due, reckoning them, and reading the last one that is over.

A day is due when one of its hours was rolled up, again when late data touched one, and in the
first three hours of the next day, for payments that came a little late. The day that runs is
reckoned each hour; it isn't judged before it is over. Days whose payments may be gone from the
store already stay as they are.
"""

from __future__ import annotations

import logging
from datetime import date, timedelta, tzinfo

from devices.reading import Value
from ingest.revenue import (
    RevenueSettings,
    ZoneKey,
    expected_idr,
    received_idr,
    revenue_lines,
)
from ingest.rollup import HOUR_MS
from ingest.rollup_days import day_span, local_day
from ingest.rules.standing import Place
from ingest.stores import Aggregate, Bucket, Kept, Query, Store
from ingest.stores.kinds import REVENUE

log = logging.getLogger("gampong.watch")

DAY_MS = 24 * HOUR_MS
AFTER_MS = 3 * HOUR_MS
"""So long after midnight a day is reckoned again, and judged from then on."""

_BY_ZONE = ("site", "zone")


class Revenue:
    """The days that are due.

    Args:
        zone: whose days they are.
        retention_days: how long the store keeps payments.
    """

    def __init__(
        self, store: Store, settings: RevenueSettings, zone: tzinfo, retention_days: float = 90.0
    ) -> None:
        self._store, self._settings, self._zone = store, settings, zone
        self._retention_ms = int(retention_days * DAY_MS)
        self._due: set[date] = set()
        self._started = False

    def touch(self, hour_ms: int) -> None:
        """That hour was rolled up, for the first time or again."""
        self._due |= {local_day(at_ms, self._zone) for at_ms in (hour_ms - AFTER_MS, hour_ms)}

    async def round(self, now_ms: int) -> int:
        """Reckon what is due; how many days were written.

        Raises:
            StoreError: the store can't be read now; what was due still is.
        """
        if not self._started:  # whatever happened while nobody watched
            self._due |= {local_day(at_ms, self._zone) for at_ms in (now_ms - DAY_MS, now_ms)}
            self._started = True
        written = 0
        for day in sorted(self._due):
            start_ms, _ = day_span(day, self._zone)
            if start_ms >= now_ms - self._retention_ms:
                kept = await self._write(day)
                if kept is not None:
                    log.warning("event=revenue_kept day=%s why=%s", day, kept.reason)
                    break
                written += 1
            self._due.discard(day)
        return written

    async def _write(self, day: date) -> Kept | None:
        start_ms, stop_ms = day_span(day, self._zone)
        hours = Query(
            kind="parking_spot",
            fields=("occupied_mean",),
            start_ms=start_ms,
            stop_ms=stop_ms,
            aggregate=Aggregate.SUM,
            group=_BY_ZONE,
            step_s=HOUR_MS // 1000,
            bucket=Bucket.HOURLY,
        )
        payments = Query(
            kind="payment",
            fields=("amount_idr",),
            start_ms=start_ms,
            stop_ms=stop_ms,
            aggregate=Aggregate.SUM,
            group=_BY_ZONE,
        )
        expected = expected_idr(self._settings, await self._store.read(hours), self._zone)
        received = received_idr(await self._store.read(payments))
        lines = revenue_lines(self._settings, expected, received, start_ms)
        outcome = await self._store.write(Bucket.HOURLY, lines) if lines else None
        return outcome if isinstance(outcome, Kept) else None


def last_day(now_ms: int, zone: tzinfo) -> tuple[int, int]:
    """The last local day that is over and reckoned again, Unix milliseconds, half-open."""
    return day_span(local_day(now_ms - AFTER_MS, zone) - timedelta(days=1), zone)


async def last_revenue(
    store: Store, now_ms: int, zone: tzinfo
) -> dict[ZoneKey, tuple[Place, dict[str, Value]]]:
    """What `last_day` brought, by zone: its place, `share` and `judged`.

    Raises:
        StoreError: the store can't be read now.
    """
    start_ms, _ = last_day(now_ms, zone)
    query = Query(
        kind=REVENUE.name,
        fields=("share", "judged"),
        start_ms=start_ms,
        stop_ms=start_ms + 1,
        group=("device", "gateway", *_BY_ZONE),
        bucket=Bucket.HOURLY,
    )
    return {
        ZoneKey(row.tags["site"], row.tags["zone"]): (Place.of(row.tags), dict(row.fields))
        for row in await store.read(query)
    }
