"""Both directions of one MQTT connection, without the socket: packets cut from what comes, messages
that wait to be looked at, and publications that wait for room in the broker. Pure.

Rooms: an `Inbox` says when it `is_full`, and whoever feeds it stops; `Flights` keep within what the
broker takes unacknowledged (Receive Maximum), and say how many wait behind that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice

from wire import mqtt
from wire.mqtt import BadPacket, Message

PACKET_BYTES_MAX = 16 * 1024 * 1024
MESSAGES_A_TURN = 128
"""As many are given out at once; then others have their turn of the loop."""

TOO_LARGE = 0x95

Answered = Callable[[int], None]
"""Gets a PUBACK's reason code: 0 yes, 0x10 yes but nobody listens, 0x80 and above no."""


class Inbox:
    """What has come.

    Args:
        messages_max, bytes_max: so much waiting to be looked at is full.
    """

    def __init__(self, messages_max: int, bytes_max: int) -> None:
        self._messages_max, self._bytes_max = messages_max, bytes_max
        self._part = bytearray()  # of a packet that hasn't come whole, up to `_part_end`
        self._part_end = 0
        self._messages: deque[Message] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        """Messages that wait."""
        return len(self._messages)

    @property
    def is_full(self) -> bool:
        return len(self._messages) >= self._messages_max or self._bytes >= self._bytes_max

    @property
    def is_half_empty(self) -> bool:
        return 2 * len(self._messages) < self._messages_max and 2 * self._bytes < self._bytes_max

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Take bytes as they come. Messages wait in here; of other packets, kind and body.

        Raises:
            BadPacket: bytes that aren't MQTT 5, or a packet larger than we take.
        """
        if self._part:
            self._part += data
            if len(self._part) < self._part_end:
                return []
            data = bytes(self._part)
            self._part.clear()
        others: list[tuple[int, bytes]] = []
        at = self._part_end = 0
        size = len(data)
        while size - at >= 2:
            start, end = mqtt.next_packet(data, at)
            if end > size or not end:
                if end - start > PACKET_BYTES_MAX:
                    raise BadPacket("a packet larger than we take")
                self._part_end = end - at
                break
            first = data[at]
            if first >> 4 == mqtt.PUBLISH:
                message = mqtt.read_publish(first, data, start, end)
                self._messages.append(message)
                self._bytes += len(message.payload)
            else:
                others.append((first >> 4, data[start:end]))
            at = end
        if at < size:
            self._part += memoryview(data)[at:]
        return others

    def take(self) -> list[Message]:
        """The first of what waits, at most `MESSAGES_A_TURN`."""
        messages = [*islice(self._messages, MESSAGES_A_TURN)]
        if len(messages) == len(self._messages):
            self._messages.clear()
            self._bytes = 0
        else:
            for message in messages:
                self._messages.popleft()
                self._bytes -= len(message.payload)
        return messages


class Flights:
    """What goes out and is answered: packet identifiers, and publications at QoS 1."""

    def __init__(self) -> None:
        self.in_flight_max = 0
        self.packet_bytes_max = 0
        self._mid = 0
        self._asked: set[int] = set()
        self._published: dict[int, Answered] = {}
        self._waiting: deque[tuple[Callable[[int], bytes], Answered]] = deque()

    @property
    def waiting(self) -> int:
        """Publications that the broker has no room for yet."""
        return len(self._waiting)

    def ask(self) -> int:
        """An identifier for a question, ours until `asked`."""
        mid = self._next_mid()
        self._asked.add(mid)
        return mid

    def asked(self, mid: int) -> None:
        """The question is answered, or nobody waits for that any more."""
        self._asked.discard(mid)

    def add(self, packet: Callable[[int], bytes], answered: Answered) -> None:
        """A publication, which is made with its identifier when its turn comes."""
        self._waiting.append((packet, answered))

    def ready(self) -> Iterator[bytes]:
        """Packets that may go now. One that is too large for the broker is answered so instead."""
        while self._waiting and len(self._published) < self.in_flight_max:
            packet, answered = self._waiting.popleft()
            mid = self._next_mid()
            said = packet(mid)
            if len(said) > self.packet_bytes_max:
                answered(TOO_LARGE)
                continue
            self._published[mid] = answered
            yield said

    def puback(self, body: bytes) -> None:
        """The broker's answer to one of them."""
        answered = self._published.pop(int.from_bytes(body[:2]), None)
        if answered is not None:
            answered(body[2] if len(body) > 2 else 0)

    def _next_mid(self) -> int:
        while True:
            self._mid = self._mid % mqtt.MID_MAX + 1
            if self._mid not in self._published and self._mid not in self._asked:
                return self._mid
