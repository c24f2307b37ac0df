"""A network server's stream through a real mosquitto: killed, restarted, full of nonsense."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiomqtt
import pytest

from devices.chirpstack import Uplink, topic_of, write_envelope
from edge.link_settings import ChirpStack
from edge.links.chirpstack import IN_FLIGHT, QUEUED_MESSAGES, ChirpStackStream
from tests.edge.links.heard import Heard, running, until
from tests.servers import Mosquitto
from wire.clock import SystemClock
from wire.configuration import Broker

NUMBERS = itertools.count()
MANY = IN_FLIGHT + QUEUED_MESSAGES + 400  # more than the link takes at once


def uplink(nth: int) -> Uplink:
    time_ms = 1_790_000_000_000 + 1000 * nth
    return Uplink("24e124713b493357", 1, b"\x01", time_ms, f"id-{nth}", frame_counter=nth)


def stream(broker: Mosquitto, sink: Heard, **broker_settings) -> ChirpStackStream:
    settings = ChirpStack(
        name=f"lns{next(NUMBERS)}",
        broker=Broker(host=broker.host, port=broker.port, **broker_settings),
    )
    return ChirpStackStream(settings, "gw-1", sink, SystemClock())


@asynccontextmanager
async def network_server(broker: Mosquitto) -> AsyncIterator[aiomqtt.Client]:
    async with aiomqtt.Client(
        broker.host,
        broker.port,
        protocol=aiomqtt.ProtocolVersion.V5,
        max_queued_outgoing_messages=0,
    ) as client:
        yield client


async def send(server: aiomqtt.Client, nth: int, qos: int = 1) -> None:
    await server.publish(topic_of(uplink(nth)), write_envelope(uplink(nth)), qos=qos)


async def is_up(link: ChirpStackStream) -> None:
    await until(lambda: link.status().state == "up")


async def arrived(sink: Heard, count: int) -> None:
    await until(lambda: len(sink.uplinks) == count)


def counters(sink: Heard) -> list[int]:
    return [heard.frame_counter for heard in sink.uplinks]


def test_uplinks_arrive_in_order_and_are_acknowledged(tmp_path):
    async def scenario():
        with Mosquitto(tmp_path / "broker") as broker:
            sink = Heard()
            link = stream(broker, sink)
            async with running(link):
                await is_up(link)
                async with network_server(broker) as server:
                    for nth in range(200):
                        await send(server, nth)
                    await arrived(sink, 200)
            assert counters(sink) == list(range(200))
            # A session with nothing left in it: what was taken has been acknowledged.
            again = Heard()
            link._sink = again
            async with running(link):
                await is_up(link)
                async with network_server(broker) as server:
                    await send(server, 200)
                    await until(lambda: again.uplinks)
            assert counters(again) == [200]

    asyncio.run(scenario())


def test_many_uplinks_are_committed_together_but_not_without_end(mosquitto):
    async def scenario():
        sink = Heard()
        sink.holding = True
        link = stream(mosquitto, sink)
        async with running(link):
            await is_up(link)
            async with network_server(mosquitto) as server:
                for nth in range(MANY):
                    await send(server, nth)
                await until(lambda: sink.together == IN_FLIGHT)
                sink.commit()
                await arrived(sink, MANY)
        assert sink.together_most == IN_FLIGHT
        assert sorted(counters(sink)) == list(range(MANY))
        assert not link.status().errors

    asyncio.run(scenario())


def test_what_the_outbox_refuses_is_sent_again(mosquitto):
    async def scenario():
        sink = Heard()
        link = stream(mosquitto, sink)
        async with running(link):
            await is_up(link)
            async with network_server(mosquitto) as server:
                sink.accepting = False
                for nth in range(5):
                    await send(server, nth)
                await until(lambda: link.status().errors.get("not_accepted", 0) >= 2)
                assert "outbox" in link.status().detail or link.status().state == "up"
                assert not sink.uplinks
                sink.accepting = True
                await until(lambda: set(counters(sink)) == set(range(5)))

    asyncio.run(scenario())


def test_what_came_while_the_agent_was_away_is_waiting_in_the_session(mosquitto):
    async def scenario():
        sink = Heard()
        link = stream(mosquitto, sink)
        async with running(link):
            await is_up(link)
        async with network_server(mosquitto) as server:
            for nth in range(MANY):
                await send(server, nth)
            async with running(link):
                await arrived(sink, MANY)
        assert counters(sink) == list(range(MANY))
        assert not link.status().errors

    asyncio.run(scenario())


def test_an_agent_killed_between_commit_and_acknowledgement_gets_them_again(mosquitto):
    async def scenario():
        sink = Heard()
        link = stream(mosquitto, sink)
        async with network_server(mosquitto) as server:
            async with running(link):
                await is_up(link)
                sink.holding = True
                await send(server, 1)
                await until(lambda: sink.together == 1)
            sink.forget()
            sink.holding = False
            assert not sink.uplinks
            async with running(link):
                await until(lambda: sink.uplinks)
        assert counters(sink) == [1]

    asyncio.run(scenario())


def test_a_broker_killed_and_started_again_is_found_again(tmp_path):
    async def scenario():
        with Mosquitto(tmp_path / "broker") as broker:
            sink = Heard()
            link = stream(broker, sink)
            async with running(link):
                for nth in range(3):
                    await is_up(link)
                    async with network_server(broker) as server:
                        await send(server, nth)
                        await arrived(sink, nth + 1)
                    broker.kill()
                    await until(lambda: link.status().state == "down")
                    broker.start()
                await is_up(link)
            assert counters(sink) == [0, 1, 2]
            assert link.status().errors["broker"] >= 3

    asyncio.run(scenario())


def test_a_broker_that_keeps_its_sessions_loses_nothing_in_a_restart(tmp_path):
    async def scenario():
        with Mosquitto(tmp_path / "broker", persistent=True) as broker:
            sink = Heard()
            link = stream(broker, sink)
            async with running(link):
                await is_up(link)
            async with network_server(broker) as server:
                for nth in range(10):
                    await send(server, nth)
            broker.restart()
            async with running(link):
                await arrived(sink, 10)
            assert counters(sink) == list(range(10))

    asyncio.run(scenario())


def test_nonsense_is_counted_and_delays_nothing(mosquitto):
    async def scenario():
        sink = Heard()
        link = stream(mosquitto, sink)
        topic = topic_of(uplink(0))
        async with running(link):
            await is_up(link)
            async with network_server(mosquitto) as server:
                await server.publish(topic, b"{not json", qos=1)
                await server.publish(topic, b"\xff\xfe\x00", qos=1)
                await server.publish(topic, b"", qos=1)
                await server.publish(topic, b"[" * 60_000, qos=1)
                await server.publish(topic, bytes(100_000), qos=1)
                await server.publish(topic.replace("/up", "/what"), b"{}", qos=1)
                info = b'{"deviceInfo": {"devEui": "24e124713b493357"}}'
                await server.publish(topic.replace("/up", "/join"), info, qos=1)
                await send(server, 1)
                await until(lambda: sink.uplinks)
        assert sink.noises == {(link.name, "garbage"): 6}
        assert link.status().errors == {"garbage": 6, "event_join": 1}

    asyncio.run(scenario())


@pytest.mark.parametrize("qos", [0, 1])
def test_a_message_of_ten_megabytes_harms_nobody(tmp_path, qos):
    async def scenario():
        with Mosquitto(tmp_path / "broker", config="max_packet_size 20000000") as broker:
            sink = Heard()
            link = stream(broker, sink)
            async with running(link):
                await is_up(link)
                async with network_server(broker) as server:
                    await send(server, 1)
                    await server.publish(topic_of(uplink(0)), bytes(10_000_000), qos=qos)
                    for nth in range(2, 2 * IN_FLIGHT):
                        await send(server, nth)
                    await arrived(sink, 2 * IN_FLIGHT - 1)
                assert link.status().state == "up"
                assert not link.status().errors

    asyncio.run(scenario())


def test_ten_megabytes_that_wait_in_the_session_do_not_bar_the_way(tmp_path):
    async def scenario():
        with Mosquitto(tmp_path / "broker", config="max_packet_size 20000000") as broker:
            sink = Heard()
            link = stream(broker, sink)
            async with running(link):
                await is_up(link)
            async with network_server(broker) as server:
                await send(server, 1)
                await server.publish(topic_of(uplink(0)), bytes(10_000_000), qos=1)
                await send(server, 2)
                async with running(link):
                    await until(lambda: counters(sink) == [1, 2])
                    await send(server, 3)
                    await until(lambda: counters(sink) == [1, 2, 3])
            assert not link.status().errors

    asyncio.run(scenario())


def test_messages_at_qos_0_are_read_and_the_remedy_is_told(mosquitto):
    async def scenario():
        sink = Heard()
        link = stream(mosquitto, sink)
        async with running(link):
            await is_up(link)
            async with network_server(mosquitto) as server:
                await send(server, 1, qos=0)
                await until(lambda: sink.uplinks)
                assert "set qos=1" in link.status().detail
                sink.accepting = False
                await send(server, 2, qos=0)
                await until(lambda: sink.noises[link.name, "not_kept"])
                sink.accepting = True
                await send(server, 3, qos=0)
                await arrived(sink, 2)
        assert link.status().errors == {"qos_0": 3, "not_kept": 1}

    asyncio.run(scenario())


def test_a_broker_that_refuses_us_is_told_in_the_status(tmp_path):
    async def scenario():
        with Mosquitto(tmp_path / "broker", config="allow_anonymous false") as broker:
            link = stream(broker, Heard())
            async with running(link):
                await until(lambda: link.status().errors.get("broker", 0) >= 2)
                assert link.status().state == "down"
                assert "refused" in link.status().detail

    asyncio.run(scenario())


def test_a_password_file_that_is_missing_is_told_in_the_status(mosquitto, tmp_path):
    async def scenario():
        missing = str(tmp_path / "none")
        link = stream(mosquitto, Heard(), username="gampong", password_file=missing)
        async with running(link):
            await until(lambda: missing in link.status().detail)

    asyncio.run(scenario())
