"""Modbus RTU, both sides of the wire, without the wire: no port, no clock.

In: bytes from an RS-485 bus. Out: the registers a slave answered with, or why not; for the
simulated slave, the requests it was sent.

    request    unit | function | register u16 | count u16        | crc
    answer     unit | function | byte count   | registers, big-endian | crc
    exception  unit | function + 0x80 | code                     | crc

    function   1 coils, 2 discrete inputs: bits, eight a byte, the first one lowest;
               3 holding registers, 4 input registers: two bytes each

    crc        CRC-16/Modbus: polynomial A001 reflected, starts at FFFF, low byte first

A frame has no header, only its end is certain. So both readers take one byte at a time and ask
whether a good frame *ends* there: what stood before it was noise, and bytes give the same answer
whole, one by one, or with noise in front. Silence ends a frame on a real bus; only the caller
knows the time, so it says so: `ResponseReader.silence()`.
Source: "Modbus over Serial Line" V1.02, 2.5.1, and "Modbus Application Protocol" V1.1b3, 6 and 7.
"""

from __future__ import annotations

import msgspec

from devices.driver import ModbusLink, Noise, RegisterRange
from devices.reading import Payload, Refusal, Undecodable

READ_COILS, READ_DISCRETE, READ_HOLDING, READ_INPUT = 1, 2, 3, 4
BIT_FUNCTIONS = (READ_COILS, READ_DISCRETE)
FUNCTIONS = (*BIT_FUNCTIONS, READ_HOLDING, READ_INPUT)
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS = 1, 2
MAX_COUNT = 125  # registers in one answer
BITS_MAX = 2000
REQUEST_SIZE = 8
EXCEPTION_SIZE = 5
FRAMING_SIZE = 5  # unit, function, byte count, crc: an answer without its registers
NOISE_ROOM = 256  # bytes of noise before an answer until the bus counts as babbling

_CODES = {
    1: "illegal function",
    2: "illegal register",
    3: "illegal count or value",
    4: "device failure",
    6: "device busy",
}


def _crc_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0xA001 if value & 1 else 0)
        table.append(value)
    return tuple(table)


_CRC_TABLE = _crc_table()


def crc16(data: bytes) -> int:
    """CRC-16/Modbus of `data`; it travels low byte first."""
    crc = 0xFFFF
    for byte in data:
        crc = (crc >> 8) ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc


def _sealed(body: bytes) -> bytes:
    return body + crc16(body).to_bytes(2, "little")


def _is_good(frame: bytes) -> bool:
    return crc16(frame[:-2]) == int.from_bytes(frame[-2:], "little")


class Request(msgspec.Struct, frozen=True):
    """One request for `count` registers from `register` on."""

    unit: int
    function: int
    register: int
    count: int


def build_request(unit: int, function: int, register: int, count: int) -> bytes:
    """The request for `count` registers, as the master sends it."""
    body = bytes((unit, function)) + register.to_bytes(2, "big") + count.to_bytes(2, "big")
    return _sealed(body)


def build_response(unit: int, function: int, registers: bytes) -> bytes:
    """The answer that holds `registers`, or a row of bits, as the slave sends it."""
    return _sealed(bytes((unit, function, len(registers))) + registers)


def build_exception(unit: int, function: int, code: int) -> bytes:
    """The answer of a slave that can't: `code` is ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ..."""
    return _sealed(bytes((unit, function | 0x80, code)))


def parse_request(frame: bytes) -> Request:
    """Read one whole request, as a slave does.

    Raises:
        Undecodable: `length`, `checksum`, or `type` when it reads nothing.
    """
    if len(frame) != REQUEST_SIZE:
        raise Undecodable(Refusal.LENGTH, f"{len(frame)} bytes, a request has {REQUEST_SIZE}")
    if not _is_good(frame):
        raise Undecodable(Refusal.CHECKSUM, "request CRC")
    if frame[1] not in FUNCTIONS:
        raise Undecodable(Refusal.TYPE, f"function {frame[1]} reads nothing")
    register, count = (int.from_bytes(frame[at : at + 2], "big") for at in (2, 4))
    return Request(frame[0], frame[1], register, count)


def answer_part(
    link: ModbusLink, payload: Payload, request: Request, node: int = 0
) -> bytes | None:
    """What a slave that says `payload` answers to one request for it.

    Returns:
        The bytes of one of the payload's ranges; None when the request is for anything else.
    """
    at = 0
    for asked in link.at_node(node):
        if (request.function, request.register, request.count) == (
            asked.function,
            asked.register,
            asked.count,
        ):
            return payload.data[at : at + asked.size]
        at += asked.size
    return None


class RequestReader:
    """Finds register requests in a byte stream that begins anywhere: the slave's ear."""

    def __init__(self) -> None:
        self._window = b""

    def feed(self, data: bytes) -> list[Request | Noise]:
        """Take the next bytes; return what they complete, adjacent noise as one `Noise`."""
        found: list[Request | Noise] = []
        dropped = 0
        for byte in data:
            self._window += bytes((byte,))
            if len(self._window) > REQUEST_SIZE:
                self._window = self._window[1:]
                dropped += 1
            try:
                request = parse_request(self._window)
            except Undecodable:
                continue
            if dropped:
                found.append(Noise("garbage", dropped))
            found.append(request)
            self._window, dropped = b"", 0
        if dropped:
            found.append(Noise("garbage", dropped))
        return found

    def reset(self) -> None:
        """Forget a half-read request."""
        self._window = b""


class ResponseReader:
    """Reads the answer to one request; make a new one for each request.

    Args:
        unit, function, count: what was asked.
        echo: the request's bytes, for an RS-485 adapter that hears itself; skipped when they
            come back in front of the answer.
    """

    def __init__(self, unit: int, function: int, count: int, echo: bytes = b"") -> None:
        size = RegisterRange(function, 0, count).size
        self._head = bytes((unit, function, size))
        self._size = FRAMING_SIZE + size
        self._echo = echo
        self._heard = b""

    def feed(self, data: bytes) -> bytes | None:
        """Take the next bytes; return the registers' bytes once the answer is whole, else None.

        Raises:
            Undecodable: `exception` when the slave says it can't, `wrong_unit` for another
                slave's answer, `length` for another count of registers, `checksum` for an answer
                that came damaged or a bus that babbles.
        """
        for byte in data:
            self._heard += bytes((byte,))
            if self._echo and self._echo.startswith(self._heard):
                if self._heard == self._echo:
                    self._heard = self._echo = b""
                continue
            registers = self._answer_ending_here()
            if registers is not None:
                return registers
        return None

    @property
    def skipped(self) -> int:
        """Bytes of noise in front of an answer that is whole now."""
        return max(0, len(self._heard) - self._size)

    def silence(self) -> Undecodable:
        """Why there is no answer, once the caller's time-out has passed."""
        if not self._heard:
            return Undecodable(Refusal.TIMEOUT, "no byte came")
        at = self._heard.rfind(self._head)
        if at >= 0 and len(self._heard) - at < self._size:
            return Undecodable(Refusal.LENGTH, f"answer cut after {len(self._heard) - at} bytes")
        return Undecodable(Refusal.CHECKSUM, f"{len(self._heard)} bytes and no frame among them")

    def _answer_ending_here(self) -> bytes | None:
        unit, function, size = self._head
        tail = self._heard[-self._size :]
        if len(tail) == self._size and tail[1:3] == self._head[1:] and _is_good(tail):
            if tail[0] != unit:
                raise Undecodable(Refusal.WRONG_UNIT, f"unit {tail[0]} answered for {unit}")
            return tail[3:-2]
        tail = self._heard[-EXCEPTION_SIZE:]
        if len(tail) == EXCEPTION_SIZE and tail[1] == function | 0x80 and _is_good(tail):
            if tail[0] != unit:
                raise Undecodable(Refusal.WRONG_UNIT, f"unit {tail[0]} answered for {unit}")
            name = _CODES.get(tail[2], "unknown")
            raise Undecodable(Refusal.EXCEPTION, f"unit {unit}: code {tail[2]}, {name}")
        self._refuse_another_length(unit, function, size)
        self._refuse_damage()
        return None

    def _refuse_another_length(self, unit: int, function: int, size: int) -> None:
        heard = self._heard
        for at in range(len(heard) - FRAMING_SIZE + 1):
            whole = heard[at + 2] + FRAMING_SIZE == len(heard) - at
            if whole and heard[at : at + 2] == bytes((unit, function)) and _is_good(heard[at:]):
                raise Undecodable(Refusal.LENGTH, f"{heard[at + 2]} bytes of registers, not {size}")

    def _refuse_damage(self) -> None:
        heard, head = self._heard, self._head
        at = heard.find(head)
        later_start = any(heard.endswith(head[:n]) for n in (1, 2)) or heard.find(head, at + 1) > 0
        if at >= 0 and len(heard) - at >= self._size and not later_start:
            raise Undecodable(Refusal.CHECKSUM, f"answer of unit {head[0]} came damaged")
        if len(heard) >= self._size + NOISE_ROOM:
            raise Undecodable(Refusal.CHECKSUM, f"{len(heard)} bytes and no frame among them")
