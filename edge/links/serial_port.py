"""A serial port that heals: bytes in and out, without a thread.

In: a device path (`/dev/serial/by-id/...`, a pty) or `socket://host:port`. Out: bytes as they
come, or `PortDown` with the reason. Once open, each is a non-blocking file descriptor that the
event loop watches, so one class serves both.

    missing path     ENOENT                         not plugged in
    EAGAIN on lock   another program has it         flock, as pyserial and most programs take it
    EIO, ENODEV      unplugged while open
    EOF              hung up: a pty or socket whose far side closed, a USB adapter pulled

pyserial opens and configures; reading and writing are ours, because its own block. VMIN is 1
(`inter_byte_timeout=0`): then a read of nothing means the line hung up, and not just silence.
A path by id finds the same adapter again, whatever number the kernel gives it this time.
"""

from __future__ import annotations

import asyncio
import os
import socket
import termios
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from urllib.parse import urlsplit

import serial

from edge.links.health import Backoff, Health
from wire.clock import Clock
from wire.sentence import Told, system_told, told

READ_SIZE = 4096
RECEIVED_MAX = 64 * 1024  # when full the oldest bytes go: nobody has read them for seconds
BITS_A_CHARACTER = 11  # what Modbus counts; 8N1 has 10
CONNECT_S = 5.0
WRITE_S = 1.0
RETRY_LOW_S, RETRY_HIGH_S = 0.2, 5.0
HELD_S = 5.0  # open for so long, a port counts as mended
SCHEME = "socket://"


_OPEN, _NOT_OPEN = told(""), told("not open")


class PortDown(Exception):
    """The port can't be used now; the sentence says why. Open it again later."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(why)


class SerialPort:
    """One port. Settings survive `close`, so the same object opens again and again."""

    def __init__(self, path: str, baudrate: int, parity: str, clock: Clock) -> None:
        self.path = path
        self._baudrate, self._parity, self._clock = baudrate, parity, clock
        self._device: serial.Serial | socket.socket | None = None
        self._fd = -1
        self._received = bytearray()
        self._arrived = asyncio.Event()
        self._lost = _NOT_OPEN

    @property
    def character_s(self) -> float:
        """How long one character takes on the line."""
        return BITS_A_CHARACTER / self._baudrate

    async def open(self) -> None:
        """Open and lock it.

        Raises:
            PortDown: missing, taken by another program, refused.
        """
        self.close()
        try:
            if self.path.startswith(SCHEME):
                self._device = await self._connect()
            else:
                self._device = self._open_device()
        except (OSError, ValueError, termios.error) as error:
            raise PortDown(_reason(self.path, error)) from error
        self._fd, self._lost = self._device.fileno(), _OPEN
        asyncio.get_running_loop().add_reader(self._fd, self._readable)

    async def read(self, deadline: float) -> bytes:
        """What has come, at least one byte; nothing once `Clock.monotonic()` is at the deadline.

        Raises:
            PortDown: the port is gone and all that came before has been read.
        """
        if not self._received and not self._lost:
            self._arrived.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, deadline - self._clock.monotonic())):
                    await self._arrived.wait()
        if self._received:
            data = bytes(self._received)
            self._received.clear()
            return data
        if self._lost:
            raise PortDown(self._lost)
        return b""

    async def write(self, data: bytes) -> None:
        """Send all of it.

        Raises:
            PortDown: the port is gone, or has taken nothing for a second.
        """
        while data:
            if self._lost:
                raise PortDown(self._lost)
            try:
                data = data[os.write(self._fd, data) :]
            except BlockingIOError:
                await self._writable()
            except OSError as error:
                self._lose(_reason(self.path, error))

    def flush_input(self) -> int:
        """Throw away what has come and wasn't read; how many bytes that was."""
        flushed = 0
        while not self._lost and flushed < RECEIVED_MAX and self._readable():
            flushed += len(self._received)
            self._received.clear()
        flushed += len(self._received)
        self._received.clear()
        return flushed

    def close(self) -> None:
        """Give the port back; it is no error to close it twice."""
        self._lose(_NOT_OPEN)
        self._received.clear()
        device, self._device, self._fd = self._device, None, -1
        if isinstance(device, serial.Serial):
            with suppress(OSError, termios.error):
                device.reset_output_buffer()  # or closing waits for a line that is gone
        if device is not None:
            with suppress(OSError):
                device.close()

    def _open_device(self) -> serial.Serial:
        device = serial.serial_for_url(
            self.path,
            do_not_open=True,
            baudrate=self._baudrate,
            parity=self._parity,
            timeout=0,
            inter_byte_timeout=0,
            exclusive=True,
        )
        if type(device) is not serial.Serial:
            raise ValueError("not a device path or socket://host:port")
        device.open()
        return device

    async def _connect(self) -> socket.socket:
        where = urlsplit(self.path)
        if not where.hostname or not where.port:
            raise ValueError("not socket://host:port")
        family = socket.AF_INET6 if ":" in where.hostname else socket.AF_INET
        with ExitStack() as undo:  # cancelled too: nobody else would close it
            connection = undo.enter_context(socket.socket(family, socket.SOCK_STREAM))
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _notice_death(connection)
            async with asyncio.timeout(CONNECT_S):
                loop = asyncio.get_running_loop()
                await loop.sock_connect(connection, (where.hostname, where.port))
            undo.pop_all()
        return connection

    def _readable(self) -> bool:
        """Take what is there; whether there was anything."""
        try:
            data = os.read(self._fd, READ_SIZE)
        except BlockingIOError:
            return False
        except OSError as error:
            self._lose(_reason(self.path, error))
            return False
        if not data:
            self._lose(told("{port}: the other side hung up", port=self.path))
            return False
        self._received += data
        del self._received[: max(0, len(self._received) - RECEIVED_MAX)]
        self._arrived.set()
        return True

    def _lose(self, why: Told) -> None:
        if not self._lost:
            asyncio.get_running_loop().remove_reader(self._fd)
            self._lost = why
            self._arrived.set()

    async def _writable(self) -> None:
        loop, ready = asyncio.get_running_loop(), asyncio.Event()
        loop.add_writer(self._fd, ready.set)
        try:
            async with asyncio.timeout(WRITE_S):
                await ready.wait()
        except TimeoutError:
            self._lose(told("{port}: takes no more bytes", port=self.path))
        finally:
            loop.remove_writer(self._fd)


async def serve_port(
    port: SerialPort, serve: Callable[[], Awaitable[None]], health: Health, clock: Clock
) -> None:
    """Open, serve, and open again whenever the port is lost, until cancelled."""
    backoff = Backoff(RETRY_LOW_S, RETRY_HIGH_S)
    while True:
        opened = clock.monotonic()
        try:
            await port.open()
            health.up()
            await serve()
        except PortDown as lost:
            health.down(str(lost))
            health.count("port")
        finally:
            port.close()
        if clock.monotonic() - opened > HELD_S:
            backoff.reset()
        await clock.pause(backoff.next_s())


def _notice_death(connection: socket.socket) -> None:
    """A serial server that lost its power says nothing: 25 s of keep-alive, 20 s of no ACK."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        (socket.TCP_KEEPIDLE, 10),
        (socket.TCP_KEEPINTVL, 5),
        (socket.TCP_KEEPCNT, 3),
        (socket.TCP_USER_TIMEOUT, 20_000),
    ):
        connection.setsockopt(socket.IPPROTO_TCP, option, value)


def _reason(path: str, error: OSError | ValueError | termios.error) -> Told:
    if isinstance(error, TimeoutError):
        return told("{port}: no answer within {connect_s:g} s", port=path, connect_s=CONNECT_S)
    if isinstance(error, BlockingIOError) or "lock port" in str(error):
        return told("{port}: another program has it open; stop that program", port=path)
    if isinstance(error, FileNotFoundError) or getattr(error, "errno", None) == 2:
        return told("{port}: not there; is the adapter plugged in?", port=path)
    if getattr(error, "errno", None) == 13:
        return told("{port}: permission denied; put the user into the group dialout", port=path)
    why = system_told(error) if isinstance(error, OSError) else error
    return told("{port}: {why}", port=path, why=why)
