"""The whole line on real mosquitto and InfluxDB 2, with everything killed that can be killed.

A simulated city (two gateways, 72 devices) runs in fast motion. At random moments an agent, the
ingestor or the cloud's broker gets `kill -9`; the broker comes back empty. The network server's
uplinks come over a site broker of their own, which stays up and keeps the agents' sessions. At the
end every accepted reading is in InfluxDB exactly once: counted by InfluxQL against the agents'
ledgers, and, for uplinks, against what the city says it sent.

`GAMPONG_LIVE_SECONDS` (wall) makes it longer than CI's. `make chaos` does worse than killing.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.line.listening import until
from tests.live.line import Line
from tests.processes import Gampong
from tests.servers import Influxd, Mosquitto
from wire.messages import Ledger

SECONDS = float(os.environ.get("GAMPONG_LIVE_SECONDS", "60"))
BETWEEN_KILLS_S = (1.5, 5.0)
DOWN_S = (0.0, 3.0)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Influxd]:
    with Influxd(tmp_path / "influxd") as server:
        yield server


def kill_something(line: Line, draw: random.Random) -> str:
    """kill -9 of one part, back after a while; what it was."""
    parts: list[Gampong | Mosquitto] = [*line.agents, line.ingestor, line.cloud]
    victim = draw.choice(parts)
    starts = _starts(victim)
    victim.kill()
    line.world.runs_for(draw.uniform(*DOWN_S))
    victim.start()
    if victim in line.agents:  # an agent that is told to end before it listens to signals is killed
        until(lambda: _starts(victim) > starts, f"{victim.name} has started", 30.0)
    return victim.name if isinstance(victim, Gampong) else "broker"


def _starts(part: Gampong | Mosquitto) -> int:
    return part.log.read_text(errors="replace").count("event=started ")


@pytest.mark.live
def test_every_accepted_reading_is_in_influxdb_exactly_once_whatever_was_killed(
    tmp_path: Path, database: Influxd, seed: int
) -> None:
    draw = random.Random(seed)
    killed: list[str] = []
    with ExitStack() as stack:
        line = Line(tmp_path, database, seed % 1000, stack)
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            assert line.world.runs_for(draw.uniform(*BETWEEN_KILLS_S)), line.world.tail()
            killed.append(kill_something(line, draw))
        ledgers = line.settle()
        total = sum(ledgers, Ledger())
        compared = asyncio.run(line.comparison())
        bays = line.stored_by_influxql("parking_spot", "occupied")
        bins = line.stored_by_influxql("waste_container", "filling_level")
    print(f"killed {len(killed)}: {killed}\nledger {total}\ncomparison {compared}")
    assert compared.words == []
    assert [ledger.balanced for ledger in ledgers] == [True] * len(ledgers)
    assert (total.waiting, total.open, total.dropped, total.rejected) == (0, 0, {}, {})
    assert compared.stored == total.stored == total.accepted
    assert compared.uplinks_sent > 50
    assert 0 < bays + bins <= total.stored
