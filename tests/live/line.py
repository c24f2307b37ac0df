"""The line on real servers: what the live tests and the chaos share.

    with ExitStack() as stack:
        line = Line(tmp_path, database, seed, stack)
        …
        ledgers = line.settle()

A simulated city (two gateways, 72 devices) in fast motion, its agents, one ingestor, the watch, a
cloud broker that forgets everything when it is killed, and a site broker that keeps sessions.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path

import msgspec

from edge.outbox_reader import count_uplinks
from gampong.truth import Comparison, compare, read_truth, stored_points, uplinks_due
from ingest.stores import Row
from ingest.stores.configuration import InfluxSettings
from ingest.stores.open import open_store
from tests.processes import Gampong
from tests.servers import Influxd, Mosquitto
from wire.clock import CityTime, SystemClock
from wire.messages import Ledger

SPEED = 30
DRAIN_S = 60
ARRIVE_S = 60
SETUP_S = 30
FRESHLY_POLLED_MS = 6 * 1000 * SPEED


def write_ingest_toml(
    folder: Path, database: Influxd, broker_port: int, name: str = "ingest", url: str = ""
) -> Path:
    """`<name>.toml` for an ingestor or the watch; `url` when a proxy stands before the database."""
    path = folder / f"{name}.toml"
    path.write_text(
        f'[broker]\nport = {broker_port}\n\n[store]\ntype = "influxdb2"\n'
        f'url = "{url or database.url}"\norg = "{database.org}"\n'
        f'token_file = "{folder}/write.token"\n\n'
        f'[dead_letters]\npath = "{folder}/{name}-dead-letters.jsonl"\n\n'
        f'[watch]\nregistry_path = "{folder}/registry.json"\n'
    )
    return path


def set_up(folder: Path, database: Influxd, toml: Path) -> InfluxSettings:
    """`gampong ingest setup`; how to read what it made."""
    (folder / "admin.token").write_text(database.token)
    (folder / "admin.token").chmod(0o600)
    words = ("--admin-token-file", "admin.token", "--read-token-file", "read.token")
    with Gampong("setup", folder, "ingest", "setup", str(toml), *words) as setup:
        assert not setup.runs_for(SETUP_S), "setup didn't end"
        assert setup.exit_code == 0, setup.tail()
    return InfluxSettings(url=database.url, org=database.org, token_file=str(folder / "read.token"))


def read_ledger(path: Path) -> Ledger:
    """What `gampong edge run --ledger` wrote at its end."""
    return msgspec.json.decode(path.read_bytes(), type=Ledger)


async def points_of(settings: InfluxSettings) -> dict[str, list[Row]]:
    """Every point of every device."""
    async with open_store(settings, SystemClock()) as store:
        return await stored_points(store)


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
        self.toml = write_ingest_toml(folder, database, self.cloud.port)
        for _ in range(2):  # again without harm
            self.settings = set_up(folder, database, self.toml)
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
                path.stem, "edge", "run", str(path), *timed,
                "--drain-seconds", str(DRAIN_S), "--ledger", f"{path.stem}.ledger.json",
            )
            for path in self.gateways
        ]  # fmt: skip

    def _run(self, name: str, *words: str) -> Gampong:
        return self.stack.enter_context(Gampong(name, self.folder, *words))

    def settle(self) -> list[Ledger]:
        """Let what is on its way arrive, end the world and the agents; their ledgers."""
        assert self.world.stop() == 0, self.world.tail()
        deadline = time.monotonic() + ARRIVE_S
        due = uplinks_due(self.truth)
        while sum(count_uplinks(path.with_suffix(".db")) for path in self.gateways) < due:
            assert self.ingestor.runs_for(0.2), self.ingestor.tail()
            if time.monotonic() > deadline:
                break  # the comparison will say what is missing
        return self.end_agents()

    def end_agents(self) -> list[Ledger]:
        """Let them drain and end; their ledgers."""
        for agent in self.agents:
            assert agent.stop(DRAIN_S + 10) == 0, agent.tail()
        return [read_ledger(self.folder / f"{path.stem}.ledger.json") for path in self.gateways]

    async def points(self) -> dict[str, list[Row]]:
        """Every stored point, by device."""
        return await points_of(self.settings)

    async def comparison(self) -> Comparison:
        """What is stored against what the city says."""
        points = await self.points()
        return compare(read_truth(self.truth), points, FRESHLY_POLLED_MS + 40_000)

    def stored_by_influxql(self, kind: str, field: str) -> int:
        """Points of a kind that have that field, counted by the database."""
        rows = self.database.query(f'SELECT count("{field}") FROM "{kind}"', bucket="city")
        return sum(int(str(row["count"])) for row in rows)
