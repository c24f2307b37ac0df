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
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from devices.kinds import KINDS, TEXT_LENGTH
from devices.reading import Value
from ingest.completeness import (
    DAY_MS,
    Day,
    Given,
    Hole,
    Mark,
    Note,
    account,
    day_of,
    ranges_text,
)
from ingest.health import clean_text, point
from ingest.radio import Heard, Radio, Span, count_uplinks
from ingest.rollup import HOUR_MS
from ingest.stores import Aggregate, Bucket, Kept, Query, Row, Store
from ingest.stores.kinds import GATEWAY_BATCH, GATEWAY_COMPLETENESS
from ingest.stores.query import ROWS_MAX
from wire.clock import Clock
from wire.messages import Inventory, Status

EVERY_MS = 10 * 60_000
GRACE_MS = 10 * 60_000
DAYS_MAX = 31
OLD_GATEWAYS_MAX = 5
"""Gateways with due days before yesterday that one round takes: their notes are many."""

ROUND_S = 20.0
"""Wall seconds after which a round leaves the rest to the next one: the watch has other duties."""

_BASELINE_MS = 2 * HOUR_MS
"""How far before a day frame counters are looked for, to count its first uplinks."""
_SEAL_MS = 120_000
"""A reading is sealed at most so much later than taken."""

_FIELDS = ("epoch", "sequence", "readings", "rejected")


class Known(msgspec.Struct, frozen=True):
    """What is already written of a day, and was true when it was last the newest one. A day that
    was first counted when it was over says nothing of epochs."""

    missing: int = 0
    unfinished: int = 0
    dropped_ever: int = 0
    epoch: str = ""
    newest: int = 0
    newest_ms: int = 0
    epoch_before: str = ""
    newest_before: int = 0
    newest_before_ms: int = 0

    @property
    def given(self) -> list[Given]:
        """Numbers given out by the end of that day."""
        known = [
            Given(self.epoch_before, self.newest_before, self.newest_before_ms),
            Given(self.epoch, self.newest, self.newest_ms),
        ]
        return [given for given in known if given.epoch]


class Accounts:
    """Which days are due, and counting them."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._marks: dict[str, Mark] = {}
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
        written = old = 0
        until_s = self._clock.monotonic() + ROUND_S
        in_turn = sorted(inventories, key=lambda gateway: (self._turns.get(gateway, 0), gateway))
        for gateway in in_turn:
            days = {d for d in self._due[gateway] if today - DAYS_MAX * DAY_MS <= d <= today}
            if any(day < today - DAY_MS for day in days):
                old += 1
            if old > OLD_GATEWAYS_MAX:
                days = {day for day in days if day >= today - DAY_MS}
            if not days or gateway not in self._marks:
                continue
            if self._clock.monotonic() > until_s:
                break
            self._turn += 1
            self._turns[gateway] = self._turn
            lines = await self._count(inventories[gateway], sorted(days), now_ms)
            if lines and isinstance(await self._store.write(Bucket.HOURLY, lines), Kept):
                continue
            self._due[gateway] -= days
            written += len(lines)
        return written

    async def _see_unfinished(self, inventories: Mapping[str, Inventory], today: int) -> None:
        """Days that may have changed since they were written, and days that never were."""
        oldest = today - (DAYS_MAX - 1) * DAY_MS
        self._empty = {(gateway, day) for gateway, day in self._empty if day >= oldest}
        known = await self._known(None, oldest, today)
        for gateway in inventories:
            for day in range(oldest, today + 1, DAY_MS):
                written = known.get((gateway, day))
                if (gateway, day) in self._empty:
                    continue
                if written is None or written.unfinished or written.missing:
                    self._due[gateway].add(day)

    async def _known(
        self, gateway: str | None, start_ms: int, last_ms: int
    ) -> dict[tuple[str, int], Known]:
        query = Query(
            kind=GATEWAY_COMPLETENESS.name,
            fields=Known.__struct_fields__,
            start_ms=start_ms,
            stop_ms=last_ms + 1,
            group=("device",),
            where={"gateway": (gateway,)} if gateway else {},
            bucket=Bucket.HOURLY,
        )
        return {
            (row.tags["device"], row.time_ms): msgspec.convert(row.fields, Known)
            for row in await self._store.read(query)
        }

    async def _count(self, inventory: Inventory, days: Sequence[int], now_ms: int) -> list[str]:
        gateway, mark = inventory.gateway, self._marks[inventory.gateway]
        notes = await self._notes(gateway, days[0] - DAY_MS, now_ms)
        today, lines = day_of(now_ms), []
        known = await self._known(gateway, days[0] - DAY_MS, today)
        newest_of = {g.epoch: g for each in known.values() for g in each.given}
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
            fields = _fields(day, mark, before.dropped_ever)
            fields |= await self._radio(gateway, start_ms, holes)
            own = _remembered(own, before, mark, start_ms == today)
            ended_ms = start_ms + DAY_MS
            runs_on = now_ms < ended_ms + GRACE_MS or mark.time_ms < ended_ms or day.waiting
            fields |= msgspec.structs.asdict(own)
            fields |= {"missing": day.missing_batches, "unfinished": int(bool(runs_on))}
            place = (gateway, gateway, inventory.site, "main")
            lines.append(point(GATEWAY_COMPLETENESS, place, fields, start_ms))
        return lines

    async def _notes(self, gateway: str, start_ms: int, now_ms: int) -> list[Note]:
        """The notes since then, and the last one before."""
        query = Query(
            kind=GATEWAY_BATCH.name,
            fields=_FIELDS,
            start_ms=start_ms,
            stop_ms=now_ms + DAY_MS,
            where={"gateway": (gateway,)},
            limit=ROWS_MAX,
        )
        before = msgspec.structs.replace(
            query, start_ms=0, stop_ms=start_ms, aggregate=Aggregate.NEWEST
        )
        rows = [*await self._store.read(before), *await self._store.read(query)]
        return [_note(row) for row in rows if len(row.fields) == len(_FIELDS)]

    async def _radio(self, gateway: str, start_ms: int, holes: Iterable[Hole]) -> dict[str, Value]:
        """Uplinks of every device with a frame counter; nothing for a gateway without any."""
        unsure: list[Span] = [(hole.start_ms - _SEAL_MS, hole.stop_ms) for hole in holes]
        radio = Radio()
        for kind in KINDS.values():
            if "frame_counter" not in kind.fields:
                continue
            query = Query(
                kind=kind.name,
                fields=("frame_counter",),
                start_ms=start_ms - _BASELINE_MS,
                stop_ms=start_ms + DAY_MS,
                where={"gateway": (gateway,)},
                limit=ROWS_MAX,
            )
            uplinks: defaultdict[str, list[Heard]] = defaultdict(list)
            for row in await self._store.read(query):
                if (counter := row.fields.get("frame_counter")) is not None:
                    uplinks[row.tags["device"]].append((row.time_ms, int(counter)))
            for heard in uplinks.values():
                radio.add(count_uplinks(heard, start_ms, unsure))
        if not radio.expected:
            return {}
        return {
            "radio_expected": radio.expected,
            "radio_heard": radio.heard,
            "radio_share": radio.heard / radio.expected,
            "radio_unsure": radio.unsure,
        }


def _note(row: Row) -> Note:
    fields = row.fields
    return Note(
        str(fields["epoch"]),
        int(fields["sequence"]),
        row.time_ms,
        int(fields["readings"]),
        int(fields["rejected"]),
    )


def _fields(day: Day, mark: Mark, dropped_before: int) -> dict[str, Value]:
    return {
        "sealed": day.sealed,
        "stored": day.stored,
        "rejected": day.rejected,
        "waiting": day.waiting,
        "gaps": len(day.missing),
        "missing_ranges": ranges_text(day.missing, TEXT_LENGTH),
        "why": why_missing(day, mark, dropped_before),
        "readings": day.readings,
        "readings_rejected": day.readings_rejected,
        "share": 1.0 if day.share is None else day.share,  # nothing is due: nothing is lost
    }


def _remembered(own: Known, before: Known, mark: Mark, is_today: bool) -> Known:
    """What a later count must know of this day. Once it is over, it stays as it was."""
    if not is_today:
        return own if own.epoch else Known(dropped_ever=before.dropped_ever)
    dropped = sum(mark.dropped.values())
    now = Known(0, 0, dropped, mark.epoch, mark.newest, mark.time_ms)
    last = [given for given in own.given if given.epoch != mark.epoch]
    if not last:
        return now
    epoch, newest, time_ms = msgspec.structs.astuple(last[-1])
    return msgspec.structs.replace(
        now, epoch_before=epoch, newest_before=newest, newest_before_ms=time_ms
    )


def why_missing(day: Day, mark: Mark, dropped_before: int) -> str:
    """What the gateway's ledger says: `dropped full`, when it dropped readings since that day
    began; `epoch ended`, when the numbers are of an outbox it no longer has; else `unexplained`."""
    if not day.missing:
        return ""
    dropped = sum(mark.dropped.values())
    if dropped and dropped != dropped_before:  # less than before: another file, counting anew
        return clean_text("dropped " + " ".join(r for r, n in sorted(mark.dropped.items()) if n))
    if all(hole.epoch != mark.epoch for hole in day.missing):
        return "epoch ended"
    return "unexplained"
