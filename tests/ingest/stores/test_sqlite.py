"""What is the embedded store's own: one file, many processes, a disk that can say no."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from ingest.stores import Bucket, Kept, StoreError, Written
from ingest.stores.configuration import SqliteSettings
from ingest.stores.open import open_store
from ingest.stores.sqlite_file import CHANGES_MAX
from tests.ingest.stores import databases
from tests.ingest.stores.databases import CLOCK, DAY_MS, NOW_MS, line, query, write
from wire.clock import CityTime, SystemClock

ROOT = Path(__file__).parents[3]
WRITER = """
import asyncio, sys
from ingest.stores import Bucket, Written
from ingest.stores.configuration import SqliteSettings
from ingest.stores.open import open_store
from wire.clock import SystemClock

async def main(path, device, start_ms, count):
    async with open_store(SqliteSettings(path=path, busy_timeout_s=60), SystemClock()) as store:
        for i in range(count):
            tags = f"device={device},gateway=gw-1,site=pasar,zone=a"
            lines = [f"parking_spot,{tags} occupied=1i {start_ms + i * 10 + k}" for k in range(10)]
            assert await store.write(Bucket.CITY, lines) == Written()
            print(i, flush=True)

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
"""


def writer(path: Path, device: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(path), device, str(NOW_MS), str(count)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def database(tmp_path):
    return databases.sqlite(tmp_path)


def test_processes_that_start_at_once_share_the_file(database):
    path = Path(database.settings.path)
    writers = [writer(path, f"bay-{i}", 20) for i in range(6)]
    for process in writers:
        process.communicate()
    assert [process.returncode for process in writers] == [0] * 6

    async def use(store):
        assert len(await store.read(query())) == 6 * 20 * 10

    database.run(use)


def test_what_was_written_survives_the_writer_being_killed(database):
    process = writer(Path(database.settings.path), "bay-1", 100_000)
    assert process.stdout
    for told in process.stdout:
        if int(told) == 25:
            process.kill()
            break
    told_last = max([25, *map(int, process.stdout)])
    process.wait()

    async def use(store):
        rows = await store.read(query())
        assert len(rows) % 10 == 0, "a batch is there whole or not at all"
        assert len(rows) >= (told_last + 1) * 10
        assert await store.write(Bucket.CITY, [line("bay-2")]) == Written()

    database.run(use)


def test_a_file_locked_by_another_keeps_the_lines_and_can_still_be_read(database):
    async def use(store):
        await write(store, line())
        with closing(sqlite3.connect(database.settings.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            for fate in (await store.write(Bucket.CITY, [line("bay-2")]), await store.probe()):
                assert isinstance(fate, Kept)
                assert fate.reason == "timeout"
            assert len(await store.read(query())) == 1
            other.execute("ROLLBACK")
        assert await store.probe() is None
        assert await store.write(Bucket.CITY, [line("bay-2")]) == Written()
        assert len(await store.read(query())) == 2

    database.run(use)


def test_a_full_disk_keeps_the_lines(database):
    many = [line(f"bay-{i}", NOW_MS + k) for i in range(50) for k in range(100)]

    async def use(store):
        async def allow(pages):
            # SQLite's own ceiling stands for the disk's; it lives in the store's connection.
            await store._in_thread(store._file._all, f"PRAGMA max_page_count = {pages}")

        await write(store, line())
        await allow(1)
        fate = await store.write(Bucket.CITY, many)
        assert isinstance(fate, Kept)
        assert fate.reason == "server_error"
        assert "disk is full" in fate.detail
        assert len(await store.read(query())) == 1
        await allow(1_000_000)
        assert await store.write(Bucket.CITY, many) == Written()
        assert len(await store.read(query())) == 5000, "the first one is among them"

    database.run(use)


def test_a_rolled_back_write_leaves_no_series_remembered(database):
    async def use(store):
        with closing(sqlite3.connect(database.settings.path, isolation_level=None)) as other:
            other.execute(
                "CREATE TRIGGER no BEFORE INSERT ON city__parking_spot "
                "BEGIN SELECT RAISE(ABORT, 'no'); END"
            )
            assert isinstance(await store.write(Bucket.CITY, [line("bay-1")]), Kept)
            other.execute("DROP TRIGGER no")
        assert await store.write(Bucket.CITY, [line("bay-2"), line("bay-1")]) == Written()
        rows = await store.read(query())
        assert [row.tags["device"] for row in rows] == ["bay-1", "bay-2"]

    database.run(use)


def test_a_field_that_is_new_in_this_version_becomes_a_column(database):
    async def nothing(store):
        await write(store, line())

    database.run(nothing)
    with closing(sqlite3.connect(database.settings.path, isolation_level=None)) as other:
        other.execute("ALTER TABLE city__parking_spot DROP COLUMN distance_mm")
        other.execute("DROP TABLE city__waste_container")

    async def use(store):
        await write(
            store,
            line(fields={"distance_mm": 5.0}),
            line("bin-1", fields={"filling_level": 0.5}, kind="waste_container"),
        )
        rows = await store.read(query(("occupied", "distance_mm")))
        assert [row.fields for row in rows] == [{"occupied": 1, "distance_mm": 5.0}]

    database.run(use)


def test_a_field_whose_type_changed_is_refused(database):
    async def nothing(store):
        pass

    database.run(nothing)
    with closing(sqlite3.connect(database.settings.path, isolation_level=None)) as other:
        other.execute("ALTER TABLE city__parking_spot DROP COLUMN distance_mm")
        other.execute("ALTER TABLE city__parking_spot ADD COLUMN distance_mm TEXT")
    with pytest.raises(StoreError, match="distance_mm is TEXT, not REAL"):
        database.run(nothing)


def test_a_file_that_is_not_ours_is_refused_and_left_alone(tmp_path):
    def opened(path):
        async def main():
            async with open_store(SqliteSettings(path=str(path)), CLOCK):
                pass

        asyncio.run(main())

    text, theirs, newer = tmp_path / "text", tmp_path / "theirs", tmp_path / "newer"
    text.write_text("not a database, but long enough to be looked at" * 100)
    with closing(sqlite3.connect(theirs)) as other:
        other.execute("CREATE TABLE bills (sum INTEGER)")
    opened(newer)
    with closing(sqlite3.connect(newer)) as other:
        other.execute("PRAGMA user_version = 99")
    for path, why in ((text, "another file"), (theirs, "another program"), (newer, "newer")):
        before = path.read_bytes()
        with pytest.raises(StoreError, match=why):
            opened(path)
        if path is not theirs:
            assert path.read_bytes() == before
    with pytest.raises(StoreError, match="folder"):
        opened(tmp_path / "nowhere" / "store.db")


def test_an_unknown_field_or_kind_is_rejected_with_its_reason(database):
    lines = [
        line("bay-1"),
        line("bay-2", fields={"colour": "red"}),
        line("bay-3", kind="car"),
        line("bay-4", fields={"occupied": 1, "colour": 3}),
        line("bay-5", fields={"quality": "superb"}),
    ]

    async def use(store):
        assert await write(store, *lines) == {
            1: "unknown_field",
            2: "unknown_kind",
            3: "unknown_field",
            4: "grammar",
        }
        assert len(await store.read(query())) == 1

    database.run(use)


def test_pruning_removes_what_is_too_old_and_nothing_else(tmp_path):
    settings = databases.sqlite(tmp_path).settings
    assert isinstance(settings, SqliteSettings)
    later = SystemClock(CityTime(0, 20 * DAY_MS))

    async def main():
        async with open_store(settings, CLOCK) as store:
            old = [line(f"bay-{i % 7}", NOW_MS - 20 * DAY_MS - i) for i in range(7000)]
            await write(store, *old, line("bay-1"))
            await write(store, line("bay-1"), bucket=Bucket.HEALTH)
            assert await store.prune() == 0
        async with open_store(settings, later) as store:
            assert await store.prune() == 7001
            assert await store.prune() == 0
            assert [row.time_ms for row in await store.read(query(start_ms=0))] == [NOW_MS]
            assert await store.read(query(bucket=Bucket.HEALTH)) == []

    asyncio.run(main())


def test_changes_come_once_and_who_is_far_behind_gets_the_newest(database):
    async def use(store):
        await write(store, line("bay-1"))
        kinds = ("parking_spot",)
        cursor = (await store.changes(kinds, 0)).cursor
        assert (await store.changes(kinds, cursor)).changes == []
        await write(store, line("bay-1"))
        assert (await store.changes(kinds, cursor)).changes == [], "the same point again"
        await write(store, line("bay-2", NOW_MS - DAY_MS), line("bay-1", fields={"snr_db": 3.0}))
        changes = await store.changes(kinds, cursor)
        assert [(new.row.tags["device"], new.row.fields) for new in changes.changes] == [
            ("bay-2", {"occupied": 1}),
            ("bay-1", {"occupied": 1, "snr_db": 3.0}),
        ]
        await write(store, *(line("bay-3", NOW_MS + i) for i in range(CHANGES_MAX + 1)))
        behind = await store.changes(kinds, changes.cursor)
        assert [new.row.time_ms - NOW_MS for new in behind.changes] == [-DAY_MS, 0, CHANGES_MAX]
        assert len((await store.changes(kinds, 10**9)).changes) == 3, "the cursor of another file"

    database.run(use)


def test_the_loop_is_free_while_the_file_is_busy(database):
    async def use(store):
        with closing(sqlite3.connect(database.settings.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            async with asyncio.TaskGroup() as group:
                task = group.create_task(store.write(Bucket.CITY, [line()]))
                turns = 0
                while not task.done():
                    await asyncio.sleep(0)
                    turns += 1
        assert isinstance(task.result(), Kept)
        assert turns > 10

    database.run(use)
