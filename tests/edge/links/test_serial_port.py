"""Serial ports: real ptys and real sockets, plugged in and pulled out."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
import serial

from edge.links.serial_port import RECEIVED_MAX, PortDown, SerialPort
from tests.edge.links.heard import until
from tests.edge.links.pty_device import PtyDevice
from tests.servers import free_port
from wire.clock import SystemClock

CLOCK = SystemClock()


def _port(path: Path | str) -> SerialPort:
    return SerialPort(str(path), 9600, "N", CLOCK)


async def _read(port: SerialPort, size: int, within_s: float = 5.0) -> bytes:
    deadline, data = CLOCK.monotonic() + within_s, b""
    while len(data) < size and (more := await port.read(deadline)):
        data += more
    return data


def test_bytes_pass_both_ways_whatever_their_value(tmp_path):
    async def scenario():
        heard = bytearray()
        with PtyDevice(tmp_path / "tty", heard.extend) as device:
            port = _port(device.path)
            await port.open()
            every = bytes(range(256))
            device.say(every)
            assert await _read(port, 256) == every
            await port.write(every)
            await until(lambda: bytes(heard) == every)
            port.close()

    asyncio.run(scenario())


def test_a_read_ends_at_its_deadline_with_nothing(tmp_path):
    async def scenario():
        with PtyDevice(tmp_path / "tty") as device:
            port = _port(device.path)
            await port.open()
            assert await port.read(CLOCK.monotonic() + 0.02) == b""
            assert await port.read(CLOCK.monotonic() - 1) == b""
            port.close()

    asyncio.run(scenario())


def test_what_came_before_a_flush_is_gone_and_the_port_is_not(tmp_path):
    async def scenario():
        with PtyDevice(tmp_path / "tty") as device:
            port = _port(device.path)
            await port.open()
            device.say(b"stale")
            flushed = 0

            def gone() -> bool:  # a pty hands bytes over in its own time
                nonlocal flushed
                flushed += port.flush_input()
                return flushed == 5

            await until(gone)
            assert port.flush_input() == 0
            device.say(b"fresh")
            assert await _read(port, 5) == b"fresh"
            port.close()

    asyncio.run(scenario())


def test_a_port_that_is_not_there_says_so(tmp_path):
    async def scenario():
        with pytest.raises(PortDown, match="not there; is the adapter plugged in"):
            await _port(tmp_path / "none").open()

    asyncio.run(scenario())


def test_a_port_that_another_program_has_says_so(tmp_path):
    async def scenario():
        with PtyDevice(tmp_path / "tty") as device:
            other = serial.Serial(str(device.path), exclusive=True)
            port = _port(device.path)
            with pytest.raises(PortDown, match="another program has it open"):
                await port.open()
            other.close()
            await port.open()
            port.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("path", ["loop://", "socket://nowhere", "rfc2217://localhost:1", "/dev"])
def test_what_is_no_serial_port_is_down_and_not_a_crash(path):
    async def scenario():
        with pytest.raises(PortDown, match=path):
            await _port(path).open()

    asyncio.run(scenario())


def test_an_adapter_pulled_out_ends_the_read_and_the_next_write(tmp_path):
    async def scenario():
        with PtyDevice(tmp_path / "tty") as device:
            port = _port(device.path)
            await port.open()
            device.say(b"last")
            assert await _read(port, 4) == b"last"
            device.unplug()
            with pytest.raises(PortDown):
                await port.read(CLOCK.monotonic() + 5)
            with pytest.raises(PortDown):
                await port.write(b"x")
            device.plug_in()
            await port.open()
            device.say(b"back")
            assert await _read(port, 4) == b"back"
            port.close()

    asyncio.run(scenario())


def test_a_closed_port_is_down(tmp_path):
    async def scenario():
        with PtyDevice(tmp_path / "tty") as device:
            port = _port(device.path)
            await port.open()
            port.close()
            port.close()
            with pytest.raises(PortDown, match="not open"):
                await port.read(CLOCK.monotonic() + 1)

    asyncio.run(scenario())


def test_a_flood_that_nobody_reads_stays_bounded(tmp_path):
    async def scenario():
        async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(bytes(4 * RECEIVED_MAX) + b"end")
            await writer.drain()
            await reader.read()
            writer.close()

        async with await asyncio.start_server(flood, "127.0.0.1", 0) as server:
            port = _port(f"socket://127.0.0.1:{server.sockets[0].getsockname()[1]}")
            await port.open()
            await until(lambda: port._received.endswith(b"end"))
            assert len(await port.read(CLOCK.monotonic() + 1)) == RECEIVED_MAX
            port.close()

    asyncio.run(scenario())


def test_a_socket_is_a_port_and_its_end_is_a_hang_up():
    async def scenario():
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readexactly(4))
            await writer.drain()
            writer.close()

        async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
            port = _port(f"socket://127.0.0.1:{server.sockets[0].getsockname()[1]}")
            await port.open()
            await port.write(b"ping")
            assert await _read(port, 4) == b"ping"
            with pytest.raises(PortDown, match="hung up"):
                await port.read(CLOCK.monotonic() + 5)
            port.close()

    asyncio.run(scenario())


def test_a_serial_server_that_is_not_there_is_down():
    async def scenario():
        with pytest.raises(PortDown):
            await _port(f"socket://127.0.0.1:{free_port()}").open()

    asyncio.run(scenario())


def test_a_far_side_that_takes_no_bytes_is_down():
    async def scenario():
        with socket.socket() as deaf:
            deaf.bind(("127.0.0.1", 0))
            deaf.listen()
            port = _port(f"socket://127.0.0.1:{deaf.getsockname()[1]}")
            await port.open()
            with pytest.raises(PortDown, match="takes no more"):
                await port.write(bytes(64 * 1024 * 1024))
            port.close()

    asyncio.run(scenario())
