"""The whole line on real mosquitto and InfluxDB 2, with everything killed that can be killed.

A simulated city (two gateways, 72 devices) runs in fast motion. At random moments an agent, the
ingestor or the cloud's broker gets `kill -9`; the broker comes back empty. The network server's
uplinks come over a site broker of their own, which stays up and keeps the agents' sessions. At the
end every accepted reading is in InfluxDB exactly once: counted by InfluxQL against the agents'
ledgers, and, for uplinks, against what the city says it sent.

`GAMPONG_LIVE_SECONDS` (wall) makes it longer than CI's.
"""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import msgspec
import pytest

from gampong.truth import Comparison, compare, read_truth, stored_points, uplinks_due
from ingest.stores.configuration import InfluxSettings
from ingest.stores.open import open_store
from tests.processes import Gampong
from tests.servers import Influxd, Mosquitto
from wire.clock import CityTime, SystemClock
from wire.messages import Ledger

SECONDS = float(os.environ.get("GAMPONG_LIVE_SECONDS", "60"))
SPEED = 30
BETWEEN_KILLS_S = (1.5, 5.0)
DOWN_S = (0.0, 3.0)
DRAIN_S = 60
ARRIVE_S = 60
FRESHLY_POLLED_MS = 6 * 1000 * SPEED


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Influxd]:
    with Influxd(tmp_path / "influxd") as server:
        yield server


class Line:
    """Every process of the line, in one folder."""

    def __init__(self, folder: Path, database: Influxd, seed: int, stack: ExitStack) -> None:
        self.folder, self.database, self.stack = folder, database, stack
        now_ms = SystemClock().now_ms()
        self.city = CityTime(now_ms, now_ms, SPEED)
        self.truth = folder / "truth.jsonl"
        self.site = stack.enter_context(Mosquitto(folder / "site", persistent=True))
        self.cloud = stack.enter_context(Mosquitto(folder / "cloud"))
        timed = ("--city-time", self.city.argument)
        self._configure_ingest()
        self.ingestor = self._run("ingestor", "ingest", "run", "ingest.toml", *timed)
        self.watch = self._run("watch", "watch", "ingest.toml", *timed)
        self.world = self._run(
            "world", "simulate", "--directory", str(folder), "--seed", str(seed), *timed,
            "--mqtt", f"127.0.0.1:{self.site.port}", "--cloud", f"127.0.0.1:{self.cloud.port}",
            "--truth", str(self.truth),
        )  # fmt: skip
        said = self.world.said("ready")
        self.gateways = [Path(word) for word in said.partition("gateways: ")[2].split()]
        self.agents = [
            self._run(
                path.stem,
                "edge",
                "run",
                str(path),
                *timed,
                "--drain-seconds",
                str(DRAIN_S),
                "--ledger",
                f"{path.stem}.ledger.json",
            )
            for path in self.gateways
        ]

    def _run(self, name: str, *words: str) -> Gampong:
        return self.stack.enter_context(Gampong(name, self.folder, *words))

    def _configure_ingest(self) -> None:
        token = self.folder / "write.token"
        (self.folder / "admin.token").write_text(self.database.token)
        (self.folder / "admin.token").chmod(0o600)
        (self.folder / "ingest.toml").write_text(
            f'[broker]\nport = {self.cloud.port}\n\n[store]\ntype = "influxdb2"\n'
            f'url = "{self.database.url}"\norg = "{self.database.org}"\n'
            f'token_file = "{token}"\n\n'
            f'[dead_letters]\npath = "{self.folder}/dead-letters.jsonl"\n\n'
            f'[watch]\nregistry_path = "{self.folder}/registry.json"\n'
        )
        for _ in range(2):  # again without harm
            setup = self._run(
                "setup", "ingest", "setup", "ingest.toml",
                "--admin-token-file", "admin.token", "--read-token-file", "read.token",
            )  # fmt: skip
            assert not setup.runs_for(30), "setup didn't end"
            assert setup.exit_code == 0, setup.tail()
        self.settings = InfluxSettings(
            url=self.database.url, org=self.database.org, token_file=str(self.folder / "read.token")
        )

    def kill_something(self, draw: random.Random) -> str:
        """kill -9 of one part, back after a while; what it was."""
        parts: list[Gampong | Mosquitto] = [*self.agents, self.ingestor, self.cloud]
        victim = draw.choice(parts)
        victim.kill()
        self.world.runs_for(draw.uniform(*DOWN_S))
        victim.start()
        return victim.name if isinstance(victim, Gampong) else "broker"

    def settle(self) -> list[Ledger]:
        """Let what is on its way arrive, end the agents; their ledgers."""
        assert self.world.stop() == 0, self.world.tail()
        deadline = time.monotonic() + ARRIVE_S
        due = uplinks_due(self.truth)
        while sum(self._uplinks(path) for path in self.gateways) < due:
            assert self.ingestor.runs_for(0.2), self.ingestor.tail()
            if time.monotonic() > deadline:
                break  # the comparison will say what is missing
        for agent in self.agents:
            assert agent.stop(DRAIN_S + 10) == 0, agent.tail()
        return [
            msgspec.json.decode(
                (self.folder / f"{path.stem}.ledger.json").read_bytes(), type=Ledger
            )
            for path in self.gateways
        ]

    @staticmethod
    def _uplinks(configuration: Path) -> int:
        with closing(sqlite3.connect(configuration.with_suffix(".db"))) as outbox:
            count: int = outbox.execute("SELECT count(*) FROM keys").fetchone()[0]
            return count

    def stored_by_influxql(self, kind: str, field: str) -> int:
        rows = self.database.query(f'SELECT count("{field}") FROM "{kind}"', bucket="city")
        return sum(int(str(row["count"])) for row in rows)


async def comparison(line: Line) -> Comparison:
    async with open_store(line.settings, SystemClock(line.city)) as store:
        points = await stored_points(store)
    return compare(read_truth(line.truth), points, FRESHLY_POLLED_MS + 40_000)


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
            killed.append(line.kill_something(draw))
        ledgers = line.settle()
        total = sum(ledgers, Ledger())
        compared = asyncio.run(comparison(line))
        bays = line.stored_by_influxql("parking_spot", "occupied")
        bins = line.stored_by_influxql("waste_container", "filling_level")
    print(f"killed {len(killed)}: {killed}\nledger {total}\ncomparison {compared}")
    assert compared.words == []
    assert [ledger.balanced for ledger in ledgers] == [True] * len(ledgers)
    assert (total.waiting, total.open, total.dropped, total.rejected) == (0, 0, {}, {})
    assert compared.stored == total.stored == total.accepted
    assert compared.uplinks_sent > 50
    assert 0 < bays + bins <= total.stored
