"""A stored line, read back into what a table needs: the four tags, the time, typed fields.

    parking_spot,device=bay-07,gateway=gw-1,site=pasar,zone=a occupied=1i 1790000000000

The grammar is `wire.line`'s with the gateway's tag, for every kind a bucket can hold. The guard
has checked readings already; this is the embedded store's own check, since its columns are fixed,
and it holds for what the cloud writes itself as well.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

from devices.kinds import NAME_PATTERN, FieldType, Kind
from devices.reading import Value
from ingest.stores import Bucket
from ingest.stores.kinds import ROLLED_UP_KINDS, STORED_KINDS
from wire.line import TIME_PATTERN, parse_value, value_pattern

TAGS = ("device", "gateway", "site", "zone")
"""The four tags of every stored point, in the order InfluxDB sorts them."""

Series = tuple[str, str, str, str]
"""The values of the four tags, in that order."""

_HEAD = re.compile(
    rf"([a-z0-9_]+),device=({NAME_PATTERN}),gateway=({NAME_PATTERN}),"
    rf"site=({NAME_PATTERN}),zone=({NAME_PATTERN})"
)
_NAME = re.compile("[a-z][a-z0-9_]*")
_TIME = re.compile(TIME_PATTERN)
_VALUE = re.compile(r'-?[0-9.]+(?:e[+-]?[0-9]+)?i?|"[^",\\]*"')
_INT64 = 2**63
_FIELDS_MAX = 256
_HEADS_MAX = 100_000


class Reason(StrEnum):
    """Why a line is rejected, whichever database says so."""

    GRAMMAR = "grammar"  # not a line, or not one that says what and when in full
    UNKNOWN_KIND = "unknown_kind"  # a measurement that the bucket doesn't have
    UNKNOWN_FIELD = "unknown_field"  # a field that the kind doesn't have
    TYPE_CONFLICT = "type_conflict"  # a field of another type than the stored one
    RETENTION = "retention"  # older than the bucket keeps
    REFUSED = "refused"  # the database drops it for a reason of its own


class BadLine(Exception):
    """A line that can't be stored, ever."""

    def __init__(self, reason: Reason) -> None:
        self.reason = reason
        super().__init__(str(reason))


class Point(NamedTuple):
    """One line, read."""

    kind: str
    series: Series
    time_ms: int
    fields: dict[str, Value]


def kinds_of(bucket: Bucket) -> dict[str, Kind]:
    """The kinds that a bucket holds."""
    return ROLLED_UP_KINDS if bucket is Bucket.HOURLY else STORED_KINDS


class LineReader:
    """Reads the lines of one bucket. What stands before a line's fields is the same for a device
    all its life, so it is read once and remembered (a bounded memory, emptied when full)."""

    def __init__(self, bucket: Bucket) -> None:
        self._columns = {name: _columns(kind) for name, kind in kinds_of(bucket).items()}
        self._heads: dict[str, tuple[str, Series]] = {}

    def read(self, line: str) -> Point:
        """The point of a line.

        Raises:
            BadLine: says why it can't be stored.
        """
        head, _, rest = line.partition(" ")
        fields, _, time = rest.rpartition(" ")
        kind, series = self._heads.get(head) or self._read_head(head)
        if _TIME.fullmatch(time) is None:
            raise BadLine(Reason.GRAMMAR)
        return Point(kind, series, int(time), _read_fields(fields, self._columns[kind]))

    def _read_head(self, head: str) -> tuple[str, Series]:
        match = _HEAD.fullmatch(head)
        if match is None:
            raise BadLine(Reason.GRAMMAR)
        kind, device, gateway, site, zone = match.groups()
        if kind not in self._columns:
            raise BadLine(Reason.UNKNOWN_KIND)
        if len(self._heads) >= _HEADS_MAX:
            self._heads.clear()
        self._heads[head] = kind, (device, gateway, site, zone)
        return self._heads[head]


class _Column(NamedTuple):
    type: FieldType
    matches: Callable[[str], re.Match[str] | None]


def _columns(kind: Kind) -> dict[str, _Column]:
    return {
        name: _Column(field.type, re.compile(value_pattern(field)).fullmatch)
        for name, field in kind.fields.items()
    }


def _read_fields(text: str, columns: dict[str, _Column]) -> dict[str, Value]:
    fields: dict[str, Value] = {}
    parts = text.split(",")  # no value holds a comma
    if len(parts) > _FIELDS_MAX:
        raise BadLine(Reason.GRAMMAR)
    for part in parts:
        name, _, written = part.partition("=")
        column = columns.get(name)
        if column is None or column.matches(written) is None:
            raise BadLine(_why(name, written, column))
        value = parse_value(written)
        if isinstance(value, float) and not math.isfinite(value):
            raise BadLine(Reason.GRAMMAR)
        if isinstance(value, int) and not -_INT64 <= value < _INT64:
            raise BadLine(Reason.GRAMMAR)
        fields[name] = value
    return fields


def _why(name: str, written: str, column: _Column | None) -> Reason:
    """What is wrong with `name=written`: no field and value at all, a wrong field, a wrong type."""
    if _NAME.fullmatch(name) is None or _VALUE.fullmatch(written) is None:
        return Reason.GRAMMAR
    if column is None:
        return Reason.UNKNOWN_FIELD
    return Reason.GRAMMAR if _type(written) is column.type else Reason.TYPE_CONFLICT


def _type(written: str) -> FieldType:
    if written.startswith('"'):
        return FieldType.TEXT
    return FieldType.INTEGER if written.endswith("i") else FieldType.FLOAT
