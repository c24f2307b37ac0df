"""What the registry calls removed, read from either store: no lorry, no mark on the map."""

from __future__ import annotations

from pathlib import Path

import pytest

from dashboards.board import Board
from dashboards.collection import collection
from dashboards.feed import HEALTH_KINDS
from dashboards.round_configuration import RoundSettings, Unknown
from ingest.stores import Bucket
from ingest.stores.live import LiveStore
from tests.dashboards.small_city import place, reading, removal, write_changes
from tests.ingest.stores import databases
from tests.ingest.stores.databases import NOW_MS, Database

BINS = ("bin-01", "bin-02")
VISIT = RoundSettings(unknown=Unknown.VISIT)


@pytest.fixture(params=["sqlite", pytest.param("influxdb2", marks=pytest.mark.live)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    if request.param == "sqlite":
        return databases.sqlite(tmp_path)
    return databases.influx(request.getfixturevalue("influxd"), tmp_path)


def test_no_lorry_is_sent_to_a_bin_that_was_taken_away(database: Database) -> None:
    async def play(store: LiveStore) -> None:
        await write_changes(
            store,
            [
                *(place(name, "waste_container", NOW_MS - 9000) for name in BINS),
                *(
                    reading(name, "waste_container", NOW_MS - 5000, filling_level=0.95)
                    for name in BINS
                ),
            ],
        )
        found = await collection(store, VISIT, {}, NOW_MS)
        assert (found.bins, [stop.name for stop in found.stops]) == (2, ["bin-01", "bin-02"])
        await write_changes(store, [removal("bin-01", NOW_MS - 1000)])
        found = await collection(store, VISIT, {}, NOW_MS)
        assert (found.bins, [stop.name for stop in found.stops]) == (1, ["bin-02"])
        assert found.skipped == {}

    database.run(play)


def test_a_page_that_opens_on_either_store_shows_what_is_there(database: Database) -> None:
    async def play(store: LiveStore) -> None:
        places = [place(name, "waste_container", NOW_MS - 9000) for name in BINS]
        gone = [removal("bin-01", NOW_MS - 1000), removal("bin-02", NOW_MS - 1000, zone="barat")]
        back = [place("bin-02", "waste_container", NOW_MS - 999)]
        await write_changes(store, [*places, *gone, *back])
        board = Board()
        board.apply((await store.changes(HEALTH_KINDS, 0, Bucket.HEALTH)).changes, NOW_MS)
        assert [mark.id for mark in board.snapshot(NOW_MS).marks] == ["bin-02"]

    database.run(play)
