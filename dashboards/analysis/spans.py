"""From points to time: a value holds until the next one, but never longer than it may be believed.

In: a device's points, ascending. Out: spans that cover a range without gaps, `None` where nobody
knows. Every share, hour and month of this room is a sum over such spans, so unknown time is always
counted and never taken for either state.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, tzinfo
from typing import NamedTuple

from ingest.stores import Row

HOUR_MS = 3_600_000

Points = Sequence[tuple[int, float]]
"""(time in Unix milliseconds, value), ascending by time."""


class Span(NamedTuple):
    """Half-open; `value` is None when nothing may be believed of it."""

    start_ms: int
    stop_ms: int
    value: float | None

    @property
    def hours(self) -> float:
        return (self.stop_ms - self.start_ms) / HOUR_MS


class Cell(NamedTuple):
    """An hour of a week: 0 Monday to 6 Sunday, local hour 0 to 23."""

    weekday: int
    hour: int


def points_of(rows: Iterable[Row], field: str) -> dict[str, list[tuple[int, float]]]:
    """Device → its points with that number field, ascending. Rows are as a store orders them."""
    points: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
    for row in rows:
        value = row.fields.get(field)
        if value is not None and not isinstance(value, str):
            points[row.tags["device"]].append((row.time_ms, float(value)))
    return points


def spans(points: Points, start_ms: int, stop_ms: int, hold_ms: int) -> Iterator[Span]:
    """The range as spans. A point before it counts into it for as long as it may be believed."""
    at_ms = start_ms
    for index, (time_ms, value) in enumerate(points):
        if time_ms >= stop_ms:
            break
        next_ms = points[index + 1][0] if index + 1 < len(points) else stop_ms
        until_ms = min(next_ms, time_ms + hold_ms, stop_ms)
        if until_ms <= at_ms:
            continue
        if time_ms > at_ms:
            yield Span(at_ms, time_ms, None)
            at_ms = time_ms
        yield Span(at_ms, until_ms, value)
        at_ms = until_ms
    if at_ms < stop_ms:
        yield Span(at_ms, stop_ms, None)


def by_hour(span: Span, zone: tzinfo) -> Iterator[tuple[Cell, Span]]:
    """The span cut at whole local hours."""
    for hour_ms, piece in by_start(span, zone):
        yield cell_of(hour_ms, zone), piece


def by_start(span: Span, zone: tzinfo) -> Iterator[tuple[int, Span]]:
    """The span cut at whole local hours, each piece with the start of its hour."""
    at_ms = span.start_ms
    while at_ms < span.stop_ms:
        hour_ms = hour_start(at_ms, zone)
        end_ms = min(hour_ms + HOUR_MS, span.stop_ms)
        yield hour_ms, Span(at_ms, end_ms, span.value)
        at_ms = end_ms


def cell_of(time_ms: int, zone: tzinfo) -> Cell:
    """The hour of the week that holds the time."""
    local = datetime.fromtimestamp(time_ms / 1000, zone)
    return Cell(local.weekday(), local.hour)


def hour_start(time_ms: int, zone: tzinfo) -> int:
    """The start of the local hour that holds the time."""
    offset = datetime.fromtimestamp(time_ms / 1000, zone).utcoffset()
    offset_ms = int(offset.total_seconds() * 1000) if offset else 0
    return time_ms - (time_ms + offset_ms) % HOUR_MS
