"""Many small batches become few large writes.

    add ─▶ waiting (live first) ─▶ up to 4 writes under way ─▶ outcomes.written / outcomes.kept

A batch that finds the store idle is written at once. While a write is under way others gather, up
to `lines_max` lines or `join_s`, and go together. A write that is kept is tried again, without
taking newcomers in; when its oldest batch is `HOLD_AFTER_S` old its batches go back to their
gateways (`kept`). After three failures that may be the fault of a line, the lines are bisected, so
that one bad line never blocks another.

Room: batches wait no longer than `HOLD_AFTER_S`; above `WAITING_LINES_MAX` lines `room` makes the
subscribers wait, and the broker keeps the rest.
"""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import Protocol

import msgspec

from ingest.bisection import bisect
from ingest.counters import Counters
from ingest.guard import Checked
from ingest.stores import Bucket, Kept, Store, Written
from ingest.stores.block import Block
from wire.batch import BatchKey
from wire.clock import Clock

HOLD_AFTER_S = 5.0
WRITES_MAX = 4
WAITING_LINES_MAX = 100_000
FAILURES_BEFORE_BISECTING = 3
RETRY_S_MIN, RETRY_S_MAX = 0.2, 2.0
_FAILURES_REMEMBERED = 1000
PROBE_LINE = "ingestor_probe,device=ingestor,gateway=ingestor,site=cloud,zone=main alive=1i"


class Taken(msgspec.Struct, eq=False):
    """A batch in hand. `settled` is set when its message may be acknowledged; `live` batches go
    before back-fill."""

    checked: Checked
    arrived_s: float
    live: bool
    settled: asyncio.Event


class Outcomes(Protocol):
    """Who is told what became of batches."""

    async def written(self, batches: Sequence[tuple[Taken, dict[int, str]]]) -> None:
        """The store has every line but these (place in `Checked.lines` → reason)."""
        ...

    async def kept(self, batches: Sequence[Taken], reason: str, retry_after_s: float) -> None:
        """The store takes nothing now: the gateways must keep these."""
        ...


class Joiner:
    """The one way to the store for readings."""

    def __init__(
        self,
        store: Store,
        outcomes: Outcomes,
        clock: Clock,
        counters: Counters,
        lines_max: int,
        join_s: float,
    ) -> None:
        self._store, self._outcomes, self._clock = store, outcomes, clock
        self._counters, self._lines_max, self._join_s = counters, lines_max, join_s
        self._live: deque[Taken] = deque()
        self._late: deque[Taken] = deque()
        self._waiting_lines = 0
        self._under_way: dict[int, float] = {}  # a write's number → when it began
        self._writes = 0
        self._failing_since: float | None = None
        self._last_success = 0.0
        self._failures: OrderedDict[BatchKey | None, int] = OrderedDict()
        self._woken = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()

    def add(self, batch: Taken) -> None:
        """Take a batch with at least one line."""
        (self._live if batch.live else self._late).append(batch)
        self._waiting_lines += len(batch.checked.lines)
        if self._waiting_lines >= WAITING_LINES_MAX:
            self._has_room.clear()
        self._woken.set()

    @property
    def has_room(self) -> bool:
        """Whether another batch may come at once."""
        return self._has_room.is_set()

    async def room(self) -> None:
        """Wait until another batch may come."""
        await self._has_room.wait()

    def failing_s(self) -> float:
        """For how long nothing was taken although something was offered; 0 when all is well."""
        since = [*self._under_way.values()]
        if self._failing_since is not None:
            since.append(self._failing_since)
        if not since:
            return 0.0
        return self._clock.monotonic() - max(min(since), self._last_success)

    def forget_failing(self) -> None:
        """The store was probed and is well: begin anew."""
        self._failing_since = None

    async def run(self) -> None:
        """Write until cancelled."""
        async with asyncio.TaskGroup() as writes:
            while True:
                self._woken.clear()
                await self._give_up_waiting()
                delay_s = self._delay_s()
                if delay_s > 0:
                    try:
                        async with asyncio.timeout(delay_s):
                            await self._woken.wait()
                    except TimeoutError:
                        pass
                    continue
                self._writes += 1
                self._under_way[self._writes] = self._clock.monotonic()
                writes.create_task(self._write(self._writes, self._take()))

    def _delay_s(self) -> float:
        """How long until the next write may begin, if nothing happens before."""
        arrivals = [queue[0].arrived_s for queue in (self._live, self._late) if queue]
        if not arrivals:
            return HOLD_AFTER_S
        if not self._under_way:
            return 0
        age_s = self._clock.monotonic() - min(arrivals)
        if len(self._under_way) >= WRITES_MAX:
            return max(HOLD_AFTER_S - age_s, 0.01)
        return 0 if self._waiting_lines >= self._lines_max else self._join_s - age_s

    def _take(self) -> list[Taken]:
        """The next write's batches: live ones first, at least one, at most `lines_max` lines."""
        group: list[Taken] = []
        lines = 0
        for queue in (self._live, self._late):
            while queue and (not group or lines + len(queue[0].checked.lines) <= self._lines_max):
                group.append(self._leave(queue))
                lines += len(group[-1].checked.lines)
        return group

    def _leave(self, queue: deque[Taken]) -> Taken:
        batch = queue.popleft()
        self._waiting_lines -= len(batch.checked.lines)
        if self._waiting_lines < WAITING_LINES_MAX:
            self._has_room.set()
        return batch

    async def _give_up_waiting(self) -> None:
        """Hold what grew old while every write was busy."""
        if len(self._under_way) < WRITES_MAX:
            return
        before = self._clock.monotonic() - HOLD_AFTER_S
        old = []
        for queue in (self._live, self._late):
            while queue and queue[0].arrived_s < before:
                old.append(self._leave(queue))
        if old:
            await self._outcomes.kept(old, "busy", 0)

    async def _write(self, number: int, group: list[Taken]) -> None:
        try:
            await self._write_until_known(group)
        finally:
            del self._under_way[number]
            self._woken.set()

    async def _write_until_known(self, group: list[Taken]) -> None:
        lines = Block.joined(batch.checked.lines for batch in group)
        hold_at = min(batch.arrived_s for batch in group) + HOLD_AFTER_S
        pause_s = RETRY_S_MIN
        while True:
            answer = await self._store_all(lines)
            if isinstance(answer, Kept) and answer.bisect and self._suspect(group):
                answer = await bisect(self._store_all, lines, answer, [_proof_of(lines[0])])
            now = self._clock.monotonic()
            if isinstance(answer, Written):
                self._failing_since, self._last_success = None, now
                if self._failures:
                    for batch in group:
                        self._failures.pop(batch.checked.key, None)
                await self._outcomes.written(_shared_out(group, answer.rejected))
                return
            self._counters.kept[answer.reason] += 1
            self._failing_since = self._failing_since or now
            wait_s = max(pause_s * random.uniform(0.8, 1.2), answer.retry_after_s)
            if now + wait_s > hold_at:
                await self._outcomes.kept(group, answer.reason, answer.retry_after_s)
                return
            await self._clock.pause(wait_s)
            pause_s = min(2 * pause_s, RETRY_S_MAX)

    async def _store_all(self, lines: Sequence[str]) -> Written | Kept:
        rejected: dict[int, str] = {}
        fits = len(lines) <= self._lines_max
        for start in range(0, len(lines), self._lines_max):
            some = lines if fits else lines[start : start + self._lines_max]
            answer = await self._store.write(Bucket.CITY, some)
            self._counters.writes += 1
            if isinstance(answer, Kept):
                return answer
            rejected |= {start + index: reason for index, reason in answer.rejected.items()}
        return Written(rejected)

    def _suspect(self, group: Sequence[Taken]) -> bool:
        """Count a failure of each batch, over re-sends too; True when one has had its three."""
        for key in {batch.checked.key for batch in group} - {None}:
            self._failures[key] = self._failures.pop(key, 0) + 1
            if len(self._failures) > _FAILURES_REMEMBERED:
                self._failures.popitem(last=False)
        most = max((self._failures.get(batch.checked.key, 0) for batch in group), default=0)
        return most >= FAILURES_BEFORE_BISECTING


def _proof_of(line: str) -> str:
    """A line of the ingestor's own, at that line's time: a database that takes this one and not
    that one is well, and its files for that day are too."""
    return f"{PROBE_LINE} {line.rpartition(' ')[2]}"


def _shared_out(
    group: Sequence[Taken], rejected: dict[int, str]
) -> list[tuple[Taken, dict[int, str]]]:
    """What was rejected of all lines, by batch."""
    shared, start = [], 0
    for batch in group:
        end = start + len(batch.checked.lines)
        own = {index - start: why for index, why in rejected.items() if start <= index < end}
        shared.append((batch, own))
        start = end
    return shared
