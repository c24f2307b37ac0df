"""A Modbus device as data: which registers it has and what they mean, for any product.

In: a table of a gateway's configuration, or a driver file that is nothing else. Out: the same,
typed and checked whole; `devices/register_driver.py` reads by it.

    register  address on the wire, from 0: the sheet's "40017" or "register 17" is 16
    function  3 holding, 4 input registers; 1 coils, 2 discrete inputs (type `bit`)
    type      u16, s16 one register; u32, s32, f32 two; bit one bit of a register or a coil
    word_order  of two registers: `high_first` or `low_first`; bytes within one are big-endian
    invalid   raw numbers that say "no value" (FFFF): the field is left out
    fault     raw numbers that say that the sensor is broken: the whole reading is refused
    value     raw * scale + offset; with `above` or `below` 1 when past it, else 0

Source: "Modbus Application Protocol" V1.1b3, 4.3 and 4.4 (data model, addresses from 0).
"""

from __future__ import annotations

import math
import struct
from typing import Literal

import msgspec

from devices.kinds import KINDS, FieldType
from devices.modbus import BIT_FUNCTIONS

REGISTERS_MAX = 64
ADDRESS_MAX = 0xFFFF
GAP_MAX = 32
BITS_A_REGISTER = 16
FORMATS = {"u16": ">H", "s16": ">h", "u32": ">I", "s32": ">i", "f32": ">f", "bit": ">H"}
SIZES = {name: struct.calcsize(form) for name, form in FORMATS.items()}
WHOLE = {
    "u16": (0, 2**16 - 1),
    "s16": (-(2**15), 2**15 - 1),
    "u32": (0, 2**32 - 1),
    "s32": (-(2**31), 2**31 - 1),
    "bit": (0, 1),
}


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of a configuration: unknown keys are refused."""


class Register(_Table, frozen=True):
    """One register, pair of registers or bit, and the field it fills (none: only `fault` counts).

    `bit` is its place in a register, 0 the lowest.
    """

    register: int
    field: str = ""
    function: Literal[1, 2, 3, 4] = 3
    type: Literal["u16", "s16", "u32", "s32", "f32", "bit"] = "u16"
    bit: int = 0
    word_order: Literal["high_first", "low_first"] = "high_first"
    scale: float = 1.0
    offset: float = 0.0
    invalid: tuple[float, ...] = ()
    fault: tuple[float, ...] = ()
    above: float | None = None
    below: float | None = None


class RegisterMap(_Table, frozen=True):
    """A whole device: its kind, its serial line as delivered, its registers.

    `stride` is how many registers further the next node begins, for a controller with many sensors
    behind one address; 0 for a device alone.
    """

    kind: str
    value: tuple[Register, ...]
    baudrate: int = 9600
    parity: Literal["N", "E", "O"] = "N"
    heartbeat_s: float | None = None
    gap: int = 0
    stride: int = 0
    vendor: str = "various"
    models: tuple[str, ...] = ()


class BadMap(ValueError):
    """A map that can't be used: `key` is the place in it."""

    def __init__(self, key: str, problem: str, remedy: str) -> None:
        self.key, self.problem, self.remedy = key, problem, remedy
        super().__init__(f"{key}: {problem}. {remedy}")


def width_of(register: Register) -> int:
    """Registers that it takes, or coils."""
    return 1 if register.function in BIT_FUNCTIONS else SIZES[register.type] // 2


def judges(register: Register) -> bool:
    """Whether it has a threshold."""
    return register.above is not None or register.below is not None


def check_map(registers: RegisterMap) -> None:
    """Check all that can be seen without reading.

    Raises:
        BadMap: names the first key that can't be, and the remedy.
    """
    if registers.kind not in KINDS:
        raise BadMap("kind", f"no kind {registers.kind!r}", f"Take one of: {', '.join(KINDS)}")
    if not 1 <= len(registers.value) <= REGISTERS_MAX:
        raise BadMap("value", f"{len(registers.value)} registers", f"Give 1 to {REGISTERS_MAX}")
    if not 0 <= registers.gap <= GAP_MAX:
        raise BadMap("gap", f"{registers.gap} registers", f"Choose 0 to {GAP_MAX}")
    if not 0 <= registers.stride <= ADDRESS_MAX:
        raise BadMap("stride", f"{registers.stride} registers", f"Choose 0 to {ADDRESS_MAX}")
    if not 300 <= registers.baudrate <= 921_600:
        raise BadMap("baudrate", f"{registers.baudrate}", "Choose 300 to 921600")
    if registers.heartbeat_s is not None and not 1 <= registers.heartbeat_s <= 31 * 86_400:
        raise BadMap("heartbeat_s", f"{registers.heartbeat_s}", "Choose a second to a month")
    seen: set[str] = set()
    for nth, register in enumerate(registers.value):
        key = f"value[{nth}]"
        _check_place(register, key)
        _check_meaning(registers.kind, register, key)
        if register.field in seen:
            raise BadMap(f"{key}.field", f"{register.field!r} twice", "Each field may stand once")
        seen |= {register.field} - {""}
    if not seen:
        raise BadMap("value", "no field at all", "Give at least one register a field")


def _check_place(register: Register, key: str) -> None:
    if not 0 <= register.register <= ADDRESS_MAX + 1 - width_of(register):
        remedy = f"Give the address on the wire, 0 to {ADDRESS_MAX}; the sheet's 40017 is 16"
        raise BadMap(f"{key}.register", f"{register.register}", remedy)
    bits = register.function in BIT_FUNCTIONS
    if bits and register.type != "bit":
        remedy = "Functions 1 and 2 read bits: type = 'bit'"
        raise BadMap(f"{key}.type", f"{register.type} of function {register.function}", remedy)
    places = BITS_A_REGISTER if register.type == "bit" and not bits else 1
    if not 0 <= register.bit < places:
        remedy = "0 to 15, and only for type 'bit' of a register"
        raise BadMap(f"{key}.bit", f"{register.bit}", remedy)
    if register.word_order == "low_first" and SIZES[register.type] == 2:
        remedy = "Only u32, s32 and f32 have two words"
        raise BadMap(f"{key}.word_order", f"of a {register.type}", remedy)


def _check_meaning(kind: str, register: Register, key: str) -> None:
    numbers = (register.scale, register.offset, register.above or 0.0, register.below or 0.0)
    if not all(map(math.isfinite, numbers)) or not 1e-9 <= abs(register.scale) <= 1e9:
        raise BadMap(f"{key}.scale", f"{register.scale}", "Give a number that isn't 0")
    for name in ("invalid", "fault"):
        low, high = WHOLE.get(register.type, (-math.inf, math.inf))
        for raw in getattr(register, name):
            if not low <= raw <= high:
                remedy = f"Give it as it stands in the register, {low} to {high} for this type"
                raise BadMap(f"{key}.{name}", f"{raw:g} can't be", remedy)
    if not register.field:
        if not register.fault:
            raise BadMap(f"{key}.field", "missing", "Name a field, or give `fault`")
        return
    field = KINDS[kind].fields.get(register.field)
    if field is None or field.type is FieldType.TEXT:
        numeric = (name for name, f in KINDS[kind].fields.items() if f.type is not FieldType.TEXT)
        remedy = f"A {kind} has: {', '.join(numeric)}"
        raise BadMap(f"{key}.field", f"{register.field!r} isn't a number of {kind}", remedy)
    if register.above is not None and register.below is not None:
        raise BadMap(f"{key}.below", "beside above", "Give one of above and below")
    if judges(register) and (field.type, field.low, field.high) != (FieldType.INTEGER, 0, 1):
        name = "above" if register.above is not None else "below"
        remedy = "Only a field that is 0 or 1, such as occupied, has a threshold"
        raise BadMap(f"{key}.{name}", f"{register.field} isn't 0 or 1", remedy)
