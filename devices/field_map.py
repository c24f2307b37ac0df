"""A declared map from somebody else's JSON to a kind's fields: the driver of any decoded device.

In: a JSON object (a network server's decoded `object`, a vendor's decoder's output, a message of a
plain-MQTT device) and a map from the configuration. Out: values in the kinds' vocabulary and units.

    [field_map.acme_level]
    kind = "waste_container"
    fields.filling_level = { from = "level", unit = "%" }
    fields.battery_v     = { from = "/status/battery/0", scale = 0.001 }
    fields.status        = { from = "lid", values = { open = "lid_open", closed = "ok" } }
    time                 = { from = "measured_at", unit = "s" }

    from     "a.b.0", or a JSON pointer "/a/b/0" (RFC 6901); "" is the whole message
    unit     what it comes in: one of `UNITS`, turned into the field's own
    scale    then value * scale + offset
    values   instead: the field's value for each value that can come, as text ("true", "3", "open")

A value that isn't there or is null leaves its field out; a message with none of them, or without
one that its kind needs, is refused with `format`. Numbers may come as text. `true` and `false` are
1 and 0. Whether the result is possible is judged by the kind, as for any driver.
"""

from __future__ import annotations

import math
import re
from typing import Any

import msgspec

from devices.driver import Driver, ObjectLink, TopicLink
from devices.envelope import milliseconds, rfc3339
from devices.kinds import KINDS, FieldType
from devices.reading import Payload, Refusal, Undecodable, Value, Values, check_fields
from devices.register_map import BadMap

MAX_SIZE = 64 * 1024
DECIMALS = 9
"""A scaled number is rounded to so many: 45 * 0.01 is 0.45."""

UNITS: dict[tuple[str, str], tuple[float, float]] = {
    ("cm", "mm"): (10, 0),
    ("m", "mm"): (1000, 0),
    ("in", "mm"): (25.4, 0),
    ("ft", "mm"): (304.8, 0),
    ("%", ""): (0.01, 0),
    ("mV", "V"): (0.001, 0),
    ("mA", "A"): (0.001, 0),
    ("°F", "°C"): (5 / 9, -160 / 9),
    ("K", "°C"): (1, -273.15),
    ("kW", "W"): (1000, 0),
    ("kWh", "Wh"): (1000, 0),
    ("Pa", "hPa"): (0.01, 0),
    ("kPa", "hPa"): (10, 0),
    ("mbar", "hPa"): (1, 0),
    ("ppm", "ppb"): (1000, 0),
    ("ms", "s"): (0.001, 0),
    ("min", "s"): (60, 0),
    ("h", "s"): (3600, 0),
    ("s", "ms"): (1000, 0),
    ("kB", "B"): (1000, 0),
    ("MB", "B"): (1_000_000, 0),
}
"""(what it comes in, the field's unit): factor and offset."""

_NUMBER = re.compile(r"[+-]?\d{1,15}(?:\.\d{1,15})?(?:[eE][+-]?\d{1,2})?", re.ASCII)
_OFFSET = re.compile(r"[+-](?:0\d|1[0-4]):[0-5]\d", re.ASCII)
_TIME_UNITS = {"s": (1000, 1), "ms": (1, 1), "us": (1, 1000), "ns": (1, 1_000_000)}
_MISSING = object()
_JSON = msgspec.json.Decoder()


class FieldFrom(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where one field's value is, and how it becomes ours."""

    from_: str = msgspec.field(name="from")
    unit: str = ""
    scale: float = 1.0
    offset: float = 0.0
    values: dict[str, Value] = {}


class TimeFrom(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the reading's own time is: RFC 3339 text, or a number of `unit` (s, ms, us, ns) since
    1970. `offset` (`+07:00`) is that of texts which bring none, as payment gateways' do."""

    from_: str = msgspec.field(name="from")
    unit: str = "rfc3339"
    offset: str = ""


class FieldMap(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A whole map.

    Args:
        kind: a key of `KINDS`.
        fields: by the kind's field.
        time: left out where the network server's time, or the time it arrives, is meant.
        event: path of a value that is true when the device says that this is news.
        decoder: path of a vendor's TS013 decoder (JavaScript) whose `data` is mapped, instead of
            the network server's decoded object.
        heartbeat_s: how often the device reports by itself.
    """

    kind: str
    fields: dict[str, FieldFrom]
    time: TimeFrom | None = None
    event: str = ""
    decoder: str = ""
    heartbeat_s: float = 3600.0


def check_map(map_: FieldMap) -> None:
    """Refuse a map that no message could satisfy.

    Raises:
        BadMap: an unknown kind, field or unit; a value that the kind doesn't allow.
    """
    if map_.kind not in KINDS:
        raise BadMap("kind", f"no kind {map_.kind!r}", f"Take one of: {', '.join(KINDS)}")
    if not map_.fields:
        raise BadMap("fields", "empty", "Map one field at least")
    for name, source in map_.fields.items():
        _check_field(map_.kind, name, source)
    needs = KINDS[map_.kind].needs
    for name in needs:
        if name not in map_.fields:
            raise BadMap(f"fields.{name}", "missing", f"A {map_.kind} is none without it: map it")
    if needs and map_.time is None:
        raise BadMap("time", "missing", f"Say where the message has the time of its {map_.kind}")
    if map_.time is not None and map_.time.unit not in ("rfc3339", *_TIME_UNITS):
        remedy = f"Take one of: rfc3339, {', '.join(_TIME_UNITS)}"
        raise BadMap("time.unit", f"no unit {map_.time.unit!r}", remedy)
    if map_.time is not None and map_.time.offset and not _OFFSET.fullmatch(map_.time.offset):
        raise BadMap("time.offset", f"{map_.time.offset!r} isn't one", "Give it as +07:00")
    if not 1 <= map_.heartbeat_s <= 31 * 86_400:
        raise BadMap("heartbeat_s", "out of bounds", "Choose 1 second to 31 days")


def _check_field(kind: str, name: str, source: FieldFrom) -> None:
    key, field = f"fields.{name}", KINDS[kind].fields.get(name)
    if field is None:
        raise BadMap(
            key, f"{kind} has no such field", f"Take one of: {', '.join(KINDS[kind].fields)}"
        )
    if source.unit and source.unit != field.unit and (source.unit, field.unit) not in UNITS:
        fits = ", ".join(come for come, ours in UNITS if ours == field.unit) or "none"
        remedy = (
            f"{name} is in {field.unit or 'no unit'}; others that can be turned into it: {fits}"
        )
        raise BadMap(f"{key}.unit", f"no unit {source.unit!r}", remedy)
    if not (math.isfinite(source.scale) and math.isfinite(source.offset) and source.scale):
        raise BadMap(f"{key}.scale", "can't be", "Scale and offset are finite, scale isn't 0")
    for text, value in source.values.items():
        try:
            check_fields(kind, {name: value})
        except Undecodable as error:
            raise BadMap(
                f"{key}.values.{text}", error.detail, "Give what the field takes"
            ) from error


def map_driver(name: str, map_: FieldMap, by_topic: bool = False) -> Driver:
    """The driver that a map makes; `by_topic` for a device with an MQTT topic of its own.

    Raises:
        BadMap: as `check_map`.
    """
    check_map(map_)
    own_time = map_.time is not None
    return Driver(
        name=name,
        vendor="",
        models=(),
        kind=map_.kind,
        link=TopicLink(own_time) if by_topic else ObjectLink(map_.decoder),
        decode=lambda payload: decode(map_, payload),
        encode=lambda values: encode(map_, values),
        raw_field="distance_mm" if "distance_mm" in map_.fields else KINDS[map_.kind].state,
        resolution=0.0,
        heartbeat_s=map_.heartbeat_s,
    )


def decode(map_: FieldMap, payload: Payload) -> tuple[Values, ...]:
    """What the map finds in the JSON of `payload.data`.

    Raises:
        Undecodable: `format` for what is no JSON or has none of the fields, `type` for a value of
            another type, `range` for one that isn't possible, `time` for one that is no time.
    """
    message = parse(payload.data)
    fields: dict[str, Value] = {}
    for name, source in map_.fields.items():
        value = find(message, source.from_)
        if value is not _MISSING and value is not None:
            fields[name] = _field(map_.kind, name, source, value)
    if not fields:
        raise Undecodable(Refusal.FORMAT, "none of the mapped fields is in it")
    for name in KINDS[map_.kind].needs:
        if name not in fields:
            raise Undecodable(Refusal.FORMAT, f"no {name} in it")
    check_fields(map_.kind, fields)
    time_ms = None if map_.time is None else _time_ms(map_.time, find(message, map_.time.from_))
    event = bool(map_.event) and find(message, map_.event) in (True, 1)
    return (Values(fields, time_ms=time_ms, event=event),)


def encode(map_: FieldMap, values: Values) -> Payload:
    """A message that the map reads back as these values: the inverse, for tests and simulators."""
    message: Any = {}
    for name, value in values.fields.items():
        source = map_.fields.get(name)
        if source is not None:
            message = _put(message, _names(source.from_), _unfield(map_.kind, name, source, value))
    if map_.time is not None and values.time_ms is not None:
        many, one = _TIME_UNITS.get(map_.time.unit, (0, 0))
        stamp = values.time_ms * one / many if many else rfc3339(values.time_ms)
        message = _put(message, _names(map_.time.from_), stamp)
    if map_.event:
        message = _put(message, _names(map_.event), values.event)
    return Payload(msgspec.json.encode(message))


def parse(data: bytes) -> Any:
    """The JSON value of a message.

    Raises:
        Undecodable: `format`, `length` when it is too long.
    """
    if len(data) > MAX_SIZE:
        raise Undecodable(Refusal.LENGTH, f"{len(data)} bytes, not {MAX_SIZE} at most")
    if not data:
        raise Undecodable(Refusal.FORMAT, "nobody has decoded it")
    try:
        return _JSON.decode(data)
    except (ValueError, RecursionError) as error:  # ValueError: not JSON, not UTF-8
        raise Undecodable(Refusal.FORMAT, "not JSON") from error


def find(message: Any, path: str) -> Any:
    """The value at the end of the path; a value of its own (never None) when nothing is there."""
    for name in _names(path):
        if isinstance(message, dict):
            message = message.get(name, _MISSING)
        elif isinstance(message, list) and name.isascii() and name.isdigit() and len(name) < 6:
            message = message[int(name)] if int(name) < len(message) else _MISSING
        else:
            return _MISSING
    return message


def as_text(value: Any) -> str:
    """A JSON scalar as `values` and `match` name it: `true`, `3`, `open`; "" for anything else."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    return str(value) if isinstance(value, int | float | str) else ""


def _names(path: str) -> list[str]:
    if not path:
        return []
    if path.startswith("/"):
        return [name.replace("~1", "/").replace("~0", "~") for name in path[1:].split("/")]
    return path.split(".")


def _field(kind: str, name: str, source: FieldFrom, value: Any) -> Value:
    field = KINDS[kind].fields[name]
    if source.values:
        found = source.values.get(as_text(value))
        if found is None:
            raise Undecodable(Refusal.RANGE, f"{name}: a value that the map doesn't name")
        return found
    if field.type is FieldType.TEXT:
        text = as_text(value)
        if not text:
            raise Undecodable(Refusal.TYPE, f"{name} must be text")
        return text
    number = _number(name, value)
    factor, offset = UNITS.get((source.unit, field.unit), (1.0, 0.0))
    number = round((number * factor + offset) * source.scale + source.offset, DECIMALS)
    if field.type is FieldType.FLOAT:
        return float(number)
    if not math.isfinite(number) or number != int(number):
        raise Undecodable(Refusal.TYPE, f"{name} must be a whole number")
    return int(number)


def _number(name: str, value: Any) -> int | float:
    if isinstance(value, int | float):
        if abs(value) >= 2**63:
            raise Undecodable(Refusal.RANGE, f"{name} is beyond any number of ours")
        return value
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value)
    raise Undecodable(Refusal.TYPE, f"{name} must be a number")


def _time_ms(time: TimeFrom, value: Any) -> int:
    many, one = _TIME_UNITS.get(time.unit, (0, 0))
    if not many:
        found = milliseconds(value)
        if found is None and time.offset and isinstance(value, str):
            found = milliseconds(value + time.offset)
    elif isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**63:
        found = int(value * many // one)
    else:
        found = None
    if found is None:
        raise Undecodable(Refusal.TIME, "no time where the map says")
    return found


def _unfield(kind: str, name: str, source: FieldFrom, value: Value) -> Value:
    if source.values:
        return next((text for text, ours in source.values.items() if ours == value), "")
    if isinstance(value, str):
        return value
    factor, offset = UNITS.get((source.unit, KINDS[kind].fields[name].unit), (1.0, 0.0))
    return ((value - source.offset) / source.scale - offset) / factor


def _put(message: Any, names: list[str], value: Any) -> Any:
    """`message` with the value at that place; what is no object on the way becomes one."""
    if not names:
        return value
    outer = message if isinstance(message, dict) else {}
    outer[names[0]] = _put(outer.get(names[0]), names[1:], value)
    return outer
