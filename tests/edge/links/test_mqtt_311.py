"""MQTT 3.1.1 streams on a real mosquitto: acknowledged after the commit, bounded in memory."""

from __future__ import annotations

import asyncio
import itertools
import tracemalloc
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from functools import partial

import aiomqtt
import pytest

from devices.driver import Noise
from devices.envelope import Uplink
from edge.link_settings import MqttServer
from edge.links.mqtt_311 import MESSAGE_BYTES_MAX, QUEUED_MESSAGES, Connection, Lost, Message
from edge.links.mqtt_stream import IN_FLIGHT, MqttStream
from tests.edge.links.heard import Heard, running, until
from tests.secret_file import write_secret
from tests.servers import Mosquitto, free_port
from wire.clock import SystemClock

NUMBERS = itertools.count()
MANY = IN_FLIGHT + QUEUED_MESSAGES + 400  # more than a stream takes at once


def read(message: Message) -> Iterable[Uplink | Noise]:
    """A number is an uplink, a comma stands between several."""
    try:
        counters = [int(word) for word in message.payload.decode().split(",")]
    except ValueError:
        return [Noise("garbage", len(message.payload))]
    return [Uplink("00", 1, b"", 0, frame_counter=counter) for counter in counters]


def stream(broker: Mosquitto, sink: Heard, topic: str, **server) -> MqttStream:
    settings = MqttServer(host=broker.host, port=broker.port, **server)
    name = f"stream-{next(NUMBERS)}"
    return MqttStream(name, settings, "gw-1", [(topic, 1)], read, sink, SystemClock())


@asynccontextmanager
async def publisher(broker: Mosquitto) -> AsyncIterator[aiomqtt.Client]:
    async with aiomqtt.Client(
        broker.host, broker.port, max_queued_outgoing_messages=0, max_inflight_messages=10_000
    ) as client:
        yield client


@pytest.fixture
def topic() -> str:
    return f"mqtt-311/{next(NUMBERS)}"


async def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


def counters(sink: Heard) -> list[int]:
    return [uplink.frame_counter for uplink in sink.uplinks]


async def is_up(link: MqttStream) -> None:
    await until(lambda: link.status().state == "up")


def is_heard(sink: Heard, counter: int) -> bool:
    return counter in counters(sink)


def test_messages_arrive_in_order_and_are_acknowledged_once_committed(mosquitto, topic):
    async def scenario():
        sink = Heard()
        link = stream(mosquitto, sink, topic)
        async with publisher(mosquitto) as out:
            async with running(link):
                await is_up(link)
                for nth in range(MANY):
                    await out.publish(topic, str(nth), qos=1)
                await until(lambda: len(sink.uplinks) == MANY)
            assert counters(sink) == list(range(MANY))
            async with running(link):  # a session with nothing left in it
                await is_up(link)
                await out.publish(topic, "-1", qos=1)
                await until(lambda: counters(sink)[-1] == -1)
        assert len(sink.uplinks) == MANY + 1
        assert not link.status().errors

    asyncio.run(scenario())


def test_an_agent_killed_between_commit_and_acknowledgement_gets_them_again(mosquitto, topic):
    async def scenario():
        sink = Heard()
        link = stream(mosquitto, sink, topic)
        async with publisher(mosquitto) as out:
            async with running(link):
                await is_up(link)
                sink.holding = True
                await out.publish(topic, "1", qos=1)
                await until(lambda: sink.together == 1)
            sink.forget()
            sink.commit()
            async with running(link):
                await until(lambda: sink.uplinks)
        assert counters(sink) == [1]

    asyncio.run(scenario())


def test_a_message_with_many_uplinks_is_acknowledged_after_the_last(mosquitto, topic):
    async def scenario():
        sink = Heard()
        link = stream(mosquitto, sink, topic)
        async with publisher(mosquitto) as out:
            async with running(link):
                await is_up(link)
                sink.accepting = False
                await out.publish(topic, "1,2,3", qos=1)
                await until(lambda: link.status().errors.get("not_accepted", 0) >= 2)
                sink.accepting = True
                await until(lambda: len(sink.uplinks) >= 3)
            async with running(link):
                await is_up(link)
                await out.publish(topic, "4", qos=1)
                await until(lambda: 4 in counters(sink))
        assert counters(sink) == [1, 2, 3, 4]

    asyncio.run(scenario())


def test_what_came_while_the_agent_was_away_is_waiting(mosquitto, topic):
    async def scenario():
        sink = Heard()
        link = stream(mosquitto, sink, topic)
        async with running(link):
            await is_up(link)
        async with publisher(mosquitto) as out:
            for nth in range(500):
                await out.publish(topic, str(nth), qos=1)
        async with running(link):
            await until(lambda: len(sink.uplinks) == 500)
        assert counters(sink) == list(range(500))

    asyncio.run(scenario())


def test_a_server_killed_and_started_again_is_found_again(tmp_path, topic):
    async def scenario():
        with Mosquitto(tmp_path / "broker") as broker:
            sink = Heard()
            link = stream(broker, sink, topic)
            async with running(link):
                for nth in range(3):
                    await is_up(link)
                    async with publisher(broker) as out:
                        await out.publish(topic, str(nth), qos=1)
                        await until(partial(is_heard, sink, nth))
                    broker.kill()
                    await until(lambda: link.status().state == "down")
                    broker.start()
                await is_up(link)
            assert counters(sink) == [0, 1, 2]
            assert link.status().errors["broker"] >= 3

    asyncio.run(scenario())


def test_a_server_that_holds_the_connection_and_says_nothing_is_left(tmp_path, topic):
    async def scenario():
        with Mosquitto(tmp_path / "broker") as broker:
            link = stream(broker, Heard(), topic, keepalive_s=1)
            async with running(link):
                await is_up(link)
                broker.freeze()
                await until(lambda: link.status().state == "down")
                broker.thaw()
                await is_up(link)

    asyncio.run(scenario())


@pytest.mark.parametrize("qos", [0, 1])
def test_of_a_message_of_twenty_megabytes_only_the_beginning_is_kept(tmp_path, topic, qos):
    async def scenario():
        with Mosquitto(tmp_path / "broker", config="max_packet_size 30000000") as broker:
            sink = Heard()
            link = stream(broker, sink, topic)
            huge = bytes(20_000_000)
            async with publisher(broker) as out, running(link):
                await is_up(link)
                tracemalloc.start()
                try:
                    before = tracemalloc.get_traced_memory()[0]
                    await out.publish(topic, huge, qos=qos)
                    await until(lambda: link.status().errors.get("garbage"))
                    grown = tracemalloc.get_traced_memory()[0] - before
                finally:
                    tracemalloc.stop()
                await out.publish(topic, "1", qos=1)
                await until(lambda: sink.uplinks)
            assert grown < 4 * MESSAGE_BYTES_MAX
            assert link.status().errors == {"garbage": 1}

    asyncio.run(scenario())


def test_a_huge_message_that_waits_in_the_session_does_not_bar_the_way(tmp_path, topic):
    async def scenario():
        with Mosquitto(tmp_path / "broker", config="max_packet_size 30000000") as broker:
            sink = Heard()
            link = stream(broker, sink, topic)
            async with running(link):
                await is_up(link)
            async with publisher(broker) as out:
                await out.publish(topic, "1", qos=1)
                await out.publish(topic, bytes(10_000_000), qos=1)
                await out.publish(topic, "2", qos=1)
                async with running(link):
                    await until(lambda: counters(sink) == [1, 2])

    asyncio.run(scenario())


def test_a_wrong_password_is_said_and_tried_again(tmp_path, topic):
    async def scenario():
        (tmp_path / "passwords").write_text("")
        config = f"allow_anonymous false\npassword_file {tmp_path / 'passwords'}"
        with Mosquitto(tmp_path / "broker", config=config) as broker:
            secret = tmp_path / "secret"
            write_secret(secret, "wrong")
            link = stream(broker, Heard(), topic, username="we", password_file=str(secret))
            async with running(link):
                await until(lambda: link.status().errors.get("broker", 0) >= 2)
                assert "Not authorized" in link.status().detail
            away = stream(broker, Heard(), topic, username="we", password_file="/no/such/file")
            async with running(away):
                await until(lambda: "/no/such/file" in away.status().detail)

    asyncio.run(scenario())


def test_nobody_there_is_said():
    async def scenario():
        connection = Connection(MqttServer(port=free_port()), "gampong-nobody")
        with pytest.raises(Lost, match="Connect call failed"):
            await connection.open()
        connection.close()

    asyncio.run(scenario())


def test_a_server_that_only_accepts_and_says_nothing_is_given_up(monkeypatch):
    async def scenario():
        monkeypatch.setattr("edge.links.mqtt_311.CONNECT_S", 0.2)

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            await hang_up(writer)

        async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            connection = Connection(MqttServer(port=port), "gampong-nobody")
            with pytest.raises(Lost, match="no answer"):
                await connection.open()
            connection.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "said", [b"\x20\x02\x00\x05", b"\xff\xff\xff\xff\xff", b"HTTP/1.1 400 x\r\n\r\n", b""]
)
def test_a_server_that_talks_nonsense_is_lost_and_nothing_else(said: bytes):
    async def scenario():
        async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(10)
            writer.write(said)
            await writer.drain()
            await hang_up(writer)

        async with await asyncio.start_server(nonsense, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            connection = Connection(MqttServer(port=port), "gampong-nobody")
            with pytest.raises(Lost):
                await connection.open()
            connection.close()

    asyncio.run(scenario())
