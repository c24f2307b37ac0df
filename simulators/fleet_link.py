"""A lean MQTT 5 connection for the fleet: thousands of them fit in a process.

In: packets encoded beforehand, and where to tell what comes. Out: bytes on a socket; PUBACK codes
and messages by callback. Only what a gateway's uplink needs: CONNECT with a clean start, SUBSCRIBE,
PUBLISH at QoS 1 either way, PINGREQ, DISCONNECT.

Why not a client library here: a library's connection costs tens of kilobytes and, with paho, a
publish 100 µs and more, so that 10,000 of them would measure the generator. It shares `wire.mqtt`
with the ingestor's link; tests hold that against paho. Nothing is sent again by itself.

Room: no more than the broker's Receive Maximum go unacknowledged; what is published beyond waits in
`_waiting`, which the callers' windows bound."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from wire import mqtt

KEEPALIVE_S = 60
_CLEAN_START, _RETAINED_WILL = 0x02, 0x2C  # CONNECT's flags; the will at QoS 1


class Packet:
    """A PUBLISH at QoS 1, encoded but for its packet identifier. `will` is how a CONNECT says it,
    without the properties."""

    __slots__ = ("_after", "_before", "will")

    def __init__(
        self,
        name: str,
        payload: bytes,
        *,
        retain: bool = False,
        expiry_s: int = 0,
        content_type: str = "",
        correlation: bytes = b"",
        user: tuple[tuple[str, str], ...] = (),
    ) -> None:
        properties = bytearray()
        if expiry_s:
            properties += b"\x02" + expiry_s.to_bytes(4)
        if content_type:
            properties += b"\x03" + _field(content_type.encode())
        if correlation:
            properties += b"\x09" + _field(correlation)
        for key, value in user:
            properties += b"\x26" + _field(key.encode()) + _field(value.encode())
        topic = _field(name.encode())
        self._after = _number(len(properties)) + bytes(properties) + payload
        length = len(topic) + 2 + len(self._after)
        self._before = bytes((0x33 if retain else 0x32,)) + _number(length) + topic
        self.will = b"\x00" + topic + _field(payload)

    def with_identifier(self, mid: int) -> bytes:
        """The whole packet."""
        return self._before + mid.to_bytes(2) + self._after


class FleetLink(asyncio.Protocol):
    """One connection, of one gateway or of several.

    Args:
        client_id: the session's name.
        filters: what to subscribe to, at QoS 1.
        heard: gets (topic, payload) of each message.
        up: called once everything is subscribed.
        down: called once with the broker's reason code, or None, when the connection ends.
        will: what the broker publishes, retained, when the connection ends without a goodbye.
    """

    def __init__(
        self,
        client_id: str,
        filters: list[str],
        heard: Callable[[str, bytes], None],
        up: Callable[[], None],
        down: Callable[[int | None], None],
        will: Packet | None = None,
    ) -> None:
        self._will = will
        self._client_id, self._filters = client_id, filters
        self._heard, self._up, self._down = heard, up, down
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._mid = 0
        self._answers: dict[int, Callable[[int], None]] = {}
        self._waiting: deque[tuple[Packet, Callable[[int], None]]] = deque()
        self._in_flight_max = 0
        self._code: int | None = None
        self._pinging: asyncio.TimerHandle | None = None

    def publish(self, packet: Packet, answered: Callable[[int], None]) -> None:
        """Send it when the broker takes one more; `answered` gets the PUBACK's reason code, and is
        never called after a loss."""
        if len(self._answers) >= self._in_flight_max:
            self._waiting.append((packet, answered))
        elif self._transport is not None:
            self._send(packet, answered)

    def close(self) -> None:
        """Say goodbye."""
        if self._transport is not None:
            self._transport.write(mqtt.GOODBYE)
            self._transport.close()

    def abort(self) -> None:
        """Vanish, as a link that is cut."""
        if self._transport is not None:
            self._transport.abort()

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        flags = _CLEAN_START | (_RETAINED_WILL if self._will else 0)
        head = _field(b"MQTT") + bytes((5, flags)) + KEEPALIVE_S.to_bytes(2) + b"\x00"
        body = head + _field(self._client_id.encode()) + (self._will.will if self._will else b"")
        transport.write(_packet(0x10, body))

    def connection_lost(self, _: Exception | None) -> None:
        self._transport = None
        if self._pinging is not None:
            self._pinging.cancel()
        self._answers.clear()
        self._waiting.clear()
        self._down(self._code)

    def data_received(self, data: bytes) -> None:
        self._received += data
        taken = 0
        while len(self._received) - taken >= 2:
            start, end = mqtt.next_packet(self._received, taken)
            if not 0 < end <= len(self._received):
                break
            self._take(self._received[taken], bytes(self._received[start:end]))
            taken = end
        del self._received[:taken]

    # Packets

    def _take(self, kind: int, body: bytes) -> None:
        match kind >> 4:
            case mqtt.PUBLISH:
                self._take_publish(kind, body)
            case mqtt.PUBACK:
                answered = self._answers.pop(int.from_bytes(body[:2]), None)
                if answered is not None:
                    answered(body[2] if len(body) > 2 else 0)
                self._send_waiting()
            case mqtt.CONNACK:
                self._connected(body)
            case mqtt.SUBACK:
                self._up()
            case mqtt.DISCONNECT:
                self._code = body[0] if body else 0

    def _connected(self, body: bytes) -> None:
        if body[1]:
            self._code = body[1]
            self.abort()
            return
        self._in_flight_max = mqtt.receive_maximum(body)
        self._write(mqtt.subscribe(1, self._filters))
        self._mid = 1
        self._ping_later()

    def _take_publish(self, first: int, body: bytes) -> None:
        message = mqtt.read_publish(first, body, 0, len(body))
        self._heard(message.topic, message.payload)
        if message.mid is not None:
            self._write(mqtt.puback(message.mid))

    def _send(self, packet: Packet, answered: Callable[[int], None]) -> None:
        while True:
            self._mid = self._mid % mqtt.MID_MAX + 1
            if self._mid not in self._answers:
                break
        self._answers[self._mid] = answered
        self._write(packet.with_identifier(self._mid))

    def _send_waiting(self) -> None:
        while self._waiting and len(self._answers) < self._in_flight_max:
            self._send(*self._waiting.popleft())

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def _ping_later(self) -> None:
        self._pinging = asyncio.get_running_loop().call_later(KEEPALIVE_S / 2, self._ping)

    def _ping(self) -> None:
        self._write(mqtt.PINGREQ)
        self._ping_later()


def _number(value: int) -> bytes:
    encoded = bytearray()
    while True:
        value, low = value >> 7, value & 0x7F
        encoded.append(low | (0x80 if value else 0))
        if not value:
            return bytes(encoded)


def _field(data: bytes) -> bytes:
    return len(data).to_bytes(2) + data


def _packet(kind: int, body: bytes) -> bytes:
    return bytes((kind,)) + _number(len(body)) + body
