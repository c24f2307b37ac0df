"""The database's tokens are replaced while readings flow: nothing stops, nothing is lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.live.line import Line, set_up
from tests.servers import Influxd
from wire.messages import Ledger

FILL_S = 6


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Influxd]:
    with Influxd(tmp_path / "influxd") as server:
        yield server


def take_back(database: Influxd, token: str) -> None:
    """As an operator does in InfluxDB, once the new one is in its file."""
    listed = json.loads(database.request("GET", "/api/v2/authorizations"))["authorizations"]
    (one,) = [each for each in listed if each["token"] == token]
    database.request("DELETE", f"/api/v2/authorizations/{one['id']}")


@pytest.mark.live
def test_tokens_are_replaced_while_readings_flow_and_nothing_is_lost(
    tmp_path: Path, database: Influxd, seed: int
) -> None:
    with ExitStack() as stack:
        line = Line(tmp_path, database, seed % 1000, stack)
        assert line.world.runs_for(FILL_S), line.world.tail()
        files = [tmp_path / name for name in ("write.token", "read.token")]
        old = [file.read_text().strip() for file in files]
        for file in files:
            file.unlink()
        set_up(tmp_path, database, line.toml)
        new = [file.read_text().strip() for file in files]
        assert set(old).isdisjoint(new)
        for token in old:
            take_back(database, token)
        assert line.world.runs_for(FILL_S), line.world.tail()
        ledgers = line.settle()
        points = asyncio.run(line.points())
        whole = sum(ledgers, Ledger())
        assert whole.balanced
        assert (whole.waiting, whole.rejected, whole.dropped) == (0, {}, {})
        assert whole.accepted == whole.stored == sum(map(len, points.values())) > 50
        for process in (line.ingestor, line.watch):
            assert process.exit_code is None
            said = process.log.read_text()
            assert not any(token in said for token in (*old, *new, database.token))
