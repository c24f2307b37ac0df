"""An access point's SNMP v2c agent: uptime, one interface's counters, and its maker's client count.

    1.3.6.1.2.1.1.3.0              sysUpTime, hundredths of a second
    1.3.6.1.2.1.31.1.1.1.{1,6,10}  ifName, ifHCInOctets, ifHCOutOctets, row 3: wlan0
    CLIENTS                        stations; the OID is of the examples' enterprise (RFC 5612)

A wrong community, like anything that isn't a v2c question, is met with silence. What the objects
hold is the driver's: `encode` draws it. A question for sysUpTime begins a round of one moment.
Sources: RFC 3416 (messages), RFC 2578 (types), X.690 (BER), RFC 2863 (IF-MIB).
"""

from __future__ import annotations

import asyncio
from typing import cast

import msgspec

from simulators.truth import Truth
from simulators.voices import Voice
from simulators.wifi import WifiCorner
from wire.clock import Clock

Oid = tuple[int, ...]
INTERFACE, ROW = "wlan0", 3
CLIENTS = "1.3.6.1.4.1.32473.1.1.0"
SYS_UPTIME: Oid = (1, 3, 6, 1, 2, 1, 1, 3, 0)
IF_X: Oid = (1, 3, 6, 1, 2, 1, 31, 1, 1, 1)
SEQUENCE, INTEGER, TEXT, OID = 0x30, 0x02, 0x04, 0x06
GAUGE, TICKS, COUNTER_64 = 0x42, 0x43, 0x46
NO_SUCH_INSTANCE, END_OF_MIB = 0x81, 0x82
GET, RESPONSE, GET_BULK = 0xA0, 0xA2, 0xA5
QUESTIONS = (GET, 0xA1, GET_BULK)
REPETITIONS_MAX = 64
TICKS_WRAP = 2**32


class SnmpAgent(asyncio.DatagramProtocol):
    """One access point's agent."""

    def __init__(
        self, voice: Voice, history: WifiCorner, community: str, clock: Clock, truth: Truth
    ) -> None:
        self._voice, self._history, self._community = voice, history, community.encode()
        self._clock, self._truth = clock, truth
        self._objects: dict[Oid, bytes] = {}
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if not self._history.is_up(self._clock.now_ms()):
            return
        try:
            answer = self._answer(data)
        except (IndexError, ValueError):  # no message of ours: silence
            return
        if answer and self._transport and not self._transport.is_closing():
            self._transport.sendto(answer, addr)

    def _answer(self, data: bytes) -> bytes:
        ((_, message),) = _parts(data)
        (_, version), (_, community), (kind, body) = _parts(message)
        if version != b"\x01" or community != self._community or kind not in QUESTIONS:
            return b""
        (_, identity), _, (_, repetitions), (_, bindings) = _parts(body)
        wanted = [_read_oid(_parts(one)[0][1]) for _, one in _parts(bindings)]
        if SYS_UPTIME in wanted or not self._objects:
            self._measure()
        often = min(int.from_bytes(repetitions, "big"), REPETITIONS_MAX) if kind == GET_BULK else 1
        said = b"".join(self._said(kind, one, often) for one in wanted)
        told = _tlv(INTEGER, identity) + 2 * _number(INTEGER, 0) + _tlv(SEQUENCE, said)
        head = _number(INTEGER, 1) + _tlv(TEXT, community)
        return _tlv(SEQUENCE, head + _tlv(RESPONSE, told))

    def _said(self, kind: int, wanted: Oid, often: int) -> bytes:
        if kind == GET:
            return _binding(wanted, self._objects.get(wanted, _tlv(NO_SUCH_INSTANCE, b"")))
        after = sorted(one for one in self._objects if one > wanted)[:often]
        if not after:
            return _binding(wanted, _tlv(END_OF_MIB, b""))
        return b"".join(_binding(one, self._objects[one]) for one in after)

    def _measure(self) -> None:
        """Look at the world once for all objects, and note what they will say."""
        now_ms = self._clock.now_ms()
        said = self._voice.says(now_ms)
        told = msgspec.json.decode(said.payload.data)
        self._objects = {
            SYS_UPTIME: _number(TICKS, told["system"]["uptime_cs"] % TICKS_WRAP),
            (*IF_X, 1, ROW): _tlv(TEXT, INTERFACE.encode()),
            (*IF_X, 6, ROW): _number(COUNTER_64, told["interface"]["rx_bytes"]),
            (*IF_X, 10, ROW): _number(COUNTER_64, told["interface"]["tx_bytes"]),
            tuple(map(int, CLIENTS.split("."))): _number(GAUGE, told["clients"]["count"]),
        }
        self._truth.write(self._voice.row(said, "asked", now_ms))


def _tlv(tag: int, content: bytes) -> bytes:
    """Tag, length, content; a length of 128 and more in two bytes."""
    size = len(content)
    length = bytes((size,)) if size < 128 else b"\x82" + size.to_bytes(2, "big")
    return bytes((tag,)) + length + content


def _number(tag: int, value: int) -> bytes:
    size = value.bit_length() // 8 + 1
    return _tlv(tag, value.to_bytes(size, "big", signed=True))


def _binding(name: Oid, value: bytes) -> bytes:
    content = b""
    for part in (name[0] * 40 + name[1], *name[2:]):
        septets = [part % 128]
        while part := part // 128:
            septets.append(part % 128 + 128)
        content += bytes(septets[::-1])
    return _tlv(SEQUENCE, _tlv(OID, content) + value)


def _parts(content: bytes) -> list[tuple[int, bytes]]:
    """The tags and contents that stand in a row.

    Raises:
        IndexError, ValueError: they don't.
    """
    found, at = [], 0
    while at < len(content):
        size, start = content[at + 1], at + 2
        if size >= 128:
            start += size - 128
            size = int.from_bytes(content[at + 2 : start], "big")
        if start + size > len(content):
            raise ValueError("cut")
        found.append((content[at], content[start : start + size]))
        at = start + size
    return found


def _read_oid(content: bytes) -> Oid:
    numbers, value = list[int](), 0
    for byte in content:
        value = value * 128 + byte % 128
        if byte < 128:
            numbers.append(value)
            value = 0
    return (numbers[0] // 40, numbers[0] % 40, *numbers[1:])
