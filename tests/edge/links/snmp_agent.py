"""An SNMP v2c agent inside a test: a table of objects behind a UDP socket, and a BER of its own.

Nothing here is shared with the code that is tested.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

Oid = tuple[int, ...]
INTEGER, TEXT, COUNTER, TICKS, COUNTER64 = 0x02, 0x04, 0x41, 0x43, 0x46
NO_SUCH_INSTANCE, END_OF_MIB = 0x81, 0x82
GET, NEXT, BULK = 0xA0, 0xA1, 0xA5


def tlv(tag: int, content: bytes) -> bytes:
    size = len(content)
    return (
        bytes((tag,))
        + (bytes((size,)) if size < 128 else b"\x82" + size.to_bytes(2, "big"))
        + content
    )


def number(tag: int, value: int) -> bytes:
    size = max(1, (value.bit_length() + 8) // 8)
    return tlv(tag, value.to_bytes(size, "big", signed=True))


def oid(numbers: Oid) -> bytes:
    content = b""
    for part in (numbers[0] * 40 + numbers[1], *numbers[2:]):
        septets = [part % 128]
        while part := part // 128:
            septets.append(part % 128 + 128)
        content += bytes(septets[::-1])
    return tlv(0x06, content)


def parts(content: bytes) -> list[tuple[int, bytes]]:
    """The tags and contents that stand in a sequence."""
    found, at = [], 0
    while at < len(content):
        size, start = content[at + 1], at + 2
        if size >= 128:
            start += size - 128
            size = int.from_bytes(content[at + 2 : start], "big")
        found.append((content[at], content[start : start + size]))
        at = start + size
    return found


def parse_oid(content: bytes) -> Oid:
    numbers: list[int] = []
    value = 0
    for byte in content:
        value = value * 128 + byte % 128
        if byte < 128:
            numbers.append(value)
            value = 0
    return (numbers[0] // 40, numbers[0] % 40, *numbers[1:])


class Agent(asyncio.DatagramProtocol):
    """Answers for `objects`: each a tag and its value. `lost` datagrams are never answered."""

    def __init__(self, objects: Mapping[Oid, tuple[int, int | bytes]], community: bytes) -> None:
        self.objects = dict(objects)
        self._community = community
        self.lost = 0
        self.first_say: list[bytes] = []  # what a stranger sends before the answer
        self.asked = 0
        self.error = 0

    def connection_made(self, transport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr) -> None:
        self.asked += 1
        ((_, message),) = parts(data)
        (_, version), (_, community), (kind, body) = parts(message)
        if version != b"\x01" or community != self._community:
            return  # as RFC 3584 says: silence
        if self.lost:
            self.lost -= 1
            return
        for strange in self.first_say:
            self._transport.sendto(strange, addr)
        (_, identity), _, (_, repeat), (_, bindings) = parts(body)
        wanted = [parse_oid(parts(one)[0][1]) for _, one in parts(bindings)]
        said = b"".join(self._say(kind, one, int.from_bytes(repeat, "big")) for one in wanted)
        whole = tlv(2, identity) + number(2, self.error) + number(2, 0) + tlv(0x30, said)
        answer = tlv(0x30, number(2, 1) + tlv(4, community) + tlv(0xA2, whole))
        self._transport.sendto(answer, addr)

    def _say(self, kind: int, wanted: Oid, repeat: int) -> bytes:
        if kind == GET:
            return self._binding(wanted, NO_SUCH_INSTANCE)
        after = sorted(one for one in self.objects if one > wanted)[: repeat if kind == BULK else 1]
        if not after:
            return tlv(0x30, oid(wanted) + tlv(END_OF_MIB, b""))
        return b"".join(self._binding(one, END_OF_MIB) for one in after)

    def _binding(self, name: Oid, otherwise: int) -> bytes:
        tag, value = self.objects.get(name, (otherwise, b""))
        said = number(tag, value) if isinstance(value, int) else tlv(tag, value)
        return tlv(0x30, oid(name) + said)


@asynccontextmanager
async def agent(
    objects: Mapping[Oid, tuple[int, int | bytes]], community: bytes = b"public"
) -> AsyncIterator[tuple[Agent, str]]:
    """An agent on 127.0.0.1; gives it and its `host:port`."""
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Agent(objects, community), local_addr=("127.0.0.1", 0)
    )
    try:
        yield protocol, "{}:{}".format(*transport.get_extra_info("sockname"))
    finally:
        transport.close()
