"""The feed on a real SQLite file: everything at start, then what is new, through outages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import msgspec

from dashboards.board import Patch
from dashboards.feed import Feed
from dashboards.states import State
from dashboards.store_file import Source, open_source
from ingest.stores import Bucket, StoreError
from ingest.stores.configuration import SqliteSettings
from ingest.stores.live import Changes
from ingest.stores.open import open_store
from tests.dashboards.small_city import bay, reading, store_lines, whole_city
from wire.clock import SystemClock

WITHIN_S = 5.0
CLOCK = SystemClock()


@asynccontextmanager
async def running(path: Path) -> AsyncIterator[tuple[Feed, asyncio.Queue[Patch]]]:
    feed = Feed(partial(open_source, SqliteSettings(path=str(path)), CLOCK), CLOCK)
    patches: asyncio.Queue[Patch] = asyncio.Queue()
    feed.listeners.add(lambda text: patches.put_nowait(msgspec.json.decode(text, type=Patch)))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(feed.run())
        yield feed, patches
        task.cancel()


async def heard(patches: asyncio.Queue[Patch], wanted: Callable[[Patch], bool]) -> Patch:
    async with asyncio.timeout(WITHIN_S):
        while not wanted(patch := await patches.get()):
            pass
    return patch


def state_in(patch: Patch, id_: str) -> State | None:
    return next((mark.state for mark in patch.marks if mark.id == id_), None)


def test_everything_is_there_at_start_and_a_new_row_is_told_at_once(tmp_path):
    async def scenario() -> None:
        path, now_ms = tmp_path / "city.db", CLOCK.now_ms()
        await store_lines(path, whole_city(now_ms))
        async with running(path) as (_, patches):
            first = await heard(patches, lambda patch: bool(patch.marks))
            assert len(first.marks) == 11
            assert len(first.readings) == 9
            stored_at = CLOCK.monotonic()
            await store_lines(path, [bay("bay-01", CLOCK.now_ms(), 0)])
            await heard(patches, lambda patch: state_in(patch, "bay-01") is State.FREE)
            assert CLOCK.monotonic() - stored_at < 1

    asyncio.run(scenario())


def test_a_field_that_only_an_older_reading_has_is_found_at_start(tmp_path):
    async def scenario() -> None:
        path, now_ms = tmp_path / "city.db", CLOCK.now_ms()
        await store_lines(path, [*whole_city(now_ms), bay("bay-05", now_ms - 60_000, 1)])
        newest = reading("bay-05", "parking_spot", now_ms - 1000, battery_v=3.6)
        await store_lines(path, [newest])
        async with running(path) as (_, patches):
            first = await heard(patches, lambda patch: state_in(patch, "bay-05") is not None)
            assert state_in(first, "bay-05") is State.OCCUPIED

    asyncio.run(scenario())


def test_a_store_that_goes_and_comes_back_is_told_and_caught_up(tmp_path):
    async def scenario() -> None:
        path, aside = tmp_path / "here" / "city.db", tmp_path / "aside"
        path.parent.mkdir()
        await store_lines(path, whole_city(CLOCK.now_ms()))
        async with running(path) as (feed, patches):
            await heard(patches, lambda patch: bool(patch.marks))
            path.parent.rename(aside)
            gone = await heard(patches, lambda patch: patch.away)
            assert len(feed.board.devices) == 11  # what it was is still shown
            await store_lines(aside / "city.db", [bay("bay-01", CLOCK.now_ms(), 0)])
            aside.rename(path.parent)
            back = await heard(patches, lambda patch: not patch.away)
            assert back.read_ms > gone.read_ms
            assert feed.board.devices["bay-01"].state is State.FREE

    asyncio.run(scenario())


def test_a_page_that_is_ended_while_its_store_goes_away_ends(tmp_path):
    async def scenario() -> None:
        await store_lines(tmp_path / "city.db", whole_city(CLOCK.now_ms()))
        settings = SqliteSettings(path=str(tmp_path / "city.db"))
        polls = 0

        class Leaving(Source):
            """The real one, until its second poll: then it is gone, and a signal comes as well."""

            async def changes(
                self, kinds: Sequence[str], cursor: int, bucket: Bucket = Bucket.CITY
            ) -> Changes:
                nonlocal polls
                polls += 1 if cursor else 0
                if polls == 2:
                    ending.cancel()
                    raise StoreError("gone")
                return await super().changes(kinds, cursor, bucket)

        @asynccontextmanager
        async def leaving() -> AsyncIterator[Source]:
            async with open_store(settings, CLOCK) as store:
                yield Leaving(store)

        async with asyncio.timeout(WITHIN_S), asyncio.TaskGroup() as group:
            ending = group.create_task(Feed(leaving, CLOCK).run())
        assert ending.cancelled()
        assert polls == 2

    asyncio.run(scenario())


def test_a_page_never_makes_the_file_and_waits_for_who_does(tmp_path):
    async def scenario() -> None:
        path = tmp_path / "city.db"
        async with running(path) as (_, patches):
            await heard(patches, lambda patch: patch.away)
            assert not path.exists()
            await store_lines(path, whole_city(CLOCK.now_ms()))
            found = await heard(patches, lambda patch: bool(patch.marks))
            assert not found.away

    asyncio.run(scenario())


def test_silence_is_told_as_a_heartbeat(tmp_path):
    async def scenario() -> None:
        path = tmp_path / "city.db"
        await store_lines(path, [])
        async with running(path) as (_, patches):
            await heard(patches, lambda patch: not patch.news and not patch.away)
            await heard(patches, lambda patch: not patch.news and not patch.away)

    asyncio.run(scenario())


def test_the_trend_counts_the_hours_before_the_page_was_opened(tmp_path):
    async def scenario() -> None:
        path, now_ms = tmp_path / "city.db", CLOCK.now_ms()
        before = [bay("bay-01", now_ms - 3_600_000 + n * 600_000, 1) for n in range(6)]
        await store_lines(path, [*whole_city(now_ms), *before])
        async with running(path) as (_, patches):
            patch = await heard(
                patches, lambda patch: patch.trend is not None and bool(patch.trend.shares)
            )
            assert patch.trend is not None
            assert 1.0 in patch.trend.shares["pasar-mahirah"]

    asyncio.run(scenario())
