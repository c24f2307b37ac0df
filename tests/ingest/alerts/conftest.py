"""Every test that takes `database` runs on both; the one on a real InfluxDB 2 is `live`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ingest.stores import databases
from tests.ingest.stores.databases import Database


@pytest.fixture(params=["sqlite", pytest.param("influxdb2", marks=pytest.mark.live)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    if request.param == "sqlite":
        return databases.sqlite(tmp_path)
    # Asked for by name, so that a run without influxd needs none.
    return databases.influx(request.getfixturevalue("influxd"), tmp_path)


@pytest.fixture
def sqlite(tmp_path: Path) -> Database:
    return databases.sqlite(tmp_path)
