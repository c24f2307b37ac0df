"""The embedded store's file: what runs in its thread. Everything here blocks.

Methods raise `sqlite3.Error` as it comes and leave no transaction open; `explain` turns one into
a reason for counters and a remedy for a person.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from devices.kinds import Kind
from devices.reading import Value
from ingest.stores import Aggregate, Bucket, Query, Row, StoreError
from ingest.stores.live import Change, Changes
from ingest.stores.points import TAGS, Point, Series, kinds_of
from ingest.stores.query import cut, newest_of_groups, order
from ingest.stores.sql import (
    ADD_SERIES,
    COUNT_CHANGE,
    FIND_SERIES,
    LAST_CHANGE,
    SCHEMA,
    changed_since,
    column_types,
    create_table,
    delete_older,
    newest_of_kind,
    render,
    row_tags,
    rows_of,
    table,
    tables,
    upsert,
)

CHANGES_MAX = 10_000
"""Points of one kind since a cursor; who is further behind gets the newest of each device."""

_SERIES_MAX = 100_000
_APPLICATION_ID = 0x67616D70  # "gamp": the file says whose it is
_VERSION = 1
_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA journal_size_limit = 67108864",
    "PRAGMA cache_size = -16384",
)
_EXPLANATIONS = (
    ("SQLITE_BUSY", "timeout", "Another process holds the file for long; find it with lsof"),
    ("SQLITE_LOCKED", "timeout", "Another process holds the file for long; find it with lsof"),
    ("SQLITE_FULL", "server_error", "The disk is full: make room"),
    ("SQLITE_READONLY", "unauthorized", "This user may not write the file or its folder"),
    ("SQLITE_PERM", "unauthorized", "This user may not write the file or its folder"),
    ("SQLITE_CANTOPEN", "away", "See that its folder exists and belongs to this user"),
    ("SQLITE_CORRUPT", "server_error", "Move the file aside; gateways can send a week again"),
    ("SQLITE_NOTADB", "server_error", "This is another file: name the store's own"),
)


class SqliteFile:
    """One connection to the file."""

    def __init__(self, path: str, busy_timeout_s: float) -> None:
        self._path = path
        self._busy_timeout_s = busy_timeout_s
        self._connection: sqlite3.Connection | None = None
        self._series: dict[Series, int] = {}

    def open(self) -> None:
        """Connect, and bring the tables up to this version's kinds: new fields become columns.

        Raises:
            sqlite3.Error: it can't be opened.
            StoreError: it is another program's, or of a newer format.
        """
        self._connection = sqlite3.connect(
            self._path, timeout=self._busy_timeout_s, isolation_level=None
        )
        for pragma in _PRAGMAS:
            self._all(pragma)
        with self._transaction():
            self._check_owner()
            for statement in SCHEMA:
                self._all(statement)
            for bucket, kind in tables():
                self._make_table(bucket, kind)

    def write(self, bucket: Bucket, points: Sequence[Point]) -> None:
        """All points or none, in one transaction."""
        merged: dict[tuple[str, Series, int], dict[str, Value]] = {}
        for kind, series, time_ms, fields in points:
            known = merged.setdefault((kind, series, time_ms), fields)
            if known is not fields:
                known.update(fields)  # a point twice in a batch: the later one adds and overwrites
        made: dict[Series, int] = {}
        with self._transaction() as connection:
            ((change,),) = self._all(COUNT_CHANGE)
            records: defaultdict[tuple[str, tuple[str, ...]], list[tuple[Any, ...]]]
            records = defaultdict(list)
            for (kind, series, time_ms), fields in merged.items():
                number = self._series.get(series) or made.get(series)
                if number is None:
                    number = made[series] = self._number(series)
                record = (number, time_ms, change, *fields.values())
                records[kind, tuple(fields)].append(record)
            for (kind, names), same in records.items():
                connection.executemany(upsert(bucket, kind, names), same)
        # Only what is committed may be remembered.
        if len(self._series) > _SERIES_MAX:
            self._series.clear()
        self._series |= made

    def read(self, query: Query) -> list[Row]:
        """The rows of a checked query."""
        count = query.aggregate is Aggregate.COUNT
        rows = rows_of(self._all(*render(query)), row_tags(query), query.fields, count)
        if query.aggregate is Aggregate.NEWEST:
            rows = newest_of_groups(rows, query.group)
        return cut(rows, query.limit)

    def changes(self, kinds: Sequence[str], cursor: int, bucket: Bucket) -> Changes:
        """What changed after the cursor, or the newest of every device for 0, for a cursor of
        another file, and for one that is far behind.

        Raises:
            StoreError: the bucket doesn't hold such a kind.
        """
        known = kinds_of(bucket)
        unknown = [kind for kind in kinds if kind not in known]
        if unknown:
            raise StoreError(f"{bucket} has no {unknown[0]!r}; it has {', '.join(known)}")
        with self._transaction("BEGIN"):
            ((last,),) = self._all(LAST_CHANGE)
            found = [
                Change(kind, row)
                for kind in kinds
                for row in self._changed(bucket, known[kind], cursor if cursor <= last else 0)
            ]
        found.sort(key=lambda change: order(change.row))
        return Changes(found, last)

    def delete_older(self, bucket: Bucket, kind: Kind, time_ms: int, limit: int) -> int:
        """Remove at most so many points that are older; how many went."""
        with self._transaction() as connection:
            return connection.execute(*delete_older(bucket, kind, time_ms, limit)).rowcount

    def probe(self) -> None:
        """Take and give back the right to write."""
        with self._transaction():
            self._all(LAST_CHANGE)

    def close(self) -> None:
        """Give back the file; may be called twice."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _changed(self, bucket: Bucket, kind: Kind, cursor: int) -> list[Row]:
        if cursor > 0:
            records = self._all(*changed_since(bucket, kind, cursor, CHANGES_MAX + 1))
            if len(records) <= CHANGES_MAX:
                return rows_of(records, TAGS, tuple(kind.fields), count=False)
        return self.read(newest_of_kind(bucket, kind))

    def _number(self, series: Series) -> int:
        self._all(ADD_SERIES, series)
        ((number,),) = self._all(FIND_SERIES, series)
        return int(number)

    def _check_owner(self) -> None:
        ((owner,),) = self._all("PRAGMA application_id")
        ((version,),) = self._all("PRAGMA user_version")
        ((count,),) = self._all("SELECT count(*) FROM sqlite_schema")
        if owner not in (0, _APPLICATION_ID) or (owner == 0 and count):
            raise StoreError("it is another program's file; name one of the store's own")
        if version > _VERSION:
            raise StoreError(f"its format is {version}, newer than this program's; update gampong")
        self._all(f"PRAGMA application_id = {_APPLICATION_ID}")
        self._all(f"PRAGMA user_version = {_VERSION}")

    def _make_table(self, bucket: Bucket, kind: Kind) -> None:
        for statement in create_table(bucket, kind):
            self._all(statement)
        name = table(bucket, kind.name)
        present = {column[1]: column[2] for column in self._all(f"PRAGMA table_info({name})")}
        for field, type_ in column_types(kind).items():
            if field not in present:
                self._all(f'ALTER TABLE {name} ADD COLUMN "{field}" {type_}')
            elif present[field] != type_:
                raise StoreError(
                    f"{name}.{field} is {present[field]}, not {type_}: a field's type never"
                    " changes, a new type is a new name"
                )

    @contextmanager
    def _transaction(self, begin: str = "BEGIN IMMEDIATE") -> Iterator[sqlite3.Connection]:
        connection = self._open_connection()
        connection.execute(begin)
        try:
            yield connection
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    def _all(self, statement: str, parameters: Iterable[Any] = ()) -> list[Any]:
        with closing(self._open_connection().execute(statement, tuple(parameters))) as cursor:
            return cursor.fetchall()

    def _open_connection(self) -> sqlite3.Connection:
        if self._connection is None:
            raise sqlite3.ProgrammingError("the store is closed")
        return self._connection


def explain(error: sqlite3.Error) -> tuple[str, str]:
    """A short word for counters, and what a person can do."""
    name = getattr(error, "sqlite_errorname", "") or ""
    for prefix, reason, remedy in _EXPLANATIONS:
        if name.startswith(prefix):
            return reason, remedy
    return "server_error", "Look at the disk and the system's log"
