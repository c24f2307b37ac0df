"""Completeness as points: each gateway's day, written again until nothing of it can change.

In: `gateway_batch` notes and frame counters from the store, statuses, hours that late data touched.
Out: one `gateway_completeness` a gateway and day in `city_hourly`, at the day's start (UTC).

When a day is counted: every `EVERY_MS` while it lasts; each hour while it is `unfinished` (it ended
less than `GRACE_MS` ago, batches of it wait, or the gateway hasn't been heard since) or has a gap,
which a batch of any day may close; and whenever late data touched it. Everything is read from the
store, so that a restart of the watch or a day on which it didn't run changes nothing. Days older
than `DAYS_MAX` stay as they are.

A gateway that has never said what waits isn't judged: no point, rather than a wrong one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec

from ingest.account_answers import Answers, Known, TooMany
from ingest.account_points import fields_of, radio_of, remembered
from ingest.completeness import DAY_MS, Mark, Note, account, day_of
from ingest.health import point
from ingest.radio import Heard
from ingest.rollup import HOUR_MS
from ingest.stores import Bucket, Kept, Store
from ingest.stores.kinds import GATEWAY_COMPLETENESS
from wire.clock import Clock
from wire.messages import Inventory, Status

EVERY_MS = 10 * 60_000
GRACE_MS = 10 * 60_000
DAYS_MAX = 31
OLD_GATEWAYS_MAX = 5
"""Gateways with due days before yesterday that one round takes: their notes are many."""

CHUNK_MAX = 20
"""Gateways whose days are counted at once: of 72 devices each with an uplink every ten minutes,
half of what a store gives in one answer."""

ROUND_S = 20.0
"""Wall seconds after which a round leaves the rest to the next one: the watch has other duties."""


class Accounts:
    """Which days are due, and counting them."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock, self._answers = store, clock, Answers(store)
        self._marks: dict[str, Mark] = {}
        self._cards: dict[str, float] = {}  # of those whose cards tell
        self._due: defaultdict[str, set[int]] = defaultdict(set)
        self._empty: set[tuple[str, int]] = (
            set()
        )  # past days that had no batch; bounded by DAYS_MAX
        self._gateways: set[str] = set()
        self._turn, self._turns = 0, dict[str, int]()  # who was counted longest ago comes first
        self._counted_ms = self._looked_ms = 0

    def hear(self, status: Status) -> None:
        """A status; a last will was written when its connection began, and may be older than what
        was heard since. No gateway has said anything in the future."""
        known, mark = self._marks.get(status.gateway), Mark.of(status)
        if status.card_life_used is not None:
            self._cards[status.gateway] = min(2.0, max(0.0, status.card_life_used))
        if mark.epoch and (status.online or known is None or mark.time_ms >= known.time_ms):
            time_ms = min(mark.time_ms, self._clock.now_ms())
            self._marks[status.gateway] = msgspec.structs.replace(mark, time_ms=time_ms)

    def touch(self, gateway: str, hour_ms: int) -> None:
        """Late data came into that hour; it may have been sealed the day after."""
        self._due[gateway] |= {day_of(hour_ms), day_of(hour_ms + DAY_MS)}

    async def round(self, inventories: Mapping[str, Inventory], now_ms: int) -> int:
        """Count what is due and write it; how many points.

        Raises:
            StoreError: the store can't be read now; what was due still is.
        """
        today = day_of(now_ms)
        if now_ms - self._looked_ms >= HOUR_MS or not inventories.keys() <= self._gateways:
            await self._see_unfinished(inventories, today)
            self._looked_ms, self._gateways = now_ms, set(inventories)
        if now_ms - self._counted_ms >= EVERY_MS:
            self._counted_ms = now_ms
            for gateway in inventories:
                self._due[gateway].add(today)
        written = 0
        until_s = self._clock.monotonic() + ROUND_S
        for days, gateways in self._chunks(inventories, today):
            if self._clock.monotonic() > until_s:
                break
            for gateway in gateways:
                self._turn += 1
                self._turns[gateway] = self._turn
            chunk = [inventories[gateway] for gateway in gateways]
            lines = await self._count(chunk, days, now_ms)
            if lines and isinstance(await self._store.write(Bucket.HOURLY, lines), Kept):
                continue
            for gateway in gateways:
                self._due[gateway] -= set(days)
            written += len(lines)
        return written

    def _chunks(
        self, inventories: Mapping[str, Inventory], today: int
    ) -> list[tuple[tuple[int, ...], list[str]]]:
        """Due days with the gateways they are due of, a few at once: a question to the store costs
        more than its answer. Who was counted longest ago comes first."""
        chunks: list[tuple[tuple[int, ...], list[str]]] = []
        old = 0
        in_turn = sorted(inventories, key=lambda gateway: (self._turns.get(gateway, 0), gateway))
        for gateway in in_turn:
            days = {d for d in self._due[gateway] if today - DAYS_MAX * DAY_MS <= d <= today}
            if any(day < today - DAY_MS for day in days):
                old += 1
            if old > OLD_GATEWAYS_MAX:
                days = {day for day in days if day >= today - DAY_MS}
            if not days or gateway not in self._marks:
                continue
            due = tuple(sorted(days))
            if chunks and chunks[-1][0] == due and len(chunks[-1][1]) < CHUNK_MAX:
                chunks[-1][1].append(gateway)
            else:
                chunks.append((due, [gateway]))
        return chunks

    async def _see_unfinished(self, inventories: Mapping[str, Inventory], today: int) -> None:
        """Days that may have changed since they were written, and days that never were."""
        oldest = today - (DAYS_MAX - 1) * DAY_MS
        self._empty = {(gateway, day) for gateway, day in self._empty if day >= oldest}
        known = await self._answers.known((), oldest, today)
        for gateway in inventories:
            for day in range(oldest, today + 1, DAY_MS):
                written = known.get((gateway, day))
                if (gateway, day) in self._empty:
                    continue
                if written is None or written.unfinished or written.missing:
                    self._due[gateway].add(day)

    async def _count(
        self, inventories: Sequence[Inventory], days: Sequence[int], now_ms: int
    ) -> list[str]:
        """The points of these days, of gateways that they are all due of."""
        gateways = [inventory.gateway for inventory in inventories]
        try:
            notes = await self._answers.notes(gateways, days[0] - DAY_MS, now_ms)
            uplinks = {day: await self._answers.uplinks(gateways, day) for day in days}
        except TooMany:  # a few at once then: what an answer leaves out would look missing
            half = len(inventories) // 2
            first = await self._count(inventories[:half], days, now_ms)
            return first + await self._count(inventories[half:], days, now_ms)
        known = await self._answers.known(gateways, days[0] - DAY_MS, day_of(now_ms))
        return [
            line
            for inventory in inventories
            for line in self._lines(
                inventory, days, now_ms, notes[inventory.gateway], known, uplinks
            )
        ]

    def _lines(
        self,
        inventory: Inventory,
        days: Sequence[int],
        now_ms: int,
        notes: Sequence[Note],
        known: Mapping[tuple[str, int], Known],
        uplinks: Mapping[int, Mapping[str, Sequence[Sequence[Heard]]]],
    ) -> list[str]:
        gateway, mark = inventory.gateway, self._marks[inventory.gateway]
        today, lines = day_of(now_ms), []
        mine = [each for (name, _), each in known.items() if name == gateway]
        newest_of = {g.epoch: g for each in mine for g in each.given}
        ended = [given for epoch, given in newest_of.items() if epoch != mark.epoch]
        counted, holes = account(notes, mark, days, ended)
        for start_ms, day in counted.items():
            self._empty.discard((gateway, start_ms))
            if not day.sealed and (gateway, start_ms) not in known:
                if start_ms < today:
                    self._empty.add((gateway, start_ms))
                continue
            own = known.get((gateway, start_ms), Known())
            before = known.get((gateway, start_ms - DAY_MS), Known())
            fields = fields_of(day, mark, before.dropped_ever)
            fields |= radio_of(uplinks[start_ms].get(gateway, ()), start_ms, holes)
            own = remembered(own, before, mark, start_ms == today)
            ended_ms = start_ms + DAY_MS
            runs_on = now_ms < ended_ms + GRACE_MS or mark.time_ms < ended_ms or day.waiting
            fields |= msgspec.structs.asdict(own)
            if start_ms == today and gateway in self._cards:
                fields["card_life_used"] = self._cards[gateway]
            fields |= {"missing": day.missing_batches, "unfinished": int(bool(runs_on))}
            place = (gateway, gateway, inventory.site, "main")
            lines.append(point(GATEWAY_COMPLETENESS, place, fields, start_ms))
        return lines
