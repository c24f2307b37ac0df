"""What lies behind a WiFi corner's line, for the gateway's probes: all of it gone when the line is.

An address that accepts TCP, a DNS server that knows one name, a page that answers 204 (or 302 when
the provider puts its own page in between). Answers come after the line's round trip; a TCP connect
on the loopback doesn't, since the kernel accepts it by itself.
"""

from __future__ import annotations

import asyncio
import socket
from typing import cast

from aiohttp import web

from simulators.endpoints import HOST, PROBE_NAME, Endpoints
from simulators.wifi import WifiCorner
from wire.clock import Clock

LOOK_S = 0.2  # wall: how often the TCP target looks whether its line is up
_ADDRESS = bytes((10, 20, 0, 1))
_TTL_S = 60
_QUESTION_AT, _TYPE_A_IN = 12, b"\x00\x01\x00\x01"
_ANSWERED, _NO_SUCH_NAME = b"\x81\x80", b"\x81\x83"


class TcpTarget:
    """Accepts and closes; refuses while the line is cut. Its port stays its own throughout."""

    def __init__(self, history: WifiCorner, port: int, clock: Clock) -> None:
        self._history, self._port, self._clock = history, port, clock
        self._anchor = _bound(port)  # bound, never listening: keeps others off the port
        self._server: asyncio.Server | None = None

    async def follow(self) -> None:
        """Listen or refuse, as the line is now."""
        online = self._history.is_online(self._clock.now_ms())
        if online and self._server is None:
            self._server = await asyncio.start_server(_accept, sock=_bound(self._port))
        elif self._server is not None and not online:
            self._server.close()
            self._server = None

    async def run(self) -> None:
        """Follow the line until cancelled."""
        while True:
            await self.follow()
            await self._clock.pause(LOOK_S)

    def close(self) -> None:
        """Give the port back."""
        if self._server is not None:
            self._server.close()
        self._anchor.close()


class NameServer(asyncio.DatagramProtocol):
    """Answers A for one name, NXDOMAIN for others, nothing at all while the line is cut."""

    def __init__(self, history: WifiCorner, clock: Clock) -> None:
        self._history, self._clock = history, clock
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # asyncio's own datagram transport doesn't inherit from the class it implements
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        now_ms = self._clock.now_ms()
        reply = answer_name(data)
        if reply and self._history.is_online(now_ms):
            delay_s = self._history.latency_ms(now_ms) / 1000
            asyncio.get_running_loop().call_later(delay_s, self._reply, reply, address)

    def _reply(self, reply: bytes, address: tuple[str, int]) -> None:
        if self._transport and not self._transport.is_closing():
            self._transport.sendto(reply, address)


def answer_name(query: bytes) -> bytes:
    """The reply to a DNS query (RFC 1035, 4.1), or nothing for what isn't one."""
    name, at = [], _QUESTION_AT
    while at < len(query) and 0 < query[at] < 64:
        name.append(query[at + 1 : at + 1 + query[at]])
        at += 1 + query[at]
    end = at + 5  # the root's zero, type, class
    if len(query) < end or query[2] & 0x80:
        return b""
    question = query[_QUESTION_AT:end]
    known = b".".join(name).decode("latin-1").lower() == PROBE_NAME
    if not known or not question.endswith(_TYPE_A_IN):
        flags = _ANSWERED if known else _NO_SUCH_NAME
        return query[:2] + flags + b"\x00\x01" + bytes(6) + question
    record = b"\xc0\x0c" + _TYPE_A_IN + _TTL_S.to_bytes(4, "big") + b"\x00\x04" + _ADDRESS
    return query[:2] + _ANSWERED + b"\x00\x01\x00\x01" + bytes(4) + question + record


def portal_application(history: WifiCorner, clock: Clock) -> web.Application:
    """The page a phone asks for to learn whether it is online."""

    async def serve(request: web.Request) -> web.StreamResponse:
        now_ms = clock.now_ms()
        state = history.portal(now_ms)
        if state == "down":
            if request.transport:
                request.transport.abort()
            return web.Response()
        await clock.pause(history.latency_ms(now_ms) / 1000)
        if state == "portal":
            return web.Response(status=302, headers={"Location": "/login"})
        return web.Response(status=204)

    application = web.Application()
    application.router.add_get("/generate_204", serve)
    return application


async def serve_names(
    history: WifiCorner, endpoints: Endpoints, clock: Clock
) -> asyncio.DatagramTransport:
    """Open the name server's port."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: NameServer(history, clock), local_addr=(HOST, endpoints.dns)
    )
    return transport


def _bound(port: int) -> socket.socket:
    one = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.bind((HOST, port))
    one.setblocking(False)
    return one


async def _accept(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()
