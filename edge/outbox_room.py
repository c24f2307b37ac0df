"""Room: what is given up when the outbox is full, and the ballast that a full disk gives back.

Full means `bytes_max`: confirmed rows go first, then the oldest telemetry, then the oldest events,
never what is in the uplink's window or already confirmed in memory, each reading counted; last the
oldest keys of uplinks. A full *disk* isn't the outbox's doing, so there only confirmed rows and
keys go: nothing accepted is given up, the ballast is released so that confirmations still find
room, and new readings are refused.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Collection
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from edge.configuration import OutboxSettings
from edge.outbox_file import OutboxFile, OutboxFull
from edge.outbox_log import wal_pages
from edge.outbox_packing import Packed
from edge.outbox_rows import COLUMNS, Head, delete_batches, drop
from edge.outbox_schema import PAGE_BYTES

TRANSACTION_BYTES = 256 * 1024
"""Log that one seal may need beyond what is written back by itself."""

GIVE_BACK_PAGES = 512
SPARE_PAGES = 64
DELETE_ROWS = 500
TIDY_S = 3600.0
KEYS_KEPT_MS = timedelta(days=31) // timedelta(milliseconds=1)
STATES_KEPT_MS = KEYS_KEPT_MS
KEYS_SHARE = 8
"""Keys take at most this part of `bytes_max`, and about `KEY_BYTES` each."""

KEY_BYTES = 24
KEYS_AT_ONCE = 100
LOOK_S = 10.0
"""How often a disk that was full is asked for its free space."""

BALLAST_RETRY_S = 600.0
"""How long the ballast rests where the disk has room by its own words only (a quota): making it
writes 4 MiB each time."""

_CHUNK = 1024 * 1024


def pages_for(batches: Collection[Packed], others: int = 0) -> int:
    """An upper bound of the pages that these rows and so many bytes of other tables take."""
    payloads = sum(len(packed.payload) // (PAGE_BYTES - 100) + 2 for packed in batches)
    return payloads + 2 * others // PAGE_BYTES + 8


class Room:
    """Keeps the file within its bounds, inside transactions that the outbox opens."""

    def __init__(self, file: OutboxFile, settings: OutboxSettings) -> None:
        self._file = file
        self._connection = file.connection
        self._bytes_max = settings.bytes_max
        self._keep_ms = int(settings.keep_confirmed_days * 86_400_000)
        self._ballast = Ballast(ballast_path(file.path), settings.ballast_bytes)
        self._keys_max = settings.bytes_max // KEYS_SHARE // KEY_BYTES
        self._retry_s = self._tidy_s = 0.0
        self._restored_s = -BALLAST_RETRY_S
        self.disk_full = False

    def make(self, pages: int, protect: Collection[int], now_ms: int) -> None:
        """Free what is needed for so many more pages.

        Raises:
            OutboxFull: it can't be, without giving up what is protected.
        """
        if self._missing(pages) <= 0:
            return
        spare = 0 if self.disk_full else SPARE_PAGES
        while self._missing(pages + spare) > 0 and self._delete_confirmed():
            pass
        for event in () if self.disk_full else (0, 1):
            while self._missing(pages) > 0 and self._drop_oldest(event, protect, now_ms):
                pass
        while self._missing(pages) > 0 and self._forget_keys():
            pass
        if self._missing(pages) > 0:
            remedy = "Raise outbox.bytes_max, or let it reach its broker"
            if self.disk_full:
                remedy = f"Free space on the file system of {self._file.path.parent}"
            raise OutboxFull(f"outbox {self._file.path}: full", remedy)

    def tidy(self, now_ms: int, uptime_s: float) -> None:
        """Once an hour, a piece at a time: forget what has been kept long enough."""
        if uptime_s < self._tidy_s:
            return
        sql = "SELECT sequence FROM batches WHERE state <> 0 AND settled_ms < ? LIMIT ?"
        rows = self._connection.execute(sql, (now_ms - self._keep_ms, DELETE_ROWS)).fetchall()
        delete_batches(self._connection, [sequence for (sequence,) in rows])
        if len(rows) < DELETE_ROWS:
            self._tidy_s = uptime_s + TIDY_S
            bound_keys(self._connection, now_ms - KEYS_KEPT_MS, self._keys_max)
            sql = "DELETE FROM states WHERE saved_ms < ?"
            self._connection.execute(sql, (now_ms - STATES_KEPT_MS,))

    def give_back(self) -> None:
        """Shorten the file once much of it is free, a piece at a time, in a commit of its own."""
        pages, free = self._file.pages
        if free > max(SPARE_PAGES, pages // 8):
            # As a script, since each step of the statement frees but one page.
            with self._file.errors():
                self._connection.executescript(f"PRAGMA incremental_vacuum({GIVE_BACK_PAGES})")

    def release_ballast(self, uptime_s: float) -> None:
        """The disk is full: from now on the file doesn't grow, and the ballast is given back."""
        self.disk_full = True
        self._ballast.release()
        in_vain = uptime_s < self._restored_s + BALLAST_RETRY_S
        self._retry_s = uptime_s + (BALLAST_RETRY_S if in_vain else LOOK_S)

    def restore_ballast(self, uptime_s: float) -> None:
        """Make the ballast when it is missing and the disk has room again."""
        if self._ballast.made:
            self.disk_full = False
        elif uptime_s < self._retry_s:
            return
        elif not self._ballast.has_room():
            self._retry_s = uptime_s + LOOK_S
        elif self._ballast.make():
            if self.disk_full:
                self._restored_s = uptime_s
            self.disk_full = False
        else:
            self._retry_s = uptime_s + BALLAST_RETRY_S

    def _missing(self, pages: int) -> int:
        used, free = self._file.pages
        if self.disk_full:
            return pages - free
        log = max(
            wal_pages(self._bytes_max) * (PAGE_BYTES + 24) + TRANSACTION_BYTES,
            self._file.wal_bytes,
        )
        return used - free + pages - (self._bytes_max - log) // PAGE_BYTES

    def _delete_confirmed(self) -> bool:
        sql = "SELECT sequence FROM batches WHERE state = 1 ORDER BY sequence LIMIT 10"
        rows = self._connection.execute(sql).fetchall()
        delete_batches(self._connection, [sequence for (sequence,) in rows])
        return bool(rows)

    def _forget_keys(self) -> bool:
        """The oldest keys, at last: an uplink that is taken twice does less harm than none."""
        sql = "SELECT time_ms FROM keys ORDER BY time_ms LIMIT 1 OFFSET ?"
        oldest = self._connection.execute(sql, (KEYS_AT_ONCE,)).fetchone()
        if oldest:
            self._connection.execute("DELETE FROM keys WHERE time_ms <= ?", oldest)
        return oldest is not None

    def _drop_oldest(self, event: int, protect: Collection[int], now_ms: int) -> bool:
        sql = (
            f"SELECT {COLUMNS} FROM batches INDEXED BY waiting"
            " WHERE state = 0 AND event = ? ORDER BY sequence"
        )
        for row in self._connection.execute(sql, (event,)):
            head = Head(*row)
            if head.sequence not in protect:
                drop(self._connection, head, now_ms)
                return True
        return False


class Ballast:
    """A file that takes room only to give it back."""

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._size = size

    @property
    def made(self) -> bool:
        """Whether it stands, whole."""
        try:
            return self._path.stat().st_size == self._size
        except OSError:  # of a failing card, too
            return False

    def has_room(self) -> bool:
        """Whether the disk says that it fits twice."""
        try:
            return shutil.disk_usage(self._path.parent).free >= 2 * self._size
        except OSError:
            return False

    def make(self) -> bool:
        """Write it, with bytes that no file system can leave out; False when there is no room."""
        if not self.has_room():
            return False
        try:
            with self._path.open("wb") as file:
                for start in range(0, self._size, _CHUNK):
                    file.write(os.urandom(min(_CHUNK, self._size - start)))
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            self.release()
            return False
        return True

    def release(self) -> None:
        """Give its room back. A card that takes no more changes keeps it; the seal says so."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)


def ballast_path(path: Path) -> Path:
    """Where an outbox's ballast stands."""
    return path.with_name(f"{path.name}.ballast")


def bound_keys(connection: sqlite3.Connection, oldest_ms: int, keep: int) -> None:
    """Forget the keys of readings older than that, and the oldest beyond so many."""
    connection.execute("DELETE FROM keys WHERE time_ms < ?", (oldest_ms,))
    sql = "SELECT time_ms FROM keys ORDER BY time_ms DESC LIMIT 1 OFFSET ?"
    beyond = connection.execute(sql, (keep,)).fetchone()
    if beyond:
        connection.execute("DELETE FROM keys WHERE time_ms <= ?", beyond)
