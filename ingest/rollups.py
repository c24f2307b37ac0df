"""Which hours and days are due to be rolled up, and doing them a few at a time.

An hour is due when it is over, and again when an ingestor has noted that late data touched it; a
day is due when one of its hours was done. What a round leaves is done by the next one. Hours that
ended while nobody watched, or while no round came so far, are due too, up to `MISSED_MS` back.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from datetime import date, tzinfo

from devices.kinds import KINDS
from ingest.rollup import HOUR_MS, hour_of, roll_up
from ingest.rollup_days import local_day, roll_up_day
from ingest.stores import Aggregate, Bucket, Kept, Query, Store
from wire.clock import Clock

log = logging.getLogger("gampong.watch")

MINUTE_MS = 60_000
GRACE_MS = 5 * MINUTE_MS
"""An hour is rolled up first when it is over by this much."""

TOUCHED_OVERLAP_MS = 2 * MINUTE_MS
MISSED_MS = 31 * 24 * HOUR_MS
ROUND_S = 20.0
"""Wall seconds after which a round leaves the rest to the next one: alerts don't wait for it."""


class RollUps:
    """What is due; after a restart, what the notes of the last week say, and the hours since the
    last one that is there. `tell` is told each hour that was done."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        zone: tzinfo,
        counts: Counter[str],
        tell: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._store, self._clock, self._zone, self._counts = store, clock, zone, counts
        self._tell = tell
        self._hours_due: dict[int, None] = {}  # in the order in which they became due
        self._days_due: set[date] = set()
        self._rolled_ms = 0  # the newest hour that was rolled up because it was over
        self._touched_from_ms = 0

    async def see_touched(self, now_ms: int) -> list[tuple[str, int]]:
        """Gateways with the hours that their late data touched since the last look; at the start,
        of the last week. Some come twice.

        Raises:
            StoreError: the store can't be read now.
        """
        query = Query(
            kind="rollup_due",
            fields=("hour_ms",),
            start_ms=self._touched_from_ms,
            stop_ms=now_ms + HOUR_MS,
            bucket=Bucket.HEALTH,
            group=("device",),
        )
        touched = [
            (row.tags["device"], hour_of(int(row.fields["hour_ms"])))
            for row in await self._store.read(query)
        ]
        self._hours_due |= dict.fromkeys(sorted({hour_ms for _, hour_ms in touched}))
        # An ingestor's note can be on its way for a while: look back far enough, again is harmless.
        self._touched_from_ms = now_ms - TOUCHED_OVERLAP_MS
        return touched

    async def round(self, now_ms: int) -> None:
        """Do what is due and over: the hour that has just ended, then the others in turn. Not the
        oldest first: a gateway that touches old hours again and again would keep others' from
        their turn for ever.

        Raises:
            StoreError: the store can't be read now; what was due still is.
        """
        until_s = self._clock.monotonic() + ROUND_S
        ended_ms = hour_of(now_ms - GRACE_MS) - HOUR_MS
        if not self._rolled_ms:  # the last one that is there may be half done
            self._rolled_ms = await self._last_there_ms(ended_ms) - HOUR_MS
        if ended_ms > self._rolled_ms:
            missed = range(self._rolled_ms + HOUR_MS, ended_ms, HOUR_MS)
            self._hours_due = {ended_ms: None, **self._hours_due, **dict.fromkeys(missed)}
            self._rolled_ms = ended_ms
        for hour_ms in [hour for hour in self._hours_due if hour <= ended_ms]:
            if self._clock.monotonic() > until_s:
                return
            if self._kept(await roll_up(self._store, hour_ms), "hour", hour_ms):
                return
            self._hours_due.pop(hour_ms, None)
            self._days_due.add(local_day(hour_ms, self._zone))
            self._tell(hour_ms)
            self._counts["rolled_up"] += 1
        for day in sorted(self._days_due):
            if self._kept(await roll_up_day(self._store, day, self._zone), "day", day):
                return
            self._days_due.discard(day)
            if self._clock.monotonic() > until_s:
                return

    async def _last_there_ms(self, ended_ms: int) -> int:
        """The newest hour that was rolled up before this process began; without any, the one that
        has just ended."""
        there_ms = []
        for kind in KINDS:
            query = Query(
                kind=f"{kind}_site",
                fields=("devices",),
                start_ms=max(0, ended_ms - MISSED_MS),
                stop_ms=ended_ms + HOUR_MS,
                aggregate=Aggregate.NEWEST,
                group=(),
                bucket=Bucket.HOURLY,
            )
            there_ms += [row.time_ms for row in await self._store.read(query)]
        return max(there_ms, default=ended_ms)

    def _kept(self, fate: Kept | None, what: str, which: object) -> bool:
        if fate is None:
            return False
        self._counts["rollup_kept"] += 1
        log.warning("event=rollup_kept %s=%s why=%s", what, which, fate.reason)
        return True
