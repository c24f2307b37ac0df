"""What a device said: the types that travel down the line.

`Payload` is what arrives (bytes, and the LoRaWAN port they came on), `Values` is what a driver
makes of it, `Reading` is values with a name and a time: the one datum of the whole system.
`Undecodable` is the one way a driver refuses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum

import msgspec

from devices.kinds import KINDS, TEXT_ALPHABET, TEXT_LENGTH, FieldType

Value = int | float | str
"""An integer, float or text field's value; never a bool, never NaN or infinite."""


class Refusal(StrEnum):
    """The closed list of reasons why a frame or a value isn't taken in."""

    LENGTH = "length"  # too short, too long, or cut
    CHECKSUM = "checksum"  # the integrity check fails
    TYPE = "type"  # a message type or port this product doesn't have
    FORMAT = "format"  # not the text, JSON or structure it should be
    RANGE = "range"  # outside what is physically possible
    NO_TARGET = "no_target"  # the sensor says it sees nothing
    SENSOR_FAULT = "sensor_fault"  # the sensor says it is broken
    TIMEOUT = "timeout"  # the device was asked and didn't answer in time
    WRONG_UNIT = "wrong_unit"  # another device's answer
    EXCEPTION = "exception"  # a Modbus exception or an error answer
    UNKNOWN_DEVICE = "unknown_device"  # no device of that identity is configured
    REPEAT = "repeat"  # the same uplink again
    TIME = "time"  # a time that can't be
    ACCOUNT = "account"  # the device refused our log-in


class Undecodable(Exception):
    """A payload that a driver refuses.

    `reason` is from the closed list; `detail` is for a person and never holds payload text that
    could carry markup or addresses.
    """

    def __init__(self, reason: Refusal, detail: str = "") -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(f"{reason}: {detail}" if detail else str(reason))


class Payload(msgspec.Struct, frozen=True):
    """Bytes as they left the device; `port` is the LoRaWAN fPort, 0 elsewhere."""

    data: bytes
    port: int = 0


class Values(msgspec.Struct, frozen=True):
    """What one payload, or one record inside it, says.

    `time_ms` is set only by a history record that brings its own time. `channel` names one channel
    of a multi-channel sensor. `event` is True when the device itself says that this is news (a bay
    changed, an alarm) and not a periodic report.
    """

    fields: Mapping[str, Value]
    time_ms: int | None = None
    channel: str = ""
    event: bool = False


class Reading(msgspec.Struct, frozen=True):
    """One device at one moment: the datum. `time_ms` is Unix time in milliseconds, UTC."""

    device: str
    kind: str
    time_ms: int
    fields: Mapping[str, Value]


_TEXT = re.compile(rf"[{TEXT_ALPHABET}]{{0,{TEXT_LENGTH}}}")


def check_fields(kind: str, fields: Mapping[str, Value]) -> None:
    """Refuse fields that the kind doesn't have, of another type, or out of physical range.

    Raises:
        Undecodable: `type` for an unknown field or a wrong type, `range` for a value out of
            bounds, NaN and infinity included, `format` for text outside the alphabet.
    """
    known = KINDS[kind].fields
    for name, value in fields.items():
        field = known.get(name)
        if field is None:
            raise Undecodable(Refusal.TYPE, f"{kind} has no field {name}")
        if field.type is FieldType.TEXT:
            _check_text(name, value, field.choices)
        elif isinstance(value, bool | str):
            raise Undecodable(Refusal.TYPE, f"{name} must be a number")
        elif field.type is FieldType.INTEGER and not isinstance(value, int):
            raise Undecodable(Refusal.TYPE, f"{name} must be a whole number")
        elif not field.low <= value <= field.high:  # False for NaN as well
            raise Undecodable(Refusal.RANGE, f"{name} {value} not in {field.low}..{field.high}")


def _check_text(name: str, value: Value, choices: tuple[str, ...]) -> None:
    if not isinstance(value, str):
        raise Undecodable(Refusal.TYPE, f"{name} must be text")
    if choices and value not in choices:
        raise Undecodable(Refusal.RANGE, f"{name} must be one of {', '.join(choices)}")
    if not choices and _TEXT.fullmatch(value) is None:
        raise Undecodable(Refusal.FORMAT, f"{name} has characters outside the alphabet")
