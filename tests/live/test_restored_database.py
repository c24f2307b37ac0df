"""A database that lost what it had is filled again from what the gateways still hold."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ingest.stores import Row
from tests.live.line import Line, set_up
from tests.servers import Influxd
from wire.messages import Ledger

FILL_S = 25
RESEND_S = 30
_Points = set[tuple[str, int, str]]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Influxd]:
    with Influxd(tmp_path / "influxd") as server:
        yield server


def as_set(points: dict[str, list[Row]]) -> _Points:
    """Every point with all that it says; a point stored twice would still be two rows."""
    rows = [row for rows in points.values() for row in rows]
    found = {
        (row.tags["device"], row.time_ms, json.dumps([row.tags, row.fields], sort_keys=True))
        for row in rows
    }
    assert len(found) == len(rows), "a point is there twice"
    return found


def until(points: _Points, last_ms: int) -> _Points:
    """Those up to then: a gateway that runs to send again also notes that its WiFi is down."""
    return {point for point in points if point[1] <= last_ms}


def iso(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat()


def resend(line: Line, since: str) -> list[Ledger]:
    """`gampong outbox resend` on each stopped gateway; they run until all is stored again."""
    for path in line.gateways:
        words = [sys.executable, "-m", "gampong", "outbox", "resend", str(path), "--since", since]
        done = subprocess.run(words, capture_output=True, text=True, timeout=RESEND_S, check=False)
        assert done.returncode == 0, done.stderr
    for agent in line.agents:
        agent.log.unlink()  # what it said before isn't what is waited for
        agent.start()
        agent.said("event=started")
    return line.end_agents()


@pytest.mark.live
def test_a_database_that_lost_a_day_or_everything_is_filled_again_by_the_gateways(
    tmp_path: Path, database: Influxd, seed: int
) -> None:
    with ExitStack() as stack:
        line = Line(tmp_path, database, seed % 1000, stack)
        assert line.world.runs_for(FILL_S), line.world.tail()
        stored = sum(line.settle(), Ledger()).stored
        before = as_set(asyncio.run(line.points()))
        times = sorted(time_ms for _, time_ms, _ in before)
        assert len(before) == stored > 150

        start, stop = iso(times[len(times) // 3]), iso(times[2 * len(times) // 3])
        window = json.dumps({"start": start, "stop": stop}).encode()
        where = {"org": database.org, "bucket": "city"}
        database.request("POST", "/api/v2/delete", window, where)
        lost = before - as_set(asyncio.run(line.points()))
        assert len(lost) > stored / 4
        ledgers = resend(line, start)
        after = as_set(asyncio.run(line.points()))
        assert until(after, times[-1]) == before
        assert sum(ledgers, Ledger()).stored == len(after)

        bucket = json.loads(database.request("GET", "/api/v2/buckets", query={"name": "city"}))
        database.request("DELETE", f"/api/v2/buckets/{bucket['buckets'][0]['id']}")
        set_up(tmp_path, database, line.toml)
        assert as_set(asyncio.run(line.points())) == set()
        ledgers = resend(line, iso(times[0] - 1000))
        after = as_set(asyncio.run(line.points()))
    assert until(after, times[-1]) == before
    assert sum(ledgers, Ledger()).stored == len(after)
    assert all(ledger.balanced for ledger in ledgers)
