"""A WiFi corner hour by hour: who was online, what passed, what a visitor felt, what was promised.

In: a corner's readings. Out: for each local hour an `Hour` of sums, so that a day, a month and all
corners together are sums of hours again, and a page keeps hours in place of readings. People and
availability are those of `visitors` and `availability`, to the millisecond: the same spans.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, tzinfo
from itertools import pairwise

import msgspec

from dashboards.analysis.availability import Month, reached
from dashboards.analysis.spans import HOUR_MS, Points, by_hour, points_of, spans
from dashboards.analysis.visitors import clients_of
from ingest.stores import Row

FELT = ("latency_ms", "loss_ratio", "dns_ms")
"""What is averaged over readings."""

FIELDS = ("up", "portal", "clients", "rx_bytes", "tx_bytes", *FELT)


class Hour(msgspec.Struct):
    """Sums. `*_known_h` is for how long it was known; the whole is `open_known_h` + `unknown_h`.

    Args:
        people_h: stations times hours; `most` at once.
        up_h: the access point answered.
        open_h: a visitor reached the internet.
        unknown_h: nobody knows whether they did.
        rx_bytes, tx_bytes: from visitors, and to them.
        sums, counts: of each of `FELT`.
    """

    people_h: float = 0.0
    people_known_h: float = 0.0
    most: int = 0
    up_h: float = 0.0
    up_known_h: float = 0.0
    open_h: float = 0.0
    open_known_h: float = 0.0
    unknown_h: float = 0.0
    rx_bytes: int = 0
    tx_bytes: int = 0
    sums: dict[str, float] = {}
    counts: dict[str, int] = {}

    def add(self, other: Hour) -> None:
        """Take another hour in: the next one, or another corner's same one."""
        for name in _SUMMED:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.most = max(self.most, other.most)
        for field in other.counts:
            self.feel(field, other.sums[field], other.counts[field])

    def feel(self, field: str, total: float, count: int = 1) -> None:
        """So many more readings of what a visitor feels."""
        self.sums[field] = self.sums.get(field, 0.0) + total
        self.counts[field] = self.counts.get(field, 0) + count

    def felt(self, field: str) -> float | None:
        """Its mean over the readings; None without any."""
        return self.sums[field] / self.counts[field] if self.counts.get(field) else None

    @property
    def people(self) -> float | None:
        """Stations at once, the mean over known time."""
        return self.people_h / self.people_known_h if self.people_known_h else None

    @property
    def internet(self) -> float | None:
        """Share of the known time in which visitors reached the internet."""
        return self.open_h / self.open_known_h if self.open_known_h else None


_SUMMED = tuple(name for name in Hour.__struct_fields__ if name not in ("most", "sums", "counts"))

Hours = dict[int, Hour]
"""Start of the local hour, Unix milliseconds → its sums."""


def corner_hours(
    rows: Sequence[Row], start_ms: int, stop_ms: int, hold_ms: Mapping[str, int], zone: tzinfo
) -> dict[str, Hours]:
    """Device → its hours in the range, from rows as a store orders them, those before the range
    that may still be believed among them. `hold_ms` is for how long, by device."""
    up, clients, internet = points_of(rows, "up"), clients_of(rows), reached(rows)
    found: dict[str, Hours] = {}
    for device in sorted({row.tags["device"] for row in rows}):
        hours: defaultdict[int, Hour] = defaultdict(Hour)
        span = start_ms, stop_ms, hold_ms[device]
        _people(hours, clients.get(device, ()), *span, zone)
        _shares(hours, up.get(device, ()), internet.get(device, ()), *span, zone)
        found[device] = hours
    for field in ("rx_bytes", "tx_bytes"):
        for device, points in points_of(rows, field).items():
            for time_ms, rise in rises(points):
                if start_ms <= time_ms < stop_ms:
                    hour = found[device][_hour_ms(time_ms, zone)]
                    setattr(hour, field, getattr(hour, field) + int(rise))
    for field in FELT:
        for device, points in points_of(rows, field).items():
            for time_ms, value in points:
                if start_ms <= time_ms < stop_ms:
                    found[device][_hour_ms(time_ms, zone)].feel(field, value)
    return {device: dict(sorted(hours.items())) for device, hours in found.items()}


def rises(points: Points) -> Iterable[tuple[int, float]]:
    """What a counter counted since the point before, at each point's time. One that is lower began
    anew: what it says is what it has counted since."""
    for (_, before), (time_ms, after) in pairwise(points):
        yield time_ms, after - before if after >= before else after


def months(hours: Hours, zone: tzinfo) -> list[Month]:
    """The calendar months of a corner's hours, ascending."""
    sums: defaultdict[tuple[int, int], Hour] = defaultdict(Hour)
    for start_ms, hour in hours.items():
        local = datetime.fromtimestamp(start_ms / 1000, zone)
        sums[local.year, local.month].add(hour)
    return [
        Month(
            year,
            month,
            total.open_known_h,
            total.unknown_h,
            total.up_h / total.up_known_h if total.up_known_h else None,
            total.internet,
        )
        for (year, month), total in sorted(sums.items())
    ]


def _people(
    hours: defaultdict[int, Hour],
    clients: Points,
    start_ms: int,
    stop_ms: int,
    hold_ms: int,
    zone: tzinfo,
) -> None:
    for span in spans(clients, start_ms, stop_ms, hold_ms):
        if span.value is None:
            continue
        for _, piece in by_hour(span, zone):
            hour = hours[_hour_ms(piece.start_ms, zone)]
            hour.people_known_h += piece.hours
            hour.people_h += piece.hours * span.value
            hour.most = max(hour.most, int(span.value))


def _shares(
    hours: defaultdict[int, Hour],
    up: Points,
    internet: Points,
    start_ms: int,
    stop_ms: int,
    hold_ms: int,
    zone: tzinfo,
) -> None:
    for span in spans(up, start_ms, stop_ms, hold_ms):
        for _, piece in by_hour(span, zone):
            if piece.value is not None:
                hour = hours[_hour_ms(piece.start_ms, zone)]
                hour.up_known_h += piece.hours
                hour.up_h += piece.hours * piece.value
    for span in spans(internet, start_ms, stop_ms, hold_ms):
        for _, piece in by_hour(span, zone):
            hour = hours[_hour_ms(piece.start_ms, zone)]
            if piece.value is None:
                hour.unknown_h += piece.hours
            else:
                hour.open_known_h += piece.hours
                hour.open_h += piece.hours * piece.value


def _hour_ms(time_ms: int, zone: tzinfo) -> int:
    """The start of the local hour that holds it."""
    offset = datetime.fromtimestamp(time_ms / 1000, zone).utcoffset()
    offset_ms = int(offset.total_seconds() * 1000) if offset else 0
    return time_ms - (time_ms + offset_ms) % HOUR_MS
