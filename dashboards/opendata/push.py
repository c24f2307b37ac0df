"""Hours to a CKAN datastore: one table a kind, from where CKAN has it until the last whole hour.

In: the store's hours, CKAN's own word how far a table reaches. Out: upserts, the oldest hour first,
so that what was cut off goes on where it ended, without a note of ours:

    from     the newest hour that CKAN has, less `again_hours`: an hour is made anew when late data
             came. A table that is empty begins `first_days` ago, `since` begins where it says
    and      older hours that late data has touched since then, by the ingestors' notes (7 days)
    until    the last hour that is over

The records are those of the open data API: public fields only, counts of people rounded. Times are
UTC, as CKAN keeps them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from dashboards.opendata.ckan import Ckan, Column
from dashboards.opendata.configuration import OpenDataConfiguration
from dashboards.opendata.public import PUBLIC, fields_of, shown
from devices.kinds import KINDS
from devices.reading import Value
from ingest.stores import Bucket, Query, Reader, Row
from ingest.stores.kinds import ROLLUP_DUE
from ingest.stores.query import ROWS_MAX
from wire.clock import Clock

HOUR_MS = timedelta(hours=1) // timedelta(milliseconds=1)
DAY_MS = 24 * HOUR_MS
NOTES_MS = 7 * DAY_MS
"""So long the ingestors' notes of late data are kept (`city_health`)."""

HOURS_AT_ONCE = 24
"""Read with one question: of 40,000 devices they still fit into `ROWS_MAX`."""

KEY = ("hour", "device", "site", "zone")
_PLACE = ("device", "site", "zone")
_SUMMARIES = {"mean": "float", "min": "float", "max": "float", "count": "int"}
Tell = Callable[[str], None]


class Pushed(msgspec.Struct, frozen=True):
    """What became of one kind: hours and rows that were written, or would be."""

    kind: str
    hours: int
    rows: int


async def push(
    settings: OpenDataConfiguration,
    store: Reader,
    ckan: Ckan,
    clock: Clock,
    *,
    since_ms: int | None = None,
    dry_run: bool = False,
    tell: Tell = lambda _: None,
) -> list[Pushed]:
    """Bring every public kind's table up to date.

    Raises:
        CkanAway, CkanRefuses: see there; what was written stays.
        StoreError: the store can't be read now.
    """
    until_ms = clock.now_ms() // HOUR_MS * HOUR_MS
    pushed = []
    for kind in (kind for kind in PUBLIC if kind in settings.kinds):
        resource = _table(ckan, kind, dry_run, tell)
        newest = ckan.newest(resource, "hour") if resource else None
        from_ms = _from(settings, newest, until_ms, since_ms)
        late = await _touched(store, from_ms, until_ms) if newest else set()
        hours = [*sorted(late), *range(from_ms, until_ms, HOUR_MS)]
        writing = None if dry_run else resource
        done = await _write(settings, store, ckan, kind, hours, writing)
        span = f"from {_text(from_ms)} until {_text(until_ms)}"
        tell(f"{kind}: {done.rows} rows of {done.hours} hours {span}, {len(late)} older ones anew")
        pushed.append(done)
    return pushed


def _from(
    settings: OpenDataConfiguration, newest: str | None, until_ms: int, since_ms: int | None
) -> int:
    """The hour to begin with."""
    assert settings.ckan is not None, "checked by the command"
    if since_ms is not None:
        return since_ms // HOUR_MS * HOUR_MS
    if newest is None:
        return until_ms - settings.ckan.first_days * DAY_MS
    return _ms_of(newest) - settings.ckan.again_hours * HOUR_MS


async def _write(
    settings: OpenDataConfiguration,
    store: Reader,
    ckan: Ckan,
    kind: str,
    hours: Sequence[int],
    resource: str | None,
) -> Pushed:
    """Hours in order, as many in a call as it takes; only counted without a resource."""
    assert settings.ckan is not None, "checked by the command"
    some, rows = 0, 0
    waiting: list[dict[str, Value | None]] = []
    for first_ms, count in _runs(hours):
        records = await _records(store, kind, first_ms, count, settings.people_step)
        some, rows = some + len({one["hour"] for one in records}), rows + len(records)
        if resource:
            waiting += records
            if len(waiting) >= settings.ckan.rows_per_call:
                ckan.upsert(resource, waiting)
                waiting.clear()
    if resource and waiting:
        ckan.upsert(resource, waiting)
    return Pushed(kind, some, rows)


def columns_of(kind: str) -> list[Column]:
    """A kind's table: the hour, the place, and four columns for each public number."""
    fields = KINDS[kind].fields
    columns = [
        Column("hour", "timestamp", "begin of the hour, UTC"),
        *(Column(name, "text") for name in _PLACE),
    ]
    for name in fields_of(kind, summed=True):
        field, _, summary = name.rpartition("_")
        unit = f", {fields[field].unit}" if fields[field].unit and summary != "count" else ""
        about = f"{summary} of: {fields[field].about}{unit}"
        columns.append(Column(name, _SUMMARIES[summary], about))
    return columns


def _table(ckan: Ckan, kind: str, dry_run: bool, tell: Tell) -> str | None:
    """The kind's resource with all its columns; None where a dry run would make it."""
    columns = columns_of(kind)
    resource = ckan.resource(kind)
    there = ckan.columns(resource) if resource else None
    missing = [one.id for one in columns if one.id not in (there or ())]
    if not missing:
        return resource
    what = f"columns {', '.join(missing)}" if there else "its table"
    tell(f"{kind}: {'would make' if dry_run else 'makes'} {what}")
    if dry_run:
        return resource if there else None
    return ckan.make(kind, KINDS[kind].about, columns, KEY)


async def _touched(store: Reader, from_ms: int, until_ms: int) -> set[int]:
    """Hours before `from_ms` that late data has come for since then."""
    query = Query(
        kind=ROLLUP_DUE.name,
        fields=("hour_ms",),
        start_ms=max(from_ms, until_ms - NOTES_MS),
        stop_ms=until_ms + HOUR_MS,
        bucket=Bucket.HEALTH,
        limit=ROWS_MAX,
    )
    hours = (int(row.fields["hour_ms"]) // HOUR_MS * HOUR_MS for row in await store.read(query))
    return {hour_ms for hour_ms in hours if hour_ms < from_ms}


def _runs(hours: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Hours that follow each other, read at once: the first, and how many."""
    first_ms, count = 0, 0
    for hour_ms in hours:
        if count and count < HOURS_AT_ONCE and hour_ms == first_ms + count * HOUR_MS:
            count += 1
            continue
        if count:
            yield first_ms, count
        first_ms, count = hour_ms, 1
    if count:
        yield first_ms, count


async def _records(
    store: Reader, kind: str, first_ms: int, hours: int, step: int
) -> list[dict[str, Value | None]]:
    """Hours' rows as records, each with every column: what is gone must not stay in CKAN."""
    names = fields_of(kind, summed=True)
    query = Query(
        kind=kind,
        fields=names,
        start_ms=first_ms,
        stop_ms=first_ms + hours * HOUR_MS,
        bucket=Bucket.HOURLY,
        limit=ROWS_MAX,
    )
    records = []
    for (hour_ms, *place), fields in _by_place(await store.read(query)):
        told = shown(fields, step)
        where = dict(zip(_PLACE, place, strict=True))
        records.append({"hour": _text(hour_ms), **where, **{n: told.get(n) for n in names}})
    return records


def _by_place(rows: Iterable[Row]) -> list[tuple[tuple[int, str, str, str], dict[str, Value]]]:
    """By hour, device, site and zone. A device that moved to another gateway within an hour has two
    rows of it: they become one."""
    joined: dict[tuple[int, str, str, str], dict[str, Value]] = {}
    for row in rows:
        place = row.time_ms, row.tags["device"], row.tags["site"], row.tags["zone"]
        known = joined.get(place)
        joined[place] = dict(row.fields) if known is None else _joined(known, row.fields)
    return sorted(joined.items(), key=lambda one: one[0])


def _joined(one: Mapping[str, Value], other: Mapping[str, Value]) -> dict[str, Value]:
    """Two parts of an hour as one: counts added, means weighed by them."""
    fields = {**other, **one}
    for name in one.keys() & other.keys():
        field, _, summary = name.rpartition("_")
        a, b = float(one[name]), float(other[name])
        if summary == "count":
            fields[name] = int(a + b)
        elif summary == "mean":
            m, n = (float(part.get(f"{field}_count", 1)) for part in (one, other))
            fields[name] = (a * m + b * n) / (m + n) if m + n else a
        else:
            fields[name] = min(a, b) if summary == "min" else max(a, b)
    return fields


def _text(time_ms: int) -> str:
    """UTC without an offset: what CKAN's `timestamp` takes and gives back."""
    return datetime.fromtimestamp(time_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _ms_of(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)
