"""The embedded store's tables, and a query as SQL. No IO.

    series                    id → device, gateway, site, zone
    city__parking_spot        (series, time_ms) → change, occupied, distance_mm, …
    counter                   the number of the last change

A table for each bucket and kind, a column for each field, the point's identity (the four tags and
the time) its primary key, in which order the rows lie: a device's newest point is one step down
the tree, and a write touches one tree and the index of changes. Every statement goes from the
series to its points (CROSS JOIN keeps SQLite from choosing otherwise), so no index on time alone
is needed. Identifiers come from our own tables of kinds, values are parameters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from devices.kinds import FieldType, Kind
from ingest.stores import Aggregate, Bucket, Query, Row
from ingest.stores.points import TAGS, kinds_of
from ingest.stores.query import TIME_MAX

_TYPES = {FieldType.INTEGER: "INTEGER", FieldType.FLOAT: "REAL", FieldType.TEXT: "TEXT"}
_FUNCTIONS = {
    Aggregate.MEAN: "AVG",
    Aggregate.MIN: "MIN",
    Aggregate.MAX: "MAX",
    Aggregate.SUM: "SUM",
    Aggregate.COUNT: "COUNT",
}
_TAGS = ", ".join(f"s.{tag}" for tag in TAGS)
_TAGS_LAST = ", ".join(f"s.{tag} DESC" for tag in TAGS)

Statement = tuple[str, list[Any]]
"""SQL and its parameters."""

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS series (
        id INTEGER PRIMARY KEY,
        device TEXT NOT NULL,
        gateway TEXT NOT NULL,
        site TEXT NOT NULL,
        zone TEXT NOT NULL,
        UNIQUE (device, gateway, site, zone)
    ) STRICT""",
    """CREATE TABLE IF NOT EXISTS counter (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        change INTEGER NOT NULL
    ) STRICT""",
    "INSERT INTO counter VALUES (1, 0) ON CONFLICT DO NOTHING",
)

ADD_SERIES = f"INSERT INTO series ({', '.join(TAGS)}) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
FIND_SERIES = f"SELECT id FROM series WHERE ({', '.join(TAGS)}) = (?, ?, ?, ?)"
COUNT_CHANGE = "UPDATE counter SET change = change + 1 RETURNING change"
LAST_CHANGE = "SELECT change FROM counter"


def table(bucket: Bucket, kind: str) -> str:
    """The table's name, a safe identifier."""
    return f"{bucket.value}__{kind}"


def tables() -> list[tuple[Bucket, Kind]]:
    """Every bucket and kind that has a table."""
    return [(bucket, kind) for bucket in Bucket for kind in kinds_of(bucket).values()]


def create_table(bucket: Bucket, kind: Kind) -> list[str]:
    """The statements that make a kind's table."""
    name = table(bucket, kind.name)
    columns = "".join(f', "{name}" {type_}' for name, type_ in column_types(kind).items())
    return [
        f"CREATE TABLE IF NOT EXISTS {name} (series INTEGER NOT NULL REFERENCES series, "
        f"time_ms INTEGER NOT NULL, change INTEGER NOT NULL{columns}, "
        "PRIMARY KEY (series, time_ms)) STRICT, WITHOUT ROWID",
        f"CREATE INDEX IF NOT EXISTS {name}__change ON {name} (change)",
    ]


def column_types(kind: Kind) -> dict[str, str]:
    """The SQL type of each field."""
    return {field.name: _TYPES[field.type] for field in kind.fields.values()}


def upsert(bucket: Bucket, kind: str, fields: Sequence[str]) -> str:
    """Writes a point: fields are added to those the point has. A point that has them already
    stays as it is, its change too. Parameters: series, time, change, the fields."""
    columns = [f'"{name}"' for name in fields]
    marks = ", ".join("?" * (3 + len(columns)))
    updates = ", ".join(f"{column} = excluded.{column}" for column in columns)
    differs = " OR ".join(f"old.{column} IS NOT excluded.{column}" for column in columns)
    return (
        f"INSERT INTO {table(bucket, kind)} AS old (series, time_ms, change, {', '.join(columns)}) "
        f"VALUES ({marks}) ON CONFLICT DO UPDATE SET change = excluded.change, {updates} "
        f"WHERE {differs}"
    )


def render(query: Query) -> Statement:
    """A checked query; the answer has the time, the tags of `row_tags`, then the fields."""
    if query.aggregate is None:
        return _points(query)
    return _newest(query) if query.aggregate is Aggregate.NEWEST else _aggregated(query)


def row_tags(query: Query) -> tuple[str, ...]:
    """The tags that the rows of a query carry."""
    return TAGS if query.aggregate in (None, Aggregate.NEWEST) else query.group


def rows_of(
    records: Iterable[tuple[Any, ...]], tags: Sequence[str], fields: Sequence[str], count: bool
) -> list[Row]:
    """Records as rows; a count of nothing is left out, as any value of nothing is."""
    first = 1 + len(tags)
    rows = []
    for record in records:
        values = {
            name: value
            for name, value in zip(fields, record[first:], strict=True)
            if value is not None and (value or not count)
        }
        if values:
            rows.append(Row(record[0], dict(zip(tags, record[1:first], strict=True)), values))
    return rows


def newest_of_kind(bucket: Bucket, kind: Kind) -> Query:
    """The newest point of every device, with every field."""
    return Query(
        kind=kind.name,
        fields=tuple(kind.fields),
        start_ms=0,
        stop_ms=TIME_MAX,
        aggregate=Aggregate.NEWEST,
        bucket=bucket,
    )


def changed_since(bucket: Bucket, kind: Kind, change: int, limit: int) -> Statement:
    """The points that changed after a change, laid out as for `rows_of` with all four tags."""
    return (
        f"SELECT p.time_ms, {_TAGS}{_columns(kind.fields)} FROM {table(bucket, kind.name)} p "
        "JOIN series s ON s.id = p.series WHERE p.change > ? LIMIT ?",
        [change, limit],
    )


def delete_older(bucket: Bucket, kind: Kind, time_ms: int, limit: int) -> Statement:
    """Removes at most so many points that are older."""
    name = table(bucket, kind.name)
    return (
        f"DELETE FROM {name} WHERE (series, time_ms) IN (SELECT p.series, p.time_ms "
        f"FROM series s CROSS JOIN {name} p ON p.series = s.id AND p.time_ms < ? LIMIT ?)",
        [time_ms, limit],
    )


def _points(query: Query) -> Statement:
    condition, parameters = _where(query)
    return (
        f"SELECT p.time_ms, {_TAGS}{_columns(query.fields)} {_from(query)} "
        f"WHERE p.time_ms >= ? AND p.time_ms < ? AND {_any(query, 'p')}{condition} "
        f"ORDER BY p.time_ms DESC, {_TAGS_LAST} LIMIT ?",
        [query.start_ms, query.stop_ms, *parameters, query.limit],
    )


def _newest(query: Query) -> Statement:
    condition, parameters = _where(query)
    return (
        f"SELECT p.time_ms, {_TAGS}{_columns(query.fields)} {_from(query)} AND p.time_ms = "
        f"(SELECT q.time_ms FROM {table(query.bucket, query.kind)} q WHERE q.series = s.id "
        f"AND q.time_ms >= ? AND q.time_ms < ? AND {_any(query, 'q')} "
        f"ORDER BY q.time_ms DESC LIMIT 1) WHERE true{condition}",
        [query.start_ms, query.stop_ms, *parameters],
    )


def _aggregated(query: Query) -> Statement:
    assert query.aggregate is not None
    condition, parameters = _where(query)
    function = _FUNCTIONS[query.aggregate]
    step_ms = query.step_s * 1000
    time = f"p.time_ms / {step_ms} * {step_ms}" if step_ms else str(query.start_ms)
    tags = "".join(f", s.{tag}" for tag in query.group)
    last = "".join(f", s.{tag} DESC" for tag in query.group)
    values = "".join(f', {function}(p."{name}")' for name in query.fields)
    return (
        f"SELECT {time} AS step{tags}{values} {_from(query)} "
        f"WHERE p.time_ms >= ? AND p.time_ms < ? AND {_any(query, 'p')}{condition} "
        f"GROUP BY step{tags} ORDER BY step DESC{last} LIMIT ?",
        [query.start_ms, query.stop_ms, *parameters, query.limit],
    )


def _from(query: Query) -> str:
    return f"FROM series s CROSS JOIN {table(query.bucket, query.kind)} p ON p.series = s.id"


def _columns(fields: Iterable[str]) -> str:
    return "".join(f', p."{name}"' for name in fields)


def _any(query: Query, alias: str) -> str:
    return "(" + " OR ".join(f'{alias}."{name}" IS NOT NULL' for name in query.fields) + ")"


def _where(query: Query) -> Statement:
    condition = "".join(
        f" AND s.{tag} IN ({', '.join('?' * len(values))})" for tag, values in query.where.items()
    )
    return condition, [value for values in query.where.values() for value in values]
