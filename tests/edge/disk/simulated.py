"""A disk under SQLite that notes every write and every sync, and fails when it is told to.

`Disk.connect` is given to `Outbox.open` in place of `sqlite3.connect`. The files are real ones, so
that all of the outbox finds them, but nothing is synced: what a power cut leaves is worked out from
`log` by a `Platter`.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import msgspec

from tests.edge.disk.apsw_connection import ApswConnection
from tests.edge.disk.platter import (
    Image,
    Operation,
    Rename,
    Sync,
    SyncFailed,
    SyncFolder,
    Truncate,
    Write,
)

_names = (f"gampong-{number}" for number in itertools.count())
_JOURNALS = apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_WAL

Illness = Callable[[Operation], int | None]
"""The SQLite error that an operation fails with, None when it works."""


class Commit(msgspec.Struct, frozen=True):
    """What the file holds from somewhere between two operations on: surely from `end`, perhaps from
    `start`."""

    start: int
    end: int
    contents: Any


class Disk:
    """A folder on a disk. `look` reads what a connection's file holds, for `commits`."""

    def __init__(
        self, folder: Path, image: Image, look: Callable[[sqlite3.Connection], Any] | None = None
    ) -> None:
        self.folder = folder
        self.image = image
        self.log: list[Operation] = []
        self.commits: list[Commit] = []
        self.illness: Illness = lambda operation: None
        self._look = look
        self._files = {name: number for number, name in enumerate(sorted(image))}
        self._vfs = _Vfs(self, next(_names))
        folder.mkdir(parents=True)
        for name, content in image.items():
            (folder / name).write_bytes(content)

    def connect(
        self, path: str, uri: bool = False, timeout: float = 0.0, isolation_level: None = None
    ) -> Any:
        """As `sqlite3.connect`."""
        flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
        flags |= apsw.SQLITE_OPEN_URI if uri else 0
        return ApswConnection(apsw.Connection(path, flags, vfs=self._vfs.name), self)

    def take_out(self) -> None:
        """No more connections."""
        self._vfs.unregister()

    def note(self, operation: Operation) -> None:
        """Into the log, unless it fails."""
        code = self.illness(operation)
        if code is not None:
            if isinstance(operation, Sync):
                self.log.append(SyncFailed(operation.file))
            raise apsw.exception_for(code)
        self.log.append(operation)

    def began(self) -> int:
        """How many operations there were."""
        return len(self.log)

    def committed(self, start: int, connection: Any) -> None:
        """Between `start` and now the file came to hold what it holds."""
        if self._look:
            self.commits.append(Commit(start, len(self.log), self._look(connection)))

    def opened(self, name: str) -> int:
        """The file of that name, made if there is none."""
        path = Path(name)
        number = self._files.get(path.name)
        if number is None or not path.exists():
            number = self._files[path.name] = max(self._files.values(), default=-1) + 1
            self.note(Rename(((path.name, number),)))
        return number

    def deleted(self, name: str, synced: bool) -> None:
        """The name is gone; the file's number is never used again."""
        self.note(Rename(((Path(name).name, None),)))
        if synced:
            self.note(SyncFolder())


class _Vfs(apsw.VFS):
    def __init__(self, disk: Disk, name: str) -> None:
        self.name = name
        self._disk = disk
        super().__init__(name, base="")

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        if name is None:
            return apsw.VFSFile("", name, flags)
        return _File(self._disk, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        super().xDelete(filename, False)
        self._disk.deleted(filename, syncdir)


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, name: Any, flags: list[int]) -> None:
        self._disk = disk
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._file = disk.opened(path)
        self._new_journal = bool(flags[0] & _JOURNALS)  # as SQLite's own: its folder is synced too
        super().__init__("", name, flags)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802
        self._disk.note(Write(self._file, offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        self._disk.note(Truncate(self._file, newsize))
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._disk.note(Sync(self._file))
        if self._new_journal:
            self._disk.note(SyncFolder())
            self._new_journal = False
