"""MQTT 5 packets as bytes, as far as our links speak it: no socket, no clock, no state.

In: what to say. Out: whole packets. The other way round, `packets` cuts what came into packets, and
`read_publish` reads one that brings a message. Quality of service 0 and 1, clean sessions, no topic
aliases. Source: MQTT Version 5.0, OASIS standard, sections 2 and 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

CONNACK, PUBLISH, PUBACK, SUBACK, UNSUBACK, PINGRESP, DISCONNECT = 2, 3, 4, 9, 11, 13, 14
PINGREQ = b"\xc0\x00"
GOODBYE = b"\xe0\x00"
MID_MAX = 0xFFFF

_CLEAN_START, _USERNAME, _PASSWORD = 0x02, 0x80, 0x40
_EXPIRY, _CONTENT_TYPE, _CORRELATION, _USER = 0x02, 0x03, 0x09, 0x26
_RECEIVE_MAXIMUM, _SUBSCRIPTION = 0x21, 0x0B
_SIZES = {0x01: 1, 0x02: 4, 0x11: 4, 0x13: 2, 0x17: 1, 0x19: 1, 0x21: 2, 0x22: 2, 0x23: 2}
_SIZES |= {0x24: 1, 0x25: 1, 0x27: 4, 0x28: 1, 0x29: 1, 0x2A: 1}
_TEXTS = frozenset({0x03, 0x08, 0x09, 0x12, 0x15, 0x16, 0x1A, 0x1C, 0x1F})


class BadPacket(Exception):
    """Bytes that aren't MQTT 5, or more than was agreed on."""


class Message(NamedTuple):
    """A PUBLISH. `mid` is None at QoS 0; properties that are absent are None."""

    topic: str
    payload: bytes
    mid: int | None
    retain: bool
    content_type: str | None = None
    correlation_data: bytes | None = None
    user: tuple[tuple[str, str], ...] = ()


def connect(
    client_id: str,
    keepalive_s: int,
    username: str | None = None,
    password: str | None = None,
    packet_bytes_max: int = 0,
) -> bytes:
    """CONNECT with a clean start and a session that ends with the connection. Receive Maximum is
    announced as the highest there is: mosquitto takes its own, which is 20, when none is said."""
    flags = _CLEAN_START
    login = b""
    for text, flag in ((username, _USERNAME), (password, _PASSWORD)):
        if text is not None:
            flags |= flag
            login += _field(text.encode())
    properties = b"\x21" + MID_MAX.to_bytes(2)
    if packet_bytes_max:
        properties += b"\x27" + packet_bytes_max.to_bytes(4)
    head = _field(b"MQTT") + bytes((5, flags)) + keepalive_s.to_bytes(2)
    body = head + _number(len(properties)) + properties + _field(client_id.encode()) + login
    return _packet(0x10, body)


def subscribe(mid: int, topic_filters: Sequence[str]) -> bytes:
    """SUBSCRIBE at QoS 1."""
    filters = b"".join(_field(name.encode()) + b"\x01" for name in topic_filters)
    return _packet(0x82, mid.to_bytes(2) + b"\x00" + filters)


def unsubscribe(mid: int, topic_filters: Sequence[str]) -> bytes:
    """UNSUBSCRIBE."""
    filters = b"".join(_field(name.encode()) for name in topic_filters)
    return _packet(0xA2, mid.to_bytes(2) + b"\x00" + filters)


def publish(mid: int, topic: str, payload: bytes, expiry_s: int = 0, retain: bool = False) -> bytes:
    """PUBLISH at QoS 1; `expiry_s` 0 never expires."""
    name = topic.encode()
    properties = b"\x05\x02" + expiry_s.to_bytes(4) if expiry_s else b"\x00"
    length = 4 + len(name) + len(properties) + len(payload)
    head = b"\x33" if retain else b"\x32"
    return b"".join((head, _number(length), _field(name), mid.to_bytes(2), properties, payload))


def puback(mid: int) -> bytes:
    """PUBACK: success."""
    return b"\x40\x02" + mid.to_bytes(2)


def next_packet(data: bytes | bytearray, at: int) -> tuple[int, int]:
    """Where the body of the packet at `at` begins and ends; (0, 0) while not even its length is
    there. The end may lie beyond what has come.

    Raises:
        BadPacket: a length of more than four bytes.
    """
    if at + 3 <= len(data) and data[at + 1] >= 0x80 > data[at + 2]:  # what a batch has
        return at + 3, at + 3 + (data[at + 1] & 0x7F | data[at + 2] << 7)
    length = shift = 0
    for place in range(at + 1, min(at + 5, len(data))):
        byte = data[place]
        length |= (byte & 0x7F) << shift
        if byte < 0x80:
            return place + 1, place + 1 + length
        shift += 7
    if len(data) >= at + 5:
        raise BadPacket("a length of more than four bytes")
    return 0, 0


def read_publish(first: int, data: bytes, start: int, end: int) -> Message:
    """The message in `data[start:end]`; `first` is its packet's first byte.

    Raises:
        BadPacket: it can't be read, or uses what we never agreed to.
    """
    try:
        return _read_publish(first, data, start, end)
    except (IndexError, UnicodeDecodeError) as error:
        raise BadPacket(str(error)) from error


def _read_publish(first: int, data: bytes, start: int, end: int) -> Message:
    qos = first >> 1 & 3
    at = start + 2 + (data[start] << 8 | data[start + 1])
    topic = data[start + 2 : at].decode()
    mid = None
    if qos == 1:
        mid = data[at] << 8 | data[at + 1]
        at += 2
    elif qos:
        raise BadPacket("quality of service 2 or 3")
    length = data[at]
    at += 1
    if length >= 0x80:
        length, at = _read_number(data, at - 1)
    stop = at + length
    if not topic or stop > end:
        raise BadPacket("a message without a topic, or longer than its packet")
    content_type, correlation, user = _read_properties(data, at, stop) if length else _NONE
    retain = bool(first & 1)
    return Message(topic, data[stop:end], mid, retain, content_type, correlation, user)


def receive_maximum(connack: bytes) -> int:
    """How many messages the broker takes unacknowledged, from CONNACK's body.

    Raises:
        BadPacket: it can't be read.
    """
    try:
        return _receive_maximum(connack) or MID_MAX
    except IndexError as error:
        raise BadPacket(str(error)) from error


def _receive_maximum(connack: bytes) -> int:
    at = 2
    length, at = _read_number(connack, at)
    end = at + length
    while at < end:
        name = connack[at]
        if name == _RECEIVE_MAXIMUM:
            return int.from_bytes(connack[at + 1 : at + 3])
        at = _after(connack, name, at + 1)
    return 0


_Properties = tuple[str | None, bytes | None, tuple[tuple[str, str], ...]]
_NONE: _Properties = (None, None, ())


def _read_properties(data: bytes, at: int, end: int) -> _Properties:
    content_type = correlation = None
    user: tuple[tuple[str, str], ...] = ()
    while at < end:
        name = data[at]
        at += 1
        if name == _EXPIRY:
            at += 4
            continue
        if name not in (_CONTENT_TYPE, _CORRELATION, _USER):
            at = _after(data, name, at)
            continue
        stop = at + 2 + (data[at] << 8 | data[at + 1])
        value = data[at + 2 : stop]
        at = stop
        if name == _CORRELATION:
            correlation = value
        elif name == _CONTENT_TYPE:
            content_type = value.decode()
        else:
            stop = at + 2 + (data[at] << 8 | data[at + 1])
            user = (*user, (value.decode(), data[at + 2 : stop].decode()))
            at = stop
    if at != end:
        raise BadPacket("properties that end elsewhere than they say")
    return content_type, correlation, user


def _after(data: bytes, name: int, at: int) -> int:
    """Where a property's value that begins at `at` ends."""
    if name in _SIZES:
        return at + _SIZES[name]
    if name in _TEXTS:
        return at + 2 + int.from_bytes(data[at : at + 2])
    if name == _USER:
        at += 2 + int.from_bytes(data[at : at + 2])
        return at + 2 + int.from_bytes(data[at : at + 2])
    if name == _SUBSCRIPTION:
        return _read_number(data, at)[1]
    raise BadPacket(f"an unknown property 0x{name:02x}")


def _read_number(data: bytes, at: int) -> tuple[int, int]:
    """A variable byte integer, and where what follows it begins."""
    number = shift = 0
    while shift < 28:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
    raise BadPacket("a number of more than four bytes")


def _number(value: int) -> bytes:
    if value < 0x80:
        return bytes((value,))
    encoded = bytearray()
    while True:
        value, low = value >> 7, value & 0x7F
        encoded.append(low | (0x80 if value else 0))
        if not value:
            return bytes(encoded)


def _field(data: bytes) -> bytes:
    return len(data).to_bytes(2) + data


def _packet(first: int, body: bytes) -> bytes:
    return bytes((first,)) + _number(len(body)) + body
