"""The cloud's side on this machine, for benchmarks: broker, database, ingestors, Telegraf.

    with CloudLine(folder) as line:
        ingestor = line.start_ingestor()
        ...
        line.readings()     # how many are in the database

Everything is the real program, in a process of its own, in a folder of its own.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from ingest.stores.configuration import InfluxSettings
from ingest.stores.influx2_tokens import write_token
from ingest.stores.onboarding import SetupRequest
from ingest.stores.open import setup
from tests.processes import Gampong
from tests.servers import Influxd, Mosquitto, Server
from wire.clock import SystemClock

BROKER = """
log_type warning
max_queued_messages 0
set_tcp_nodelay true
sys_interval 1
"""

INGEST = """
[broker]
port = {port}
keepalive_s = 300  # it may be frozen for a while

[store]
type = "influxdb2"
url = "{url}"
org = "{org}"
token_file = "{folder}/write.token"

[ingest]
registry = "none"

[dead_letters]
path = "{folder}/dead-letters-{number}.jsonl"
"""

TELEGRAF = """
[agent]
interval = "1s"
flush_interval = "200ms"
flush_jitter = "0s"
metric_batch_size = 5000
metric_buffer_limit = {buffer}
omit_hostname = true
precision = "1ms"

[[inputs.mqtt_consumer]]
servers = ["tcp://127.0.0.1:{port}"]
topics = ["telegraf/+/batch"]
topic_tag = ""
qos = 1
max_undelivered_messages = {undelivered}
data_format = "influx"
influx_timestamp_precision = "1ms"

[[outputs.influxdb_v2]]
urls = ["{url}"]
token = "{token}"
organization = "{org}"
bucket = "city"
content_encoding = "identity"
"""

KINDS = {"parking_spot": "occupied", "waste_container": "status", "wifi_access_point": "clients"}
"""Kind → a field that each reading of the fleet has."""


class Telegraf(Server):
    """The peer: from the broker to the same database, line protocol, nothing confirmed.

    Args:
        undelivered: messages that may wait for the database.
        readings: a message, from which the buffer's size follows: smaller, and it drops.
    """

    def __init__(
        self, folder: Path, program: Path, line: CloudLine, readings: int, undelivered: int = 10_000
    ) -> None:
        super().__init__(folder)
        self._program = program
        text = TELEGRAF.format(
            port=line.broker.port,
            url=line.database.url,
            token=line.database.token,
            org=line.database.org,
            undelivered=undelivered,
            buffer=undelivered * readings,
        )
        (folder / "telegraf.conf").write_text(text, encoding="utf-8")

    def command(self) -> list[str]:
        return [str(self._program), "--config", str(self.folder / "telegraf.conf")]

    def ready(self) -> bool:
        return "Connected [tcp" in self.log.read_text(errors="replace")


class CloudLine:
    """A broker and a database that are set up, and what is started beside them.

    Args:
        folder: where their files go.
        database_cpus: the processors the database keeps to; all when empty.
    """

    def __init__(self, folder: Path, database_cpus: Iterable[int] = ()) -> None:
        self._folder = folder
        self._stack = ExitStack()
        self._database_cpus = set(database_cpus)
        self._ingestors = 0

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.broker = stack.enter_context(Mosquitto(self._folder / "broker", config=BROKER))
            self.database = stack.enter_context(Influxd(self._folder / "influxd"))
            if self._database_cpus:
                keep_to(self.database.pid, self._database_cpus)
            self._set_up()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start_ingestor(self) -> Gampong:
        """One more ingestor of the group, listening; it ends with the line at the latest."""
        number = self._ingestors = self._ingestors + 1
        file = self._folder / f"ingest-{number}.toml"
        text = INGEST.format(
            port=self.broker.port,
            url=self.database.url,
            org=self.database.org,
            folder=self._folder,
            number=number,
        )
        file.write_text(text, encoding="utf-8")
        process = Gampong(f"ingest-{number}", self._folder, "ingest", "run", str(file))
        self._stack.enter_context(process)
        for leaf in ("batch", "backfill"):
            process.said(f"event=subscribed leaf={leaf}")
        return process

    def start_telegraf(self, program: Path, readings: int) -> Telegraf:
        """The peer, connected."""
        self._ingestors += 1
        folder = self._folder / f"telegraf-{self._ingestors}"
        return self._stack.enter_context(Telegraf(folder, program, self, readings))

    def readings(self) -> int:
        """How many are in the database."""
        total = 0
        for kind, field in KINDS.items():
            rows = self.database.query(f"SELECT count({field}) FROM {kind}", "city")
            total += int(str(rows[0]["count"])) if rows else 0
        return total

    def until_readings(self, count: int, within_s: float) -> bool:
        """Wait until so many are there."""
        deadline = time.monotonic() + within_s
        while self.readings() < count:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.2)
        return True

    def _set_up(self) -> None:
        admin = self._folder / "admin.token"
        write_token(admin, self.database.token)
        request = SetupRequest(
            admin_token_file=admin,
            write_token_file=self._folder / "write.token",
            read_token_file=self._folder / "read.token",
        )
        settings = InfluxSettings(
            url=self.database.url,
            org=self.database.org,
            token_file=str(self._folder / "write.token"),
        )
        asyncio.run(setup(settings, request, SystemClock()))


def keep_to(pid: int, cpus: Iterable[int]) -> None:
    """Let all threads of a process run on these processors only."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), set(cpus))
