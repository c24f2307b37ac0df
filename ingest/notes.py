"""What the ingestor notes beside the readings: each settled batch, each gateway that something came
from, and each hour that late data touched.

A `gateway_batch` goes where the readings went (the bucket `city`) and is kept as long, and with it
an `arrival` for each gateway, by which pages learn what is new; a `rollup_due` goes to the health
bucket. All are written after the readings and **before** the
gateway is told: one whose ingestor is killed in between sends its batch again, so that a batch
without a note is one that nobody confirmed. The order can't be the other way round: a note must
never say that something is stored which isn't.

A bucket that doesn't take notes never stops a confirmation: it has `NOTE_S`, then the note waits
here and is tried again, and nobody waits for that bucket until it has taken one. Only then can a
crash lose notes (the readings are there). Up to `WAITING_MAX` wait; the oldest go first, counted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

import msgspec

from ingest.counters import Counters
from ingest.guard import Checked, Refused
from ingest.stores import Bucket, Kept, Store
from ingest.stores.block import Block
from wire.batch import BatchKey
from wire.clock import Clock

NOTE_S = 1.0
WAITING_MAX = 20_000
WRITE_MAX = 5_000
RETRY_S_MIN, RETRY_S_MAX = 0.5, 10.0


class Settled(msgspec.Struct, frozen=True, gc=False):
    """A batch whose readings are stored or dead-lettered; `rejected` counts the latter. Of one
    that couldn't be opened nobody knows how many readings it had: its note says 0."""

    batch: Checked | Refused
    rejected: int = 0


class Notes:
    """Points of the cloud's own."""

    def __init__(self, store: Store, clock: Clock, counters: Counters, late_ms: int) -> None:
        self._store, self._clock, self._counters = store, clock, counters
        self._late_ms = late_ms
        self._waiting: dict[Bucket, deque[str]] = {Bucket.CITY: deque(), Bucket.HEALTH: deque()}
        self._failing: set[Bucket] = set()
        self._some = asyncio.Event()
        self._stamp_ms = 0

    @property
    def waiting(self) -> int:
        return sum(map(len, self._waiting.values()))

    async def note(self, settled: Sequence[Settled]) -> None:
        """Write what there is to note of these; back after `NOTE_S` a bucket at the latest."""
        now_ms = self._clock.now_ms()
        lines: list[str] = []
        oldest: dict[str, int] = {}  # tags → none of what arrived is older
        hours: dict[tuple[str, int], None] = {}
        for each in settled:
            batch = each.batch
            tags = _tags(batch)
            if batch.key is not None:
                lines.append(self._line(each, batch.key, tags, now_ms))
            if isinstance(batch, Checked) and batch.lines.size:
                oldest_ms = now_ms - self._late_ms
                if batch.late_hours:
                    oldest_ms = min(oldest_ms, batch.late_hours[0])
                    hours |= dict.fromkeys((tags, hour_ms) for hour_ms in batch.late_hours)
                oldest[tags] = min(oldest.get(tags, oldest_ms), oldest_ms)
        lines += [f"arrival,{tags} oldest_ms={ms}i {self._stamp()}" for tags, ms in oldest.items()]
        due = [f"rollup_due,{tags} hour_ms={hour}i {self._stamp()}" for tags, hour in hours]
        if lines:
            await self._put(Bucket.CITY, Block.of(lines))
        if due:
            await self._put(Bucket.HEALTH, Block.of(due))

    async def run(self) -> None:
        """Try again what wasn't taken, until cancelled."""
        pause_s = RETRY_S_MIN
        while True:
            await self._some.wait()
            self._some.clear()
            while self.waiting:
                await self._clock.pause(pause_s)
                pause_s = min(2 * pause_s, RETRY_S_MAX)
                for bucket, lines in self._waiting.items():
                    if lines and await self._write_some(bucket, lines):
                        pause_s = RETRY_S_MIN

    async def _put(self, bucket: Bucket, lines: Sequence[str]) -> None:
        if bucket not in self._failing:
            try:
                async with asyncio.timeout(NOTE_S):
                    answer = await self._store.write(bucket, lines)
            except TimeoutError:
                answer = Kept("timeout")
            if not isinstance(answer, Kept):
                self._counters.notes_dropped += len(answer.rejected)
                return
            self._failing.add(bucket)
        self._waiting[bucket] += lines
        while self.waiting > WAITING_MAX:
            max(self._waiting.values(), key=len).popleft()
            self._counters.notes_dropped += 1
        self._some.set()

    async def _write_some(self, bucket: Bucket, lines: deque[str]) -> bool:
        some = [lines.popleft() for _ in range(min(WRITE_MAX, len(lines)))]
        answer = await self._store.write(bucket, some)
        if isinstance(answer, Kept):
            lines.extendleft(reversed(some))
            return False
        self._failing.discard(bucket)
        self._counters.notes_dropped += len(answer.rejected)
        return True

    def _line(self, settled: Settled, key: BatchKey, tags: str, now_ms: int) -> str:
        """A batch that doesn't say when it was sealed is noted at its arrival."""
        batch, readings = settled.batch, 0
        if isinstance(batch, Checked):
            readings = batch.lines.size + len(batch.rejected)
        seal_ms = batch.seal_ms or self._stamp()
        return (
            f'gateway_batch,{tags} epoch="{key.epoch.hex()}",lag_ms={now_ms - seal_ms}i'
            f",readings={readings}i,rejected={settled.rejected}i,sequence={key.sequence}i {seal_ms}"
        )

    def _stamp(self) -> int:
        """The time of an arrival, a later one each call: two of a gateway are two points."""
        self._stamp_ms = max(self._clock.now_ms(), self._stamp_ms + 1)
        return self._stamp_ms


def _tags(batch: Checked | Refused) -> str:
    gateway, site = batch.gateway, "unknown"
    if isinstance(batch, Checked) and batch.lines.size:
        text = batch.lines.text
        start = text.index(_SITE) + len(_SITE)
        site = text[start : text.index(b",", start)].decode()
    return f"device={gateway},gateway={gateway},site={site},zone=main"


_SITE = b",site="
