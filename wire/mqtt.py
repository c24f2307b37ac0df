"""MQTT 5 packets as bytes, as far as our links speak it: no socket, no clock, no state.

In: what to say. Out: whole packets. The other way round, `next_packet` cuts what came into packets,
`read_publish` reads one that brings a message, `read_connack` the broker's answer to CONNECT.
Quality of service 0 and 1; topic aliases only on the way out. Source: MQTT Version 5.0, OASIS
standard, sections 2 and 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

CONNACK, PUBLISH, PUBACK, SUBACK, UNSUBACK, DISCONNECT = 2, 3, 4, 9, 11, 14
PINGREQ = b"\xc0\x00"
GOODBYE = b"\xe0\x00"
MID_MAX = 0xFFFF
PACKET_BYTES_MAX = 5 + 268_435_455
"""No packet of MQTT is larger: what a broker takes that says no maximum."""

USER_MAX = 16
"""User properties of a message that are looked at; ours have one."""

_CLEAN_START, _WILL, _WILL_RETAINED, _USERNAME, _PASSWORD = 0x02, 0x0C, 0x20, 0x80, 0x40
_NO_LOCAL, _NOT_KEPT = 0x04, 0x20
_EXPIRY, _CONTENT_TYPE, _CORRELATION, _USER = 0x02, 0x03, 0x09, 0x26
_RECEIVE_MAXIMUM, _SUBSCRIPTION, _KEEPALIVE, _PACKET_MAXIMUM = 0x21, 0x0B, 0x13, 0x27
_ALIAS_MAXIMUM = 0x22
_SIZES = {0x01: 1, 0x02: 4, 0x11: 4, 0x13: 2, 0x17: 1, 0x19: 1, 0x21: 2, 0x22: 2, 0x23: 2}
_SIZES |= {0x24: 1, 0x25: 1, 0x27: 4, 0x28: 1, 0x29: 1, 0x2A: 1}
_TEXTS = frozenset({0x03, 0x08, 0x09, 0x12, 0x15, 0x16, 0x1A, 0x1C, 0x1F})


class BadPacket(Exception):
    """Bytes that aren't MQTT 5, or more than was agreed on."""


class Message(msgspec.Struct, frozen=True, gc=False):
    """A PUBLISH. `mid` is None at QoS 0; properties that are absent are None."""

    topic: str
    payload: bytes
    mid: int | None
    retain: bool
    content_type: str | None = None
    correlation_data: bytes | None = None
    user: tuple[tuple[str, str], ...] = ()


class Will(NamedTuple):
    """What the broker publishes at QoS 1 for a client that ends without a goodbye."""

    topic: str
    payload: bytes
    retain: bool = True


class Connack(NamedTuple):
    """The broker's answer to CONNECT. `keepalive_s` is None where it takes the client's."""

    code: int
    session_present: bool
    receive_maximum: int
    packet_bytes_max: int
    keepalive_s: int | None
    topic_aliases: int = 0


def connect(
    client_id: str,
    keepalive_s: int,
    username: str | None = None,
    password: str | None = None,
    packet_bytes_max: int = 0,
    session_expiry_s: int = 0,
    will: Will | None = None,
) -> bytes:
    """CONNECT. `session_expiry_s` 0 starts clean, and the session ends with the connection; more
    goes on with the session there is, and keeps it so long. Receive Maximum is announced as the
    highest there is: mosquitto takes its own, which is 20, when none is said."""
    flags = 0 if session_expiry_s else _CLEAN_START
    properties = b"\x21" + MID_MAX.to_bytes(2)
    if packet_bytes_max:
        properties += b"\x27" + packet_bytes_max.to_bytes(4)
    if session_expiry_s:
        properties += b"\x11" + session_expiry_s.to_bytes(4)
    rest = b""
    if will is not None:
        flags |= _WILL | (_WILL_RETAINED if will.retain else 0)
        rest = b"\x00" + _field(will.topic.encode()) + _field(will.payload)
    for text, flag in ((username, _USERNAME), (password, _PASSWORD)):
        if text is not None:
            flags |= flag
            rest += _field(text.encode())
    head = _field(b"MQTT") + bytes((5, flags)) + keepalive_s.to_bytes(2)
    body = head + _number(len(properties)) + properties + _field(client_id.encode()) + rest
    return _packet(0x10, body)


def disconnect(code: int = 0) -> bytes:
    """DISCONNECT; 0x04 asks the broker to publish the will all the same."""
    return b"\xe0\x01" + bytes((code,)) if code else GOODBYE


def subscribe(
    mid: int, topic_filters: Sequence[str], qos: int = 1, own: bool = True, kept: bool = True
) -> bytes:
    """SUBSCRIBE; without `own` not to what this client publishes, without `kept` not to what was
    retained before."""
    options = bytes((qos | (0 if own else _NO_LOCAL) | (0 if kept else _NOT_KEPT),))
    filters = b"".join([_field(name.encode()) + options for name in topic_filters])
    return _packet(0x82, mid.to_bytes(2) + b"\x00" + filters)


def unsubscribe(mid: int, topic_filters: Sequence[str]) -> bytes:
    """UNSUBSCRIBE."""
    filters = b"".join([_field(name.encode()) for name in topic_filters])
    return _packet(0xA2, mid.to_bytes(2) + b"\x00" + filters)


def publish(
    mid: int | None,
    topic: str,
    payload: bytes,
    expiry_s: int = 0,
    retain: bool = False,
    content_type: str = "",
    correlation_data: bytes = b"",
    user: Sequence[tuple[str, str]] = (),
    topic_alias: int = 0,
) -> bytes:
    """PUBLISH at QoS 1, or at QoS 0 when `mid` is None; `expiry_s` 0 never expires. A `topic_alias`
    stands for the topic in later packets of the connection, which leave it empty."""
    properties = b"\x02" + expiry_s.to_bytes(4) if expiry_s else b""
    if topic_alias:
        properties += b"\x23" + topic_alias.to_bytes(2)
    if content_type:
        properties += b"\x03" + _field(content_type.encode())
    if correlation_data:
        properties += b"\x09" + _field(correlation_data)
    for name, value in user:
        properties += b"\x26" + _field(name.encode()) + _field(value.encode())
    identifier = b"" if mid is None else mid.to_bytes(2)
    first = (0x30 if mid is None else 0x32) | retain
    size = _number(len(properties))
    return _packet(first, b"".join((_field(topic.encode()), identifier, size, properties, payload)))


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
        at = start + 2 + (data[start] << 8 | data[start + 1])
        topic = data[start + 2 : at].decode()
        mid = None
        qos = first & 6
        if qos == 2:
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
        if not length:
            return Message(topic, data[stop:end], mid, first & 1 == 1)
        content_type, correlation, user = _read_properties(data, at, stop)
    except (IndexError, UnicodeDecodeError) as error:
        raise BadPacket(str(error)) from error
    return Message(topic, data[stop:end], mid, first & 1 == 1, content_type, correlation, user)


def receive_maximum(connack: bytes) -> int:
    """How many messages the broker takes unacknowledged, from CONNACK's body.

    Raises:
        BadPacket: it can't be read.
    """
    return read_connack(connack).receive_maximum


def read_connack(body: bytes) -> Connack:
    """CONNACK from its body.

    Raises:
        BadPacket: it can't be read.
    """
    try:
        return _read_connack(body)
    except IndexError as error:
        raise BadPacket(str(error)) from error


def _read_connack(body: bytes) -> Connack:
    said = {_RECEIVE_MAXIMUM: MID_MAX, _PACKET_MAXIMUM: PACKET_BYTES_MAX}
    length, at = _read_number(body, 2)
    end = at + length
    while at < end:
        name = body[at]
        start, at = at + 1, _after(body, name, at + 1)
        if name in (_RECEIVE_MAXIMUM, _PACKET_MAXIMUM, _KEEPALIVE, _ALIAS_MAXIMUM):
            said[name] = int.from_bytes(body[start:at])
    if at > len(body):
        raise BadPacket("properties that end elsewhere than they say")
    most = said[_RECEIVE_MAXIMUM] or MID_MAX
    session = body[0] & 1 == 1
    aliases = said.get(_ALIAS_MAXIMUM, 0)
    return Connack(body[1], session, most, said[_PACKET_MAXIMUM], said.get(_KEEPALIVE), aliases)


_Properties = tuple[str | None, bytes | None, tuple[tuple[str, str], ...]]


def _read_properties(data: bytes, at: int, end: int) -> _Properties:
    content_type = correlation = None
    user: list[tuple[str, str]] = []
    while at < end:
        name = data[at]
        if name == _EXPIRY:
            at += 5
            continue
        if name not in _HEARD:
            at = _after(data, name, at + 1)
            continue
        start = at + 3
        at = start + (data[at + 1] << 8 | data[at + 2])
        if name == _CORRELATION:
            correlation = data[start:at]
        elif name == _CONTENT_TYPE:
            content_type = data[start:at].decode()
        else:
            key, start = data[start:at].decode(), at + 2
            at = start + (data[at] << 8 | data[at + 1])
            if len(user) < USER_MAX:  # a packet has room for 26,000; the rest is read over
                user.append((key, data[start:at].decode()))
    if at != end:
        raise BadPacket("properties that end elsewhere than they say")
    return content_type, correlation, tuple(user)


_HEARD = frozenset({_CONTENT_TYPE, _CORRELATION, _USER})


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
