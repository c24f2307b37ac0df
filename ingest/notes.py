"""What the ingestor notes beside the readings: each stored batch, and each hour that late data
touched.

Points of `gateway_batch` and `rollup_due` go to the health bucket by a way of their own: they never
delay or fail a confirmation. Up to `WAITING_MAX` wait while the store is away; then the oldest go,
counted. A crash can lose the notes of its last moments; the readings are there.
"""

from __future__ import annotations

import asyncio
from collections import deque

from ingest.counters import Counters
from ingest.guard import Checked
from ingest.stores import Bucket, Kept, Store
from wire.clock import Clock

WAITING_MAX = 20_000
WRITE_MAX = 5_000
RETRY_S_MIN, RETRY_S_MAX = 0.5, 10.0


class Notes:
    """Points of the cloud's own, gathered and written."""

    def __init__(self, store: Store, clock: Clock, counters: Counters) -> None:
        self._store, self._clock, self._counters = store, clock, counters
        self._batches: deque[str] = deque()
        self._touched: dict[tuple[str, int], None] = {}  # (tags, hour), once however often
        self._some = asyncio.Event()
        self._stamp_ms = 0

    def add(self, checked: Checked, rejected: int) -> None:
        """Note a batch whose good lines are stored; a snapshot only touches hours."""
        gateway = checked.gateway
        tags = f"device={gateway},gateway={gateway},site={_site(checked)},zone=main"
        self._touched |= dict.fromkeys((tags, hour_ms) for hour_ms in checked.late_hours)
        if checked.key and checked.seal_ms:
            readings = len(checked.lines) + len(checked.rejected)
            fields = (
                f'epoch="{checked.key.epoch.hex()}"'
                f",lag_ms={self._clock.now_ms() - checked.seal_ms}i"
                f",readings={readings}i,rejected={rejected}i,sequence={checked.key.sequence}i"
            )
            self._batches.append(f"gateway_batch,{tags} {fields} {checked.seal_ms}")
        while self.waiting > WAITING_MAX:
            if self._batches:
                self._batches.popleft()
            else:
                del self._touched[next(iter(self._touched))]
            self._counters.notes_dropped += 1
        self._some.set()

    @property
    def waiting(self) -> int:
        return len(self._batches) + len(self._touched)

    async def run(self) -> None:
        """Write until cancelled."""
        pause_s = RETRY_S_MIN
        while True:
            await self._some.wait()
            self._some.clear()
            while self.waiting:
                if await self._write_some():
                    pause_s = RETRY_S_MIN
                else:
                    await self._clock.pause(pause_s)
                    pause_s = min(2 * pause_s, RETRY_S_MAX)

    async def _write_some(self) -> bool:
        touched = list(self._touched)[:WRITE_MAX]
        for note in touched:
            del self._touched[note]
        some = [self._batches.popleft() for _ in range(min(WRITE_MAX, len(self._batches)))]
        lines = [f"rollup_due,{tags} hour_ms={hour}i {self._stamp()}" for tags, hour in touched]
        answer = await self._store.write(Bucket.HEALTH, [*lines, *some])
        if isinstance(answer, Kept):
            self._touched |= dict.fromkeys(touched)
            self._batches.extendleft(reversed(some))
            return False
        self._counters.notes_dropped += len(answer.rejected)
        return True

    def _stamp(self) -> int:
        """The time of an arrival, a later one each call: two of a gateway are two points."""
        self._stamp_ms = max(self._clock.now_ms(), self._stamp_ms + 1)
        return self._stamp_ms


def _site(checked: Checked) -> str:
    if not checked.lines:
        return "unknown"
    return checked.lines[0].partition(",site=")[2].partition(",")[0]
