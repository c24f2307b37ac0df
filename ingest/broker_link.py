"""One MQTT 5 connection, made for many small messages: `wire.mqtt` on an asyncio transport.

Why not a library: the ingestor's CPU time goes into messages. Measured a batch of 13 readings,
received, acknowledged and confirmed: mqttium 1.2.1 90 µs, this about a fifth of it. What makes the
difference: packets are read where they lie, and what is written in one turn of the loop is written
at once.

Rooms: `QUEUED_MESSAGES` or `QUEUED_BYTES` wait to be looked at, then the transport isn't read on.
What is published goes out as far as the broker takes it unacknowledged; `PUBLISH_MAX` wait, then
`publish` does.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable

from wire import mqtt
from wire.mqtt import BadPacket, Message

PACKET_BYTES_MAX = 16 * 1024 * 1024
QUEUED_MESSAGES, QUEUED_BYTES = 1024, 32 * 1024 * 1024
PUBLISH_MAX = 1000
LEAVE_S = 1.0
SILENT_KEEPALIVES = 1.5


class Lost(Exception):
    """The connection ended, or could not be made; the text says why."""


class Link(asyncio.Protocol):
    """A connection. Whatever ends it, every waiting call raises `Lost`."""

    def __init__(self, keepalive_s: int) -> None:
        self._keepalive_s = keepalive_s
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._why: str | None = None
        self._ended = asyncio.Event()
        self._part = bytearray()  # of a packet that hasn't come whole, up to `_part_end`
        self._part_end = 0
        self._arrived: deque[Message] = deque()
        self._arrived_bytes = 0
        self._paused = False
        self._out: list[bytes] = []
        self._mid = 0
        self._connack: asyncio.Future[bytes] = self._loop.create_future()
        self._answers: dict[int, asyncio.Future[bytes]] = {}
        self._published: dict[int, Callable[[str], None]] = {}
        self._to_publish: deque[tuple[str, bytes, int, bool, Callable[[str], None]]] = deque()
        self._in_flight_max = 0
        self._waiters: deque[asyncio.Future[None]] = deque()  # for messages, or for room
        self._writable = True
        self._heard_s = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None

    # What the connection is asked to do

    async def open(self, host: str, port: int, tls: ssl.SSLContext | None, hello: bytes) -> None:
        """Connect and say CONNECT.

        Raises:
            Lost: refused.
            OSError: can't be reached.
        """
        await self._loop.create_connection(lambda: self, host, port, ssl=tls)
        self._write(hello)
        connack = await self._connack
        try:
            self._in_flight_max = mqtt.receive_maximum(connack)
        except BadPacket as error:
            raise Lost(f"a CONNACK that can't be read: {error}") from error
        if connack[1]:
            raise Lost(f"refused with 0x{connack[1]:02x}")
        self._keep_alive()

    async def close(self) -> None:
        """Say goodbye; what was written before goes out first, within `LEAVE_S`."""
        transport = self._transport
        if transport is None:
            return
        self._why = self._why or "closed"
        self._out.append(mqtt.GOODBYE)
        self._flush()
        transport.close()
        try:
            async with asyncio.timeout(LEAVE_S):
                await self._ended.wait()
        except TimeoutError:
            transport.abort()

    async def ask(self, packet: Callable[[int], bytes]) -> bytes:
        """Send a SUBSCRIBE or UNSUBSCRIBE; the body of its answer."""
        self._alive()
        mid = self._next_mid()
        answer = self._answers[mid] = self._loop.create_future()
        self._write(packet(mid))
        try:
            body: bytes = await answer
            return body
        finally:
            self._answers.pop(mid, None)

    async def message(self) -> Message:
        """The next message."""
        while not self._arrived:
            self._alive()
            await self._something()
        self._alive()
        message = self._arrived.popleft()
        self._arrived_bytes -= len(message.payload)
        if self._paused and 2 * len(self._arrived) < QUEUED_MESSAGES and self._transport:
            self._paused = False
            self._heard_s = self._loop.time()
            self._transport.resume_reading()
        return message

    def acknowledge(self, message: Message) -> None:
        """PUBACK."""
        self._alive()
        if message.mid is not None:
            self._write(mqtt.puback(message.mid))

    async def publish(
        self,
        topic: str,
        payload: bytes,
        expiry_s: int,
        retain: bool,
        refused: Callable[[str], None],
    ) -> None:
        """Hand over a message at QoS 1; `refused` gets the PUBACK's reason code if that says so."""
        self._alive()
        while len(self._to_publish) >= PUBLISH_MAX or not self._writable:
            await self._something()
            self._alive()
        self._to_publish.append((topic, payload, expiry_s, retain, refused))
        self._send_waiting()

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        self._why = self._why or (str(error) if error else "the connection ended")
        self._transport = None
        self._ended.set()
        if self._timer is not None:
            self._timer.cancel()
        lost = Lost(self._why)
        for future in (self._connack, *self._answers.values()):
            if not future.done():
                future.set_exception(lost)
                future.exception()  # nobody may be waiting
        self._wake()

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self._wake()

    def data_received(self, data: bytes) -> None:
        self._heard_s = self._loop.time()
        if self._part:
            self._part += data
            if len(self._part) < self._part_end:
                return
            data = bytes(self._part)
            self._part.clear()
        try:
            rest = self._take_all(data)
        except BadPacket as error:
            self._end(f"bytes that aren't MQTT 5: {error}")
            return
        if rest < len(data):
            self._part += memoryview(data)[rest:]
        full = len(self._arrived) >= QUEUED_MESSAGES or self._arrived_bytes >= QUEUED_BYTES
        if full and not self._paused and self._transport:
            self._paused = True
            self._transport.pause_reading()
        if self._arrived:
            self._wake()

    # The rest

    def _take_all(self, data: bytes) -> int:
        """Take every whole packet; where the rest begins."""
        at, size = 0, len(data)
        while size - at >= 2:
            start, end = mqtt.next_packet(data, at)
            if end > size or not end:
                if end - start > PACKET_BYTES_MAX:
                    raise BadPacket("a packet larger than we take")
                self._part_end = end - at
                return at
            first = data[at]
            if first >> 4 == mqtt.PUBLISH:
                message = mqtt.read_publish(first, data, start, end)
                self._arrived.append(message)
                self._arrived_bytes += len(message.payload)
            else:
                self._take(first >> 4, data[start:end])
            at = end
        self._part_end = 0
        return at

    def _take(self, kind: int, body: bytes) -> None:
        if kind == mqtt.PUBACK:
            refused = self._published.pop(int.from_bytes(body[:2]), None)
            if refused is not None and len(body) > 2 and body[2] >= 0x80:
                refused(f"0x{body[2]:02x}")
            if self._to_publish or self._waiters:
                self._send_waiting()
        elif kind in (mqtt.SUBACK, mqtt.UNSUBACK):
            answer = self._answers.get(int.from_bytes(body[:2]))
            if answer is not None and not answer.done():
                answer.set_result(body)
        elif kind == mqtt.CONNACK and not self._connack.done():
            self._connack.set_result(body)
        elif kind == mqtt.DISCONNECT:
            self._end(f"the broker said goodbye with 0x{body[0] if body else 0:02x}")

    def _send_waiting(self) -> None:
        while self._to_publish and len(self._published) < self._in_flight_max:
            topic, payload, expiry_s, retain, refused = self._to_publish.popleft()
            mid = self._next_mid()
            self._published[mid] = refused
            self._write(mqtt.publish(mid, topic, payload, expiry_s, retain))
        if self._waiters and len(self._to_publish) < PUBLISH_MAX:
            self._wake()

    def _next_mid(self) -> int:
        while True:
            self._mid = self._mid % mqtt.MID_MAX + 1
            if self._mid not in self._published and self._mid not in self._answers:
                return self._mid

    def _write(self, packet: bytes) -> None:
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(packet)

    def _flush(self) -> None:
        if self._out and self._transport is not None:
            self._transport.write(b"".join(self._out))
        self._out.clear()

    async def _something(self) -> None:
        """Wait until something came, went or ended."""
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._waiters.append(waiter)
        await waiter

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)

    def _alive(self) -> None:
        if self._why is not None:
            raise Lost(self._why)

    def _end(self, why: str) -> None:
        self._why = self._why or why
        if self._transport is not None:
            self._transport.abort()

    def _keep_alive(self) -> None:
        """Ask now and then; a broker that is silent for long is gone. While we don't read, we can't
        know."""
        silent_s = self._loop.time() - self._heard_s
        if silent_s > SILENT_KEEPALIVES * self._keepalive_s and not self._paused:
            self._end(f"no word from the broker for {silent_s:.0f} s")
            return
        self._write(mqtt.PINGREQ)
        self._timer = self._loop.call_later(self._keepalive_s / 2, self._keep_alive)
