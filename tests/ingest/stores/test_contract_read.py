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


def arrived(time_ms: int, oldest_ms: int, gateway: str = "gw-1") -> str:
    """What the ingestor notes after it has stored readings."""
    return line(
        gateway, time_ms, {"oldest_ms": oldest_ms}, kind="arrival", gateway=gateway, zone="main"
    )


class Follower:
    """Looks at the changes as a page does, and holds each device's newest time."""

    def __init__(self, store, clock):
        self.store, self.clock = store, clock
        self.cursor = 0
        self.held: dict[str, int] = {}

    async def look(self, after_ms: int = 0) -> dict[str, int]:
        """What came, after so long; the newest time of each device."""
        self.clock.ms += after_ms
        new = await self.store.changes(KINDS, self.cursor)
        self.cursor = new.cursor
        came: dict[str, int] = {}
        for change in new.changes:
            device = change.row.tags["device"]
            came[device] = max(came.get(device, 0), change.row.time_ms)
        self.held |= {d: max(ms, self.held.get(d, 0)) for d, ms in came.items()}
        return came


def test_what_arrives_is_told_at_the_next_look_and_a_late_newest_within_ten_seconds(database):
    clock = HandClock()

    async def use(store):
        await write(store, line("bay-1", NOW_MS - 3 * DAY_MS), line("bay-2", NOW_MS - 500))
        follower = Follower(store, clock)
        await follower.look()
        assert follower.held == {"bay-1": NOW_MS - 3 * DAY_MS, "bay-2": NOW_MS - 500}
        await write(store, line("bay-2", NOW_MS), line("bay-2", NOW_MS - DAY_MS))
        await write(store, arrived(clock.ms, NOW_MS - DAY_MS), arrived(clock.ms + 1, NOW_MS))
        assert (await follower.look(300))["bay-2"] == NOW_MS
        await write(store, line("bay-1", NOW_MS - 2 * DAY_MS))
        await write(store, arrived(clock.ms, NOW_MS - 2 * DAY_MS))
        for _ in range(10):
            await follower.look(1000)
        assert follower.held == {"bay-1": NOW_MS - 2 * DAY_MS, "bay-2": NOW_MS}

    database.run(use, clock)


def test_a_reading_that_arrived_after_a_delay_is_told_at_the_next_look(database):
    clock = HandClock()

    async def use(store):
        await write(store, line("bay-1", NOW_MS - 3_000_000))
        follower = Follower(store, clock)
        await follower.look()
        await write(store, line("bay-1", NOW_MS - 1_500_000))
        await write(store, arrived(clock.ms, NOW_MS - 3_600_000))
        assert await follower.look(200) == {"bay-1": NOW_MS - 1_500_000}

    database.run(use, clock)


def test_what_was_told_and_is_an_hour_old_is_not_told_at_each_look(database):
    clock = HandClock()

    async def use(store):
        await write(store, line("bay-1", NOW_MS - 1_500_000))
        await write(store, arrived(clock.ms, NOW_MS - 3_600_000))
        follower = Follower(store, clock)
        await follower.look()
        assert [await follower.look(200) for _ in range(5)] == [{}] * 5

    database.run(use, clock)


def test_a_reading_with_a_time_ahead_hides_none_that_comes_after_it(database):
    clock = HandClock()

    async def use(store):
        await write(store, line("bay-1", NOW_MS - 60_000), line("bay-1", NOW_MS + 1_200_000))
        follower = Follower(store, clock)
        await follower.look()
        await write(store, line("bay-1", NOW_MS), arrived(clock.ms, NOW_MS - 3_600_000))
        new = await store.changes(KINDS, follower.cursor)
        assert NOW_MS in {change.row.time_ms for change in new.changes}

    database.run(use, clock)


def test_two_that_look_at_different_moments_are_both_told(database):
    clock = HandClock()

    async def use(store):
        await write(store, line("bay-1", NOW_MS - 1_600_000))
        one, other = Follower(store, clock), Follower(store, clock)
        await one.look()
        await other.look(100)
        await write(store, line("bay-1", NOW_MS - 1_500_000))
        await write(store, arrived(clock.ms, NOW_MS - 3_600_000))
        assert await one.look(100) == {"bay-1": NOW_MS - 1_500_000}
        assert await other.look(100) == {"bay-1": NOW_MS - 1_500_000}

    database.run(use, clock)


def test_what_nobody_noted_is_found_all_the_same(database):
    """A crash loses notes, and another program may write: half a minute, ten when it is late."""
    clock = HandClock()

    async def use(store):
        await write(store, line("bay-1", NOW_MS - 3 * DAY_MS), line("bay-2", NOW_MS - 500))
        follower = Follower(store, clock)
        await follower.look()
        await write(store, line("bay-2", NOW_MS), line("bay-1", NOW_MS - 2 * DAY_MS))
        for _ in range(6):
            await follower.look(5_000)
        assert follower.held["bay-2"] == NOW_MS
        for _ in range(20):
            await follower.look(30_000)
        assert follower.held["bay-1"] == NOW_MS - 2 * DAY_MS

    database.run(use, clock)


def test_gateways_news_in_both_buckets_are_told_at_the_next_look(database):
    clock = HandClock()
    batch: dict[str, Value] = {"sequence": 7, "readings": 60, "rejected": 0, "lag_ms": 5}

    async def use(store):
        city = await store.changes((*KINDS, "gateway_batch"), 0)
        health = await store.changes(("gateway_health", "device_registry"), 0, Bucket.HEALTH)
        await write(store, line("gw-1", NOW_MS, batch, kind="gateway_batch", zone="main"))
        await write(store, arrived(clock.ms, NOW_MS - 3_600_000))
        online = line("gw-1", NOW_MS, {"online": 1}, kind="gateway_health", zone="main")
        await write(store, online, bucket=Bucket.HEALTH)
        clock.ms += 200
        new = await store.changes((*KINDS, "gateway_batch"), city.cursor)
        assert [change.kind for change in new.changes] == ["gateway_batch"]
        new = await store.changes(("gateway_health",), health.cursor, Bucket.HEALTH)
        assert [change.row.fields for change in new.changes] == [{"online": 1}]

    database.run(use, clock)
