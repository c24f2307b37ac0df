"""A generic payload decoder as vendors write theirs, to measure beside our drivers.

Not copied from any: the style is that of the JavaScript decoders that vendors publish for network
servers, one for all of a maker's products, put into Python line by line. Bytes become a list of
numbers, a loop walks them, a table says what a channel or a word is, every value goes through a
small reading function and a conversion, and an object of named values comes out. No range is
checked, no unit is fixed, nothing is refused.

    by_channel(data, table)   id and type, then a value (the Milesight style)
    by_word(data, sensors)    a version, an id, flags, then 16-bit words a sensor (Decentlab's)
    by_offset(data, table)    fixed places (Dragino's, Bosch's)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

Convert = Callable[[Sequence[int]], Any]


class Channel(NamedTuple):
    """A channel's name, its bytes, and what they mean."""

    name: str
    size: int
    convert: Convert


class Sensor(NamedTuple):
    """The words of one sensor of a device, and what is made of them."""

    words: int
    values: Sequence[tuple[str, str, Convert]]  # name, unit, conversion


class Place(NamedTuple):
    """A value at a fixed place."""

    name: str
    at: int
    size: int
    convert: Convert


def read_u16_le(numbers: Sequence[int]) -> int:
    value = (numbers[1] << 8) + numbers[0]
    return value & 0xFFFF


def read_i16_le(numbers: Sequence[int]) -> int:
    value = read_u16_le(numbers)
    return value - 0x10000 if value > 0x7FFF else value


def read_u16_be(numbers: Sequence[int]) -> int:
    value = (numbers[0] << 8) + numbers[1]
    return value & 0xFFFF


def by_channel(data: bytes, table: Mapping[tuple[int, int], Channel]) -> dict[str, Any]:
    """Channels until an unknown one."""
    numbers, decoded, at = list(data), dict[str, Any](), 0
    while at < len(numbers):
        channel_id = numbers[at]
        channel_type = numbers[at + 1]
        at += 2
        known = table.get((channel_id, channel_type))
        if known is None:
            break
        decoded[known.name] = known.convert(numbers[at : at + known.size])
        at += known.size
    return decoded


def by_word(data: bytes, sensors: Sequence[Sensor]) -> dict[str, Any]:
    """Each sensor's words, for those whose flag is set."""
    numbers = list(data)
    decoded: dict[str, Any] = {"protocol_version": numbers[0]}
    decoded["device_id"] = read_u16_be(numbers[1:3])
    flags, at = read_u16_be(numbers[3:5]), 5
    for sensor in sensors:
        if flags & 1:
            ends = range(at, at + 2 * sensor.words, 2)
            words = [read_u16_be(numbers[start : start + 2]) for start in ends]
            at += 2 * sensor.words
            for name, unit, convert in sensor.values:
                decoded[name] = {"value": convert(words), "unit": unit}
        flags >>= 1
    return decoded


def by_offset(data: bytes, table: Sequence[Place]) -> dict[str, Any]:
    """Each value at its place."""
    numbers, decoded = list(data), dict[str, Any]()
    for place in table:
        if place.at + place.size <= len(numbers):
            decoded[place.name] = place.convert(numbers[place.at : place.at + place.size])
    return decoded


EM400 = {
    (0x01, 0x75): Channel("battery", 1, lambda n: n[0]),
    (0x03, 0x67): Channel("temperature", 2, lambda n: read_i16_le(n) / 10),
    (0x04, 0x82): Channel("distance", 2, read_u16_le),
    (0x03, 0x82): Channel("distance", 2, read_u16_le),
    (0x05, 0x00): Channel("position", 1, lambda n: "normal" if n[0] == 0 else "tilt"),
    (0x83, 0x67): Channel("temperature", 3, lambda n: read_i16_le(n) / 10),
    (0x84, 0x82): Channel("distance", 3, read_u16_le),
}
DL_MBX = (
    Sensor(2, (("distance", "mm", lambda w: w[0]), ("valid_samples", "", lambda w: w[1]))),
    Sensor(1, (("battery_voltage", "V", lambda w: w[0] / 1000),)),
)
DDS75 = (
    Place("Bat", 0, 2, lambda n: (read_u16_be(n) & 0x3FFF) / 1000),
    Place("Distance", 2, 2, lambda n: f"{read_u16_be(n)} mm"),
    Place("Interrupt_flag", 4, 1, lambda n: n[0]),
    Place("TempC_DS18B20", 5, 2, lambda n: f"{read_u16_be(n) / 10:.2f}"),
    Place("Sensor_flag", 7, 1, lambda n: n[0]),
)
PEERS: dict[str, Callable[[bytes], dict[str, Any]]] = {
    "milesight_em400": lambda data: by_channel(data, EM400),
    "decentlab_dl_mbx": lambda data: by_word(data, DL_MBX),
    "dragino_dds": lambda data: by_offset(data, DDS75),
}
"""By our driver's name: the same bytes decoded in that style."""
