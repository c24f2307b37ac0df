"""A serial port of the city, whoever carries its bytes: a pty, or a TCP port.

    port = TcpPort("ttyBUS-mahirah-01", 40123)    open it as socket://127.0.0.1:40123
    await port.open()

Over TCP the bytes are those of the wire, without a header (not Modbus TCP): what a serial device
server in raw mode gives.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from simulators.endpoints import HOST

_READ_BYTES = 4096
_UNSENT_MAX = 4096
"""Bytes that a reader who doesn't read may leave; from then on they are lost to it."""
_HEARD_MAX = 256
"""Pieces that wait for the device; more are lost, as on a wire that nobody listens to."""


class Port(Protocol):
    """What a device on a wire needs of its port."""

    name: str

    async def heard(self) -> bytes:
        """The next bytes from whoever opened the far end."""
        ...

    def say(self, data: bytes) -> bool:
        """Put bytes on the wire; False when they were lost because nobody reads."""
        ...


class TcpPort:
    """One TCP port; all that are connected share the wire."""

    def __init__(self, name: str, number: int) -> None:
        self.name, self.number = name, number
        self._heard: asyncio.Queue[bytes] = asyncio.Queue(_HEARD_MAX)
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen.

        Raises:
            OSError: the port is taken.
        """
        self._server = await asyncio.start_server(self._serve, HOST, self.number)

    async def heard(self) -> bytes:
        """The next bytes from any of them."""
        return await self._heard.get()

    def say(self, data: bytes) -> bool:
        """To all of them."""
        said = False
        for writer in self._writers:
            if writer.transport.get_write_buffer_size() < _UNSENT_MAX:
                writer.write(data)
                said = True
        return said

    def close(self) -> None:
        """Hang up and give the port back."""
        if self._server:
            self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while data := await reader.read(_READ_BYTES):
                if not self._heard.full():
                    self._heard.put_nowait(data)
        except OSError:
            pass  # it hung up its own way
        finally:
            self._writers.discard(writer)
            writer.close()
