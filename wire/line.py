"""One reading as one line of InfluxDB line protocol, and back.

    kind,device=bay-07,site=pasar-mahirah,zone=a distance_mm=182.5,occupied=1i 1790000000000

Only what the kinds define can be written, so nothing ever needs escaping: names are `NAME_PATTERN`
and text is `TEXT_ALPHABET`. Tags stand in the order InfluxDB sorts them; the time is in
milliseconds. The gateway's own name is not in a line: the guard inserts it from the topic.
Source: InfluxDB 2 documentation, "Line protocol".
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from devices.kinds import KINDS, NAME_PATTERN, TEXT_ALPHABET, TEXT_LENGTH, Field, FieldType, Kind
from devices.reading import Reading, Value

NAME = re.compile(NAME_PATTERN)
_NUMBER = r"-?(?:0|[1-9][0-9]{0,18})(?:\.[0-9]{1,21})?(?:e[+-]?[0-9]{1,3})?"
_INTEGER = r"-?(?:0|[1-9][0-9]{0,18})i"
TIME_PATTERN = r"[1-9][0-9]{11,12}"
"""Milliseconds from 1973 to 2286: anything else is another unit or another century."""


def _floats_of(kind: Kind) -> frozenset[str]:
    return frozenset(f.name for f in kind.fields.values() if f.type is FieldType.FLOAT)


_FLOATS = {kind.name: _floats_of(kind) for kind in KINDS.values()}


def format_line(reading: Reading, site: str, zone: str) -> str:
    """The line of a reading; `site` and `zone` come from the gateway's configuration.

    The reading's fields must have passed `devices.reading.check_fields` and must not be empty. A
    whole number in a float field is written as a float: a database would see another type.
    """
    fields = format_fields(KINDS[reading.kind], reading.fields)
    kind, device, time_ms = reading.kind, reading.device, reading.time_ms
    return f"{kind},device={device},site={site},zone={zone} {fields} {time_ms}"


def format_fields(kind: Kind, fields: Mapping[str, Value]) -> str:
    """The fields of a line, in sorted order, each of the type that the kind gives it."""
    floats = _FLOATS[kind.name] if KINDS.get(kind.name) is kind else _floats_of(kind)
    return ",".join(
        [
            f"{name}={format_value(float(value) if name in floats else value)}"
            for name, value in sorted(fields.items())
        ]
    )


def format_value(value: Value) -> str:
    """An integer as `3i`, a float as the shortest text that reads back equal, text in quotes."""
    if isinstance(value, int):
        return f"{value}i"
    if isinstance(value, float):
        text = repr(value)
        return text[:-2] if text.endswith(".0") else text
    return f'"{value}"'


def parse_value(text: str) -> Value:
    """The inverse of `format_value`, for text that a line pattern has matched."""
    if text.endswith("i"):
        return int(text[:-1])
    if text.startswith('"'):
        return text[1:-1]
    return float(text)


def value_pattern(field: Field) -> str:
    """A regular expression for the values a field can have in a line (type, not range)."""
    if field.type is FieldType.INTEGER:
        return _INTEGER
    if field.type is FieldType.FLOAT:
        return _NUMBER
    if field.choices:
        return '"(?:' + "|".join(field.choices) + ')"'
    return f'"[{TEXT_ALPHABET}]{{0,{TEXT_LENGTH}}}"'


def line_pattern(kind: Kind) -> str:
    """A regular expression for a whole line of one kind, with named groups.

    Groups: `device`, `rest` (`site=…,zone=…`), `fields`, `time`. A field twice in a line is left
    to `fields_of`, since a pattern can't tell.
    """
    one = "|".join(f"{name}={value_pattern(field)}" for name, field in kind.fields.items())
    return (
        rf"{kind.name},device=(?P<device>{NAME_PATTERN}),"
        rf"(?P<rest>site={NAME_PATTERN},zone={NAME_PATTERN}) "
        rf"(?P<fields>(?:{one})(?:,(?:{one})){{0,63}}) (?P<time>{TIME_PATTERN})"
    )


LINE_PATTERNS = {name: re.compile(line_pattern(kind)) for name, kind in KINDS.items()}


def fields_of(text: str) -> dict[str, Value]:
    """The fields of a matched line's `fields` group."""
    return {name: parse_value(value) for name, _, value in _split(text)}


def _split(text: str) -> list[tuple[str, str, str]]:
    return [part.partition("=") for part in text.split(",")]  # no value holds a comma


def parse_line(line: str) -> tuple[Reading, str, str]:
    """A line back as (reading, site, zone).

    Raises:
        ValueError: the line is outside the grammar.
    """
    kind = line.partition(",")[0]
    pattern = LINE_PATTERNS.get(kind)
    match = pattern.fullmatch(line) if pattern else None
    if match is None:
        raise ValueError("line outside the grammar")
    site, zone = (part.partition("=")[2] for part in match["rest"].split(","))
    reading = Reading(match["device"], kind, int(match["time"]), fields_of(match["fields"]))
    return reading, site, zone
