"""One MQTT 5 connection, made for many small messages: `wire.mqtt` on an asyncio transport.

In: what to say. Out: what the broker answers, messages in lists, and `Lost` once, whatever ended
it. Both ends of the line use it: the gateway's uplink and links, and the ingestor.

Why not a library: the ingestor's CPU time goes into messages. Measured a batch of 13 readings,
received, acknowledged and confirmed: mqttium 1.2.1 90 µs, this about a tenth of it. What makes the
difference: packets are read where they lie, whoever waits is woken once for all that one read
brought, and what is said in one turn of the loop is written at once.

Each turn of the loop costs as much as several messages. So a busy connection may rest (`rest_s`)
after a read, and then has many messages at once; a lone message is never delayed, nor is the one
after a silence. Where bytes are paid for (`is_paid`), TCP's acknowledgement waits up to 40 ms for
what comes next, so that a PUBACK and the answer behind it have one together (52 bytes; Linux).

A connection is one object: nothing is sent a second time, and nothing connects again by itself.

Rooms: `queued_messages` or `queued_bytes` wait to be looked at, then the transport isn't read on.
What is published goes out as far as the broker takes it unacknowledged; `PUBLISH_MAX` wait, then
`publish` does.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from wire import mqtt
from wire.mqtt import BadPacket, Connack, Message
from wire.mqtt_flow import MESSAGES_A_TURN, PACKET_BYTES_MAX, TOO_LARGE, Answered, Flights, Inbox

__all__ = ["MESSAGES_A_TURN", "PACKET_BYTES_MAX", "TOO_LARGE", "Answered", "Link", "Lost"]

QUEUED_MESSAGES, QUEUED_BYTES = 1024, 32 * 1024 * 1024
PUBLISH_MAX = 1000
LEAVE_S = 1.0
PING_KEEPALIVES, SILENT_KEEPALIVES = 0.85, 1.5
"""A ping costs 250 bytes with its answer; whoever says something each minute needs none."""


class Lost(Exception):
    """The connection ended, or can't be had; the text says why, `code` is the broker's, if any."""

    def __init__(self, why: str, code: int | None = None) -> None:
        self.code = code
        super().__init__(why)


class _Socket(asyncio.Protocol):
    """The transport's side: what is said in one turn goes out together, and whoever waits is woken
    when something came, went or ended."""

    def __init__(self, is_paid: bool) -> None:
        self._is_paid = is_paid
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._lost: Lost | None = None
        self._ended = asyncio.Event()
        self._out: list[bytes] = []
        self._for_messages: deque[asyncio.Future[None]] = deque()
        self._for_room: deque[asyncio.Future[None]] = deque()
        self._writable = True
        self._heard_s = self._sent_s = self._loop.time()

    @property
    def is_lost(self) -> bool:
        """Whether it has ended, or is about to: nothing that is said goes out any more."""
        return self._lost is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        lost = self._lost = self._lost or Lost(str(error) if error else "the connection ended")
        self._transport = None
        self._ended.set()
        self._fail(lost)
        _wake(self._for_messages)
        _wake(self._for_room)

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        _wake(self._for_room)

    def _fail(self, lost: Lost) -> None:
        """End whatever waits for an answer."""
        raise NotImplementedError

    def _write(self, packet: bytes) -> None:
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(packet)

    def _flush(self) -> None:
        if self._out and self._transport is not None:
            self._sent_s = self._loop.time()
            if self._is_paid:
                self._delay_acknowledgements(self._transport)
            self._transport.write(b"".join(self._out))
        self._out.clear()

    @staticmethod
    def _delay_acknowledgements(transport: asyncio.Transport) -> None:
        """The kernel goes back to quick ones by itself, so it is told each time (tcp(7))."""
        open_socket = transport.get_extra_info("socket")
        if open_socket is not None and hasattr(socket, "TCP_QUICKACK"):
            with suppress(OSError):  # about to end
                open_socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)

    async def _something(self, waiters: deque[asyncio.Future[None]]) -> None:
        """Wait until it happened, or the connection ended."""
        waiter: asyncio.Future[None] = self._loop.create_future()
        waiters.append(waiter)
        await waiter

    def _alive(self) -> None:
        if self._lost is not None:
            raise Lost(str(self._lost), self._lost.code)

    def _end(self, why: str, code: int | None = None) -> None:
        self._lost = self._lost or Lost(why, code)
        if self._transport is not None:
            self._transport.abort()


def _wake(waiters: deque[asyncio.Future[None]]) -> None:
    while waiters:
        waiter = waiters.popleft()
        if not waiter.done():
            waiter.set_result(None)


class Link(_Socket):
    """A connection. Whatever ends it, every waiting call raises `Lost`.

    Args:
        keepalive_s: as CONNECT says it; the broker may ask for less.
        queued_messages, queued_bytes: what may wait to be looked at.
        rest_s: how long to leave bytes in the kernel after a read, on a busy connection.
        is_paid: bytes cost money.
    """

    def __init__(
        self,
        keepalive_s: float,
        queued_messages: int = QUEUED_MESSAGES,
        queued_bytes: int = QUEUED_BYTES,
        rest_s: float = 0.0,
        is_paid: bool = False,
    ) -> None:
        super().__init__(is_paid)
        self._keepalive_s, self._rest_s = keepalive_s, rest_s
        self._inbox = Inbox(queued_messages, queued_bytes)
        self._flights = Flights()
        self._full = False
        self._resting: asyncio.TimerHandle | None = None
        self._busy_until_s = 0.0
        self._connack: asyncio.Future[bytes] = self._loop.create_future()
        self._answers: dict[int, asyncio.Future[bytes]] = {}
        self._unanswered: set[asyncio.Future[int]] = set()
        self._timer: asyncio.TimerHandle | None = None

    # What the connection is asked to do

    async def open(self, host: str, port: int, tls: ssl.SSLContext | None, hello: bytes) -> Connack:
        """Connect and say CONNECT.

        Raises:
            Lost: refused.
            OSError: can't be reached.
        """
        await self._loop.create_connection(lambda: self, host, port, ssl=tls)
        self._write(hello)
        body = await self._connack
        try:
            connack = mqtt.read_connack(body)
        except BadPacket as error:
            raise Lost(f"a CONNACK that can't be read: {error}") from error
        if connack.code:
            raise Lost(f"refused with 0x{connack.code:02x}", connack.code)
        self._flights.in_flight_max = connack.receive_maximum
        self._flights.packet_bytes_max = connack.packet_bytes_max
        if connack.keepalive_s is not None:
            self._keepalive_s = connack.keepalive_s
        self._keep_alive()
        return connack

    async def close(self, code: int = 0) -> None:
        """Say goodbye; what was written before goes out first, within `LEAVE_S`."""
        transport = self._transport
        if transport is None:
            return
        self._lost = self._lost or Lost("closed")
        self._out.append(mqtt.disconnect(code))
        self._flush()
        transport.close()
        try:
            async with asyncio.timeout(LEAVE_S):
                await self._ended.wait()
        except TimeoutError:
            transport.abort()

    def abort(self) -> None:
        """Hang up without a word, as a link that is cut."""
        self._end("aborted")

    async def ask(self, packet: Callable[[int], bytes]) -> bytes:
        """Send a SUBSCRIBE or UNSUBSCRIBE; its answer's body, which ends with a code a filter."""
        self._alive()
        mid = self._flights.ask()
        answer = self._answers[mid] = self._loop.create_future()
        self._write(packet(mid))
        try:
            body: bytes = await answer
            return body
        finally:
            self._answers.pop(mid, None)
            self._flights.asked(mid)

    async def messages(self) -> list[Message]:
        """What has come: one to `MESSAGES_A_TURN`. After a loss, first what came before it."""
        if self._inbox:
            await asyncio.sleep(0)  # a busy connection lets others have a turn
        while not self._inbox:
            self._alive()
            await self._something(self._for_messages)
        messages = self._inbox.take()
        if self._full and self._inbox.is_half_empty:
            self._full = False
            self._heard_s = self._loop.time()
            self._read_or_not()
        return messages

    def acknowledge(self, message: Message) -> None:
        """PUBACK; nothing for a message at QoS 0."""
        self._alive()
        if message.mid is not None:
            self._write(mqtt.puback(message.mid))

    def acknowledge_all(self, messages: Iterable[Message]) -> None:
        """The same of many."""
        self._alive()
        pubacks = [mqtt.puback(each.mid) for each in messages if each.mid is not None]
        if pubacks:
            self._write(b"".join(pubacks))

    async def publish(self, packet: Callable[[int], bytes], answered: Answered) -> None:
        """Hand over a PUBLISH at QoS 1, made with its packet identifier when its turn comes;
        `answered` is called with the broker's answer, or with `TOO_LARGE` instead of sending what
        the broker said it wouldn't take, and never after a loss."""
        self._alive()
        while self._flights.waiting >= PUBLISH_MAX or not self._writable:
            await self._something(self._for_room)
            self._alive()
        self._flights.add(packet, answered)
        self._send_ready()

    async def published(self, packet: Callable[[int], bytes]) -> int:
        """The same, and wait for the broker's answer: its reason code, or `TOO_LARGE`."""
        answer: asyncio.Future[int] = self._loop.create_future()
        self._unanswered.add(answer)
        try:
            await self.publish(
                packet, lambda code: None if answer.done() else answer.set_result(code)
            )
            return await answer
        finally:
            self._unanswered.discard(answer)

    async def send(self, packet: bytes) -> None:
        """Hand over a PUBLISH at QoS 0; waits while the socket takes no more."""
        self._alive()
        while not self._writable:
            await self._something(self._for_room)
            self._alive()
        self._write(packet)

    # What asyncio calls

    def data_received(self, data: bytes) -> None:
        self._heard_s = self._loop.time()
        try:
            others = self._inbox.feed(data)
        except BadPacket as error:
            self._end(f"bytes that aren't MQTT 5: {error}")
            return
        if others:
            self._take(others)
        if self._inbox:
            self._mind_room()
            _wake(self._for_messages)

    # The rest

    def _fail(self, lost: Lost) -> None:
        for timer in (self._timer, self._resting):
            if timer is not None:
                timer.cancel()
        waiting: list[asyncio.Future[Any]] = [self._connack, *self._answers.values()]
        for future in (*waiting, *self._unanswered):
            if not future.done():
                future.set_exception(lost)
                future.exception()  # nobody may be waiting

    def _mind_room(self) -> None:
        """Stop reading while too much waits to be looked at, or to rest."""
        self._full = self._full or self._inbox.is_full
        if self._rest_s:
            if self._heard_s < self._busy_until_s and self._resting is None:
                self._resting = self._loop.call_later(self._rest_s, self._rested)
            self._busy_until_s = self._heard_s + self._rest_s
        if self._full or self._resting is not None:
            self._read_or_not()

    def _rested(self) -> None:
        self._resting = None
        self._busy_until_s = self._loop.time() + self._rest_s
        self._read_or_not()

    def _read_or_not(self) -> None:
        if self._transport is None:
            return
        if self._full or self._resting is not None:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _take(self, packets: Iterable[tuple[int, bytes]]) -> None:
        for kind, body in packets:
            if kind == mqtt.PUBACK:
                self._flights.puback(body)
            elif kind in (mqtt.SUBACK, mqtt.UNSUBACK):
                answer = self._answers.get(int.from_bytes(body[:2]))
                if answer is not None and not answer.done():
                    answer.set_result(body)
            elif kind == mqtt.CONNACK and not self._connack.done():
                self._connack.set_result(body)
            elif kind == mqtt.DISCONNECT:
                code = body[0] if body else 0
                self._end(f"the broker said goodbye with 0x{code:02x}", code)
        self._send_ready()
        if self._flights.waiting < PUBLISH_MAX:
            _wake(self._for_room)

    def _send_ready(self) -> None:
        for packet in self._flights.ready():
            self._write(packet)

    def _keep_alive(self) -> None:
        """Ask where nothing was sent, or heard, for long; a broker that stays silent is gone.
        While we don't read, we can't know. 0 keeps a connection however silent it is."""
        if not self._keepalive_s:
            return
        now_s, keepalive_s = self._loop.time(), self._keepalive_s
        silent_s = now_s - self._heard_s
        if silent_s > SILENT_KEEPALIVES * keepalive_s and not self._full:
            self._end(f"no word from the broker for {silent_s:.0f} s")
            return
        look_s = PING_KEEPALIVES * keepalive_s - (now_s - min(self._heard_s, self._sent_s))
        if look_s <= 0:
            self._write(mqtt.PINGREQ)
            look_s = keepalive_s / 4
        self._timer = self._loop.call_later(look_s, self._keep_alive)
