"""The outbox's write-ahead log: how long it is, and what becomes of it when a sync fails.

A commit fills the log up to the next sector and syncs it (`psow=0`); what its last frame has beyond
that sector isn't synced. When the next sync fails, the system forgets those bytes for good, and
whatever is committed behind them would be cut off by a power cut. So after a failed sync nothing
is committed before the log has been written back whole and begins anew. That is why the outbox
writes it back by itself: SQLite's own checkpoint keeps such a failure to itself.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from edge.outbox_schema import PAGE_BYTES

CHECKPOINT_BYTES = (64 * 1024, 4 * 1024 * 1024)

_HEADER_BYTES, _FRAME_BYTES = 32, 24
_FAILED_SYNCS = (sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC)


def wal_pages(bytes_max: int) -> int:
    """How long the log grows before it is written back: a small share of what is allowed."""
    least, most = CHECKPOINT_BYTES
    return max(least, min(most, bytes_max // 16)) // PAGE_BYTES


class OutboxLog:
    """The log of one open connection."""

    def __init__(self, path: Path, connection: sqlite3.Connection, bytes_max: int) -> None:
        self._path = path.with_name(f"{path.name}-wal")
        self._connection = connection
        self._pages_max = wal_pages(bytes_max)
        self._salt, self._pages = b"", 0
        self._in_doubt = False

    def prepare(self) -> None:
        """Begin anew, unless someone reads what another process left."""
        self._connection.execute("PRAGMA wal_autocheckpoint=0")
        limit = self._pages_max * (PAGE_BYTES + _FRAME_BYTES)
        self._connection.execute(f"PRAGMA journal_size_limit={limit}")
        timeout_ms = self._connection.execute("PRAGMA busy_timeout").fetchone()[0]
        self._connection.execute("PRAGMA busy_timeout=0")
        try:
            self._connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
        except sqlite3.Error as error:
            self.doubt(error)
        self._connection.execute(f"PRAGMA busy_timeout={timeout_ms}")

    def bytes(self) -> int:
        """What it takes on the disk."""
        try:
            return self._path.stat().st_size
        except FileNotFoundError:
            return 0

    def doubt(self, error: sqlite3.Error) -> None:
        """A commit or a checkpoint failed."""
        self._in_doubt |= getattr(error, "sqlite_errorcode", 0) in _FAILED_SYNCS

    def mend(self) -> None:
        """Before a commit: after a failed sync, write all of it back and begin anew.

        Raises:
            sqlite3.Error: the disk still fails, or another program reads the file.
        """
        if self._in_doubt:
            busy, _, _ = self._connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
            if busy:
                raise _busy()
            self._in_doubt = False

    def write_back(self) -> None:
        """After a commit: write it back once it is long. When that fails it only gets longer."""
        try:
            if self._count() >= self._pages_max:
                self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as error:
            self.doubt(error)
        except OSError:
            self._pages = 0

    def _count(self) -> int:
        """Its pages: frames that bear the log's salt. Those behind are of an older round.
        Source: SQLite's documentation, "WAL-mode File Format", 2.1 to 2.3."""
        descriptor = os.open(self._path, os.O_RDONLY)
        try:
            salt = os.pread(descriptor, 8, 16)
            if salt != self._salt:
                self._salt, self._pages = salt, 0
            while salt and salt == os.pread(descriptor, 8, self._frame_at(self._pages) + 8):
                self._pages += 1
        finally:
            os.close(descriptor)
        return self._pages

    def _frame_at(self, number: int) -> int:
        return _HEADER_BYTES + number * (PAGE_BYTES + _FRAME_BYTES)


def _busy() -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("the log is being read")
    error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_BUSY, "SQLITE_BUSY"
    return error
