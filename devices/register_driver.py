"""Reads a Modbus device by its map: the driver that a `RegisterMap` is.

In: a map that names registers and what they mean. Out: a `Driver` whose payload is the registers'
bytes, range by range. Neighbours of one function are joined into one request; over a gap of up to
`gap` registers too.

Every value is judged by its kind's range. One outside is left out and `quality` says
`out_of_range`; when nothing is left, the reading is refused (`no_target` when all were invalid).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from functools import partial

from devices.bounds import sized
from devices.driver import Driver, ModbusLink, RegisterRange
from devices.kinds import KINDS, FieldType
from devices.modbus import BIT_FUNCTIONS, BITS_MAX, MAX_COUNT
from devices.reading import Payload, Refusal, Undecodable, Value, Values
from devices.register_map import (
    FORMATS,
    WHOLE,
    BadMap,
    Register,
    RegisterMap,
    check_map,
    judges,
    width_of,
)

_F32_NEAR = 2.9e-8  # within half a step (2**-25) of single precision, and never at its edge
_WILD = {"f32": (math.nan,)}


def driver_of_map(name: str, registers: RegisterMap) -> Driver:
    """The driver that reads a device by its map.

    Raises:
        BadMap: names the first key that can't be, and the remedy.
    """
    check_map(registers)
    ranges = _ranges(registers)
    first = ranges[0]
    link = ModbusLink(
        function=first.function,
        register=first.register,
        count=first.count,
        baudrate=registers.baudrate,
        parity=registers.parity,
        more=tuple(ranges[1:]),
        stride=registers.stride,
    )
    places = tuple(_Place(one, registers.kind, ranges) for one in registers.value)
    for nth, place in enumerate(places):
        _check_threshold(place, f"value[{nth}]")
    size = sum(one.size for one in ranges)
    kind = KINDS[registers.kind]
    named = [one for one in registers.value if one.field]
    raw = next((one for one in named if not judges(one)), named[0])
    return Driver(
        name=name,
        vendor=registers.vendor,
        models=registers.models or (name,),
        kind=registers.kind,
        link=link,
        decode=partial(_decode, places, size),
        encode=partial(_encode, places, size),
        raw_field=raw.field,
        resolution=1.0 if judges(raw) else _resolution(raw, kind.fields[raw.field].type),
        heartbeat_s=registers.heartbeat_s or kind.heartbeat_s,
    )


class _Place:
    """Where one register stands in the payload, and what its bytes say."""

    def __init__(self, register: Register, kind: str, ranges: Sequence[RegisterRange]) -> None:
        self.register, self.field = register, register.field
        self.invalid, self.fault = frozenset(register.invalid), frozenset(register.fault)
        if register.field:
            field = KINDS[kind].fields[register.field]
            self._whole = field.type is FieldType.INTEGER
            self._low, self._high = field.low, field.high
        self._digits = _decimals(register)
        self._scale, self._offset = register.scale, register.offset
        self._scaled = (register.scale, register.offset) != (1.0, 0.0)
        self._single, self._judges = register.type == "f32", judges(register)
        self._form = struct.Struct(FORMATS[register.type])
        self._bits = register.function in BIT_FUNCTIONS
        self._plain = register.word_order == "high_first" and register.type != "bit"
        at = 0
        for one in ranges:
            further = register.register - one.register
            if one.function == register.function and 0 <= further < one.count:
                self._at = at + (further // 8 if self._bits else 2 * further)
                self._bit = further % 8 if self._bits else register.bit
                return
            at += one.size
        raise AssertionError("every register is in a range")

    def raw(self, data: bytes) -> float:
        """The number that stands there."""
        number: float
        if self._plain:
            (number,) = self._form.unpack_from(data, self._at)
            return number
        if self._bits:
            return data[self._at] >> self._bit & 1
        part = data[self._at : self._at + self._form.size]
        if self.register.type == "bit":
            return int.from_bytes(part, "big") >> self._bit & 1
        (number,) = self._form.unpack(part[2:] + part[:2])
        return number

    def value(self, raw: float) -> Value | None:
        """What the number means, None when the kind can't have it."""
        if self._single:
            value = _shortest(raw)
            if self._scaled:
                value = float(f"{value * self._scale + self._offset:.12g}")
        else:
            value = raw * self._scale + self._offset
            value = round(value, self._digits)  # 0.1 * 3 is 0.3 and no more digits to pay for
        if self._judges:
            if not math.isfinite(value):
                return None  # no number is on either side of a threshold
            above, below = self.register.above, self.register.below
            if above is not None:
                return int(value > above)
            return int(below is not None and value < below)
        if self._whole and math.isfinite(value):
            value = round(value)
        return value if self._low <= value <= self._high else None  # None for NaN as well

    def put(self, data: bytearray, raw: float) -> None:
        """Write a number there."""
        register = self.register
        if self._bits or register.type == "bit":
            at = self._at if self._bits else self._at + (0 if self._bit >= 8 else 1)
            mask = 1 << self._bit % 8
            data[at] = data[at] | mask if raw else data[at] & ~mask
            return
        if register.type == "f32":
            part = self._form.pack(raw)
        else:
            low, high = WHOLE[register.type]
            part = self._form.pack(min(max(round(raw), low), high))
        if register.word_order == "low_first":
            part = part[2:] + part[:2]
        data[self._at : self._at + len(part)] = part

    def put_nothing(self, data: bytearray, lost: bool) -> None:
        """Write that there is no value: an invalid number, or one outside the kind's range when it
        was `lost` for that; 0 where neither can be said."""
        register = self.register
        tries = _WILD.get(register.type) or WHOLE[register.type]
        outside = [] if judges(register) else [raw for raw in tries if self.value(raw) is None]
        if outside and (lost or not register.invalid):
            self.put(data, outside[0])
        elif register.invalid:
            self.put(data, register.invalid[0])

    def raw_for(self, wanted: float) -> float:
        """A number that a threshold judges as wanted.

        Raises:
            BadMap: there is none.
        """
        register = self.register
        key, edge = ("below", register.below or 0.0)
        if register.above is not None:
            key, edge = "above", register.above
        near = (edge - register.offset) / register.scale
        low, high = WHOLE.get(register.type, (-(2**24), 2**24))
        for raw in (math.floor(near) + 1, math.ceil(near) - 1, round(near), low, high):
            said = low <= raw <= high and raw not in self.invalid and raw not in self.fault
            if said and self.value(raw) == wanted:
                return raw
        problem = f"no number of the register gives {self.field} = {wanted:g}"
        raise BadMap(key, problem, "Give it in the value's unit")


def _decode(places: Sequence[_Place], size: int, payload: Payload) -> tuple[Values, ...]:
    data = sized(payload.data, size)
    fields: dict[str, Value] = {}
    bad = False
    for place in places:
        raw = place.raw(data)
        if raw in place.fault:
            raise Undecodable(Refusal.SENSOR_FAULT, f"{place.field or 'a register'} says {raw:g}")
        if place.field and raw not in place.invalid:
            value = place.value(raw)
            if value is None:
                bad = True
            else:
                fields[place.field] = value
    if not fields:
        raise Undecodable(Refusal.RANGE if bad else Refusal.NO_TARGET, "no value left")
    if bad:
        fields["quality"] = "out_of_range"
    return (Values(fields),)


def _encode(places: Sequence[_Place], size: int, values: Values) -> Payload:
    data = bytearray(size)
    fields = values.fields
    lost = fields.get("quality") == "out_of_range"
    # Judged ones first: where a register also has its own field, that is the more exact.
    for place in sorted(places, key=lambda place: not judges(place.register)):
        register = place.register
        if register.field in fields:
            wanted = float(fields[register.field])
            if judges(register):
                place.put(data, place.raw_for(wanted))
            else:
                place.put(data, (wanted - register.offset) / register.scale)
        elif register.field:
            place.put_nothing(data, lost)
    return Payload(bytes(data))


def _check_threshold(place: _Place, key: str) -> None:
    """Both sides of it can be said."""
    if judges(place.register):
        for wanted in (0, 1):
            try:
                place.raw_for(wanted)
            except BadMap as error:
                raise BadMap(f"{key}.{error.key}", error.problem, error.remedy) from None


def _shortest(number: float) -> float:
    """A short decimal that means the same in single precision: 230.2, not 230.19999695."""
    near = abs(number) * _F32_NEAR
    for digits in (7, 8):
        short = float(f"{number:.{digits}g}")
        if abs(short - number) <= near:  # False for NaN and infinite
            return short
    return number


def _decimals(register: Register) -> int:
    """Digits after the point that scale and offset can give."""
    said = (f"{abs(number):.9f}".rstrip("0") for number in (register.scale, register.offset))
    return max(len(text.partition(".")[2]) for text in said)


def _resolution(register: Register, type_: FieldType) -> float:
    step = abs(register.scale)
    return max(step, 1.0) if type_ is FieldType.INTEGER else step


def _ranges(registers: RegisterMap) -> list[RegisterRange]:
    """What to ask for: neighbours in one request, each request within the standard's size."""
    spans = sorted(
        {(one.function, one.register, one.register + width_of(one)) for one in registers.value}
    )
    joined: list[tuple[int, int, int]] = []
    for function, start, end in spans:
        most = BITS_MAX if function in BIT_FUNCTIONS else MAX_COUNT
        if joined:
            before, first, last = joined[-1]
            near = function == before and start <= last + registers.gap
            if near and max(end, last) - first <= most:
                joined[-1] = (before, first, max(end, last))
                continue
        joined.append((function, start, end))
    return [RegisterRange(function, first, last - first) for function, first, last in joined]
