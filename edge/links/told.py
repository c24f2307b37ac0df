"""Which events of a sender are ours already: number and what it said, over restarts.

In: an event's number and a digest of what it says. Out: what was said under that number before. A
payment gateway that got no answer tells its event again, for days; a point's place follows from
second and number (`devices/payments.py`), so a repeat changes nothing as long as it names the same
second. This file holds for those that don't, and sees an amount that has changed.

It is written after the outbox's commit and without an fsync of its own: a power cut may forget the
last ones, whose points still have their places. Bounded: `KEPT_MS`, `NUMBERS_MAX`, the oldest go.
"""

from __future__ import annotations

import logging
import sqlite3
from datetime import timedelta
from pathlib import Path

KEPT_MS = timedelta(days=3 * 365) // timedelta(milliseconds=1)
"""Where a sender signs no time (Midtrans), an event that was seen once can be told as one of today:
it is known for as long as this, or as `NUMBERS_MAX` reach."""

NUMBERS_MAX = 500_000
"""Of all senders in one file; about 60 MB. A bigger city gives each link a file."""

_SWEEP_EVERY = 1000

log = logging.getLogger(__name__)


class Told:
    """One sender's numbers in a file that several senders may share. One thread's."""

    def __init__(self, path: str, sender: str) -> None:
        self._path, self._sender = Path(path), sender
        self._connection = self._opened()
        self._since_sweep = 0

    def said(self, number: str) -> bytes | None:
        """The digest of what was said under that number; None for a new one."""
        rows = self._connection.execute(
            "SELECT digest FROM told WHERE sender = ? AND number = ?", (self._sender, number)
        ).fetchall()
        return bytes(rows[0][0]) if rows else None

    def note(self, number: str, digest: bytes, now_ms: int) -> None:
        """It is committed."""
        self._connection.execute(
            "INSERT OR IGNORE INTO told VALUES (?, ?, ?, ?)", (self._sender, number, digest, now_ms)
        )
        self._since_sweep += 1
        if self._since_sweep >= _SWEEP_EVERY:
            self._since_sweep = 0
            self.sweep(now_ms)

    def sweep(self, now_ms: int, numbers_max: int = NUMBERS_MAX) -> None:
        """Forget what is too old, and the oldest of too many."""
        self._connection.execute("DELETE FROM told WHERE at_ms < ?", (now_ms - KEPT_MS,))
        self._connection.execute(
            "DELETE FROM told WHERE at_ms < (SELECT at_ms FROM told ORDER BY at_ms DESC"
            " LIMIT 1 OFFSET ?)",
            (numbers_max - 1,),
        )

    def close(self) -> None:
        self._connection.close()

    def _opened(self) -> sqlite3.Connection:
        try:
            return _connected(self._path)
        except sqlite3.OperationalError:
            raise  # no such folder, not ours to write: nothing a new file would mend
        except sqlite3.DatabaseError as error:
            aside = self._path.with_name(f"{self._path.name}.damaged")
            log.error("event=told_damaged path=%s aside=%s why=%r", self._path, aside, str(error))
            self._path.replace(aside)
            for rest in ("-wal", "-shm"):
                self._path.with_name(self._path.name + rest).unlink(missing_ok=True)
            return _connected(self._path)


def _connected(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=1.0, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS told (sender TEXT NOT NULL, number TEXT NOT NULL,"
            " digest BLOB NOT NULL, at_ms INTEGER NOT NULL, PRIMARY KEY (sender, number))"
            " WITHOUT ROWID"
        )
        connection.execute("CREATE INDEX IF NOT EXISTS told_at ON told (at_ms)")
    except sqlite3.Error:
        connection.close()
        raise
    return connection
