"""Growing is configuration: another ingestor, another broker, another database, on real servers.

Fleets are played by `bench.fleet_crowd`: many gateways over `edge.window`, with true batches and
confirmations.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from bench.fleet_crowd import Crowd
from bench.fleet_player import Plan
from edge.configuration import UplinkSettings
from tests.live.line import set_up, write_ingest_toml
from tests.processes import Gampong
from tests.servers import Influxd, Mosquitto

pytestmark = pytest.mark.live

WITHIN_S = 60.0
GATEWAYS = 30
KINDS = {"parking_spot": "occupied", "waste_container": "status", "wifi_access_point": "clients"}


def toml_of(folder: Path, database: Influxd, broker: Mosquitto, name: str) -> Path:
    path = write_ingest_toml(folder, database, broker.port, name)
    with path.open("a") as file:
        file.write('\n[ingest]\nregistry = "none"\n')
    return path


def ingestor(folder: Path, toml: Path, name: str) -> Gampong:
    """Started, not yet listening."""
    return Gampong(name, folder, "ingest", "run", str(toml))


def listens(process: Gampong) -> None:
    for leaf in ("batch", "backfill"):
        process.said(f"event=subscribed leaf={leaf}")


def plan(broker: Mosquitto, first: int = 1) -> Plan:
    sending = UplinkSettings(confirm_timeout_s=3.0)
    return Plan(
        port=broker.port, gateways=GATEWAYS, first=first, readings=13, interval_s=0.5,
        sending=sending,
    )  # fmt: skip


def stored(database: Influxd, where: str = "") -> int:
    """Readings in the database."""
    total = 0
    for kind, field in KINDS.items():
        rows = database.query(f"SELECT count({field}) FROM {kind} {where}", "city")
        total += int(str(rows[0]["count"])) if rows else 0
    return total


def gateways_in(database: Influxd) -> set[str]:
    rows = database.query('SHOW TAG VALUES FROM gateway_batch WITH KEY = "gateway"', "city")
    return {str(row["value"]) for row in rows}


async def confirms(crowd: Crowd, more: int) -> None:
    """So many more batches have their confirmation."""
    goal = crowd.tally.confirmed + more
    assert await crowd.until(lambda tally: tally.confirmed >= goal, WITHIN_S), crowd.tally.summary()


async def settles(crowd: Crowd) -> None:
    """Nothing more is sealed, and all that was has its confirmation."""
    assert await crowd.rest(WITHIN_S), crowd.tally.summary()


def test_an_ingestor_that_is_added_takes_its_share_and_one_that_is_killed_loses_nothing(tmp_path):
    async def main() -> int:
        async with Crowd(plan(broker)) as crowd:
            await crowd.begin()
            await confirms(crowd, 100)
            before = crowd.tally.confirmed_readings
            with ingestor(tmp_path, toml, "second") as second:
                await asyncio.to_thread(listens, second)
                await confirms(crowd, 400)
                taken.append(crowd.tally.confirmed_readings - before)
                second.kill()
            await confirms(crowd, 100)
            await settles(crowd)
        return crowd.tally.confirmed_readings

    taken: list[int] = []
    with Mosquitto(tmp_path / "broker") as broker, Influxd(tmp_path / "influxd") as database:
        toml = toml_of(tmp_path, database, broker, "ingest")
        set_up(tmp_path, database, toml)
        with ingestor(tmp_path, toml, "first") as first:
            listens(first)
            confirmed = asyncio.run(main())
            first.stop()
            ended = re.search(r" stored=(\d+)", first.said("event=ended"))
        assert ended
        assert stored(database) == confirmed
        by_the_second = confirmed - int(ended[1])
        assert by_the_second > taken[0] / 4


def test_gateways_of_two_brokers_come_together_in_one_database(tmp_path):
    async def main() -> int:
        async with Crowd(plan(north)) as ones, Crowd(plan(south, first=101)) as others:
            for crowd in (ones, others):
                await crowd.begin()
            for crowd in (ones, others):
                await confirms(crowd, 100)
                await settles(crowd)
        return ones.tally.confirmed_readings + others.tally.confirmed_readings

    with (
        Mosquitto(tmp_path / "north") as north,
        Mosquitto(tmp_path / "south") as south,
        Influxd(tmp_path / "influxd") as database,
    ):
        tomls = [toml_of(tmp_path, database, each, each.folder.name) for each in (north, south)]
        set_up(tmp_path, database, tomls[0])
        with (
            ingestor(tmp_path, tomls[0], "of-north") as one,
            ingestor(tmp_path, tomls[1], "of-south") as other,
        ):
            for process in (one, other):
                listens(process)
            confirmed = asyncio.run(main())
            assert stored(database) == confirmed
            for process in (one, other):
                process.stop()  # what is noted after the confirmation is in, too
        assert len(gateways_in(database)) == 2 * GATEWAYS


def test_a_second_city_on_a_database_of_its_own_never_meets_the_first(tmp_path):
    async def main() -> list[int]:
        async with Crowd(plan(first_broker)) as ones, Crowd(plan(second_broker, 101)) as others:
            for crowd in (ones, others):
                await crowd.begin()
            for crowd in (ones, others):
                await confirms(crowd, 100)
                await settles(crowd)
        return [ones.tally.confirmed_readings, others.tally.confirmed_readings]

    cities = [tmp_path / "banda", tmp_path / "sabang"]
    with (
        Mosquitto(cities[0] / "broker") as first_broker,
        Mosquitto(cities[1] / "broker") as second_broker,
        Influxd(cities[0] / "influxd") as first_database,
        Influxd(cities[1] / "influxd") as second_database,
    ):
        databases = [first_database, second_database]
        tomls = []
        for city, broker, database in zip(
            cities, (first_broker, second_broker), databases, strict=True
        ):
            tomls.append(toml_of(city, database, broker, "ingest"))
            set_up(city, database, tomls[-1])
        with (
            ingestor(cities[0], tomls[0], "ingest") as one,
            ingestor(cities[1], tomls[1], "ingest") as other,
        ):
            for process in (one, other):
                listens(process)
            confirmed = asyncio.run(main())
            for database, readings in zip(databases, confirmed, strict=True):
                assert stored(database) == readings
            for process in (one, other):
                process.stop()
        own = [gateways_in(database) for database in databases]
        assert [len(each) for each in own] == [GATEWAYS, GATEWAYS]
        assert not own[0] & own[1]
