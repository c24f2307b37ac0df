"""SNMP v2c messages: what is asked, what is answered, in the few BER forms that they use. No IO.

In: object identifiers. Out: a request's bytes; and a response's numbers and texts from bytes.

    message   30 | version 1 | community | request
    request   A0 get, A1 get-next, A5 get-bulk; A2 response
              | request id | error status | error index | bindings |     get-bulk: non-repeaters,
                                                                          max-repetitions
    binding   30 | oid | value

    value     02 integer, 41 Counter32, 42 Gauge32, 43 TimeTicks, 46 Counter64: a number
              04 text, 40 IpAddress, 44 Opaque: bytes; 06 oid
              05 null, 80 no such object, 81 no such instance, 82 end of the MIB: None

Each is tag, length, content; a length of 128 or more is its number of bytes + 80, then the bytes.
Source: RFC 3416 (PDUs), RFC 1901 (v2c), RFC 2578 (types), X.690 (BER, definite lengths).
"""

from __future__ import annotations

import msgspec

Oid = tuple[int, ...]
Value = int | bytes | Oid | None

GET, GET_NEXT, RESPONSE, GET_BULK = 0xA0, 0xA1, 0xA2, 0xA5
SEQUENCE, INTEGER, TEXT, NULL, OID = 0x30, 0x02, 0x04, 0x05, 0x06
VERSION_2C = 1
PORT = 161
_NUMBERS = (INTEGER, 0x41, 0x42, 0x43, 0x46)
_BYTES = (TEXT, 0x40, 0x44)
_NOTHING = (NULL, 0x80, 0x81, 0x82)
_NUMBER_SIZE = 9  # a Counter64 with its sign byte
_SUBIDS = 128  # RFC 2578, 3.5
_SUBID_HIGH = 2**32 - 1
_BINDINGS_MAX = 512


class NotSnmp(ValueError):
    """Bytes that are no v2c response."""


class Response(msgspec.Struct, frozen=True):
    """What an agent answered. `error` is 0 when all went well (RFC 3416, 3)."""

    community: bytes
    request_id: int
    error: int
    bindings: tuple[tuple[Oid, Value], ...]


def parse_oid(text: str) -> Oid:
    """`1.3.6.1` or `.1.3.6.1` as numbers.

    Raises:
        ValueError: it isn't one.
    """
    parts = text.removeprefix(".").split(".")
    if not 2 <= len(parts) <= _SUBIDS or not all(p.isascii() and p.isdigit() for p in parts):
        raise ValueError(f"{text!r} isn't an object identifier")
    oid = tuple(int(part) for part in parts)
    if oid[0] > 2 or (oid[0] < 2 and oid[1] > 39) or max(oid) > _SUBID_HIGH:
        raise ValueError(f"{text!r} isn't an object identifier")
    return oid


def host_and_port(text: str) -> tuple[str, int]:
    """`host`, `host:port` or `[host]:port`; 161 without a port.

    Raises:
        ValueError: the port isn't one.
    """
    if not text.strip("[]:"):
        raise ValueError("no host")
    host, colon, port = text.rpartition(":")
    if not colon or (":" in host and not host.startswith("[")):
        return text.strip("[]"), PORT
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 2**16):
        raise ValueError(f"{text!r} is not host:port")
    return host.strip("[]"), int(port)


def build_request(
    kind: int, community: bytes, request_id: int, oids: list[Oid], repetitions: int = 0
) -> bytes:
    """A get, get-next or get-bulk of these objects; `repetitions` is get-bulk's."""
    bindings = b"".join(_tlv(SEQUENCE, _oid(oid) + _tlv(NULL, b"")) for oid in oids)
    body = _integer(request_id) + _integer(0) + _integer(repetitions) + _tlv(SEQUENCE, bindings)
    return _tlv(SEQUENCE, _integer(VERSION_2C) + _tlv(TEXT, community) + _tlv(kind, body))


def parse_response(data: bytes) -> Response:
    """What the agent says.

    Raises:
        NotSnmp: another version, another message, cut, or no SNMP at all.
    """
    message = _only(data, SEQUENCE)
    version, rest = _take(message, INTEGER)
    community, rest = _take(rest, TEXT)
    if _number(version) != VERSION_2C:
        raise NotSnmp("another version than v2c")
    pdu = _only(rest, RESPONSE)
    request_id, rest = _take(pdu, INTEGER)
    error, rest = _take(rest, INTEGER)
    _, rest = _take(rest, INTEGER)
    rest = _only(rest, SEQUENCE)
    bindings: list[tuple[Oid, Value]] = []
    while rest:
        binding, rest = _take(rest, SEQUENCE)
        oid, said = _take(binding, OID)
        tag, content, after = _split(said)
        if after or len(bindings) >= _BINDINGS_MAX:
            raise NotSnmp("bindings of another form")
        bindings.append((_parse_oid(oid), _value(tag, content)))
    return Response(community, _number(request_id), _number(error), tuple(bindings))


def _value(tag: int, content: bytes) -> Value:
    if tag in _NUMBERS:
        number = _number(content)
        if tag != INTEGER and number < 0:
            raise NotSnmp("a counter below zero")
        return number
    if tag in _BYTES:
        return content
    if tag == OID:
        return _parse_oid(content)
    if tag in _NOTHING:
        return None
    raise NotSnmp(f"a value of type {tag:02x}")


def _only(data: bytes, tag: int) -> bytes:
    content, rest = _take(data, tag)
    if rest:
        raise NotSnmp(f"{len(rest)} bytes too many")
    return content


def _take(data: bytes, tag: int) -> tuple[bytes, bytes]:
    found, content, rest = _split(data)
    if found != tag:
        raise NotSnmp(f"type {found:02x}, not {tag:02x}")
    return content, rest


def _split(data: bytes) -> tuple[int, bytes, bytes]:
    """Tag, content, and what follows."""
    if len(data) < 2:
        raise NotSnmp("cut")
    size, at = data[1], 2
    if size & 0x80:
        more = size & 0x7F
        if not 1 <= more <= 4 or len(data) < 2 + more:
            raise NotSnmp("a length of another form")
        size, at = int.from_bytes(data[2 : 2 + more], "big"), 2 + more
    if len(data) < at + size:
        raise NotSnmp("cut")
    return data[0], data[at : at + size], data[at + size :]


def _number(content: bytes) -> int:
    if not 1 <= len(content) <= _NUMBER_SIZE:
        raise NotSnmp(f"a number of {len(content)} bytes")
    return int.from_bytes(content, "big", signed=True)


def _parse_oid(content: bytes) -> Oid:
    numbers: list[int] = []
    number = 0
    if not content or content[-1] & 0x80:
        raise NotSnmp("an object identifier that is cut")
    for byte in content:
        number = number << 7 | byte & 0x7F
        if number > _SUBID_HIGH + 80 or len(numbers) >= _SUBIDS:
            raise NotSnmp("an object identifier too long")
        if not byte & 0x80:
            numbers.append(number)
            number = 0
    first = min(numbers[0] // 40, 2)
    return (first, numbers[0] - 40 * first, *numbers[1:])


def _tlv(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def _integer(number: int) -> bytes:
    return _tlv(INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True))


def _oid(oid: Oid) -> bytes:
    content = b""
    for number in (40 * oid[0] + oid[1], *oid[2:]):
        groups = [number & 0x7F]
        while number := number >> 7:
            groups.append(number & 0x7F | 0x80)
        content += bytes(reversed(groups))
    return _tlv(OID, content)
