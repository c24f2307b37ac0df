"""The outbox's file: how it is locked, made, opened and checked, and what can go wrong with it.

    OutboxError
    ├── OutboxUnusable        can't be opened: the agent can't start until a person acts
    └── OutboxFailing         a commit failed and was undone: nothing was counted, try again later
        ├── OutboxFull        no room within `bytes_max`
        │   └── DiskFull      or on the disk: the ballast may help
        └── OutboxDamaged     what the card gives back is wrong: the next start repairs it

WAL and `synchronous=FULL`: a commit is one fsync, and an accepted reading is a committed one.
`psow=0` and pages of 4 KiB: a write that a power cut tears may garble all of its sector, so no
sector holds two pages of the file, and in the log none holds two commits (each is filled up to the
next sector). secure_delete (on in Debian's build) would write every freed page once more; STRICT
lets the check at the start see wrong types.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from edge.outbox_log import OutboxLog
from edge.outbox_rows import can_number_on, is_balanced
from edge.outbox_schema import (
    APPLICATION_ID,
    PAGE_BYTES,
    SCHEMA_VERSION,
    SMALL_TABLES,
    VERSION_MAX,
    create_schema,
    expected_schema,
    schema_of,
)

SQLITE_MIN = (3, 37)
BUSY_S = 5.0
CHECKED_BYTES = 64 * 1024 * 1024
"""A file up to this is checked page by page at the start, some seconds on a card. Of a larger one
only the small tables are, and the index of what waits: a payload has its digest, and damage that is
met later leaves its mark."""


UNREADABLE = (sqlite3.Error, UnicodeDecodeError)
"""What reading a damaged file can raise: SQLite's messages quote it, whatever its bytes."""

Connect = Callable[..., sqlite3.Connection]


class OutboxError(Exception):
    """Anything that keeps the outbox from doing its work. `remedy` is for a person."""

    def __init__(self, reason: str, remedy: str) -> None:
        self.reason, self.remedy = reason, remedy
        super().__init__(f"{reason}. {remedy}")


class OutboxUnusable(OutboxError):
    """The outbox can't be opened; the reason names the path."""


class OutboxFailing(OutboxError):
    """A commit failed and was undone."""


class OutboxFull(OutboxFailing):
    """There is no room."""


class DiskFull(OutboxFull):
    """There is none on the disk."""


class OutboxDamaged(OutboxFailing):
    """The file can't be read as what was written."""


class OutboxFile:
    """An open, checked outbox file, held by this process alone."""

    def __init__(
        self,
        path: Path,
        connection: sqlite3.Connection,
        lock: BinaryIO | None,
        bytes_max: int = 0,
    ) -> None:
        self.path = path
        self.connection = connection
        self._lock = lock
        self._log = OutboxLog(path, connection, bytes_max)

    @classmethod
    def open(cls, path: Path, bytes_max: int, connect: Connect, lock: BinaryIO) -> OutboxFile:
        """Open the file or make it.

        Raises:
            OutboxUnusable: the path or the file system won't do.
            OutboxDamaged: it isn't what an outbox wrote.
        """
        if sqlite3.sqlite_version_info < SQLITE_MIN:
            remedy = "Use a Python with SQLite 3.37 or newer (Debian 12 has 3.40)"
            raise OutboxUnusable(f"outbox {path}: SQLite {sqlite3.sqlite_version}", remedy)
        check(path)
        with disk_errors(path):
            uri = f"{path.absolute().as_uri()}?psow=0"
            connection = connect(uri, uri=True, timeout=BUSY_S, isolation_level=None)
            connection.text_factory = as_text
            opened = cls(path, connection, lock, bytes_max)
            try:
                _prepare(path, connection)
                opened._log.prepare()
            except (*UNREADABLE, OutboxError):
                connection.close()
                raise
        return opened

    @contextmanager
    def errors(self) -> Iterator[None]:
        """`disk_errors`; damage is noted for the next start, whatever its own check says."""
        try:
            with disk_errors(self.path):
                yield
        except OutboxDamaged:
            if self._lock:
                with suppress(OSError):
                    suspect_path(self.path).touch()
            raise

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it on disk when the block ends, or nothing of it."""
        with self.errors():
            try:
                self._log.mend()
                self.connection.execute("BEGIN IMMEDIATE")
                yield
                self.connection.execute("COMMIT")
            except sqlite3.Error as error:
                self._log.doubt(error)
                raise
            finally:
                if self.connection.in_transaction:
                    with suppress(sqlite3.Error):
                        self.connection.execute("ROLLBACK")
            self._log.write_back()

    @property
    def pages(self) -> tuple[int, int]:
        """Pages in the file, and how many of them are free."""
        return pragma(self.connection, "page_count"), pragma(self.connection, "freelist_count")

    @property
    def wal_bytes(self) -> int:
        """What the write-ahead log takes."""
        return self._log.bytes()

    def bytes(self) -> int:
        """What the outbox takes on the disk, its log included."""
        return self.pages[0] * PAGE_BYTES + self.wal_bytes

    def close(self) -> None:
        """Close without a word; what isn't committed is gone."""
        self.connection.close()
        if self._lock:
            self._lock.close()


def take_lock(path: Path) -> BinaryIO:
    """Hold the outbox for this process until the result is closed or the process ends.

    Raises:
        OutboxUnusable: the folder won't do, or another process holds it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_name(f"{path.name}.lock").open("ab")
    except OSError as error:
        reason = f"outbox {path}: {error.strerror}: {error.filename}"
        remedy = "Give outbox.path a folder that exists and that this user may write to"
        raise OutboxUnusable(reason, remedy) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        remedy = "Stop the agent that uses it (systemctl stop gampong-edge), then try again"
        raise OutboxUnusable(f"outbox {path}: in use by another process", remedy) from error
    return lock


def _beside(path: Path, end: str) -> Path:
    return path.with_name(f"{path.name}-{end}")


def suspect_path(path: Path) -> Path:
    """Stands beside an outbox that was found damaged while it ran, until it is repaired."""
    return path.with_name(f"{path.name}.suspect")


def pragma(connection: sqlite3.Connection, name: str) -> int:
    """A setting of the file that is a number."""
    value: int = connection.execute(f"PRAGMA {name}").fetchone()[0]
    return value


def read_only(path: Path, ignore_log: bool = False) -> sqlite3.Connection:
    """A connection that changes nothing, beside a running agent or on a file left behind."""
    wal = _beside(path, "wal")
    mode = "immutable=1" if ignore_log or not wal.exists() else "mode=ro"
    uri = f"{path.absolute().as_uri()}?{mode}"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_S)
    connection.text_factory = as_text
    return connection


def as_text(data: bytes) -> str:
    """Text as the card gives it back: what isn't UTF-8 any more is seen by whoever reads it."""
    return data.decode(errors="replace")


def sync_folder(folder: Path) -> None:
    """Make a new or moved name in this folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """What SQLite says of the disk, as this module's errors; a mistake of ours passes as it is."""
    try:
        yield
    except sqlite3.Error as error:
        failure = _failure(path, error)
        if failure is None:
            raise
        raise failure from error
    except UnicodeDecodeError as error:
        reason = f"outbox {path}: text that isn't UTF-8"
        raise OutboxDamaged(reason, "Restart the agent: it saves what can be read") from error


def _failure(path: Path, error: sqlite3.Error) -> OutboxFailing | None:
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return None
    reason = f"outbox {path}: {error} ({error.sqlite_errorname})"
    match code & 0xFF:
        case sqlite3.SQLITE_FULL:
            return DiskFull(reason, f"Free space on the file system of {path.parent}")
        case primary if primary in _DAMAGE:
            return OutboxDamaged(reason, "Restart the agent: it saves what can be read")
        case sqlite3.SQLITE_IOERR if code in _READ_ERRORS:
            return OutboxDamaged(reason, "Restart the agent, then replace the card")
        case sqlite3.SQLITE_IOERR | sqlite3.SQLITE_NOMEM:
            return OutboxFailing(reason, f"Check the disk under {path.parent} (dmesg)")
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            remedy = f"Make {path.parent} writable for this user, or mount it read-write"
            return OutboxFailing(reason, remedy)
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED | sqlite3.SQLITE_PROTOCOL:
            return OutboxFailing(reason, "Close the other program that has the file open")
    return None


_DAMAGE = (
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_FORMAT,
    sqlite3.SQLITE_TOOBIG,
    sqlite3.SQLITE_CONSTRAINT,  # never broken in a sound file
)
_READ_ERRORS = (
    sqlite3.SQLITE_IOERR_READ,
    sqlite3.SQLITE_IOERR_SHORT_READ,
    sqlite3.SQLITE_IOERR_CORRUPTFS,
)


def check(path: Path, checked_bytes: int = CHECKED_BYTES) -> None:
    """Judge a file that may be an outbox, without writing to it.

    Raises:
        OutboxUnusable: it is another program's, or a newer version's.
        OutboxDamaged: it isn't what an outbox wrote.
        OutboxFailing: it can't be read from here.
    """
    _check_header(path)
    with disk_errors(path):
        _check_content(path, checked_bytes)


def _check_header(path: Path) -> None:
    """Judge the first bytes before SQLite does: an empty file would make it delete the log."""
    if not path.exists() or _beside(path, "journal").exists():
        return  # not made yet, or cut off while it was made: SQLite takes it back
    try:
        with path.open("rb") as file:
            header = file.read(100)
    except OSError as error:
        reason = f"outbox {path}: {error.strerror}"
        raise OutboxUnusable(reason, "Make it a file that this user may read and write") from error
    if suspect_path(path).exists():
        raise OutboxDamaged(f"outbox {path}: found damaged while it ran", "Restart the agent")
    wal = _beside(path, "wal")
    logged = wal.exists() and wal.stat().st_size > 0
    if not header and not logged:
        return
    sound = len(header) == 100 and header.startswith(b"SQLite format 3\0")
    ours = sound and int.from_bytes(header[68:72]) == APPLICATION_ID
    if sound and not ours and _is_foreign(path):
        remedy = "Give outbox.path a file of its own"
        raise OutboxUnusable(f"outbox {path}: a database of another program", remedy)
    if ours and SCHEMA_VERSION < int.from_bytes(header[60:64]) <= VERSION_MAX:
        remedy = "Install that version again, or give outbox.path a new file"
        raise OutboxUnusable(f"outbox {path}: made by a newer version of gampong", remedy)
    if not header or not (ours or logged):  # a page torn while written back is whole in the log
        raise OutboxDamaged(f"outbox {path}: no header of an outbox", "Restart the agent")


def _is_foreign(path: Path) -> bool:
    """Whether it is a sound database with tables, none of them named as ours."""
    with suppress(*UNREADABLE), closing(read_only(path, ignore_log=True)) as connection:
        names = {name for name, _ in schema_of(connection)}
        return bool(names) and names.isdisjoint(name for name, _ in expected_schema())
    return False


def _check_content(path: Path, checked_bytes: int) -> None:
    """Judge pages and ledger by a connection that can't write: closing one that can would write a
    foreign log back into the file. A ledger that doesn't balance is such a log's, or a bug's."""
    if not path.exists() or not path.stat().st_size or _beside(path, "journal").exists():
        return  # not made yet, or cut off while it was made
    with closing(read_only(path)) as connection:
        try:
            problem = _broken_page(connection, path.stat().st_size <= checked_bytes)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
                raise
            problem = str(error)  # a file format that no version has
        if problem == "ok" and schema_of(connection) != expected_schema():
            problem = "its tables are described wrongly"
        elif problem == "ok" and not can_number_on(connection):
            problem = "its last sequence can't be"
        elif problem == "ok" and not is_balanced(connection):
            problem = "its ledger doesn't balance"
    if problem != "ok":
        raise OutboxDamaged(f"outbox {path}: {problem}", "Restart the agent")


def _broken_page(connection: sqlite3.Connection, whole: bool) -> str:
    """What SQLite's own check finds first, or "ok"."""
    if whole:
        return str(connection.execute("PRAGMA integrity_check(1)").fetchone()[0])
    for table in SMALL_TABLES:
        (problem,) = connection.execute(f"PRAGMA integrity_check({table})").fetchone()
        if problem != "ok":
            return str(problem)
    return "ok"


def _prepare(path: Path, connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA secure_delete=OFF")
    connection.execute("PRAGMA synchronous=FULL")
    if pragma(connection, "page_count") == 0:
        create_schema(connection)
        sync_folder(path.parent)
    mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    if mode != "wal" or pragma(connection, "synchronous") != 2:
        remedy = "Put it on a local file system (ext4), not on a network share"
        raise OutboxUnusable(f"outbox {path}: the file system can't hold a log", remedy)
