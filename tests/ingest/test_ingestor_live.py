"""The same on a real InfluxDB 2, which is stopped, started and disagrees."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.stores.configuration import InfluxSettings
from ingest.stores.onboarding import SetupRequest
from ingest.stores.open import setup
from tests.ingest.batches import line, lines
from tests.ingest.gateway import Gateway, configuration, eventually, ingesting
from tests.ingest.test_ingestor import letters, now_ms
from tests.secret_file import write_secret
from tests.servers import Influxd, Mosquitto
from wire.clock import SystemClock

pytestmark = pytest.mark.live


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Influxd]:
    """A database of one's own, to kill."""
    with Influxd(tmp_path / "influxd") as server:
        yield server


def settings_of(folder: Path, database: Influxd) -> InfluxSettings:
    """Set up as an operator does; the ingestor's token is of least scope."""
    admin = folder / "admin.token"
    write_secret(admin, database.token)
    request = SetupRequest(
        admin_token_file=admin,
        write_token_file=folder / "write.token",
        read_token_file=folder / "read.token",
    )
    settings = InfluxSettings(
        url=database.url, org=database.org, token_file=str(folder / "write.token"), timeout_s=2
    )
    asyncio.run(setup(settings, request, SystemClock()))
    return settings


def count(database: Influxd) -> object:
    rows = database.query("SELECT count(occupied) FROM parking_spot", "city")
    return rows[0]["count"] if rows else 0


def test_what_is_confirmed_is_in_influxdb_and_what_is_not_is_not(tmp_path, mosquitto, database):
    async def main() -> None:
        async with ingesting(settings) as (ingestor, _), Gateway(mosquitto) as gateway:
            for sequence in range(1, 21):
                gateway.send(
                    lines(60, now_ms(), f"bay{sequence}"), sequence, seal_ms=now_ms() + sequence
                )
            for sequence in range(1, 21):
                assert (await gateway.fate(sequence)).stored == 60
            assert count(database) == 1200
            rows = database.query("SELECT occupied FROM parking_spot GROUP BY gateway", "city")
            assert {row["gateway"] for row in rows} == {gateway.name}
            await eventually(lambda: ingestor.idle)
            await eventually(
                lambda: len(database.query("SELECT sequence FROM gateway_batch", "city")) == 20
            )

    settings = configuration(tmp_path, mosquitto, settings_of(tmp_path, database))
    asyncio.run(main())


def test_a_killed_database_loses_nothing_that_was_or_will_be_confirmed(
    tmp_path, mosquitto, database
):
    async def main() -> None:
        async with ingesting(settings) as (ingestor, _), Gateway(mosquitto) as gateway:
            gateway.send(lines(10, now_ms(), "before"), 1)
            await gateway.fate(1)
            database.kill()
            gateway.send(lines(10, now_ms(), "while"), 2)
            await eventually(lambda: gateway.held(2), "it is held")
            await gateway.nobody_listens()
            assert gateway.final(2) is None
            database.start()
            await eventually(lambda: ingestor.listening, "it subscribes again")
            gateway.send(lines(10, now_ms(), "while"), 2)
            assert (await gateway.fate(2)).stored == 10
            assert count(database) == 20

    settings = configuration(tmp_path, mosquitto, settings_of(tmp_path, database))
    asyncio.run(main())


def test_a_field_whose_stored_type_differs_rejects_its_line_alone(tmp_path, mosquitto, database):
    async def main() -> None:
        time_ms = now_ms()
        odd = line("bay-odd", time_ms, distance_mm=182.5, occupied=1)
        async with ingesting(settings) as (_, _), Gateway(mosquitto) as gateway:
            tags = f"device=bay-odd,gateway={gateway.name},site=pasar,zone=a"
            database.write(f'parking_spot,{tags} distance_mm="far" {time_ms - 1}', "city")
            gateway.send([*lines(9, time_ms), odd, *lines(9, time_ms, "more")], 1)
            fate = await gateway.fate(1)
            assert (fate.stored, fate.rejected) == (18, {"type_conflict": 1})
            assert count(database) == 18
            assert [(each["index"], each["line"]) for each in letters(tmp_path)] == [(9, odd)]

    settings = configuration(tmp_path, mosquitto, settings_of(tmp_path, database))
    asyncio.run(main())


def test_a_database_that_hangs_holds_up_no_acknowledgement(tmp_path, database):
    def acknowledged() -> int:
        return broker.log.read_text().count("Received PUBACK from gampong-ingest-batch")

    async def main() -> None:
        async with ingesting(settings) as (ingestor, _), Gateway(broker) as gateway:
            os.kill(database.pid, signal.SIGSTOP)
            began = time.monotonic()
            try:
                for sequence in range(1, 11):
                    gateway.send(lines(10, now_ms(), f"bay{sequence}"), sequence)
                await eventually(lambda: acknowledged() == 10, "the broker has its PUBACKs")
                assert time.monotonic() - began < 7  # 5 s, and room for a busy machine
                await gateway.nobody_listens()
                both = ingestor._subscribers
                await eventually(
                    lambda: not any(each.subscribed for each in both), "it has seen both UNSUBACKs"
                )
                assert not any(gateway.final(sequence) for sequence in range(1, 11))
            finally:
                os.kill(database.pid, signal.SIGCONT)
            await eventually(lambda: ingestor.listening, "it subscribes again")
            for sequence in range(1, 11):
                gateway.send(lines(10, now_ms(), f"again{sequence}"), 10 + sequence)
            for sequence in range(11, 21):
                assert (await gateway.fate(sequence)).stored == 10

    with Mosquitto(tmp_path / "broker") as broker:
        settings = configuration(tmp_path, broker, settings_of(tmp_path, database))
        asyncio.run(main())
