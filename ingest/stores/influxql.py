"""A query as InfluxQL, and its answer as rows. No IO.

InfluxQL is what InfluxDB 1, 2 and 3 share. Every identifier comes from our own tables of kinds
and is quoted; every value is a number or a `NAME_PATTERN` name, so nothing needs escaping.

The newest point of each device is `SELECT … GROUP BY * ORDER BY time DESC LIMIT 1`: one whole
point a series, with its own time. `last(a), last(b)` would mix fields of different points, and
gives the range's start for a time as soon as there are two of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from devices.kinds import FieldType, Kind
from devices.reading import Value
from ingest.stores import Aggregate, Query, Row, StoreError
from ingest.stores.points import TAGS
from ingest.stores.query import cut, kind_of, newest_of_groups
from wire.malformed import MALFORMED


class _Series(msgspec.Struct):
    columns: list[str]
    values: list[list[Any]] = []
    tags: dict[str, str] = {}
    partial: bool = False


class _Result(msgspec.Struct):
    series: list[_Series] = []
    error: str = ""
    partial: bool = False


class _Answer(msgspec.Struct):
    results: list[_Result] = []
    error: str = ""


def render(query: Query) -> str:
    """The statement of a checked query. Times are milliseconds, as the answer's will be."""
    if query.aggregate is None:
        columns = [f'"{name}"::field' for name in query.fields]
        columns += [f'"{tag}"::tag' for tag in TAGS]
        ending = f"ORDER BY time DESC LIMIT {query.limit}"
    elif query.aggregate is Aggregate.NEWEST:
        columns = [f'"{name}"::field' for name in query.fields]
        ending = "GROUP BY * ORDER BY time DESC LIMIT 1"
    else:
        function = query.aggregate.upper()
        columns = [f'{function}("{name}"::field) AS "{name}"' for name in query.fields]
        groups = [f'"{tag}"' for tag in query.group]
        ending = f"ORDER BY time DESC LIMIT {query.limit}"
        if query.step_s:
            groups.insert(0, f"time({query.step_s}s)")
            ending = f"FILL(none) {ending}"
        if groups:
            ending = f"GROUP BY {', '.join(groups)} {ending}"
    return f'SELECT {", ".join(columns)} FROM "{query.kind}" WHERE {_where(query)} {ending}'


def _where(query: Query) -> str:
    terms = [f"time >= {query.start_ms}ms", f"time < {query.stop_ms}ms"]
    for tag, values in query.where.items():
        terms.append("(" + " OR ".join(f"\"{tag}\" = '{value}'" for value in values) + ")")
    return " AND ".join(terms)


def parse(answer: bytes, queries: Sequence[Query]) -> list[list[Row]]:
    """The rows of each query, from the answer to their statements sent as one.

    Raises:
        StoreError: the database says what is wrong, or it isn't an answer.
    """
    try:
        decoded = msgspec.json.decode(answer, type=_Answer)
    except MALFORMED as error:
        raise StoreError(f"not an InfluxDB answer ({error}); is the address right?") from error
    problems = [decoded.error, *(result.error for result in decoded.results)]
    if any(problems):
        problem = next(filter(None, problems))
        raise StoreError(f"InfluxDB: {problem}. Run gampong ingest setup if something is missing")
    if len(decoded.results) != len(queries):
        raise StoreError(f"{len(decoded.results)} answers to {len(queries)} questions")
    pairs = zip(decoded.results, queries, strict=True)
    try:
        return [_rows(result, query) for result, query in pairs]
    except (LookupError, TypeError, ValueError, OverflowError) as error:  # other columns or types
        raise StoreError(f"not an InfluxDB answer ({error}); is the address right?") from error


def _rows(result: _Result, query: Query) -> list[Row]:
    if result.partial or any(series.partial for series in result.series):
        raise StoreError("InfluxDB cut the answer short; ask for a shorter range or longer steps")
    kind = kind_of(query)
    rows = [row for series in result.series for row in _rows_of(series, query, kind)]
    if query.aggregate is Aggregate.NEWEST:
        rows = newest_of_groups(rows, query.group)
    return cut(rows, query.limit)


def _rows_of(series: _Series, query: Query, kind: Kind) -> Iterator[Row]:
    places = {name: series.columns.index(name) for name in query.fields}
    kept_tags = TAGS if query.aggregate is Aggregate.NEWEST else query.group
    tags = {tag: series.tags.get(tag, "") for tag in kept_tags}
    point_tags = [(tag, series.columns.index(tag)) for tag in TAGS if tag in series.columns]
    whole = query.aggregate not in (None, Aggregate.NEWEST) and not query.step_s
    for values in series.values:
        fields = {
            name: _typed(values[place], kind.fields[name].type, query.aggregate)
            for name, place in places.items()
            if values[place] is not None
        }
        if query.aggregate is Aggregate.COUNT:
            fields = {name: value for name, value in fields.items() if value}
        if query.aggregate is None:
            tags = {tag: values[place] or "" for tag, place in point_tags}
        if fields:
            yield Row(query.start_ms if whole else values[0], tags, fields)


def _typed(value: Any, type_: FieldType, aggregate: Aggregate | None) -> Value:
    """JSON has one kind of number: 3.0 arrives as 3."""
    if aggregate is Aggregate.COUNT:
        return int(value)
    if aggregate is Aggregate.MEAN or type_ is FieldType.FLOAT:
        return float(value)
    return int(value) if type_ is FieldType.INTEGER else str(value)
