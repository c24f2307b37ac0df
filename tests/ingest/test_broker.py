"""The ingestor's own MQTT connection, on a real mosquitto and towards brokers that misbehave."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.broker import Connection, Door, connected
from tests.ingest.gateway import eventually
from tests.servers import Mosquitto
from wire import mqtt
from wire.configuration import Broker
from wire.mqtt_link import QUEUED_MESSAGES, Link, Lost

CONNACK = b"\x20\x03\x00\x00\x00"
WITHIN_S = 10.0


def door(port: int, keepalive_s: int = 30) -> Door:
    return Door(Broker(port=port, keepalive_s=keepalive_s), None, None)


async def texts_of(connection: Connection, count: int) -> list[bytes]:
    heard = []
    async with asyncio.timeout(WITHIN_S):
        async for received in connection.messages():
            heard.append(received.envelope.payload)
            await connection.acknowledge(received)
            if len(heard) == count:
                return heard
    return heard


def test_messages_of_every_size_arrive_whole_and_in_order(mosquitto):
    async def main() -> None:
        sizes = [0, 1, 127, 128, 16_383, 16_384, 70_000, 300_000, 2_097_152, 5]
        said = [bytes([n]) * size for n, size in enumerate(sizes)]
        async with (
            connected(door(mosquitto.port), "sizes-in") as receiving,
            connected(door(mosquitto.port), "sizes-out") as sending,
        ):
            await receiving.subscribe("sizes")
            for payload in said:
                await sending.publish("sizes", payload, 30, pytest.fail)
            assert await texts_of(receiving, len(said)) == said

    asyncio.run(main())


def test_thousands_of_messages_wait_for_a_slow_reader_and_none_is_missing(tmp_path):
    async def main() -> None:
        said = [b"%d" % n for n in range(5 * QUEUED_MESSAGES)]
        with Mosquitto(tmp_path, config="max_queued_messages 0") as broker:
            async with (
                connected(door(broker.port), "slow-in") as receiving,
                connected(door(broker.port), "slow-out") as sending,
            ):
                await receiving.subscribe("slow")
                for payload in said:  # nobody reads yet
                    await sending.publish("slow", payload, 30, pytest.fail)
                assert await texts_of(receiving, len(said)) == said

    asyncio.run(main())


def test_a_publish_that_the_broker_refuses_is_told_by_its_reason(tmp_path):
    async def main() -> None:
        (tmp_path / "acl").write_text("topic read #\n")
        with Mosquitto(tmp_path, config=f"acl_file {tmp_path}/acl") as broker:
            async with connected(door(broker.port), "refused") as connection:
                refusals: list[str] = []
                await connection.publish("a", b"x", 0, refusals.append)
                await eventually(lambda: refusals == ["0x87"])

    asyncio.run(main())


def test_a_killed_broker_ends_everything_that_waits(tmp_path):
    async def main() -> None:
        with Mosquitto(tmp_path) as broker:
            async with connected(door(broker.port), "killed") as connection:
                await connection.subscribe("a")
                async with asyncio.TaskGroup() as group:
                    waiting = group.create_task(_lost(texts_of(connection, 1)))
                    broker.kill()
                    await waiting
                for doing in (
                    connection.subscribe("b"),
                    connection.publish("a", b"", 0, pytest.fail),
                ):
                    await _lost(doing)
            await _lost(_open(broker.port))

    asyncio.run(main())


def test_a_broker_that_falls_silent_is_lost_after_its_keepalive(tmp_path):
    async def main() -> None:
        with Mosquitto(tmp_path) as broker:
            async with connected(door(broker.port, keepalive_s=1), "silent") as connection:
                broker.freeze()
                try:
                    began = time.monotonic()
                    await _lost(texts_of(connection, 1))
                    assert 1 <= time.monotonic() - began < WITHIN_S
                finally:
                    broker.thaw()

    asyncio.run(main())


def test_a_connection_that_nobody_uses_is_kept_alive(tmp_path):
    async def main() -> None:
        with Mosquitto(tmp_path) as broker:
            async with connected(door(broker.port, keepalive_s=1), "idle") as connection:
                pings = "Received PINGREQ from idle"
                await eventually(lambda: broker.log.read_text().count(pings) >= 5)
                await connection.subscribe("a")

    asyncio.run(main())


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"\x20\x03\x00\x87\x00", "refused with 0x87"),
        (b"\x20\x00", "can't be read"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "."),
        (CONNACK + b"\xe0\x01\x8b", "goodbye with 0x8b"),
        (CONNACK + b"\x32\xff\xff\xff\xff\xff", "aren't MQTT 5"),
        (CONNACK + b"\x34\x05\x00\x01a\x00\x01", "aren't MQTT 5"),
        (CONNACK + b"\x32\x02\x00\x09", "aren't MQTT 5"),
        (CONNACK + b"\x32\xff\xff\xff\x7f", "larger than we take"),
        (CONNACK, "ended"),
    ],
)
def test_a_broker_that_misbehaves_is_lost_with_a_reason(said, why):
    async def main() -> None:
        async with misbehaving(said) as port:
            with pytest.raises(Lost, match=why):
                async with connected(door(port), "x") as connection, asyncio.timeout(WITHIN_S):
                    await texts_of(connection, 1)

    asyncio.run(main())


@given(
    st.lists(st.binary(max_size=200), min_size=1, max_size=8),
    st.lists(st.integers(1, 70), min_size=1, max_size=60),
)
def test_bytes_cut_anywhere_are_the_same_messages(payloads, cuts):
    stream = b"".join(mqtt.publish(n + 1, "t", p, 30) for n, p in enumerate(payloads))

    async def main() -> list[bytes]:
        link, at = Link(keepalive_s=30), 0
        for cut in [*cuts, len(stream)]:
            link.data_received(stream[at : at + cut])
            at += cut
        return [message.payload for message in await link.messages()]

    assert asyncio.run(main()) == payloads


async def _open(port: int) -> None:
    async with connected(door(port), "again"):
        pass


async def _lost(doing: Awaitable[object]) -> None:
    with pytest.raises(Lost):
        async with asyncio.timeout(WITHIN_S):
            await doing


@asynccontextmanager
async def misbehaving(said: bytes) -> AsyncIterator[int]:
    """A listener that answers a CONNECT with these bytes and hangs up; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(said)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
