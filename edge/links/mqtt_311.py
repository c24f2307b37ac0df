"""One MQTT 3.1.1 connection, for servers that speak no 5: paho does the protocol, asyncio the rest.

In: where the server is, what to subscribe to. Out: messages, each acknowledged only when told to,
and `Lost` at the end. A connection is one object; reconnecting is making another.

paho would connect with a blocking call, and would keep the whole of a message that somebody sends
with a length of 256 MB. So the socket is asyncio's, and given to it; and what a message has over
`MESSAGE_BYTES_MAX` is thrown away as it comes: its beginning is handed over, is no JSON, and is
counted like any nonsense. Both take paho's inner names (`_create_socket`, `_sock_recv`,
`_in_packet`), which is why its version is pinned; tests/edge/links/test_mqtt_311.py turns red if
they change.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Iterable

import msgspec
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from edge.broker import Keys
from edge.link_files import server_keys
from edge.link_settings import MqttServer

MESSAGE_BYTES_MAX = 256 * 1024
READ_BYTES = 64 * 1024
QUEUED_MESSAGES, QUEUED_BYTES = 256, 4 * 1024 * 1024  # not looked at yet; full: not read on
CONNECT_S = 10.0
MISC_S = 1.0  # how often paho looks after its keep-alive
_REFUSED = 0x80
_LOG_IN = -1  # no subscription's number, whatever a server sends


class Lost(Exception):
    """No connection, or no longer; the message says why."""


class Message(msgspec.Struct, frozen=True):
    """`mid` is None at QoS 0: it can't be acknowledged, and is never sent again."""

    topic: str
    payload: bytes
    mid: int | None
    retained: bool


class _Client(paho.Client):
    """paho on a socket that is connected already, keeping the beginning of a message only."""

    def __init__(self, given: socket.socket, client_id: str, clean: bool) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id,
            clean_session=clean,
            protocol=MQTTProtocolVersion.MQTTv311,
            manual_ack=True,
            reconnect_on_failure=False,  # it would, by itself, on a socket that it has closed
        )
        self._given = given

    def _create_socket(self) -> socket.socket:
        return self._given

    def _sock_recv(self, bufsize: int) -> bytes:
        data: bytes = super()._sock_recv(min(bufsize, READ_BYTES))  # type: ignore[no-untyped-call,unused-ignore]
        del self._in_packet["packet"][MESSAGE_BYTES_MAX:]
        return data


class Connection:
    """One connection.

    Args:
        server: where.
        client_id: names the session.
        clean: forget what the server keeps of it.
        keys: password and TLS; read from the server's files without.
    """

    def __init__(
        self,
        server: MqttServer,
        client_id: str,
        clean: bool = False,
        keys: Keys | None = None,
    ) -> None:
        self._server, self._client_id, self._clean = server, client_id, clean
        self._password, self._tls = server_keys(server) if keys is None else keys
        self._loop = asyncio.get_running_loop()
        self._client: _Client | None = None
        self._socket: socket.socket | None = None
        self._queue: deque[Message] = deque()
        self._queued_bytes = 0
        self._reading = False
        self._news = asyncio.Event()
        self._lost = self._said = ""
        self._answers: dict[int, asyncio.Future[list[int]]] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def open(self) -> None:
        """Connect and log in; `close` whatever comes of it.

        Raises:
            Lost: it can't be had within `CONNECT_S`.
        """
        server = self._server
        try:
            async with asyncio.timeout(CONNECT_S):
                self._socket = await self._connected()
                client = self._client = _Client(self._socket, self._client_id, self._clean)
                if server.username:
                    client.username_pw_set(server.username, self._password)
                logged_in: asyncio.Future[list[int]] = self._loop.create_future()
                self._answers[_LOG_IN] = logged_in
                self._listen(client)
                client.connect(server.host, server.port, server.keepalive_s)
                self._read_on()
                self._look_after()
                (code,) = await logged_in
        except TimeoutError as error:
            raise Lost(f"no answer within {CONNECT_S:g} s") from error
        except OSError as error:
            raise Lost(str(error)) from error
        if code:
            raise Lost(f"the server refused us: {self._said}")

    async def subscribe(self, filters: Iterable[tuple[str, int]]) -> None:
        """Subscribe to topic filters with their QoS; messages may come before it returns.

        Raises:
            Lost: refused, or no answer.
        """
        assert self._client, "open first"
        wanted = list(filters)
        result, mid = self._client.subscribe(wanted)
        if result is not MQTTErrorCode.MQTT_ERR_SUCCESS or mid is None:
            raise Lost(self._lost or "the connection closed")
        granted = self._answers.setdefault(mid, self._loop.create_future())
        try:
            async with asyncio.timeout(CONNECT_S):
                codes = await granted
        except TimeoutError as error:
            raise Lost("no answer to the subscription") from error
        for (pattern, _), code in zip(wanted, codes, strict=False):
            if code >= _REFUSED:
                raise Lost(f"{pattern}: the server refuses the subscription")

    async def messages(self) -> list[Message]:
        """All that have come, at least one.

        Raises:
            Lost: the connection is gone, and what came before it went has been given.
        """
        while not self._queue:
            if self._lost:
                raise Lost(self._lost)
            self._news.clear()
            await self._news.wait()
        taken, self._queued_bytes = list(self._queue), 0
        self._queue.clear()
        self._read_on()
        return taken

    def acknowledge(self, message: Message) -> None:
        """PUBACK; nothing for a message at QoS 0, or when the connection is gone."""
        if message.mid is not None and self._client and not self._lost:
            self._client.ack(message.mid, 1)

    def close(self, why: str = "closed") -> None:
        """Hang up; messages not acknowledged come again."""
        if self._client and not self._lost:
            self._client.disconnect()
        self._end(why)
        if self._timer:
            self._timer.cancel()
        if self._socket:
            given = self._socket
            self._forget_socket()
            given.close()

    def _listen(self, client: _Client) -> None:
        client.on_connect = lambda _c, _u, _f, code, _p: self._logged_in(code)
        client.on_subscribe = lambda _c, _u, mid, codes, _p: self._answered(
            mid, [code.value for code in codes]
        )
        client.on_message = lambda _c, _u, message: self._take(message)
        client.on_disconnect = lambda _c, _u, _f, code, _p: self._end(str(code))
        client.on_socket_register_write = lambda *_: self._write_on()
        client.on_socket_unregister_write = lambda *_: self._stop_writing()
        client.on_socket_close = lambda *_: self._forget_socket()

    async def _connected(self) -> socket.socket:
        """A socket whose other end has answered, TLS included."""
        server, why = self._server, OSError("no address")
        for family, kind, protocol, _, address in await self._loop.getaddrinfo(
            server.host, server.port, type=socket.SOCK_STREAM
        ):
            plain = socket.socket(family, kind, protocol)
            plain.setblocking(False)
            try:
                await self._loop.sock_connect(plain, address)
                plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return await self._secured(plain) if self._tls else plain
            except OSError as error:
                plain.close()
                why = error
            except asyncio.CancelledError:
                plain.close()
                raise
        raise why

    async def _secured(self, plain: socket.socket) -> ssl.SSLSocket:
        assert self._tls
        secure = self._tls.wrap_socket(
            plain, server_hostname=self._server.host, do_handshake_on_connect=False
        )
        try:
            while not await self._shaken(secure):
                pass
        except (OSError, asyncio.CancelledError):
            secure.close()  # it took the socket over
            raise
        return secure

    async def _shaken(self, secure: ssl.SSLSocket) -> bool:
        """One step of the handshake; whether it was the last."""
        ready = asyncio.Event()
        try:
            secure.do_handshake()
            return True
        except ssl.SSLWantReadError:
            self._loop.add_reader(secure, ready.set)
        except ssl.SSLWantWriteError:
            self._loop.add_writer(secure, ready.set)
        try:
            await ready.wait()
        finally:
            self._loop.remove_reader(secure)
            self._loop.remove_writer(secure)
        return False

    def _read_on(self) -> None:
        if self._socket and not self._lost and not self._reading and not self._is_full():
            self._reading = True
            self._loop.add_reader(self._socket, self._readable)
            # What TLS has decrypted already makes no socket readable.
            self._loop.call_soon(self._readable)

    def _readable(self) -> None:
        while self._client and self._socket and not self._lost and self._reading:
            self._client.loop_read()
            pending = self._socket.pending() if isinstance(self._socket, ssl.SSLSocket) else 0
            if self._is_full():
                self._stop_reading()
            if not pending:
                return

    def _stop_reading(self) -> None:
        if self._reading and self._socket:
            self._reading = False
            self._loop.remove_reader(self._socket)

    def _write_on(self) -> None:
        if self._socket and self._client:
            self._loop.add_writer(self._socket, self._client.loop_write)

    def _stop_writing(self) -> None:
        if self._socket:
            self._loop.remove_writer(self._socket)

    def _forget_socket(self) -> None:
        """Before it is closed: the loop must not watch a number that another file may get."""
        self._stop_reading()
        self._stop_writing()
        self._socket = None

    def _is_full(self) -> bool:
        return len(self._queue) >= QUEUED_MESSAGES or self._queued_bytes >= QUEUED_BYTES

    def _take(self, message: paho.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""  # nobody's
        mid = message.mid if message.qos else None
        payload = bytes(message.payload)
        self._queue.append(Message(topic, payload, mid, message.retain))
        self._queued_bytes += len(payload)
        self._news.set()

    def _logged_in(self, code: ReasonCode) -> None:
        self._said = str(code)
        self._answered(_LOG_IN, [code.value])

    def _answered(self, mid: int, codes: list[int]) -> None:
        future = self._answers.setdefault(mid, self._loop.create_future())
        if not future.done():
            future.set_result(codes)

    def _look_after(self) -> None:
        if self._client and not self._lost:
            self._client.loop_misc()
            self._timer = self._loop.call_later(MISC_S, self._look_after)

    def _end(self, why: str) -> None:
        self._lost = self._lost or why
        self._stop_reading()
        for future in self._answers.values():
            if not future.done():
                future.set_exception(Lost(self._lost))
                future.exception()  # nobody may be waiting
        self._news.set()
