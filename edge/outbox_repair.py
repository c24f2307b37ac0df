"""What is done with a damaged file: a new one is made of all that can still be read of it.

The damaged file is read with its log and without it, page by page around what is broken; a payload
counts as read when its digest fits. What was waiting by the counters and isn't found is
dropped{damaged}. The damaged file is kept beside the new one as `<name>.damaged-<date>`, the two
newest of them.

Moving the damaged file aside is the one moment that counts: before it a start begins anew, after
it a start only puts the new file in place.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from edge.outbox_file import (
    CHECKED_BYTES,
    UNREADABLE,
    Connect,
    OutboxDamaged,
    OutboxFailing,
    OutboxFile,
    OutboxUnusable,
    check,
    read_only,
    suspect_path,
    sync_folder,
)
from edge.outbox_salvage import Salvage
from edge.outbox_schema import PAGE_BYTES, create_schema, expected_schema, schema_of

KEPT = 2
_READ_ONLY = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)


def open_or_repair(
    path: Path, bytes_max: int, now_ms: int, connect: Connect, lock: BinaryIO
) -> tuple[OutboxFile, bool]:
    """The file, and whether it had to be repaired.

    Raises:
        OutboxUnusable: the path or the file system won't do.
    """
    try:
        _finish(path, now_ms)
        try:
            return OutboxFile.open(path, bytes_max, connect, lock), False
        except OutboxDamaged:
            _repair(path, now_ms, connect)
            return OutboxFile.open(path, bytes_max, connect, lock), True
    except OSError as error:
        reason = f"outbox {path}: {error.strerror}: {error.filename}"
        raise OutboxUnusable(reason, f"Make {path.parent} writable, and free space") from error


@contextmanager
def rescued(path: Path, checked_bytes: int = CHECKED_BYTES) -> Iterator[tuple[Path, str]]:
    """A sound file to read `path` by, and why it isn't `path` itself: "" while it is, "read_only"
    where its log can't be read in its place, "damaged" when this is what can be saved of it.
    Nothing is written beside it: copies are made in the system's folder for temporary files.

    Raises:
        OutboxError: it is no outbox, or the card can't be read.
    """
    why = ""
    try:
        check(path, checked_bytes)
    except OutboxDamaged:
        why = "damaged"
    except OutboxFailing as error:
        if getattr(error.__cause__, "sqlite_errorcode", 0) & 0xFF not in _READ_ONLY:
            raise
        why = "read_only"
    if not why:
        yield path, why
        return
    with TemporaryDirectory(prefix="gampong-outbox-") as folder:
        copy = Path(folder) / path.name
        try:
            for name in (path.name, f"{path.name}-wal"):
                if path.with_name(name).exists():
                    shutil.copyfile(path.with_name(name), copy.with_name(name))
        except OSError as error:
            remedy = "Copy the card to a file first (ddrescue), and free as much room in $TMPDIR"
            raise OutboxUnusable(f"outbox {path}: {error.strerror}", remedy) from error
        try:
            check(copy, checked_bytes)
        except OutboxDamaged:
            why = "damaged"
            _repair(copy, 0, sqlite3.connect)
        yield copy, why


def _repair(path: Path, now_ms: int, connect: Connect) -> None:
    fresh = _fresh(path)
    for left in (fresh, fresh.with_name(f"{fresh.name}-journal")):
        left.unlink(missing_ok=True)
    with path.open("r+b") as damaged:  # beside an empty file SQLite would delete the log
        damaged.truncate(max(path.stat().st_size, PAGE_BYTES))
    with ExitStack() as stack:
        new = stack.enter_context(closing(connect(str(fresh), isolation_level=None)))
        create_schema(new)
        with ExitStack() as first:
            readable = any(_has_schema(view) for view in _views(path, first))
        if not readable:
            (roots,) = new.execute("SELECT max(rootpage) FROM sqlite_master").fetchone()
            _mend_schema(path, fresh, roots)
        Salvage(_views(path, stack), new).run()
    with fresh.open("rb") as file:
        os.fsync(file.fileno())
    sync_folder(path.parent)
    path.rename(_aside(path, now_ms))
    _finish(path, now_ms)


def _views(path: Path, stack: ExitStack) -> list[sqlite3.Connection]:
    """The damaged file with its log and without."""
    views = []
    for ignore_log in (False, True):
        with suppress(*UNREADABLE):
            views.append(stack.enter_context(closing(read_only(path, ignore_log))))
    return views


def _has_schema(view: sqlite3.Connection) -> bool:
    with suppress(*UNREADABLE):
        return schema_of(view) == expected_schema()
    return False


def _mend_schema(path: Path, fresh: Path, roots: int) -> None:
    """Put the pages back that say which table begins where. Every outbox has the same ones: its
    tables were made in one transaction, so they begin on the same pages, the last on `roots`, and
    what describes them is on the first page and behind the last. Only the file's length differs,
    and what is free doesn't matter to a reader.
    Source: SQLite's documentation, "Database File Format", 1.3."""
    pages = fresh.read_bytes()
    first = bytearray(pages[:PAGE_BYTES])
    first[18:20] = b"\2\2"  # with a log
    first[28:32] = (path.stat().st_size // PAGE_BYTES).to_bytes(4)
    first[32:40] = bytes(8)
    with path.open("r+b") as file:
        file.write(first)
        file.seek(roots * PAGE_BYTES)
        file.write(pages[roots * PAGE_BYTES :])


def _finish(path: Path, now_ms: int) -> None:
    """Put a repaired file in place, after a power cut too; one that was cut short is forgotten."""
    fresh = _fresh(path)
    if not fresh.exists():
        return
    if path.exists():
        fresh.unlink()
        return
    log, index = (path.with_name(f"{path.name}-{end}") for end in ("wal", "shm"))
    damaged = _damaged(path)
    if log.exists():
        kept = damaged[-1] if damaged else _aside(path, now_ms)
        log.rename(kept.with_name(f"{kept.name}-wal"))
    index.unlink(missing_ok=True)
    fresh.rename(path)
    suspect_path(path).unlink(missing_ok=True)
    sync_folder(path.parent)
    for old in damaged[:-KEPT]:
        old.unlink()
        old.with_name(f"{old.name}-wal").unlink(missing_ok=True)


def _fresh(path: Path) -> Path:
    return path.with_name(f"{path.name}.repaired")


def _aside(path: Path, now_ms: int) -> Path:
    date = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y-%m-%d")
    name, number = f"{path.name}.damaged-{date}", 1
    while path.with_name(name).exists():
        number += 1
        name = f"{path.name}.damaged-{date}-{number}"
    return path.with_name(name)


def _damaged(path: Path) -> list[Path]:
    """Files moved aside, the oldest first."""
    found = [
        other
        for other in path.parent.glob(f"{path.name}.damaged-*")
        if not other.name.endswith(("-wal", "-shm"))
    ]
    return sorted(found, key=lambda other: (other.stat().st_mtime_ns, other.name))
