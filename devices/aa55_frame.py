"""The frame of DFRobot's URM rangers with a serial command set.

    | 55 AA | address | size | command | data ... | sum |
    | 55 AA | 11      | 02   | 02      | 00 CA    | DE  |       distance 202

    address  11 as delivered
    size     of the data
    command  01 measure (no answer), 02 distance, 03 temperature, 55 set the address, 08 set the
             baud rate
    sum      low byte of the sum of all before it

A question is a frame without data; the answer has the same command. Numbers are big-endian.
Source: wiki.dfrobot.com sen0153/docs/20887 and DFRobot_Communication_Protocol.
"""

from __future__ import annotations

from functools import partial

from devices.header_framer import HeaderFramer, ends_with_sum
from devices.reading import Refusal, Undecodable

HEADER = b"\x55\xaa"
ADDRESS = 0x11
MEASURE = 0x01
DISTANCE = 0x02
EMPTY_SIZE = 6  # a frame without its data
DATA_MOST = 8
NO_TARGET = 0xFFFF
ANSWER_SIZE = EMPTY_SIZE + 2


def _size(frame: bytes) -> int | None:
    if len(frame) < 4:
        return None
    return EMPTY_SIZE + frame[3] if frame[3] <= DATA_MOST else 0


AA55_FRAMER = partial(HeaderFramer, HEADER, _size, ends_with_sum)
"""Makes a framer."""


def sealed(command: int, data: bytes = b"") -> bytes:
    """A frame of that command, a question when it has no data."""
    body = HEADER + bytes((ADDRESS, len(data), command)) + data
    return body + bytes((sum(body) & 0xFF,))


def read_distance(frame: bytes, low: int, high: int) -> int:
    """The distance of one whole answer, in the sensor's unit.

    Raises:
        Undecodable: `length`, `checksum`, `format`, `type` for another command's answer,
            `no_target` or `range`.
    """
    if len(frame) < EMPTY_SIZE or frame[3] != len(frame) - EMPTY_SIZE:
        raise Undecodable(Refusal.LENGTH, f"{len(frame)} bytes")
    if not ends_with_sum(frame):
        raise Undecodable(Refusal.CHECKSUM, f"sum {frame[-1]:02x}")
    if not frame.startswith(HEADER):
        raise Undecodable(Refusal.FORMAT, f"header {frame[:2].hex()}")
    if frame[4] != DISTANCE or len(frame) != ANSWER_SIZE:
        raise Undecodable(Refusal.TYPE, f"command {frame[4]:02x}")
    distance = int.from_bytes(frame[5:7], "big")
    if distance == NO_TARGET:
        raise Undecodable(Refusal.NO_TARGET, "nothing reflects")
    if not low <= distance <= high:
        raise Undecodable(Refusal.RANGE, f"{distance} not in {low}..{high}")
    return distance


def say_distance(distance: float | None) -> bytes:
    """The answer for a distance; for None it says that nothing reflects."""
    number = NO_TARGET if distance is None else round(distance)
    return sealed(DISTANCE, number.to_bytes(2, "big"))
