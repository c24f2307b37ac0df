"""Every part of the line, with a place on each for something to go wrong.

    city ── site broker ── agent 1..3 ──(proxy)── cloud broker ──(proxy)── ingestor 1..2, watch
                             │ outbox on a file system of its own              └──(proxy)── influxd

Agents 1 and 2 run on machines whose clock the chaos turns; agent 3's is left alone, so that its
polled readings can be compared by time as well as by value.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from edge.outbox_export import look_at
from edge.outbox_file import OutboxError
from edge.outbox_reader import OutboxSummary, count_uplinks
from tests.chaos.city import city_of, write_files
from tests.chaos.disk import SmallDisk
from tests.chaos.proxy import Mood
from tests.live.line import SETUP_S, read_ledger, set_up, write_ingest_toml
from tests.live.machine import Machine
from tests.processes import Gampong, Module
from tests.servers import START_S, Influxd, Mosquitto, free_port
from wire.clock import CityTime, SystemClock
from wire.messages import Ledger

SPEED = 60
"""City seconds a second: an hour of cars and bins a minute."""

MARGIN_MS = 6 * 3600 * 1000
"""The city ends that long before now, whatever the run took."""

DRAIN_S = 90
OUTBOX = """
ballast_bytes = 1048576
bytes_max = 25165824
"""
UPLINK = """
confirm_timeout_s = 10.0
retry_s_max = 10.0
"""
HEARTBEAT_S = 4.0
TURNED = 2  # so many agents, from the first, run on a machine whose clock is turned


class Proxy(Module):
    """The process that spoils connections. Its words go in by a pipe."""

    def __init__(self, folder: Path, seed: int, routes: dict[str, int]) -> None:
        self.ports = {name: free_port() for name in routes}
        words = [f"{name}={self.ports[name]}:{target}" for name, target in routes.items()]
        super().__init__("proxy", folder, "tests.chaos.proxy", str(seed), *words)
        read, self._say = os.pipe()
        self.stdin = read

    def become(self, route: str, mood: Mood) -> None:
        """Change one route's mood."""
        os.write(self._say, f"{route} {mood}\n".encode())


class Agent:
    """One gateway: its process, its file system, and the machine it runs on."""

    def __init__(
        self, toml: Path, broker_port: int, disk: SmallDisk, machine: Machine | None
    ) -> None:
        self.disk, self.machine = disk, machine
        self.outbox = disk.folder / "outbox.db"
        self.ledger_path = toml.with_suffix(".ledger.json")
        trust = "ntp" if machine else "system"
        _rewrite(toml, broker_port, self.outbox, trust)
        self.process = Gampong(
            toml.stem, toml.parent, "edge", "run", str(toml),
            "--drain-seconds", str(DRAIN_S), "--ledger", str(self.ledger_path),
            environment=machine.environment if machine else {},
        )  # fmt: skip

    @property
    def name(self) -> str:
        return self.process.name

    def summary(self) -> OutboxSummary | None:
        """What its outbox says now, beside the process; None while it can't be read."""
        try:
            with look_at(self.outbox) as outbox:
                return outbox.summary()
        except OutboxError:
            return None

    def ledger(self) -> Ledger:
        """The final one."""
        return read_ledger(self.ledger_path)

    def export(self) -> list[str]:
        """Every line that its outbox still holds, confirmed ones too, with the gateway's tag."""
        words = [sys.executable, "-m", "gampong", "outbox", "export", str(self.outbox)]
        words += ["--confirmed", "--gateway", self.name]
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=SETUP_S, check=True, cwd=self.disk.folder
        )
        return done.stdout.splitlines()


class ChaosLine:
    """All of it, running. `seconds` is how long the chaos is meant to last."""

    def __init__(self, folder: Path, seed: int, seconds: float, stack: ExitStack) -> None:
        self.folder, self.seed, self._stack = folder, seed, stack
        now_ms = SystemClock().now_ms()
        city_ms = now_ms - MARGIN_MS - int(seconds * 1000 * SPEED)
        self.city_time = CityTime(now_ms, city_ms, SPEED)
        self.truth = folder / "truth.jsonl"
        self.site = Mosquitto(folder / "site", config="max_queued_messages 0", persistent=True)
        self.cloud = Mosquitto(folder / "cloud", persistent=True)
        self.database = Influxd(folder / "influxd")
        for server in (self.site, self.cloud, self.database):
            stack.enter_context(server)
        self.city = city_of(seed)
        self.proxy = Proxy(folder, seed, self._routes())
        stack.enter_context(self.proxy)
        self.proxy.said("ready")
        self.ingestors, self.watch = self._cloud_side()
        self.agents = self._agents()
        self.world = Module(
            "city", folder, "tests.chaos.city", str(folder), str(seed),
            self.city_time.argument, str(self.site.port),
        )  # fmt: skip
        for process in (*self.ingestors, self.watch, self.world):
            stack.enter_context(process)
        for agent in self.agents:
            stack.enter_context(agent.process)
        self.world.said("ready", START_S)

    @property
    def processes(self) -> dict[str, Gampong]:
        """What a service manager would look after, by name."""
        ours = [*self.ingestors, self.watch, *(agent.process for agent in self.agents)]
        return {process.name: process for process in ours}

    def uplinks(self) -> int:
        """How many different uplinks the outboxes have taken."""
        return sum(count_uplinks(agent.outbox) for agent in self.agents)

    def batches_carried(self) -> tuple[int, int]:
        """How many batches the broker's log says it gave to ingestors, and how many were sealed."""
        sent = ("Sending PUBLISH to gampong-ingest-batch", "Sending PUBLISH to gampong-ingest-back")
        with self.cloud.log.open(errors="replace") as log:
            carried = sum(any(word in text for word in sent) for text in log)
        summaries = (agent.summary() for agent in self.agents)
        return carried, sum(summary.newest_sequence for summary in summaries if summary)

    def _routes(self) -> dict[str, int]:
        broker, influx = self.cloud.port, self.database.port
        routes = {f"{gateway.name}→broker": broker for gateway in self.city.gateways}
        for name in ("ingestor-1", "ingestor-2", "watch"):
            routes |= {f"{name}→broker": broker, f"{name}→influxd": influx}
        return routes

    def _cloud_side(self) -> tuple[list[Gampong], Gampong]:
        toml = self._ingest_toml("setup", direct=True)
        self.settings = set_up(self.folder, self.database, toml)
        ingestors = [
            Gampong(name, self.folder, "ingest", "run", str(self._ingest_toml(name)))
            for name in ("ingestor-1", "ingestor-2")
        ]
        return ingestors, Gampong("watch", self.folder, "watch", str(self._ingest_toml("watch")))

    def _ingest_toml(self, name: str, direct: bool = False) -> Path:
        if direct:
            return write_ingest_toml(self.folder, self.database, self.cloud.port, name)
        ports = self.proxy.ports
        url = f"http://127.0.0.1:{ports[f'{name}→influxd']}"
        return write_ingest_toml(self.folder, self.database, ports[f"{name}→broker"], name, url)

    def _agents(self) -> list[Agent]:
        agents = []
        for nth, toml in enumerate(write_files(self.city, self.folder, self.site.port)):
            disk = SmallDisk(self.folder / f"{toml.stem}-disk")
            self._stack.callback(disk.close)
            machine = Machine(self.folder / f"{toml.stem}-machine") if nth < TURNED else None
            port = self.proxy.ports[f"{toml.stem}→broker"]
            agents.append(Agent(toml, port, disk, machine))
        return agents


def _rewrite(toml: Path, broker_port: int, outbox: Path, trust: str) -> None:
    """Its cloud behind the proxy, its outbox on its own disk, its patience shorter."""
    text = toml.read_text()
    for was, now in (
        ("\nport = 1\n", f"\nport = {broker_port}\n"),
        ("[uplink]\n", f"[uplink]{UPLINK}"),
        (f'path = "{toml.parent}/{toml.stem}.db"\n', f'path = "{outbox}"{OUTBOX}'),
        ('trust = "system"', f'trust = "{trust}"'),
    ):
        assert was in text, f"{toml} has no {was!r}"
        text = text.replace(was, now)
    # Otherwise nearly all polls are suppressed: nothing changes for minutes.
    text = re.sub(
        r"^poll_interval_s = .*$", rf"\g<0>\nheartbeat_s = {HEARTBEAT_S}", text, flags=re.M
    )
    toml.write_text(text)
