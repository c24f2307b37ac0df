"""What Dragino's distance sensors share: device information, and the record of their datalog.

    port 5, 7 bytes    | model | firmware u16 | band | sub-band | battery u16 |

    firmware   hex digits of the last three nibbles: 01 20 is 1.2.0
    band       01 EU868 .. 07 AS923, 08 AS923-1, 09 AS923-2 .. 0E MA869; not used
    battery    mV

    port 3     records of 11 bytes, oldest first, each with its own Unix time in seconds in its
               last four; the answer to a poll, or what the network missed. All zero is "no record"

Numbers are big-endian. Source: github.com/dragino/dragino-end-node-decoder.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from devices.bounds import sized, unsigned
from devices.reading import Payload, Refusal, Undecodable, Value, Values

DATA, DATALOG, SETTINGS, INFORMATION = 2, 3, 4, 5
INFORMATION_SIZE = 7
RECORD_SIZE = 11
BATTERY_BITS = 0x3FFF
AS923_2 = 0x09
NEW_V = 3.6


def information(data: bytes) -> Values:
    """The device information of port 5: firmware and battery."""
    sized(data, INFORMATION_SIZE)
    firmware = f"{data[1] & 0x0F}.{data[2] >> 4}.{data[2] & 0x0F}"
    return Values({"firmware": firmware, "battery_v": battery_v(data[5:7])})


def say_information(fields: Mapping[str, Value], model: int) -> Payload:
    """The inverse of `information`, for a device of Indonesia's band."""
    major, minor, patch = (int(part) for part in str(fields["firmware"]).split("."))
    head = bytes((model, major, minor << 4 | patch, AS923_2, 0))
    return Payload(head + say_battery(fields), INFORMATION)


def records(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Each record's first seven bytes and its time in milliseconds.

    Raises:
        Undecodable: `length` unless there are whole records, and at least one.
    """
    if not data or len(data) % RECORD_SIZE:
        raise Undecodable(Refusal.LENGTH, f"{len(data)} bytes are no records of {RECORD_SIZE}")
    for at in range(0, len(data), RECORD_SIZE):
        record = data[at : at + RECORD_SIZE]
        if any(record):
            yield record[:7], unsigned(record[7:]) * 1000


def say_time(values: Values) -> bytes:
    """The last four bytes of a record."""
    return ((values.time_ms or 0) // 1000).to_bytes(4, "big")


def battery_v(data: bytes) -> float:
    """Volts of two bytes whose highest two bits mean something else."""
    return (unsigned(data) & BATTERY_BITS) / 1000


def say_battery(fields: Mapping[str, Value]) -> bytes:
    """The inverse of `battery_v`."""
    return round(1000 * float(fields.get("battery_v", NEW_V))).to_bytes(2, "big")
