"""The whole watch: on a broker and a store that go away, by its own command line."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from devices.kinds import KINDS
from devices.reading import Value
from gampong.alerts_command import until
from gampong.cli import main as gampong
from ingest.alerts.desk import desk_path, load_desk
from ingest.broker import Door
from ingest.configuration import IngestConfiguration
from ingest.health import point
from ingest.stores import Bucket, StoreError, Written
from ingest.stores.configuration import InfluxSettings
from ingest.stores.kinds import ARRIVAL
from ingest.stores.live import LiveStore
from ingest.stores.open import open_store
from ingest.watch import Watch
from tests.ingest.alerts.rounds import alerts, inventory, states
from tests.ingest.gateway import Gateway, configuration, eventually, toml_of
from tests.ingest.stores import databases
from tests.ingest.test_watch import ShiftedClock
from tests.line.listening import until as wait_until
from tests.processes import Gampong
from tests.servers import Influxd
from wire.clock import SystemClock
from wire.messages import Status, encode_message
from wire.topics import Leaf, topic

MINUTE_MS = 60_000
KIND = KINDS["waste_container"]


@contextlib.asynccontextmanager
async def watching(
    settings: IngestConfiguration, folder: Path, clock: SystemClock
) -> AsyncIterator[tuple[Watch, LiveStore]]:
    async with open_store(settings.store, clock) as store, asyncio.TaskGroup() as group:
        watch = Watch(store, clock, folder / "registry.json", alerts=alerts(store, folder))
        task = group.create_task(watch.run(Door(settings.broker, None, None), "watch"))
        await eventually(lambda: watch.listening, "the watch listens")
        try:
            yield watch, store
        finally:
            task.cancel()


def announce(gateway: Gateway, *devices: str, online: bool = True) -> None:
    for leaf, message in (
        (Leaf.INVENTORY, inventory(gateway.name, *devices)),
        (Leaf.STATUS, Status(gateway.name, online, "0.1.0")),
    ):
        payload = encode_message(message)
        gateway.client.publish(topic(gateway.name, leaf), payload, qos=1, retain=True)


def told(watch: Watch) -> set[tuple[str, str]]:
    assert watch.alerts
    return {(key[0], key[1]) for key in watch.alerts.newsroom.told}


def test_a_watch_that_cannot_hear_accuses_no_gateway_of_silence(tmp_path: Path, broker) -> None:
    async def main() -> None:
        settings, clock = configuration(tmp_path, broker), ShiftedClock()
        async with (
            watching(settings, tmp_path, clock) as (watch, _),
            Gateway(broker, "mahirah-01") as gateway,
        ):
            announce(gateway, "bin-1")
            await eventually(lambda: "mahirah-01" in watch.heard, "the status is heard")
            now_ms = clock.now_ms()
            await watch.round(now_ms)
            broker.kill()
            await eventually(lambda: not watch.listening, "the connection is lost")
            clock.passed_s = 400.0
            for minute in range(1, 5):
                await watch.round(now_ms + minute * MINUTE_MS)
            assert told(watch) == {("broker_away", "watch")}
            broker.start()
            await eventually(lambda: watch.listening, "it is connected again")
            await watch.round(now_ms + 6 * MINUTE_MS)
            assert told(watch) == set()
            clock.passed_s += 181.0  # long enough to have heard it
            await watch.round(now_ms + 9 * MINUTE_MS)
            assert told(watch) == {("gateway_offline", "mahirah-01")}

    asyncio.run(main())


def test_a_last_will_is_told_in_the_next_round(tmp_path: Path, broker) -> None:
    async def main() -> None:
        settings, clock = configuration(tmp_path, broker), ShiftedClock()
        async with (
            watching(settings, tmp_path, clock) as (watch, store),
            Gateway(broker, "mahirah-01") as gateway,
        ):
            announce(gateway, "bin-1")
            await eventually(lambda: "mahirah-01" in watch.heard, "the status is heard")
            await watch.round(clock.now_ms())
            announce(gateway, "bin-1", online=False)
            await eventually(
                lambda: not watch.heard["mahirah-01"].status.online, "the will is heard"
            )
            await watch.round(clock.now_ms() + MINUTE_MS)
            assert told(watch) == {("gateway_offline", "mahirah-01")}
            found = await states(store, clock.now_ms())
            assert found["mahirah-01"]["worst"] == "gateway_offline"

    asyncio.run(main())


async def arrives(store: LiveStore, level: float, time_ms: int, clock: SystemClock) -> None:
    """A reading, and the note that an ingestor writes of it."""
    reading = point(KIND, ("bin-1", "gw-1", "pasar", "a"), {"filling_level": level}, time_ms)
    tags = ("gw-1", "gw-1", "main", "main")
    note = point(ARRIVAL, tags, {"oldest_ms": time_ms}, clock.now_ms())
    assert await store.write(Bucket.CITY, [reading, note]) == Written()


@pytest.mark.live
def test_a_database_that_was_away_changes_no_standing(tmp_path: Path, broker) -> None:
    async def main(server: Influxd) -> None:
        database = databases.influx(server, tmp_path)
        assert isinstance(database.settings, InfluxSettings)
        settings = configuration(tmp_path, broker, database.settings)
        clock = SystemClock()
        async with watching(settings, tmp_path, clock) as (watch, store):
            now_ms = clock.now_ms() // MINUTE_MS * MINUTE_MS
            await arrives(store, 0.9, now_ms - MINUTE_MS, clock)
            await watch.round(now_ms)
            assert told(watch) == {("bin_full", "bin-1")}
            assert watch.alerts
            before = dict(watch.alerts.evaluator.standings)
            server.kill()
            with pytest.raises(StoreError):
                await watch.round(now_ms + MINUTE_MS)
            assert watch.alerts.evaluator.standings == before
            server.start()
            await arrives(store, 0.1, now_ms + 1000, clock)
            await watch.round(now_ms + 2 * MINUTE_MS)
            assert told(watch) == set()
            assert (await states(store, now_ms))["bin-1"]["bin_full"] == 0

    with Influxd(tmp_path / "influxd") as server:
        asyncio.run(main(server))


def test_what_fires_is_listed_acknowledged_and_silenced_on_the_command_line(
    tmp_path: Path, broker, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = configuration(tmp_path, broker)
    file = tmp_path / "ingest.toml"
    file.write_text(toml_of(settings) + f'[watch]\nregistry_path = "{tmp_path}/registry.json"\n')
    now_ms = SystemClock().now_ms()

    async def a_full_bin() -> None:
        async with open_store(settings.store, SystemClock()) as store:
            fields: dict[str, Value] = {"filling_level": 0.91, "status": "burning"}
            reading = point(KIND, ("bin-07", "gw-1", "pasar", "a"), fields, now_ms)
            assert await store.write(Bucket.CITY, [reading]) == Written()

    def said(*words: str, code: int = 0) -> list[str]:
        assert gampong(["alerts", words[0], str(file), *words[1:]]) == code
        return capsys.readouterr().out.splitlines()

    asyncio.run(a_full_bin())
    with Gampong("watch", tmp_path, "watch", str(file)) as watch:
        watch.said("ready")
        wait_until(lambda: len(said("list")) == 2, "both fire")
        fire, full = said("list")
        assert fire.startswith("told  critical  bin_burning  bin-07  pasar/a  ")
        assert full.startswith("told  warning  bin_full  bin-07  pasar/a  ")
        assert full.endswith("91 %")
        said("acknowledge", "bin_burning", "bin-07", "pemadam di lokasi", "--who", "Cut Nyak")
        assert [line.split()[2] for line in said("list")] == ["bin_full"]
        said("acknowledge", "bin_full", "bin-07", "truk jam 9", "--who", "Teuku")
        assert "Teuku: truk jam 9" in said("list")[0]
        said("acknowledge", "bin_full", "bin-99", "x", code=1)
        said("silence", "2h", "pasar malam", "--site", "pasar", "--who", "Teuku")
        (silence,) = load_desk(desk_path(tmp_path / "registry.json")).silences
        assert (silence.site, silence.who) == ("pasar", "Teuku")
        said("silence", "now", "selesai", "--site", "pasar")
        assert load_desk(desk_path(tmp_path / "registry.json")).silences == []
        history = [line.split("  ")[1:4] for line in said("history", "--days", "1")]
        assert history[:4] == [
            ["incident", "bin_burning", "bin-07"],
            ["fires", "bin_full", "bin-07"],
            ["acknowledged", "bin_burning", "bin-07"],
            ["acknowledged", "bin_full", "bin-07"],
        ]
        assert [words[:2] for words in history[4:]] == [["silenced", "all"], ["ended", "all"]]
        said("silence", "tomorrow", "x", code=2)
        said("silence", "2h", "x", "--rule", "bin_fool", code=2)


def test_an_end_of_a_silence_is_a_span_or_a_local_time() -> None:
    now_ms = 1_793_581_200_000
    zone = ZoneInfo("Asia/Jakarta")
    assert until("now", now_ms, zone) == now_ms
    assert until("90m", now_ms, zone) == now_ms + 90 * MINUTE_MS
    assert until("2026-11-02T10:00", now_ms, zone) == now_ms + 120 * MINUTE_MS
    with pytest.raises(ValueError, match="no time"):
        until("soon", now_ms, zone)
