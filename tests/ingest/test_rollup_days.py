"""A day is its hours together, by the city's calendar, and right again after one without a link."""

from __future__ import annotations

import asyncio
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from ingest.rollup import HOUR_MS, hour_of
from ingest.rollup_days import day_lines, day_span, local_day
from ingest.stores import Bucket, Query, Row
from ingest.stores.kinds import HOUR_KINDS
from ingest.stores.live import LiveStore
from ingest.stores.points import LineReader
from ingest.watch import Watch
from tests.ingest.batches import line
from tests.ingest.gateway import Gateway, configuration, eventually, ingesting
from tests.servers import Mosquitto
from wire.clock import SystemClock
from wire.topics import Leaf

JAKARTA = ZoneInfo("Asia/Jakarta")
TAGS = {"device": "bay-1", "gateway": "gw-1", "site": "pasar", "zone": "a"}
DAY = date(2026, 11, 2)


def test_a_day_begins_at_local_midnight() -> None:
    start_ms, stop_ms = day_span(DAY, JAKARTA)
    assert local_day(start_ms, JAKARTA) == DAY
    assert local_day(start_ms - 1, JAKARTA) == date(2026, 11, 1)
    assert start_ms % (24 * HOUR_MS) == 17 * HOUR_MS  # 00:00 WIB is 17:00 UTC
    assert stop_ms - start_ms == 24 * HOUR_MS


def test_a_days_mean_is_that_of_the_hours_of_which_something_is_known() -> None:
    start_ms, _ = day_span(DAY, JAKARTA)
    hours = [
        Row(
            start_ms + hour * HOUR_MS,
            TAGS,
            {"occupied_mean": mean, "occupied_min": 0.0, "occupied_max": 1.0, "occupied_count": 3},
        )
        for hour, mean in ((6, 0.2), (9, 1.0))
    ]
    (text,) = day_lines(HOUR_KINDS["parking_spot"], hours, start_ms)
    point = LineReader(Bucket.HOURLY).read(text)
    assert (point.kind, point.time_ms) == ("parking_spot_day", start_ms)
    assert point.fields["occupied_mean"] == pytest.approx(0.6)
    assert point.fields["occupied_count"] == 6


def test_hours_and_days_are_right_after_24_hours_without_a_link(tmp_path: Path) -> None:
    """A bay is taken in the first half of every odd hour. All of it comes a day late, in any
    order, after the hours have been rolled up without it."""
    clock = SystemClock()
    first = hour_of(clock.now_ms()) - 30 * HOUR_MS
    expected = {first + number * HOUR_MS: 0.5 * (number % 2) for number in range(24)}

    async def main() -> None:
        with Mosquitto(tmp_path / "mosquitto") as broker:
            settings = configuration(tmp_path, broker)
            async with (
                ingesting(settings) as (ingestor, store),
                Gateway(broker, "mahirah-01") as gateway,
            ):
                watch = Watch(store, clock, tmp_path / "registry.json", zone=JAKARTA)
                await watch.round(clock.now_ms())
                assert await means(store, "parking_spot") == {}
                order = list(expected)
                order = [*order[1::2], *order[::2]]
                for sequence, hour in enumerate(order, 1):
                    taken = int(expected[hour] > 0)
                    lines = [
                        line("bay-1", hour, occupied=taken),
                        line("bay-1", hour + HOUR_MS // 2, occupied=0),
                    ]
                    gateway.send(lines, sequence, Leaf.BACKFILL)
                    await gateway.fate(sequence)
                    if sequence == 12:
                        await eventually(lambda: ingestor.idle, "the notes are written")
                        await watch.round(clock.now_ms())
                await eventually(lambda: ingestor.idle, "the notes are written")
                await watch.round(clock.now_ms())
                assert await means(store, "parking_spot") == pytest.approx(expected)
                assert await means(store, "parking_spot_site") == pytest.approx(expected)
                for kind in ("parking_spot_day", "parking_spot_site_day"):
                    days = await means(store, kind)
                    assert days == pytest.approx(days_of(expected))

    asyncio.run(main())


def days_of(hours: dict[int, float]) -> dict[int, float]:
    found: dict[int, list[float]] = {}
    for hour, mean in hours.items():
        found.setdefault(day_span(local_day(hour, JAKARTA), JAKARTA)[0], []).append(mean)
    return {start: sum(values) / len(values) for start, values in found.items()}


async def means(store: LiveStore, kind: str) -> dict[int, float]:
    query = Query(
        kind=kind,
        fields=("occupied_mean",),
        start_ms=0,
        stop_ms=SystemClock().now_ms(),
        bucket=Bucket.HOURLY,
    )
    return {row.time_ms: float(row.fields["occupied_mean"]) for row in await store.read(query)}
