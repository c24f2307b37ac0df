"""What a `Query` may ask, checked once for both databases, and what rows mean in both.

* Points (no aggregate) and `NEWEST` carry their own time and all four tags; every other row
  carries its step's start (the range's start without steps) and the tags of `group`.
* `NEWEST` is the newest point that has at least one of the fields, in each group; it has no steps.
* Steps are aligned to the epoch, so the first may begin before `start_ms`.
* A count of nothing is absent, as any value of nothing is. A text can be counted, not averaged.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from devices.kinds import FieldType, Kind
from ingest.stores import Aggregate, Query, Row, StoreError
from ingest.stores.points import TAGS, kinds_of
from wire.line import NAME

ROWS_MAX = 1_000_000
STEPS_MAX = 20_000
WHERE_VALUES_MAX = 1000
TIME_MAX = 2**53


def check_query(query: Query) -> Query:
    """The query with nothing in it but known kinds, fields, tags and names.

    Values in `where` that aren't names are left out; when none is left, `matches_nothing`.

    Raises:
        StoreError: names what can't be asked.
    """
    kind = kind_of(query)
    unknown = [name for name in query.fields if name not in kind.fields]
    if unknown or not query.fields:
        raise StoreError(f"{query.kind} has no field {unknown[0] if unknown else '(none asked)'!r}")
    for tag in (*query.group, *query.where):
        if tag not in TAGS:
            raise StoreError(f"no tag {tag!r}; there are {', '.join(TAGS)}")
    if not 0 <= query.start_ms <= query.stop_ms <= TIME_MAX:
        raise StoreError(f"no range of time: {query.start_ms} to {query.stop_ms} ms")
    if not 1 <= query.limit <= ROWS_MAX:
        raise StoreError(f"limit {query.limit} not in 1..{ROWS_MAX}")
    _check_aggregate(query, kind)
    where = {
        tag: tuple(sorted({value for value in values if NAME.fullmatch(value)}))
        for tag, values in query.where.items()
    }
    if any(len(values) > WHERE_VALUES_MAX for values in where.values()):
        raise StoreError(f"more than {WHERE_VALUES_MAX} values for a tag; leave the filter out")
    return msgspec.structs.replace(
        query,
        fields=tuple(dict.fromkeys(query.fields)),
        group=tuple(dict.fromkeys(query.group)),
        where=where,
    )


def kind_of(query: Query) -> Kind:
    """The kind that a query asks for.

    Raises:
        StoreError: the bucket doesn't hold that kind.
    """
    kinds = kinds_of(query.bucket)
    if query.kind not in kinds:
        raise StoreError(f"{query.bucket} has no {query.kind!r}; it has {', '.join(kinds)}")
    return kinds[query.kind]


def matches_nothing(query: Query) -> bool:
    """Whether a checked query can have no answer."""
    return query.start_ms == query.stop_ms or not all(query.where.values())


def newest_of_groups(rows: Iterable[Row], group: Sequence[str]) -> list[Row]:
    """Of rows that carry all four tags, the newest in each group; the last by tags of equals."""
    newest: dict[tuple[str, ...], Row] = {}
    for row in rows:
        key = tuple(row.tags[tag] for tag in group)
        known = newest.get(key)
        if known is None or order(known) < order(row):
            newest[key] = row
    return list(newest.values())


def cut(rows: list[Row], limit: int) -> list[Row]:
    """Rows by time then tags, at most `limit`: the newest."""
    rows.sort(key=order)
    return rows[-limit:]


def order(row: Row) -> tuple[int, tuple[str, ...]]:
    """What rows are sorted by."""
    return row.time_ms, tuple(row.tags.values())


def _check_aggregate(query: Query, kind: Kind) -> None:
    if not query.step_s:
        steps = 1
    elif query.step_s < 0 or query.aggregate in (None, Aggregate.NEWEST):
        raise StoreError("steps need an aggregate other than newest, and a length above 0")
    else:
        steps = (query.stop_ms - query.start_ms) // (query.step_s * 1000)
    if steps > STEPS_MAX:
        raise StoreError(f"{steps} steps, at most {STEPS_MAX}; choose longer ones")
    if query.aggregate in (None, Aggregate.NEWEST, Aggregate.COUNT):
        return
    for name in query.fields:
        if kind.fields[name].type is FieldType.TEXT:
            raise StoreError(f"{name} is text: no {query.aggregate} of it")
