"""The Things Stack through a real mosquitto, and its storage through a server that answers as its
documentation says: what the stream lost is fetched again, once, with its own time."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import aiomqtt

from devices.envelope import Uplink, milliseconds
from devices.things_stack import topic_of, write_envelope, write_stored
from edge.link_settings import MqttServer, Storage, ThingsStack
from edge.links.things_stack import ThingsStackLink
from tests.edge.links.heard import Heard, running, until
from tests.edge.links.http_server import http_server
from tests.secret_file import write_secret
from tests.servers import Mosquitto
from wire.clock import SystemClock

NUMBERS = itertools.count()
KEY = "NNSXS.secret"
EUI = "24e124713b493357"


class Store:
    """The Storage Integration as documented: newline-separated JSON, after, limit, order."""

    def __init__(self) -> None:
        self.uplinks: list[Uplink] = []
        self.targets: list[str] = []
        self.failing = 0
        self.page_messages = 40  # fewer than asked for, as a server may

    def answer(self, method: str, target: str, body: bytes) -> tuple[int, bytes]:
        self.targets.append(target)
        if self.failing:
            return self.failing, b'{"code":16}'
        where = urlsplit(target)
        asked = {name: values[0] for name, values in parse_qs(where.query).items()}
        whole, _, rest = where.path.partition("/api/v3/as/applications/app1")
        assert whole == "" and rest.endswith("/packages/storage/uplink_message")
        device = rest.removesuffix("/packages/storage/uplink_message").removeprefix("/devices/")
        assert asked["order"] == "received_at"
        assert asked["field_mask"].startswith("up.uplink_message.session_key_id,up.uplink_message.")
        after_ms = milliseconds(asked["after"])
        assert after_ms is not None
        found = [
            write_stored(uplink, "app1")
            for uplink in sorted(self.uplinks, key=lambda one: one.time_ms)
            if uplink.time_ms > after_ms and device in ("", f"eui-{uplink.dev_eui}")
        ]
        most = min(int(asked["limit"]), self.page_messages)
        return 200, b"\n\n".join(found[:most]) + b"\n"


class City:
    """A network server with a store, and now: uplinks of the last minutes."""

    def __init__(self, broker: Mosquitto, url: str, folder: Path, store: Store) -> None:
        self.store, self.clock = store, SystemClock()
        self.now_ms = self.clock.now_ms()
        self._broker, self._folder, self._url = broker, folder, url
        self.application = f"app1@city-{next(NUMBERS)}"
        key = folder / "key"
        write_secret(key, f"{KEY}\n")

    def uplink(self, nth: int, eui: str = EUI) -> Uplink:
        time_ms = self.now_ms - 3_600_000 + 1000 * nth
        return Uplink(eui, 1, b"\x01", time_ms, frame_counter=nth, rssi_dbm=-80.0, gateways_heard=1)

    def link(self, sink: Heard, newest_ms: int | None = None, stored: bool = True):
        settings = _settings(self, stored)
        return ThingsStackLink(
            settings, f"gw-{next(NUMBERS)}", sink, self.clock, newest_ms, settle_s=0.05, pace_s=0.0
        )

    async def send(self, client: aiomqtt.Client, *numbers: int, kept: bool = True) -> None:
        for nth in numbers:
            uplink = self.uplink(nth)
            if kept:
                self.store.uplinks.append(uplink)
            await client.publish(topic_of(uplink, self.application), write_envelope(uplink))
        await client.publish(f"barrier/{self.application}", qos=1)  # the broker has them all


def _settings(city: City, stored: bool) -> ThingsStack:
    storage = Storage(
        url=city._url, application="app1", api_key_file=str(city._folder / "key"), timeout_s=5
    )
    return ThingsStack(
        name="tts",
        broker=MqttServer(host=city._broker.host, port=city._broker.port),
        topic=f"v3/{city.application}/devices/+/#",
        storage=storage if stored else None,
    )


@asynccontextmanager
async def a_city(broker: Mosquitto, folder: Path) -> AsyncIterator[tuple[City, aiomqtt.Client]]:
    store = Store()
    async with (
        http_server(store.answer) as url,
        aiomqtt.Client(broker.host, broker.port) as client,
    ):
        yield City(broker, url, folder, store), client


def counters(sink: Heard) -> list[int]:
    return [uplink.frame_counter for uplink in sink.uplinks]


async def is_up(link: ThingsStackLink) -> None:
    await until(lambda: link.status().state == "up")


def test_uplinks_arrive_as_they_were_sent(mosquitto, tmp_path):
    async def scenario():
        async with a_city(mosquitto, tmp_path) as (city, client):
            sink = Heard()
            link = city.link(sink, stored=False)
            async with running(link):
                await is_up(link)
                await city.send(client, *range(100))
                await until(lambda: len(sink.uplinks) == 100)
            assert counters(sink) == list(range(100))
            assert [one.time_ms for one in sink.uplinks] == [
                city.uplink(nth).time_ms for nth in range(100)
            ]
            assert not link.status().errors

    asyncio.run(scenario())


def test_what_was_missed_in_an_outage_is_fetched_once_with_its_own_time(mosquitto, tmp_path):
    async def scenario():
        async with a_city(mosquitto, tmp_path) as (city, client):
            sink = Heard()
            link = city.link(sink, newest_ms=city.now_ms)
            async with running(link):
                await is_up(link)
                await city.send(client, 0, 1, 2)
                await until(lambda: len(sink.uplinks) == 3)
            await city.send(client, *range(3, 300))  # nobody hears them: QoS 0
            newest_ms = city.uplink(2).time_ms
            again = city.link(sink, newest_ms=newest_ms)
            async with running(again):
                await until(lambda: len(sink.uplinks) >= 303)
                await until(lambda: sum("after" in one for one in city.store.targets) > 8)
            # The overlap is asked for again: another process has to leave it to the outbox's keys.
            assert sorted(counters(sink)) == sorted([0, 1, 2, *range(300)])
            fetched = {one.frame_counter: one.time_ms for one in sink.uplinks}
            assert fetched == {nth: city.uplink(nth).time_ms for nth in range(300)}
            assert again.status().errors["event_fetched"] == 300

    asyncio.run(scenario())


def test_a_link_that_reconnects_fetches_only_what_it_has_not_heard(tmp_path):
    async def scenario():
        with Mosquitto(tmp_path / "broker") as broker:
            store = Store()
            async with http_server(store.answer) as url:
                city = City(broker, url, tmp_path, store)
                sink = Heard()
                link = city.link(sink, newest_ms=city.uplink(0).time_ms)
                async with running(link):
                    await is_up(link)
                    async with aiomqtt.Client(broker.host, broker.port) as client:
                        await city.send(client, *range(10), kept=False)
                        await until(lambda: len(sink.uplinks) == 10)
                    broker.kill()
                    await until(lambda: link.status().state == "down")
                    store.uplinks += [city.uplink(nth) for nth in range(20)]
                    broker.start()
                    await until(lambda: len(sink.uplinks) == 20)
                    asked = len(store.targets)
                    await until(lambda: len(store.targets) > asked)
                assert counters(sink) == list(range(20))
                assert link.status().errors["event_fetched"] == 10

    asyncio.run(scenario())


def test_a_gap_of_the_counter_is_counted_and_its_device_asked_for(mosquitto, tmp_path):
    async def scenario():
        async with a_city(mosquitto, tmp_path) as (city, client):
            sink = Heard()
            link = city.link(sink, newest_ms=city.now_ms)
            async with running(link):
                await is_up(link)
                await city.send(client, 0, 1)
                await until(lambda: len(sink.uplinks) == 2)
                city.store.uplinks += [city.uplink(2), city.uplink(3)]  # the stream lost them
                await city.send(client, 4)
                await until(lambda: len(sink.uplinks) == 5)
            assert sorted(counters(sink)) == [0, 1, 2, 3, 4]
            assert link.status().errors["gap"] == 2
            assert link.status().errors["event_fetched"] == 2
            assert any(f"/devices/eui-{EUI}/packages/" in one for one in city.store.targets)

    asyncio.run(scenario())


def test_a_new_session_and_a_rolled_over_counter_are_no_gaps(mosquitto, tmp_path):
    async def scenario():
        async with a_city(mosquitto, tmp_path) as (city, client):
            sink = Heard()
            link = city.link(sink, stored=False)
            async with running(link):
                await is_up(link)
                for nth in (900, 0, 1, 65_535, 0):
                    await city.send(client, nth)
                await until(lambda: len(sink.uplinks) >= 4)
            assert "gap" not in link.status().errors

    asyncio.run(scenario())


def test_what_the_outbox_refused_at_qos_0_comes_back_from_the_storage(mosquitto, tmp_path):
    async def scenario():
        async with a_city(mosquitto, tmp_path) as (city, client):
            sink = Heard()
            sink.accepting = False
            link = city.link(sink, newest_ms=city.now_ms)
            async with running(link):
                await is_up(link)
                await city.send(client, 7)
                await until(lambda: link.status().errors.get("not_kept"))
                sink.accepting = True
                await until(lambda: counters(sink) == [7])

    asyncio.run(scenario())


def test_a_storage_that_refuses_is_said_and_asked_again(mosquitto, tmp_path, monkeypatch):
    monkeypatch.setattr("edge.links.things_storage.RETRY_LOW_S", 0.01)

    async def scenario():
        async with a_city(mosquitto, tmp_path) as (city, _):
            city.store.uplinks = [city.uplink(1)]
            city.store.failing = 403
            sink = Heard()
            link = city.link(sink)
            async with running(link):
                await until(lambda: link.status().errors.get("storage", 0) >= 2)
                assert "API key" in link.status().detail
                assert KEY not in link.status().detail
                city.store.failing = 0
                await until(lambda: counters(sink) == [1])
                await until(lambda: link.status().detail == "")

    asyncio.run(scenario())


def test_a_storage_that_answers_nonsense_is_counted_and_harms_nobody(mosquitto, tmp_path):
    async def scenario():
        async with a_city(mosquitto, tmp_path) as (city, client):
            city.store.answer = lambda *_: (200, b"<html>\n\n{}\n")  # type: ignore[method-assign]
            async with http_server(city.store.answer) as url:
                city._url = url
                sink = Heard()
                link = city.link(sink)
                async with running(link):
                    await until(lambda: link.status().errors.get("storage_garbage"))
                    await city.send(client, 5, kept=False)
                    await until(lambda: counters(sink) == [5])

    asyncio.run(scenario())


def test_an_uplink_told_twice_is_handed_on_once(mosquitto, tmp_path):
    async def scenario():
        async with a_city(mosquitto, tmp_path) as (city, client):
            sink = Heard()
            link = city.link(sink, stored=False)
            async with running(link):
                await is_up(link)
                await city.send(client, 1, 1, 1, 2)
                await until(lambda: 2 in counters(sink))
            assert counters(sink) == [1, 2]

    asyncio.run(scenario())


def test_the_key_is_sent_as_documented_and_read_anew(tmp_path, mosquitto):
    async def scenario():
        heads: list[str] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            city = City(mosquitto, url, tmp_path, Store())
            async with running(city.link(Heard())):
                await until(lambda: len(heads) >= 2)
        assert f"Authorization: Bearer {KEY}\r\n" in heads[0]
        assert "Accept: text/event-stream\r\n" in heads[0]

    asyncio.run(scenario())
