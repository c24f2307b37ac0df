"""How many people are online at a WiFi corner, by hour of the day.

In: a corner's `clients` (stations at once). Out: means over known time. A corner that doesn't
answer has nobody online; the reading that says so (`up` 0) carries no `clients`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import tzinfo

import msgspec

from dashboards.analysis.spans import Points, by_hour, spans
from ingest.stores import Row


class Online(msgspec.Struct, frozen=True):
    """Stations at once: the mean, by local hour (0 to 23), and the most that a reading told."""

    mean: float | None
    by_hour: dict[int, float]
    most: int


def clients_of(rows: Iterable[Row]) -> dict[str, list[tuple[int, float]]]:
    """Device → its clients; 0 where the access point didn't answer. Rows as a store orders them."""
    points: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
    for row in rows:
        clients = 0 if row.fields.get("up") == 0 else row.fields.get("clients")
        if clients is not None and not isinstance(clients, str):
            points[row.tags["device"]].append((row.time_ms, float(clients)))
    return points


def online(clients: Points, start_ms: int, stop_ms: int, hold_ms: int, zone: tzinfo) -> Online:
    """Who was online in the range; `hold_ms` is how long a reading is believed."""
    known: defaultdict[int, float] = defaultdict(float)
    people: defaultdict[int, float] = defaultdict(float)
    most = 0
    for span in spans(clients, start_ms, stop_ms, hold_ms):
        if span.value is None:
            continue
        most = max(most, int(span.value))
        for cell, piece in by_hour(span, zone):
            known[cell.hour] += piece.hours
            people[cell.hour] += piece.hours * span.value
    total = sum(known.values())
    return Online(
        sum(people.values()) / total if total else None,
        {hour: people[hour] / hours for hour, hours in sorted(known.items())},
        most,
    )
