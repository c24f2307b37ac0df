"""What reading means, on both databases: each answers as the plain model does."""

from __future__ import annotations

import math
import random

import pytest

from devices.reading import Value
from ingest.stores import Aggregate, Bucket, Query, Row, StoreError
from tests.ingest.stores.databases import (
    DAY_MS,
    NOW_MS,
    HandClock,
    expected,
    line,
    query,
    tags,
    write,
)

FIELDS = ("occupied", "distance_mm", "frame_counter", "firmware", "rssi_dbm")
NUMBERS = ("occupied", "distance_mm", "frame_counter", "rssi_dbm")
SPAN_MS = 3 * DAY_MS


def draw_points(rng: random.Random, count: int) -> list[Row]:
    """Points at times of their own, so that no order is left open."""
    points = []
    for time_ms in rng.sample(range(NOW_MS - SPAN_MS, NOW_MS), count):
        device = rng.randrange(12)
        values = {
            "occupied": rng.randrange(2),
            "distance_mm": rng.randrange(-4000, 4000) / 4,
            "frame_counter": rng.randrange(2**32),
            "firmware": rng.choice(("1.0", "1.1 beta", "")),
            "rssi_dbm": float(rng.randrange(-120, -30)),
        }
        names = rng.sample(FIELDS, rng.randint(1, len(FIELDS)))
        own = tags(
            f"bay-{device}", f"gw-{rng.randrange(2)}", f"site-{device % 3}", f"z{device % 2}"
        )
        points.append(Row(time_ms, own, {name: values[name] for name in names}))
    return points


def draw_query(rng: random.Random) -> Query:
    aggregate = rng.choice((None, *Aggregate))
    texts = aggregate in (None, Aggregate.NEWEST, Aggregate.COUNT)
    names = FIELDS if texts else NUMBERS
    stepped = aggregate not in (None, Aggregate.NEWEST) and rng.random() < 0.7
    start_ms = NOW_MS - rng.randrange(SPAN_MS)
    where = {}
    if rng.random() < 0.4:
        where["site"] = tuple(rng.sample(["site-0", "site-1", "site-2", "nowhere"], 2))
    if rng.random() < 0.2:
        where["device"] = tuple(f"bay-{rng.randrange(14)}" for _ in range(5))
    return query(
        rng.sample(names, rng.randint(1, len(names))),
        start_ms=start_ms,
        stop_ms=rng.randrange(start_ms, NOW_MS + 1000),
        aggregate=aggregate,
        group=tuple(rng.sample(["device", "site", "zone", "gateway"], rng.randint(0, 3))),
        step_s=rng.choice((60, 300, 3600, 17, 86_400)) if stepped else 0,
        where=where,
        limit=rng.choice((1, 10, 100_000)),
    )


def close(found: list[Row], wanted: list[Row]) -> bool:
    """Equal but for the order in which floats were added up."""
    if [(row.time_ms, row.tags, set(row.fields)) for row in found] != [
        (row.time_ms, row.tags, set(row.fields)) for row in wanted
    ]:
        return False
    return all(
        same(mine.fields[name], value)
        for mine, theirs in zip(found, wanted, strict=True)
        for name, value in theirs.fields.items()
    )


def same(found: Value, wanted: Value) -> bool:
    if isinstance(found, float) and isinstance(wanted, float):
        return math.isclose(found, wanted, rel_tol=1e-9)
    return type(found) is type(wanted) and found == wanted


def test_random_questions_about_random_points_are_answered_as_by_the_model(database, seed):
    rng = random.Random(seed)
    points = draw_points(rng, 800)

    async def use(store):
        lines = [
            line(
                point.tags["device"],
                point.time_ms,
                point.fields,
                gateway=point.tags["gateway"],
                site=point.tags["site"],
                zone=point.tags["zone"],
            )
            for point in points
        ]
        assert await write(store, *lines) == {}
        for _ in range(150):
            asked = draw_query(rng)
            found, wanted = await store.read(asked), expected(points, asked)
            assert close(found, wanted), (asked, found[:5], wanted[:5])

    database.run(use)


def test_points_come_by_time_then_tags_with_their_four_tags(database):
    async def use(store):
        await write(
            store, line("bay-2"), line("bay-1", NOW_MS + 1), line("bay-1", zone="b"), line()
        )
        assert await store.read(query()) == [
            Row(NOW_MS, tags("bay-1"), {"occupied": 1}),
            Row(NOW_MS, tags("bay-1", zone="b"), {"occupied": 1}),
            Row(NOW_MS, tags("bay-2"), {"occupied": 1}),
            Row(NOW_MS + 1, tags("bay-1"), {"occupied": 1}),
        ]

    database.run(use)


def test_the_range_of_time_is_half_open(database):
    async def use(store):
        await write(store, *(line(time_ms=NOW_MS + i) for i in range(4)))
        rows = await store.read(query(start_ms=NOW_MS + 1, stop_ms=NOW_MS + 3))
        assert [row.time_ms - NOW_MS for row in rows] == [1, 2]
        assert await store.read(query(start_ms=NOW_MS, stop_ms=NOW_MS)) == []

    database.run(use)


def test_a_limit_keeps_the_newest(database):
    async def use(store):
        await write(store, *(line(f"bay-{i % 3}", NOW_MS + i) for i in range(10)))
        rows = await store.read(query(limit=4))
        assert [row.time_ms - NOW_MS for row in rows] == [6, 7, 8, 9]
        counted = query(aggregate=Aggregate.COUNT, group=(), step_s=60, limit=1)
        assert await store.read(counted) == [Row(NOW_MS, {}, {"occupied": 10})]

    database.run(use)


def test_the_newest_point_has_its_own_time_tags_and_fields(database):
    async def use(store):
        await write(
            store,
            line("bay-1", NOW_MS - 5, {"occupied": 1, "battery_v": 3.5}),
            line("bay-1", NOW_MS - 3, {"occupied": 0}, zone="b"),
            line("bay-1", NOW_MS - 1, {"rssi_dbm": -80.0}),
            line("bay-2", NOW_MS - 4, {"battery_v": 3.0}),
        )
        asked = query(("occupied", "battery_v"), aggregate=Aggregate.NEWEST)
        assert await store.read(asked) == [
            Row(NOW_MS - 4, tags("bay-2"), {"battery_v": 3.0}),
            Row(NOW_MS - 3, tags("bay-1", zone="b"), {"occupied": 0}),
        ]
        whole = query(("occupied", "battery_v"), aggregate=Aggregate.NEWEST, group=())
        assert await store.read(whole) == [
            Row(NOW_MS - 3, tags("bay-1", zone="b"), {"occupied": 0})
        ]

    database.run(use)


def test_a_late_point_is_not_the_newest(database):
    async def use(store):
        await write(store, line("bay-1", NOW_MS, {"occupied": 1}))
        await write(store, line("bay-1", NOW_MS - 60_000, {"occupied": 0}))
        rows = await store.read(query(aggregate=Aggregate.NEWEST))
        assert [(row.time_ms, row.fields) for row in rows] == [(NOW_MS, {"occupied": 1})]

    database.run(use)


def test_steps_start_at_whole_multiples_since_the_epoch(database):
    start_ms = NOW_MS // 600_000 * 600_000

    async def use(store):
        await write(store, line(time_ms=start_ms + 70_000), line(time_ms=start_ms + 190_000))
        asked = query(
            aggregate=Aggregate.SUM,
            step_s=60,
            start_ms=start_ms + 65_000,
            stop_ms=start_ms + DAY_MS,
        )
        assert [row.time_ms - start_ms for row in await store.read(asked)] == [60_000, 180_000]

    database.run(use)


def test_an_empty_store_answers_with_nothing(database):
    async def use(store):
        for aggregate in (None, *Aggregate):
            assert await store.read(query(aggregate=aggregate)) == []
        await write(store, line())
        assert await store.read(query(where={"device": ("bay-7",)})) == []
        assert await store.read(query(("battery_v",))) == []
        assert await store.read(query(kind="waste_container", fields=("filling_level",))) == []

    database.run(use)


DROP = 'parking_spot"; DROP MEASUREMENT "parking_spot'


@pytest.mark.parametrize(
    "asked",
    [
        query(kind=DROP),
        query(kind="parking_spot; DROP TABLE city__parking_spot"),
        query(kind="series"),
        query(('occupied", "device',)),
        query(("occupied) FROM series --",)),
        query(()),
        query(group=("device; DROP TABLE series",)),
        query(group=('device" FILL(0) --',)),
        query(where={"device' OR 'a'='a": ("x",)}),
        query(start_ms=5, stop_ms=4),
        query(start_ms=-1),
        query(limit=0),
        query(limit=10**9),
        query(step_s=-5, aggregate=Aggregate.MEAN),
        query(step_s=5),
        query(step_s=5, aggregate=Aggregate.NEWEST),
        query(step_s=1, aggregate=Aggregate.MEAN, stop_ms=NOW_MS + 400 * DAY_MS),
        query(("firmware",), aggregate=Aggregate.MEAN),
        query(bucket=Bucket.HOURLY),
    ],
)
def test_a_question_outside_the_kinds_is_refused(database, asked):
    async def use(store):
        await write(store, line())
        with pytest.raises(StoreError):
            await store.read(asked)
        assert len(await store.read(query())) == 1

    database.run(use)


def test_only_names_get_through_a_filter(database):
    evil = ("x' OR '1'='1", "bay-1') OR (1=1", "", "BAY-1", "bay-1\n", '"')

    async def use(store):
        await write(store, line("bay-1"), line("bay-2"))
        assert await store.read(query(where={"device": evil})) == []
        assert len(await store.read(query(where={"device": (*evil, "bay-2")}))) == 1
        assert await store.read(query(where={"device": ()})) == []

    database.run(use)


def test_a_filter_takes_many_names_and_no_more(database):
    async def use(store):
        await write(store, *(line(f"bay-{i}") for i in range(1500)))
        names = tuple(f"bay-{i}" for i in range(1001))
        assert len(await store.read(query(where={"device": names[:1000]}))) == 1000
        with pytest.raises(StoreError, match="more than 1000"):
            await store.read(query(where={"device": names}))

    database.run(use)


KINDS = ("parking_spot", "waste_container")


def test_the_first_changes_are_the_newest_point_of_every_device(database):
    async def use(store):
        await write(
            store,
            line("bay-1", NOW_MS - 20 * DAY_MS),
            line("bay-1", NOW_MS - 21 * DAY_MS),
            line("bin-1", NOW_MS, {"filling_level": 0.5}, kind="waste_container"),
        )
        first = await store.changes(KINDS, 0)
        assert [(new.kind, new.row) for new in first.changes] == [
            ("parking_spot", Row(NOW_MS - 20 * DAY_MS, tags("bay-1"), {"occupied": 1})),
            ("waste_container", Row(NOW_MS, tags("bin-1"), {"filling_level": 0.5})),
        ]
        with pytest.raises(StoreError):
            await store.changes(("nothing",), 0)

    database.run(use)


def test_changes_tell_what_is_new_and_late_points_that_are_their_devices_newest(database):
    clock = HandClock()

    async def use(store):
        await write(store, line("bay-1", NOW_MS - 3 * DAY_MS), line("bay-2", NOW_MS - 500))
        first = await store.changes(KINDS, 0)
        held = {new.row.tags["device"]: new.row.time_ms for new in first.changes}
        cursor = first.cursor
        clock.ms += 300
        await write(store, line("bay-2", NOW_MS), line("bay-2", NOW_MS - DAY_MS))
        now = await store.changes(KINDS, cursor)
        assert NOW_MS in {new.row.time_ms for new in now.changes}, "at the next look"
        await write(store, line("bay-1", NOW_MS - 2 * DAY_MS))
        clock.ms += 10_000
        later = await store.changes(KINDS, now.cursor)
        for new in (*now.changes, *later.changes):
            device = new.row.tags["device"]
            held[device] = max(held[device], new.row.time_ms)
        assert held == {"bay-1": NOW_MS - 2 * DAY_MS, "bay-2": NOW_MS}

    database.run(use, clock)
