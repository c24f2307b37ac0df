"""An apsw connection that answers as `sqlite3.Connection` does, as far as the outbox asks.

apsw because it lets Python be the disk. It can't share a log's index between connections, so the
log is used in exclusive mode: same writes, same syncs.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import apsw


class Watcher(Protocol):
    """Who is told of commits."""

    def began(self) -> int:
        """A commit begins; where."""
        ...

    def committed(self, start: int, connection: Any) -> None:
        """It is done."""
        ...


class ApswCursor:
    """A statement's rows, all of them read."""

    def __init__(self, rows: list[Any], rowcount: int, lastrowid: int) -> None:
        self.rowcount, self.lastrowid = rowcount, lastrowid
        self._rows = iter(rows)

    def fetchone(self) -> Any:
        return next(self._rows, None)

    def fetchall(self) -> list[Any]:
        return list(self._rows)

    def __iter__(self) -> Iterator[Any]:
        return self._rows


class ApswConnection:
    """In autocommit mode, as `isolation_level=None`."""

    def __init__(self, connection: apsw.Connection, watcher: Watcher) -> None:
        self._connection = connection
        self._watcher = watcher
        self.text_factory: Any = str

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> ApswCursor:
        if sql == "PRAGMA journal_mode=WAL":
            self._run("PRAGMA locking_mode=EXCLUSIVE", ())
        if sql != "COMMIT":
            return self._run(sql, parameters)
        start = self._watcher.began()
        cursor = self._run(sql, parameters)
        self._watcher.committed(start, self)
        return cursor

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> ApswCursor:
        for row in rows:
            self._run(sql, row)
        return ApswCursor([], -1, 0)

    def executescript(self, script: str) -> ApswCursor:
        return self._run(script, ())

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    @property
    def total_changes(self) -> int:
        return self._connection.total_changes()

    def close(self) -> None:
        with _as_sqlite3():
            self._connection.close()

    def _run(self, sql: str, parameters: Sequence[Any]) -> ApswCursor:
        with _as_sqlite3():
            rows = self._connection.execute(sql, tuple(parameters)).fetchall()
        changes, rowid = self._connection.changes(), self._connection.last_insert_rowid()
        return ApswCursor(rows, changes, rowid)


@contextmanager
def _as_sqlite3() -> Iterator[None]:
    """apsw's errors as those of the standard library."""
    try:
        yield
    except apsw.Error as error:
        raise _translated(error) from error


def _translated(error: apsw.Error) -> sqlite3.Error:
    code = getattr(error, "extendedresult", None) or getattr(error, "result", None)
    kind: type[sqlite3.Error] = sqlite3.DatabaseError
    if isinstance(error, apsw.ConstraintError):
        kind = sqlite3.IntegrityError
    elif not isinstance(error, apsw.CorruptError | apsw.NotADBError):
        kind = sqlite3.OperationalError
    translated = kind(str(error))
    if code is not None:
        translated.sqlite_errorcode = code
        names = {**apsw.mapping_result_codes, **apsw.mapping_extended_result_codes}
        translated.sqlite_errorname = str(names[code])
    return translated
