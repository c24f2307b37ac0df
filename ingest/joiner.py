"""Many small batches become few large writes.

    add ─▶ waiting (live first) ─▶ up to 4 writes under way ─▶ outcomes.written / outcomes.kept

A batch that finds the store idle is written at once. What comes within `join_s` of the last write's
begin gathers, up to `lines_max` lines, and goes together: a write costs as much as many batches. A
write that is kept is tried again, without taking newcomers in; when its oldest batch is
`HOLD_AFTER_S` old its batches go back to their gateways (`kept`). After three failures that may be
the fault of a line, the lines are bisected, so that one bad line never blocks another.

Room: batches wait no longer than `HOLD_AFTER_S`; above `LIVE_LINES_MAX`, or `LATE_LINES_MAX` for
back-fill, `room` makes that subscriber wait, and the broker keeps the rest. Back-fill has less:
what is taken in must be written within `HOLD_AFTER_S` by a slow database too. Live never waits for
back-fill.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import Protocol

import msgspec

from ingest.arrivals import Arrival
from ingest.bisection import bisect
from ingest.counters import Counters
from ingest.guard import Checked
from ingest.stores import Bucket, Kept, Store, Written
from ingest.stores.block import Block
from wire.batch import BatchKey
from wire.clock import Clock

HOLD_AFTER_S = 5.0
WRITES_MAX = 4
LIVE_LINES_MAX, LATE_LINES_MAX = 100_000, 40_000
FAILURES_BEFORE_BISECTING = 3
RETRY_S_MIN, RETRY_S_MAX = 0.2, 2.0
_FAILURES_REMEMBERED = 1000
PROBE_LINE = "ingestor_probe,device=ingestor,gateway=ingestor,site=cloud,zone=main alive=1i"


class Taken(msgspec.Struct, eq=False):
    """A batch in hand. `arrival` is settled when its message may be acknowledged; `live` batches go
    before back-fill."""

    checked: Checked
    arrived_s: float
    live: bool
    arrival: Arrival


Rejections = dict[int, dict[int, str]]
"""Place of a batch among many → place in its `Checked.lines` → reason."""


class Outcomes(Protocol):
    """Who is told what became of batches."""

    async def written(self, batches: Sequence[Taken], rejected: Rejections) -> None:
        """The store has every line but these."""
        ...

    async def kept(self, batches: Sequence[Taken], reason: str, retry_after_s: float) -> None:
        """The store takes nothing now: the gateways must keep these."""
        ...


class _Lane:
    """Batches that wait for a write, in order of arrival."""

    def __init__(self, lines_max: int) -> None:
        self.batches: deque[Taken] = deque()
        self.lines = 0
        self._lines_max = lines_max
        self.room = asyncio.Event()
        self.room.set()

    def add(self, batch: Taken) -> None:
        self.batches.append(batch)
        self.lines += batch.checked.lines.size
        if self.lines >= self._lines_max:
            self.room.clear()

    def first(self, lines_max: int, at_least_one: bool) -> list[Taken]:
        """The first ones, of so many lines at most."""
        first: list[Taken] = []
        lines, batches = 0, self.batches
        while batches:
            size = batches[0].checked.lines.size
            if lines + size > lines_max and (first or not at_least_one):
                break
            first.append(batches.popleft())
            lines += size
        self._leave(lines)
        return first

    def before(self, arrived_s: float) -> list[Taken]:
        """Those that came before that."""
        old: list[Taken] = []
        while self.batches and self.batches[0].arrived_s < arrived_s:
            old.append(self.batches.popleft())
        self._leave(sum(batch.checked.lines.size for batch in old))
        return old

    def _leave(self, lines: int) -> None:
        self.lines -= lines
        if self.lines < self._lines_max:
            self.room.set()


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
        self._live, self._late = self._lanes = _Lane(LIVE_LINES_MAX), _Lane(LATE_LINES_MAX)
        self._under_way: dict[int, float] = {}  # a write's number → when it began
        self._writes = 0
        self._began_s = -math.inf  # the last write
        self._failing_since: float | None = None
        self._last_success = 0.0
        self._failures: OrderedDict[BatchKey | None, int] = OrderedDict()
        self._woken = asyncio.Event()

    def add(self, batch: Taken) -> None:
        """Take a batch with at least one line."""
        (self._live if batch.live else self._late).add(batch)
        self._woken.set()

    def has_room(self, live: bool) -> bool:
        """Whether another batch may come at once."""
        return (self._live if live else self._late).room.is_set()

    async def room(self, live: bool) -> None:
        """Wait until another batch may come."""
        await (self._live if live else self._late).room.wait()

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
                self._under_way[self._writes] = self._began_s = self._clock.monotonic()
                writes.create_task(self._write(self._writes, self._take()))

    def _delay_s(self) -> float:
        """How long until the next write may begin, if nothing happens before."""
        arrivals = [lane.batches[0].arrived_s for lane in self._lanes if lane.batches]
        if not arrivals:
            return HOLD_AFTER_S
        now_s = self._clock.monotonic()
        if len(self._under_way) >= WRITES_MAX:
            return max(HOLD_AFTER_S - now_s + min(arrivals), 0.01)
        is_full = self._live.lines + self._late.lines >= self._lines_max
        return 0 if is_full else self._began_s + self._join_s - now_s

    def _take(self) -> list[Taken]:
        """The next write's batches: live ones first, at least one, at most `lines_max` lines."""
        group = self._live.first(self._lines_max, at_least_one=True)
        lines = sum([batch.checked.lines.size for batch in group])
        return group + self._late.first(self._lines_max - lines, at_least_one=not group)

    async def _give_up_waiting(self) -> None:
        """Hold what grew old while every write was busy."""
        if len(self._under_way) < WRITES_MAX:
            return
        before = self._clock.monotonic() - HOLD_AFTER_S
        if old := [batch for lane in self._lanes for batch in lane.before(before)]:
            await self._outcomes.kept(old, "busy", 0)

    async def _write(self, number: int, group: list[Taken]) -> None:
        try:
            await self._write_until_known(group)
        finally:
            del self._under_way[number]
            self._woken.set()

    async def _write_until_known(self, group: list[Taken]) -> None:
        lines = Block.joined([batch.checked.lines for batch in group])
        hold_at = min([batch.arrived_s for batch in group]) + HOLD_AFTER_S
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
                await self._outcomes.written(group, _shared_out(group, answer.rejected))
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


def _shared_out(group: Sequence[Taken], rejected: dict[int, str]) -> Rejections:
    """What was rejected of all lines, by batch."""
    shared: Rejections = {}
    if not rejected:
        return shared
    start = 0
    for place, batch in enumerate(group):
        end = start + batch.checked.lines.size
        own = {index - start: why for index, why in rejected.items() if start <= index < end}
        if own:
            shared[place] = own
        start = end
    return shared
