"""Readings of days, read a day at a time and kept as points, which is a tenth of their rows.

In: a store, a kind, a range. Out: what each device said, where it was by its newest reading, and
how long a reading of it is believed. What is read before the range begins is what its first moment
is known from.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from datetime import tzinfo

import msgspec

from dashboards.analysis.spans import HOUR_MS
from devices.kinds import Kind
from ingest.stores import Aggregate, Bucket, Query, Reader, Row, StoreError
from ingest.stores.kinds import DEVICE_REGISTRY
from ingest.stores.query import ROWS_MAX

DAY_MS = 24 * HOUR_MS
REGISTRY_DAYS = 7  # what `city_health` keeps


class Range(msgspec.Struct, frozen=True):
    """Half-open, Unix milliseconds, by the clock of `zone`."""

    start_ms: int
    stop_ms: int
    zone: tzinfo


class Said(msgspec.Struct, frozen=True):
    """Device → its points of the number field, ascending; its site and zone; how long each is
    believed; and when it said a word that matters (a bin: `burning`)."""

    points: dict[str, list[tuple[int, float]]]
    places: dict[str, tuple[str, str]]
    hold_ms: dict[str, int]
    words_ms: dict[str, list[int]]


async def said(
    store: Reader, kind: Kind, field: str, asked: Range, word: tuple[str, str] = ("", "")
) -> Said:
    """What devices of the kind said in the range; `word` is a text field and the word to look for.

    Raises:
        StoreError: the store can't be read now, or not so much of it.
    """
    known = await expiries(store, kind, asked.stop_ms)
    points: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
    places: dict[str, tuple[str, str]] = {}
    words_ms: defaultdict[str, list[int]] = defaultdict(list)
    name, wanted = word
    fields = (field, name) if name else (field,)
    async for rows in days(store, kind, fields, asked, known):
        for row in rows:
            device, value = row.tags["device"], row.fields.get(field)
            places[device] = row.tags["site"], row.tags["zone"]
            if value is not None and not isinstance(value, str):
                points[device].append((row.time_ms, float(value)))
            if name and row.fields.get(name) == wanted:
                words_ms[device].append(row.time_ms)
    hold_ms = {device: known.get(device, int(1000 * kind.expiry_s)) for device in places}
    return Said(points, places, hold_ms, words_ms)


async def days(
    store: Reader, kind: Kind, fields: tuple[str, ...], asked: Range, known: Mapping[str, int]
) -> AsyncIterator[list[Row]]:
    """The range's rows in order, a day's at once, from as long before as any may be believed.

    Raises:
        StoreError: the store can't be read now, or not so much of it.
    """
    longest_ms = max(known.values(), default=int(1000 * kind.expiry_s))
    for start_ms in range(max(0, asked.start_ms - longest_ms), asked.stop_ms, DAY_MS):
        stop_ms = min(start_ms + DAY_MS, asked.stop_ms)
        query = Query(
            kind=kind.name, fields=fields, start_ms=start_ms, stop_ms=stop_ms, limit=ROWS_MAX
        )
        day = await store.read(query)
        if len(day) == ROWS_MAX:
            raise StoreError(f"more than {ROWS_MAX} readings of {kind.name} a day: too many")
        yield day


async def expiries(store: Reader, kind: Kind, now_ms: int) -> dict[str, int]:
    """Registered device of the kind → for how many milliseconds a reading of it is believed.

    Raises:
        StoreError: the store can't be read now.
    """
    registered = await store.read(
        Query(
            kind=DEVICE_REGISTRY.name,
            fields=("kind", "expiry_s"),
            start_ms=max(0, now_ms - REGISTRY_DAYS * DAY_MS),
            stop_ms=now_ms + HOUR_MS,
            aggregate=Aggregate.NEWEST,
            bucket=Bucket.HEALTH,
            limit=ROWS_MAX,
        )
    )
    return {
        row.tags["device"]: int(1000 * float(row.fields.get("expiry_s", kind.expiry_s)))
        for row in registered
        if row.fields.get("kind") == kind.name
    }
