"""A payment that was answered 200 is in the store and in its zone's revenue, whatever happened."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest

from ingest.revenue import RevenueSettings
from ingest.revenue_days import Revenue
from ingest.stores import Bucket, Query, Row
from ingest.stores.configuration import SqliteSettings, StoreSettings
from ingest.stores.open import open_store
from tests.edge.links.sender import deposit, payment, post, signed, toml
from tests.line.listening import until
from tests.live.line import set_up, write_ingest_toml
from tests.processes import Gampong
from tests.servers import Influxd, Mosquitto, free_port
from wire.clock import SystemClock

JAKARTA = ZoneInfo("Asia/Jakarta")
DAYS = timedelta(days=1) // timedelta(milliseconds=1)

OUTBOX = """
[broker]
port = {port}

[outbox]
path = "{folder}/outbox.db"
seal_interval_s = 1
ballast_bytes = 0

[uplink]
confirm_timeout_s = 2
nobody_listens_probe_s = 0.3
retry_s_max = 2
"""

INGEST = """
[broker]
port = {port}

[store]
type = "sqlite"
path = "{folder}/store.db"

[ingest]
registry = "none"

[dead_letters]
path = "{folder}/dead-letters.jsonl"
"""


class Office:
    """A payments gateway as a process; the cloud behind it comes and goes."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self._stack = folder, stack
        self.cloud = stack.enter_context(Mosquitto(folder / "cloud"))
        self.port = free_port()
        text = toml(folder).replace("127.0.0.1:0", f"127.0.0.1:{self.port}")
        text = text.replace("[time]", OUTBOX.format(port=self.cloud.port, folder=folder) + "[time]")
        (folder / "payments.toml").write_text(text)
        self._lives = 0

    def open(self) -> Gampong:
        self._lives += 1
        name = f"payments-{self._lives}"
        agent = self._stack.enter_context(
            Gampong(name, self.folder, "edge", "run", "payments.toml")
        )
        agent.said("event=link_up link=gateway")
        return agent

    def ingest(self) -> None:
        ingestor = Gampong("ingestor", self.folder, "ingest", "run", "ingest.toml")
        self._stack.enter_context(ingestor).said("event=subscribed leaf=backfill")

    def told(self, body: bytes, path: str = "/payments", **how: str) -> tuple[int, str]:
        headers = signed(body, SystemClock().now_ms(), **how)
        return asyncio.run(post(self.port, body, headers, path))


def now_in_jakarta(minutes_ago: int = 0) -> str:
    at = datetime.now(JAKARTA) - timedelta(minutes=minutes_ago)
    return at.strftime("%Y-%m-%d %H:%M:%S")


def read(settings: StoreSettings, query: Query) -> list[Row]:
    async def asked() -> list[Row]:
        async with open_store(settings, SystemClock()) as store:
            return await store.read(query)

    return asyncio.run(asked())


def points(settings: StoreSettings, kind: str, *fields: str) -> list[Row]:
    now_ms = SystemClock().now_ms()
    asked = Query(kind=kind, fields=fields, start_ms=now_ms - DAYS, stop_ms=now_ms + DAYS)
    return read(settings, asked)


def received(settings: StoreSettings) -> dict[str, int]:
    """What the watch's daily reckoning makes of it, by zone; two days around midnight."""

    async def reckoned() -> list[Row]:
        clock = SystemClock()
        async with open_store(settings, clock) as store:
            await Revenue(store, RevenueSettings(), JAKARTA).round(clock.now_ms())
            fields, now_ms = ("received_idr",), clock.now_ms()
            return await store.read(
                Query(
                    kind="revenue", fields=fields, group=("zone",), bucket=Bucket.HOURLY,
                    start_ms=now_ms - 2 * DAYS, stop_ms=now_ms + DAYS,
                )
            )  # fmt: skip

    sums: dict[str, int] = {}
    for row in asyncio.run(reckoned()):
        zone = row.tags["zone"]
        sums[zone] = sums.get(zone, 0) + int(row.fields["received_idr"])
    return sums


def paid(folder: Path, settings_of: Callable[[Office], StoreSettings]) -> None:
    with ExitStack() as stack:
        office = Office(folder, stack)
        settings = settings_of(office)
        agent = office.open()
        at = now_in_jakarta()
        one = payment("trx-1", "2000.00", store="a", settlement_time=at)
        two = payment("trx-2", "3500.00", settlement_time=at)
        assert office.told(one) == (200, "stored")  # nobody ingests yet: it waits here
        assert office.told(two) == (200, "stored")
        agent.kill()  # in the moment of the answer
        agent = office.open()
        assert office.told(two) == (200, "repeat")
        assert office.told(payment("trx-3"), secret="a forger's secret") == (401, "signature")
        many = payment("trx-4", "1000001.00", settlement_time=at)
        assert office.told(many) == (422, "range")
        office.ingest()
        until(lambda: len(points(settings, "payment", "amount_idr")) == 2, "both are stored")
        late = payment("trx-5", "500.00", store="a", settlement_time=now_in_jakarta(2))
        assert office.told(late) == (200, "stored")
        now = datetime.now(JAKARTA).isoformat(timespec="seconds")
        assert office.told(deposit("d-1", time=now), "/deposits") == (200, "stored")
        until(lambda: points(settings, "waste_deposit", "weight_kg"), "the deposit is stored")
        until(lambda: len(points(settings, "payment", "amount_idr")) == 3, "the third is stored")
        assert received(settings) == {"a": 2500, "b": 3500}
        assert agent.stop(20) == 0


def test_a_settled_payment_is_in_its_zones_revenue_after_a_kill_and_without_a_cloud(tmp_path):
    def sqlite(office: Office) -> StoreSettings:
        text = INGEST.format(port=office.cloud.port, folder=tmp_path)
        (tmp_path / "ingest.toml").write_text(text)
        return SqliteSettings(path=str(tmp_path / "store.db"))

    paid(tmp_path, sqlite)


@pytest.mark.live
def test_a_settled_payment_is_in_its_zones_revenue_on_influxdb_too(tmp_path):
    with Influxd(tmp_path / "influxd") as database:

        def influx(office: Office) -> StoreSettings:
            path = write_ingest_toml(tmp_path, database, office.cloud.port)
            path.write_text(path.read_text() + '\n[ingest]\nregistry = "none"\n')
            reading = set_up(tmp_path, database, path)
            return msgspec.structs.replace(reading, token_file=str(tmp_path / "write.token"))

        paid(tmp_path, influx)
