"""A simulated week in each store, made once for all tests that read it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.dashboards.analysis.town import Town
from tests.dashboards.week_read import Week
from tests.ingest.stores import databases
from tests.ingest.stores.databases import NOW_MS


@pytest.fixture(
    scope="session", params=["sqlite", pytest.param("influxdb2", marks=pytest.mark.live)]
)
def week(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Week]:
    """The demo's city, the last seven days."""
    folder = tmp_path_factory.mktemp("week")
    town = Town(seed=request.config.option.seed % 1000, stop_ms=NOW_MS, days=7)
    if request.param == "sqlite":
        database = databases.sqlite(folder)
    else:
        database = databases.influx(request.getfixturevalue("influxd"), folder)
    yield Week(town, database)
