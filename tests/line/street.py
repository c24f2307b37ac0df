"""One street as processes: sensors on ptys, an agent, brokers, an ingestor on SQLite.

    street = Street(folder, stack)             two bays on RS-485, one by LoRaWAN, a bin on a UART
    street.start_ingestor()                    until it listens
    street.start_agent()
    street.bus.distances[1] = OCCUPIED_MM      a car comes
    street.points()                            what is stored, by device

With `rate` above 1 all intervals are city seconds: wall time stays the same at every rate.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest

from devices.chirpstack import Uplink, topic_of, write_envelope
from edge.outbox_export import Export, look_at
from edge.outbox_reader import OutboxSummary
from gampong.truth import stored_points
from ingest.stores import Query, Row, Store
from ingest.stores.configuration import SqliteSettings
from ingest.stores.open import open_store
from tests.line.sensors import FREE_MM, Bus, Ranger
from tests.processes import Gampong
from tests.servers import Mosquitto
from wire.clock import CityTime, SystemClock
from wire.messages import Ledger

T = TypeVar("T")

GATEWAY = "mahirah-01"
LORA_EUI = "24e124713b493357"
DRAIN_S = 15.0
BROKER_CONFIG = "max_packet_size 20000000"  # mosquitto 2.1 takes 2 MB when nothing is said

_GATEWAY_TOML = """
[gateway]
name = "{gateway}"
site = "pasar-mahirah"

[broker]
port = {cloud}
{tls}

[outbox]
path = "{folder}/outbox.db"
seal_interval_s = {rate}
event_seals_per_minute = 600
ballast_bytes = 0

[uplink]
confirm_timeout_s = 2
nobody_listens_probe_s = 0.3
retry_s_max = 2
status_interval_s = {rate}

[time]
trust = "system"

[[link]]
type = "modbus"
name = "rs485"
port = "{bus}"
answer_timeout_s = 0.15
rest_s = 0.2

[[link]]
type = "uart"
name = "ranger"
port = "{ranger}"

[[link]]
type = "chirpstack"
name = "lorawan"
broker = {{ port = {site} }}

[[device]]
name = "bin-1"
driver = "dfrobot_a02yyuw"
link = "ranger"
poll_interval_s = {heartbeat}
heartbeat_s = 0.01

[[device]]
name = "bay-lora"
driver = "bosch_tps110"
link = "lorawan"
dev_eui = "{eui}"
"""

_BAY_TOML = """
[[device]]
name = "bay-{unit}"
driver = "dfrobot_sen0591"
link = "rs485"
unit = {unit}
poll_interval_s = {poll}
heartbeat_s = {heartbeat}
bay = {{ occupied_below_mm = 1000, debounce = 1 }}
"""

_INGEST_TOML = """
[broker]
port = {cloud}
{tls}

[store]
type = "sqlite"
path = "{folder}/store.db"

[ingest]
registry = "none"

[dead_letters]
path = "{folder}/dead-letters.jsonl"
"""


class Street:
    """Everything in one folder; what runs ends with the stack.

    Args:
        bays: Modbus units that are configured. Those in `answering` are on the bus.
        cloud: the broker in the middle, a plain one when None; `tls` its lines for both sides.
    """

    def __init__(
        self,
        folder: Path,
        stack: ExitStack,
        *,
        bays: tuple[int, ...] = (1, 2),
        answering: tuple[int, ...] = (1, 2),
        rate: int = 1,
        cloud: Mosquitto | None = None,
        gateway_tls: str = "",
        ingest_tls: str = "",
    ) -> None:
        self.folder, self._stack, self._bays, self._rate = folder, stack, bays, rate
        now_ms = SystemClock().now_ms()
        self.city = CityTime(now_ms, now_ms, rate)
        self.site = stack.enter_context(Mosquitto(folder / "site", 0, BROKER_CONFIG, True))
        self.cloud = cloud or stack.enter_context(Mosquitto(folder / "cloud", 0, BROKER_CONFIG))
        self.bus = stack.enter_context(Bus(folder / "ttyBUS", dict.fromkeys(answering, FREE_MM)))
        self.ranger = stack.enter_context(Ranger(folder / "ttyBIN"))
        self.gateway_file, self._ledger_file = folder / "gateway.toml", folder / "ledger.json"
        self.configure_gateway(gateway_tls)
        (folder / "ingest.toml").write_text(
            _INGEST_TOML.format(folder=folder, cloud=self.cloud.port, tls=ingest_tls)
        )
        self._lives = 0

    def configure_gateway(self, tls: str) -> None:
        """Write the gateway's TOML; the agent reads it at its next start."""
        text = _GATEWAY_TOML.format(
            gateway=GATEWAY, folder=self.folder, cloud=self.cloud.port, site=self.site.port,
            bus=self.bus.path, ranger=self.ranger.path, eui=LORA_EUI, tls=tls, rate=self._rate,
            heartbeat=0.4 * self._rate,
        )  # fmt: skip
        for unit in self._bays:
            poll, heartbeat = 0.1 * self._rate, 0.4 * self._rate
            text += _BAY_TOML.format(unit=unit, poll=poll, heartbeat=heartbeat)
        self.gateway_file.write_text(text)

    def start_agent(self, drain_s: float = DRAIN_S) -> Gampong:
        """An agent's life, with a log of its own."""
        words = ["edge", "run", str(self.gateway_file), "--drain-seconds", str(drain_s)]
        words += ["--ledger", str(self._ledger_file), "--city-time", self.city.argument]
        self.agent = self._start("agent", words)
        return self.agent

    def start_ingestor(self) -> Gampong:
        """An ingestor's life, until it listens on both topics."""
        words = ["ingest", "run", "ingest.toml", "--city-time", self.city.argument]
        self.ingestor = self._start("ingestor", words)
        for leaf in ("batch", "backfill"):
            self.ingestor.said(f"event=subscribed leaf={leaf}")
        return self.ingestor

    def _start(self, name: str, words: list[str]) -> Gampong:
        self._lives += 1
        return self._stack.enter_context(Gampong(f"{name}-{self._lives}", self.folder, *words))

    def uplink(self, dev_eui: str = LORA_EUI, occupied: int = 1) -> tuple[str, bytes]:
        """What the network server says now of a parking sensor: topic and envelope."""
        said = Uplink(dev_eui, 1, bytes((occupied,)), self.now_ms())
        return topic_of(said), write_envelope(said)

    def now_ms(self) -> int:
        """City time."""
        return SystemClock(self.city).now_ms()

    def points(self) -> dict[str, list[Row]]:
        """Every stored point by device."""
        return self._ask(stored_points)

    def noted(self) -> dict[int, int]:
        """City time at which each of the gateway's batches was stored, by sequence."""

        async def read(store: Store) -> list[Row]:
            fields, stop_ms = ("sequence", "lag_ms"), self.now_ms() + 1000
            return await store.read(
                Query(
                    kind="gateway_batch",
                    fields=fields,
                    start_ms=0,
                    stop_ms=stop_ms,
                )
            )

        rows = self._ask(read)
        return {
            int(row.fields["sequence"]): row.time_ms + int(row.fields["lag_ms"]) for row in rows
        }

    def _ask(self, question: Callable[[Store], Awaitable[T]]) -> T:
        async def asked() -> T:
            settings = SqliteSettings(path=str(self.folder / "store.db"))
            async with open_store(settings, SystemClock(self.city)) as store:
                return await question(store)

        return asyncio.run(asked())

    def outbox(self) -> OutboxSummary:
        """What `gampong outbox show` would say."""
        with look_at(self.folder / "outbox.db") as outbox:
            return outbox.summary()

    def waiting_lines(self) -> list[str]:
        """What is accepted and not confirmed, as the agent committed it last."""
        return list(Export(self.folder / "outbox.db", 0, False, "").lines())

    def stop_agent(self) -> Ledger:
        """Let the agent drain and end; its ledger."""
        self._ledger_file.unlink(missing_ok=True)
        assert self.agent.stop(DRAIN_S + 10) == 0, self.agent.tail()
        return msgspec.json.decode(self._ledger_file.read_bytes(), type=Ledger)


def assert_all_stored(ledger: Ledger, points: dict[str, list[Row]]) -> None:
    """Every accepted reading of the gateway is in the store exactly once, and the ledger knows."""
    own = [row for rows in points.values() for row in rows if row.tags["gateway"] == GATEWAY]
    if not ledger.balanced:
        pytest.fail(f"the ledger doesn't balance: {ledger}")
    assert (ledger.waiting, ledger.open, ledger.rejected, ledger.dropped) == (0, 0, {}, {})
    assert ledger.accepted == ledger.stored == len(own) > 0
