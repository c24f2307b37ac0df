"""What writing means, on both databases."""

from __future__ import annotations

import random

import pytest

from ingest.stores import Aggregate, Bucket, Row, StoreError, Written
from ingest.stores.points import kinds_of
from tests.ingest.stores.databases import (
    DAY_MS,
    NOW_MS,
    line,
    one_of_each,
    query,
    tags,
    write,
)


@pytest.mark.parametrize("bucket", Bucket)
def test_every_kind_comes_back_as_it_was_written(database, bucket):
    kinds = kinds_of(bucket)

    async def use(store):
        lines = [line(fields=one_of_each(kind), kind=name) for name, kind in kinds.items()]
        assert await write(store, *lines, bucket=bucket) == {}
        for name, kind in kinds.items():
            fields = one_of_each(kind)
            asked = query(tuple(fields), kind=name, bucket=bucket)
            assert await store.read(asked) == [Row(NOW_MS, tags("bay-1"), fields)]
            found = (await store.read(asked))[0].fields
            assert [type(found[name]) for name in fields] == [type(v) for v in fields.values()]

    database.run(use)


def test_what_is_in_one_bucket_is_not_in_another(database):
    async def use(store):
        await write(store, line("bay-1"), bucket=Bucket.CITY)
        await write(store, line("bay-2"), bucket=Bucket.HEALTH)
        for bucket, device in ((Bucket.CITY, "bay-1"), (Bucket.HEALTH, "bay-2")):
            rows = await store.read(query(bucket=bucket))
            assert [row.tags["device"] for row in rows] == [device]

    database.run(use)


def test_writing_again_changes_nothing(database):
    lines = [line(f"bay-{i}", NOW_MS - i * 1000) for i in range(50)]

    async def use(store):
        await write(store, *lines)
        once = await store.read(query())
        assert await write(store, *lines, *lines) == {}
        await write(store, *reversed(lines))
        assert await store.read(query()) == once
        assert len(once) == 50

    database.run(use)


def test_a_point_written_in_parts_has_all_its_fields(database):
    async def use(store):
        await write(store, line(fields={"occupied": 1, "battery_v": 3.5}))
        await write(store, line(fields={"battery_v": 3.25, "rssi_dbm": -90.0}))
        rows = await store.read(query(("battery_v", "occupied", "rssi_dbm")))
        assert [row.fields for row in rows] == [
            {"occupied": 1, "battery_v": 3.25, "rssi_dbm": -90.0}
        ]

    database.run(use)


def test_of_a_point_twice_in_a_batch_the_later_wins(database):
    async def use(store):
        await write(
            store, line(fields={"occupied": 0, "snr_db": 1.0}), line(fields={"occupied": 1})
        )
        rows = await store.read(query(("occupied", "snr_db")))
        assert [row.fields for row in rows] == [{"occupied": 1, "snr_db": 1.0}]

    database.run(use)


def test_points_that_differ_in_one_tag_are_different_points(database):
    lines = [
        line(),
        line(gateway="gw-2"),
        line(site="masjid"),
        line(zone="b"),
        line("bay-2"),
        line(time_ms=NOW_MS + 1),
    ]

    async def use(store):
        await write(store, *lines)
        rows = await store.read(query(aggregate=Aggregate.COUNT, group=()))
        assert rows == [Row(NOW_MS - DAY_MS, {}, {"occupied": 6})]

    database.run(use)


def test_a_type_conflict_rejects_only_that_line(database):
    lines = [
        line("bay-1", fields={"occupied": 1}),
        line("bay-2", fields={"occupied": 1.5}),
        line("bay-3", fields={"occupied": "yes"}),
        line("bay-4", fields={"distance_mm": 3}),
        line("bay-5", fields={"distance_mm": 3.0, "occupied": 0}),
        line("bay-6", fields={"battery_v": 3.0, "occupied": "no"}),
    ]

    async def use(store):
        await write(store, line("bay-0", fields={"occupied": 1, "distance_mm": 2.0}))
        rejected = await write(store, *lines)
        assert rejected == dict.fromkeys((1, 2, 3, 5), "type_conflict")
        rows = await store.read(query(("occupied", "distance_mm", "battery_v")))
        assert [row.tags["device"] for row in rows] == ["bay-0", "bay-1", "bay-5"]

    database.run(use)


def test_a_whole_batch_of_conflicts_is_rejected_and_nothing_else(database):
    async def use(store):
        await write(store, line(fields={"occupied": 1}))
        bad = [line(f"bay-{i}", fields={"occupied": float(i) + 0.5}) for i in range(3000)]
        assert await write(store, *bad) == dict.fromkeys(range(3000), "type_conflict")
        assert len(await store.read(query())) == 1

    database.run(use)


def test_an_unknown_field_never_comes_back(database):
    async def use(store):
        good, odd = line("bay-1"), line("bay-2", fields={"colour": "red"})
        await write(store, good, odd)
        assert [row.tags["device"] for row in await store.read(query())] == ["bay-1"]
        with pytest.raises(StoreError, match="no field 'colour'"):
            await store.read(query(("colour",)))

    database.run(use)


def test_a_line_older_than_the_bucket_keeps_is_rejected(database):
    lines = [
        line("bay-1", NOW_MS),
        line("bay-2", NOW_MS - 31 * DAY_MS),
        line("bay-3", NOW_MS - 29 * DAY_MS),
        line("bay-4", NOW_MS - 400 * DAY_MS),
    ]

    async def use(store):
        assert await write(store, *lines) == {1: "retention", 3: "retention"}
        rows = await store.read(query(start_ms=0))
        assert [row.tags["device"] for row in rows] == ["bay-3", "bay-1"]

    database.run(use)


BAD = [
    "",
    " ",
    "#comment",
    "parking_spot",
    line().rpartition(" ")[0],
    line(time_ms=17),
    line("bay-9") + "\n" + line("bay-9", NOW_MS + 1),
    line().replace("occupied=1i", "occupied="),
    line().replace("occupied=1i", "battery_v=1e999"),
    line().replace("occupied=1i", "battery_v=NaN"),
    line().replace("occupied=1i", "frame_counter=9999999999999999999i"),
    line().replace("occupied=1i", 'firmware="no end'),
    line("b\u00e4y"),
    line("bay\ud800"),
    "\x00",
]


def test_bad_lines_among_good_ones_are_named_and_hold_nobody_up(database, seed):
    lines = [(line(f"bay-{i}", NOW_MS + i), False) for i in range(500)]
    lines += [(bad, True) for bad in BAD]
    random.Random(seed).shuffle(lines)

    async def use(store):
        rejected = await write(store, *(text for text, _ in lines))
        assert rejected == {i: "grammar" for i, (_, bad) in enumerate(lines) if bad}
        rows = await store.read(query())
        assert sorted(row.tags["device"] for row in rows) == sorted(f"bay-{i}" for i in range(500))

    database.run(use)


def test_bad_lines_of_every_kind_in_one_batch(database):
    lines = [
        line("bay-1"),
        line("bay-2", fields={"occupied": 0.5}),
        line("bay-3", NOW_MS - 300 * DAY_MS),
        line("bay-4").replace("1i", ""),
        line("bay-5", NOW_MS - 20 * DAY_MS),
        line("bay-6", NOW_MS - 300 * DAY_MS, {"occupied": 0.5}),
    ]

    async def use(store):
        await write(store, line("bay-0"), line("bay-0", NOW_MS - 20 * DAY_MS))
        rejected = await write(store, *lines)
        assert rejected.pop(5) in ("retention", "type_conflict")
        assert rejected == {1: "type_conflict", 2: "retention", 3: "grammar"}
        rows = await store.read(query(start_ms=0))
        assert {row.tags["device"] for row in rows} == {"bay-0", "bay-1", "bay-5"}

    database.run(use)


def test_large_batches_are_stored_whole(database):
    async def use(store):
        for day, size in enumerate((5_000, 12_001)):
            start_ms = NOW_MS - (day + 1) * DAY_MS
            lines = [line(f"bay-{i % 100}", start_ms + i) for i in range(size)]
            assert await store.write(Bucket.CITY, lines) == Written()
            asked = query(start_ms=start_ms, stop_ms=start_ms + size)
            assert len(await store.read(asked)) == size

    database.run(use)


def test_nothing_to_write_is_written(database):
    async def use(store):
        assert await store.write(Bucket.CITY, []) == Written()
        assert await store.probe() is None

    database.run(use)


def test_a_store_keeps_its_points_when_it_is_closed_and_opened(database):
    async def first(store):
        await write(store, line())

    async def second(store):
        assert len(await store.read(query())) == 1

    database.run(first)
    database.run(second)
