"""Hours from readings: mean, min, max and count of every number, per device.

In: points of a device around an hour. Out: one line a device for the bucket `city_hourly`, and one
a site of its devices' hours, in which each device counts once. The mean is weighted by time: a
value holds until the next one, because devices report by exception and a bay that changed ten times
in a minute was not ten times as full. What was known before the hour counts into it for at most
`CARRY_S`. Doing an hour again gives the same point, so late data only needs the
hour done again.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

from devices.kinds import KINDS, FieldType, Kind
from devices.reading import Value
from ingest.health import point
from ingest.stores import Bucket, Kept, Query, Row, Store
from ingest.stores.kinds import ROLLED_UP_KINDS
from ingest.stores.query import ROWS_MAX

HOUR_MS = 3_600_000
CARRY_S = 3600.0
SLICE_MS = HOUR_MS // 6
"""Read at once, so that ten thousand devices stay under what a store gives in one answer."""

_TAGS = ("device", "gateway", "site", "zone")


def hour_of(time_ms: int) -> int:
    """Start of the hour (UTC) that holds the time."""
    return time_ms - time_ms % HOUR_MS


def summarise(
    points: Sequence[tuple[int, float]], start_ms: int, stop_ms: int
) -> dict[str, float | int] | None:
    """mean, min, max, count of one field; None when the hour has no value of its own.

    `points` are (time, value), ascending, from before the hour up to its end.
    """
    inside = [value for time_ms, value in points if time_ms >= start_ms]
    if not inside:
        return None
    weights: list[tuple[float, float]] = []
    for index, (time_ms, value) in enumerate(points):
        until = points[index + 1][0] if index + 1 < len(points) else stop_ms
        begins = max(start_ms, time_ms)
        until = min(until, stop_ms, int(time_ms + CARRY_S * 1000))
        if until > begins:
            weights.append((value, until - begins))
    total = math.fsum(weight for _, weight in weights)
    mean = (
        math.fsum(v * w for v, w in weights) / total if total else math.fsum(inside) / len(inside)
    )
    low, high = min(inside), max(inside)
    low, high = min(low, mean), max(high, mean)  # a carried value may lie outside
    return {"mean": mean, "min": low, "max": high, "count": len(inside)}


def hour_lines(kind: Kind, rows: Iterable[Row], start_ms: int) -> list[str]:
    """One line a device of that kind, from its points since `CARRY_S` before the hour, and one a
    site."""
    numbers = [f.name for f in kind.fields.values() if f.type is not FieldType.TEXT]
    series: dict[tuple[str, str, str, str], dict[str, list[tuple[int, float]]]] = {}
    for row in sorted(rows, key=lambda row: row.time_ms):
        device, gateway, site, zone = (row.tags[tag] for tag in _TAGS)
        fields = series.setdefault((device, gateway, site, zone), {})
        for name in numbers:
            value = row.fields.get(name)
            if value is not None and not isinstance(value, str):
                fields.setdefault(name, []).append((row.time_ms, float(value)))
    lines, sites = [], defaultdict[str, list[_Hour]](list)
    for place, fields in sorted(series.items()):
        found = {
            name: summary
            for name, points in fields.items()
            if (summary := summarise(points, start_ms, start_ms + HOUR_MS))
        }
        if found:
            sites[place[2]].append(found)
            lines.append(point(ROLLED_UP_KINDS[kind.name], place, _flat(found), start_ms))
    for site, hours in sorted(sites.items()):
        whole: dict[str, Value] = {"devices": len(hours), **_flat(_joined(hours))}
        place = (site, site, site, "main")
        lines.append(point(ROLLED_UP_KINDS[f"{kind.name}_site"], place, whole, start_ms))
    return lines


_Hour = dict[str, dict[str, float | int]]
"""Field → mean, min, max, count."""


def _joined(hours: Sequence[_Hour]) -> _Hour:
    """A site's hour from its devices' hours."""
    joined: _Hour = {}
    for name in sorted({name for hour in hours for name in hour}):
        own = [hour[name] for hour in hours if name in hour]
        low, high = min(each["min"] for each in own), max(each["max"] for each in own)
        mean = math.fsum(each["mean"] for each in own) / len(own)
        count = sum(each["count"] for each in own)
        joined[name] = {"mean": min(max(mean, low), high), "min": low, "max": high, "count": count}
    return joined


def _flat(hour: _Hour) -> dict[str, Value]:
    return {
        f"{name}_{suffix}": value
        for name, summary in hour.items()
        for suffix, value in summary.items()
    }


async def roll_up(store: Store, start_ms: int) -> Kept | None:
    """Do the hour that begins at `start_ms`, for all kinds; None when it is written.

    Raises:
        StoreError: the store can't be read now.
    """
    for kind in KINDS.values():
        rows: list[Row] = []
        for slice_ms in range(start_ms - int(CARRY_S * 1000), start_ms + HOUR_MS, SLICE_MS):
            query = Query(
                kind=kind.name,
                fields=tuple(kind.fields),
                start_ms=slice_ms,
                stop_ms=slice_ms + SLICE_MS,
                group=_TAGS,
                limit=ROWS_MAX,
            )
            rows += await store.read(query)
        lines = hour_lines(kind, rows, start_ms)
        if lines:
            outcome = await store.write(Bucket.HOURLY, lines)
            if isinstance(outcome, Kept):
                return outcome
    return None
