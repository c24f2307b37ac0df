"""Milesight's row of channels: what all its LoRaWAN sensors' messages are made of.

In: a payload and a product's table of channels. Out: each channel's word and its value's bytes.

    | id | type | value ... | id | type | value ... |
    | 01 |  75  | 5C        | 04 |  82  | 44 08     |

Values are little-endian. FE, FF, F8 and F9 with an unknown type answer a downlink: understood, and
nothing for a city in them.

    FF 01 1, FF 09 2, FF 0A 2, FF 1F 4, FF FF 2   protocol, hardware, firmware, firmware, data model
    FF 16 8, FF 08 6, FF 0F 1, FF FE 1, FF 0B 1   serial number, class, reset, power on

    FF 0A   hex digits of two bytes: 01 14 is 1.14
    FF 1F   four numbers: 84 01 00 01 is 132.1.0.1

Source: github.com/Milesight-IoT/SensorDecoders, the README of each product.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from devices.bounds import bounded
from devices.channels import Table
from devices.channels import channels as walk
from devices.reading import Value

PORT = 85
ANSWERS = b"\xfe\xff\xf8\xf9"

INFORMATION: Table = {
    b"\xff\x01": ("protocol", 1),
    b"\xff\x08": ("serial number", 6),
    b"\xff\x09": ("hardware", 2),
    b"\xff\x0a": ("firmware", 2),
    b"\xff\x0b": ("power on", 1),
    b"\xff\x0f": ("class", 1),
    b"\xff\x16": ("serial number", 8),
    b"\xff\x1f": ("long firmware", 4),
    b"\xff\xfe": ("reset", 1),
    b"\xff\xff": ("data model", 2),
}


def channels(data: bytes, table: Table) -> Iterator[tuple[str, bytes]]:
    """Each channel's word and value, in order; refusals as in devices/channels.py."""
    return walk(data, table, ANSWERS)


def record_size(sizes: Sequence[int]) -> Callable[[bytes], int]:
    """A history record's size, from the type behind its four bytes of time; 0 while unknown."""

    def size(rest: bytes) -> int:
        return sizes[rest[4]] if len(rest) > 4 and rest[4] < len(sizes) else 0

    return size


def add_information(fields: dict[str, Value], word: str, value: bytes) -> bool:
    """Put a battery or a firmware in; False when the channel says something else."""
    match word:
        case "battery":
            fields["battery_level"] = bounded(value[0], 0, 100, "% battery") / 100
        case "firmware":
            fields["firmware"] = f"{value[0]:x}.{value[1]:x}"
        case "long firmware":
            fields["firmware"] = ".".join(str(part) for part in value)
        case _:
            return False
    return True


def say_information(fields: Mapping[str, Value]) -> bytes:
    """The inverse of `add_information`."""
    said = b""
    if "battery_level" in fields:
        said += b"\x01\x75" + bytes((round(100 * float(fields["battery_level"])),))
    if "firmware" in fields:
        parts = str(fields["firmware"]).split(".")
        if len(parts) == 4:
            said += b"\xff\x1f" + bytes(int(part) for part in parts)
        else:
            said += b"\xff\x0a" + bytes(int(part, 16) for part in parts)
    return said


def word(value: bytes) -> int:
    """The first two bytes, unsigned."""
    return int.from_bytes(value[:2], "little")


def pair(value: bytes) -> tuple[int, int]:
    """The first two u16."""
    return word(value), word(value[2:])
