"""A guest of the uplink at brokers that don't let it hear: packets as brokers other than mosquitto
send them (MQTT 5, table 3-8), over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from edge.beside import may_hear
from edge.broker import Connection, ConnectionLost, connect
from tests.edge.uplink.far_side import WAIT_S
from wire import mqtt
from wire.configuration import Broker

CONNACK = b"\x20\x03\x00\x00\x00"
TOPICS = ("a/command", "a/config")
_SUBSCRIBE = 0x82


def suback(mid: bytes, codes: bytes) -> bytes:
    return bytes([mqtt.SUBACK << 4, 3 + len(codes)]) + mid + b"\x00" + codes


@asynccontextmanager
async def at_a_broker(*answers: bytes) -> AsyncIterator[Connection]:
    """One that answers each SUBSCRIBE with the next of these: its codes, or a whole DISCONNECT."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left = list(answers)
        writer.write(CONNACK)
        while head := await reader.read(2):  # all that is sent here is shorter than 128 bytes
            body = await reader.readexactly(head[1])
            if head[0] == _SUBSCRIBE:
                answer = left.pop(0)
                is_whole = answer[0] == mqtt.DISCONNECT << 4
                writer.write(answer if is_whole else suback(body[:2], answer))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        broker = Broker(host="127.0.0.1", port=server.sockets[0].getsockname()[1])
        async with connect(broker, "gateway", None, True, WAIT_S) as connection:
            yield connection


@pytest.mark.parametrize("code", [0x80, 0x83, 0x87, 0x8F, 0x97])
@pytest.mark.parametrize("refused", [0, 1])
def test_a_guest_that_may_not_hear_takes_nothing_from_the_connection(code, refused):
    codes = bytearray(2)
    codes[refused] = code

    async def main() -> None:
        async with at_a_broker(bytes(codes), b"\x00\x00") as connection:
            assert not await may_hear(connection, TOPICS)
            assert await may_hear(connection, TOPICS)

    asyncio.run(main())


@pytest.mark.parametrize("code", [0x87, 0x8B, 0x97])
def test_a_broker_that_hangs_up_on_a_guest_is_a_loss_whatever_its_code(code):
    async def main() -> None:
        async with at_a_broker(mqtt.disconnect(code)) as connection:
            with pytest.raises(ConnectionLost) as lost:
                await may_hear(connection, TOPICS)
            assert lost.value.code == code

    asyncio.run(main())
