"""Days from hours: what a day of the city's own calendar was, per device and per site.

In: the hours in `city_hourly`. Out: one line a device (`waste_container_day`) and one a site
(`waste_container_site_day`) at local midnight, in the same bucket. UTC's days would cut Aceh's at
seven in the morning. An hour belongs to the day in which it begins. The mean is that of the hours'
means: an hour of which nothing is known doesn't count. Doing a day again gives the same point, so a
day is done again whenever one of its hours is; the day that runs is done each hour.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime, timedelta, tzinfo

from devices.kinds import Kind
from devices.reading import Value
from ingest.health import point
from ingest.stores import Bucket, Kept, Query, Row, Store
from ingest.stores.kinds import HOUR_KINDS, ROLLED_UP_KINDS
from ingest.stores.query import ROWS_MAX

_TAGS = ("device", "gateway", "site", "zone")
_SLICES = 4


def local_day(time_ms: int, zone: tzinfo) -> date:
    """The city's date at that moment."""
    return datetime.fromtimestamp(time_ms / 1000, zone).date()


def day_span(day: date, zone: tzinfo) -> tuple[int, int]:
    """From local midnight to the next one, Unix milliseconds."""
    start = datetime(day.year, day.month, day.day, tzinfo=zone)
    after = day + timedelta(days=1)
    stop = datetime(after.year, after.month, after.day, tzinfo=zone)
    return int(start.timestamp() * 1000), int(stop.timestamp() * 1000)


def day_lines(kind: Kind, hours: Iterable[Row], start_ms: int) -> list[str]:
    """One line a series, from its hours of that day; `kind` is that of the hours."""
    series: defaultdict[tuple[str, str, str, str], list[dict[str, Value]]] = defaultdict(list)
    for row in hours:
        device, gateway, site, zone = (row.tags[tag] for tag in _TAGS)
        series[device, gateway, site, zone].append(row.fields)
    day_kind = ROLLED_UP_KINDS[f"{kind.name}_day"]
    return [
        point(day_kind, place, fields, start_ms)
        for place, rows in sorted(series.items())
        if (fields := _joined(kind, rows))
    ]


def _joined(kind: Kind, hours: list[dict[str, Value]]) -> dict[str, Value]:
    joined: dict[str, Value] = {}
    for name in kind.fields:
        values = [float(hour[name]) for hour in hours if name in hour]
        if not values:
            continue
        if name.endswith("_mean"):
            joined[name] = min(max(math.fsum(values) / len(values), min(values)), max(values))
        elif name.endswith("_min"):
            joined[name] = min(values)
        elif name.endswith("_count"):
            joined[name] = int(sum(values))
        elif name == "devices":
            joined[name] = int(max(values))
        else:
            joined[name] = max(values)
    return joined


async def roll_up_day(store: Store, day: date, zone: tzinfo) -> Kept | None:
    """Do that day for all kinds; None when it is written.

    Raises:
        StoreError: the store can't be read now.
    """
    start_ms, stop_ms = day_span(day, zone)
    step_ms = (stop_ms - start_ms) // _SLICES
    for kind in HOUR_KINDS.values():
        rows: list[Row] = []
        for number in range(_SLICES):
            last = number == _SLICES - 1
            query = Query(
                kind=kind.name,
                fields=tuple(kind.fields),
                start_ms=start_ms + number * step_ms,
                stop_ms=stop_ms if last else start_ms + (number + 1) * step_ms,
                group=_TAGS,
                bucket=Bucket.HOURLY,
                limit=ROWS_MAX,
            )
            rows += await store.read(query)
        lines = day_lines(kind, rows, start_ms)
        if lines:
            outcome = await store.write(Bucket.HOURLY, lines)
            if isinstance(outcome, Kept):
                return outcome
    return None
