"""Decentlab's frame, version 2: groups of words, and flags that say which groups are there.

    | 02 | device u16 | flags u16 | words u16 ... |

    flags   bit n: the words of group n follow, in the order of the groups

Numbers are big-endian. The last group of every sensor is its battery, mV, one word.
Source: github.com/decentlab/decentlab-decoders (a decoder and messages for each model).
"""

from __future__ import annotations

import struct

from devices.bounds import bounded, unsigned
from devices.reading import Payload, Refusal, Undecodable

PORT = 1
VERSION = 2
HEAD_SIZE = 5
BATTERY_SIZE = 1
HIGH_MV = 10_000


def groups(data: bytes, measured_sizes: tuple[int, ...]) -> tuple[list[int], float | None]:
    """A two-group frame's measured words (empty when they aren't in it), and its volts.

    Args:
        measured_sizes: how many words the models' first group may have.

    Raises:
        Undecodable: `length`, `type` for another version or an unknown group, or `range`.
    """
    if len(data) < HEAD_SIZE or len(data) % 2 == 0:
        raise Undecodable(Refusal.LENGTH, f"{len(data)} bytes are no head and words")
    flags = unsigned(data[3:5])
    if data[0] != VERSION or flags > 3:
        raise Undecodable(Refusal.TYPE, f"version {data[0]}, flags {flags:04x}")
    words = list(struct.unpack_from(f">{(len(data) - HEAD_SIZE) // 2}H", data, HEAD_SIZE))
    battery = words[len(words) - BATTERY_SIZE * (flags >> 1) :]
    measured = words[: len(words) - len(battery)]
    wanted = measured_sizes if flags & 1 else (0,)
    if len(measured) not in wanted or len(battery) != flags >> 1:
        raise Undecodable(Refusal.LENGTH, f"{len(words)} words with flags {flags:04x}")
    volts = bounded(battery[0], 0, HIGH_MV, "mV") / 1000 if battery else None
    return measured, volts


def say_groups(measured: list[int], volts: float | None) -> Payload:
    """The inverse of `groups`, from device 0."""
    flags = bool(measured) | (volts is not None) << 1
    words = measured + ([] if volts is None else [round(1000 * volts)])
    body = b"".join(word.to_bytes(2, "big") for word in words)
    return Payload(bytes((VERSION, 0, 0, 0, flags)) + body, PORT)
