"""Small batches travel together, a lone one travels at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from ingest.arrivals import Arrival
from ingest.counters import Counters
from ingest.guard import Checked, Limits, check
from ingest.joiner import LATE_LINES_MAX, Joiner, Rejections, Taken
from ingest.stores import Store
from ingest.stores.configuration import SqliteSettings
from ingest.stores.open import open_store
from tests.ingest.batches import envelope, lines
from tests.ingest.gateway import eventually
from wire.clock import SystemClock

CLOCK = SystemClock()


class Told:
    """Keeps what became of batches."""

    def __init__(self) -> None:
        self.written_lines = 0
        self.groups: list[list[Taken]] = []
        self.held: list[Taken] = []

    async def written(self, batches: Sequence[Taken], rejected: Rejections) -> None:
        assert not rejected
        self.groups.append([*batches])
        self.written_lines += sum(len(batch.checked.lines) for batch in batches)

    async def kept(self, batches: Sequence[Taken], reason: str, retry_after_s: float) -> None:
        self.held += batches


def taken(count: int, sequence: int = 1, live: bool = True) -> Taken:
    now_ms = CLOCK.now_ms()
    message = envelope(lines(count, now_ms, f"bay{sequence}"), sequence)
    checked = check(message, now_ms, Limits())
    assert isinstance(checked, Checked)
    return Taken(checked, CLOCK.monotonic(), live, Arrival(message, 0, lambda: None))


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Store]:
    async with open_store(SqliteSettings(path=str(folder / "store.db")), CLOCK) as store:
        yield store


def run(folder: Path, batches: Sequence[Taken], join_s: float = 0.1) -> tuple[Told, Counters]:
    """All batches at once through a joiner."""
    told, counters = Told(), Counters()

    async def main() -> None:
        async with opened(folder) as store, asyncio.TaskGroup() as group:
            joiner = Joiner(store, told, CLOCK, counters, 5000, join_s)
            for batch in batches:
                joiner.add(batch)
            running = group.create_task(joiner.run())
            everything = sum(len(batch.checked.lines) for batch in batches)
            await eventually(lambda: told.written_lines == everything)
            assert joiner.failing_s() == 0
            running.cancel()

    asyncio.run(main())
    return told, counters


def test_a_lone_batch_does_not_wait_for_others(tmp_path):
    # With an hour to gather, only a write at once can end this test.
    told, counters = run(tmp_path, [taken(1)], join_s=3600)
    assert (len(told.groups), counters.writes) == (1, 1)


def test_what_waits_together_is_written_together_up_to_five_thousand_lines(tmp_path):
    told, counters = run(tmp_path, [taken(60, number) for number in range(1, 201)])
    assert counters.writes == 3
    assert max(sum(len(b.checked.lines) for b in group) for group in told.groups) <= 5000


def test_live_batches_go_before_backfill(tmp_path):
    late = [taken(1000, number, live=False) for number in range(1, 11)]
    live = [taken(1000, number) for number in range(11, 16)]
    told, _ = run(tmp_path, [*late, *live])
    assert all(batch.live for batch in told.groups[0])
    assert not any(batch.live for group in told.groups[1:] for batch in group)


def test_a_batch_larger_than_a_write_goes_in_pieces(tmp_path):
    told, counters = run(tmp_path, [taken(9_999)])
    assert (len(told.groups), counters.writes) == (1, 2)


def test_what_comes_soon_after_a_write_goes_together_in_the_next(tmp_path):
    told, counters = Told(), Counters()

    async def main() -> None:
        async with opened(tmp_path) as store, asyncio.TaskGroup() as group:
            joiner = Joiner(store, told, CLOCK, counters, 5000, 0.5)
            running = group.create_task(joiner.run())
            joiner.add(taken(1, 1))
            await eventually(lambda: told.written_lines == 1)
            for number in range(2, 12):  # the store is idle, the last write just began
                joiner.add(taken(1, number))
                await asyncio.sleep(0.001)
            await eventually(lambda: told.written_lines == 11)
            running.cancel()

    asyncio.run(main())
    assert counters.writes == 2


def test_a_large_live_batch_goes_alone_and_before_backfill_that_would_fit(tmp_path):
    async def main() -> None:
        async with opened(tmp_path) as store:
            joiner = Joiner(store, Told(), CLOCK, Counters(), 5000, 0.1)
            for batch in (*late, large):
                joiner.add(batch)
            assert joiner._take() == [large]
            assert joiner._take() == late

    late = [taken(10, number, live=False) for number in range(1, 101)]
    large = taken(6_000, 101)
    asyncio.run(main())


def test_backfill_without_room_leaves_room_for_live(tmp_path):
    async def main() -> None:
        async with opened(tmp_path) as store:
            joiner = Joiner(store, Told(), CLOCK, Counters(), 5000, 0.1)
            number = 0
            while joiner.has_room(live=False):
                number += 1
                joiner.add(taken(1000, number, live=False))
            assert number * 1000 == LATE_LINES_MAX
            assert joiner.has_room(live=True)
            async with asyncio.timeout(1), asyncio.TaskGroup() as group:
                waiting = group.create_task(joiner.room(live=False))
                await joiner.room(live=True)
                running = group.create_task(joiner.run())
                await waiting  # until a write has begun
                running.cancel()

    asyncio.run(main())
