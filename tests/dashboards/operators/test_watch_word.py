"""Nothing needs attention only while somebody looks: the watch's own word, at the city's speed."""

from __future__ import annotations

from pathlib import Path

import pytest

from dashboards.operators.alarms import silent_after_ms, watch_said_ms
from ingest.health import point
from ingest.rules.kinds import WATCH_HEALTH
from ingest.stores import Bucket, Written
from tests.ingest.stores import databases
from tests.ingest.stores.databases import NOW_MS
from wire.clock import CityTime, SystemClock


def test_the_watchs_last_round_is_found_and_none_where_it_never_had_one(tmp_path: Path) -> None:
    async def look(store):
        assert await watch_said_ms(store, NOW_MS) == 0
        own = ("watch", "watch", "watch", "main")
        lines = [point(WATCH_HEALTH, own, {"uptime_s": 9.0}, NOW_MS - ago) for ago in (60_000, 0)]
        assert await store.write(Bucket.HEALTH, lines) == Written()
        assert await watch_said_ms(store, NOW_MS) == NOW_MS

    databases.sqlite(tmp_path).run(look)


@pytest.mark.parametrize(("rate", "seconds"), [(1.0, 180), (60.0, 1200), (0.5, 180)])
def test_a_watch_is_silent_after_three_minutes_and_in_a_fast_city_after_some_seconds_of_ours(
    rate: float, seconds: float
) -> None:
    clock = SystemClock(CityTime(0, 0, rate))
    assert silent_after_ms(clock) == pytest.approx(1000 * seconds, rel=0.01)
