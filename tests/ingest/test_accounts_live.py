"""Completeness on a real InfluxDB 2: the same points as on the embedded store."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ingest.completeness import DAY_MS
from ingest.rollup import HOUR_MS
from ingest.stores.open import open_store
from tests.ingest.test_accounts import CITY, MINUTE_MS, NAME, NOON, TODAY, SetClock, Town, days
from tests.ingest.test_ingestor_live import database, settings_of
from tests.servers import Influxd

__all__ = ["database"]
pytestmark = pytest.mark.live


def test_a_gateways_day_is_counted_from_influxdb_and_closes_when_late_batches_come(
    tmp_path: Path, database: Influxd
) -> None:
    settings = settings_of(tmp_path, database)

    async def main() -> None:
        clock = SetClock(NOON)
        async with open_store(settings, clock) as store:
            town = Town(store, clock)
            await town.noted((1, TODAY - 40 * 60 * MINUTE_MS))  # nearly two days before
            await town.noted(*((n, NOON - (10 - n) * MINUTE_MS) for n in (3, 4, 6)))
            await town.heard((NOON - 9 * MINUTE_MS, 65_535), (NOON - 3 * MINUTE_MS, 1))
            town.says(7, oldest=7, oldest_ms=NOON)
            fields = (await town.day(TODAY)).fields
            assert (fields["stored"], fields["waiting"], fields["missing_ranges"]) == (3, 1, "5")
            assert (fields["share"], fields["why"]) == (0.75, "unexplained")
            assert (fields["radio_expected"], fields["radio_heard"]) == (2, 2)
            assert fields["radio_unsure"] == 1
            await town.noted((2, TODAY + 1), (5, NOON - 5 * MINUTE_MS))
            town.accounts.touch(NAME, TODAY)
            fields = (await town.day(TODAY)).fields
            assert (fields["stored"], fields["missing_ranges"], fields["share"]) == (5, "", 1.0)
            assert (fields["radio_expected"], fields["radio_unsure"]) == (2, 1)
            town.clock.at_ms += 2 * HOUR_MS  # the hole was thought to reach into the day before
            town.says(7, oldest=7, oldest_ms=NOON)
            await town.accounts.round(CITY, clock.at_ms)
            counted = await days(store)
            assert {row.fields["missing"] for row in counted.values()} == {0}
            assert {row.fields["share"] for row in counted.values()} == {1.0}
            assert counted[TODAY - DAY_MS].fields["sealed"] == 0

    asyncio.run(main())
