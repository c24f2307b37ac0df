"""Whether a WiFi corner kept its provider's promise: availability by local month.

In: a corner's readings (`up`, `portal`). Out: shares of the known time in which the access point
answered, and in which a visitor reached the internet. Time that nobody knows (a gateway without
power) is counted apart: it is nobody's outage until somebody proves it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, tzinfo

import msgspec

from dashboards.analysis.spans import Points, by_hour, spans
from ingest.stores import Row


class Month(msgspec.Struct, frozen=True):
    """A corner's calendar month, or the part of it in the range. Shares are 0..1, None when
    nothing is known."""

    year: int
    month: int
    known_h: float
    unknown_h: float
    access_point: float | None
    internet: float | None

    def keeps(self, promised: float) -> bool | None:
        """Whether visitors had what was promised (0..1); None when nothing is known."""
        return None if self.internet is None else self.internet >= promised


class _Sum:
    """Hours of one month."""

    def __init__(self) -> None:
        self.up_h = self.up_known_h = self.open_h = self.known_h = self.unknown_h = 0.0


def reached(rows: Iterable[Row]) -> dict[str, list[tuple[int, float]]]:
    """Device → (time, 1 when a visitor reaches the internet, else 0): the access point answers and
    nothing stands between. Rows are as a store orders them."""
    points: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
    for row in rows:
        up, portal = row.fields.get("up"), row.fields.get("portal")
        if up is None and portal is None:
            continue
        well = up != 0 and portal in (None, "open")
        points[row.tags["device"]].append((row.time_ms, float(well)))
    return points


def availability(
    up: Points, internet: Points, start_ms: int, stop_ms: int, hold_ms: int, zone: tzinfo
) -> list[Month]:
    """The months of the range, ascending. `hold_ms` is how long a reading is believed."""
    sums: defaultdict[tuple[int, int], _Sum] = defaultdict(_Sum)
    for span in spans(up, start_ms, stop_ms, hold_ms):
        for _, piece in by_hour(span, zone):
            total = sums[_month(piece.start_ms, zone)]
            if piece.value is not None:
                total.up_known_h += piece.hours
                total.up_h += piece.hours * piece.value
    for span in spans(internet, start_ms, stop_ms, hold_ms):
        for _, piece in by_hour(span, zone):
            total = sums[_month(piece.start_ms, zone)]
            if piece.value is None:
                total.unknown_h += piece.hours
            else:
                total.known_h += piece.hours
                total.open_h += piece.hours * piece.value
    return [
        Month(
            year,
            month,
            total.known_h,
            total.unknown_h,
            total.up_h / total.up_known_h if total.up_known_h else None,
            total.open_h / total.known_h if total.known_h else None,
        )
        for (year, month), total in sorted(sums.items())
    ]


def _month(time_ms: int, zone: tzinfo) -> tuple[int, int]:
    local = datetime.fromtimestamp(time_ms / 1000, zone)
    return local.year, local.month
