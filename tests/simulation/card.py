"""A gateway's card: the outbox's files, and what kills, power cuts and a failing disk do to them.

A *lying* card has the simulated disk of `tests/edge/disk` under SQLite: what wasn't synced when
the power goes is lost, torn or kept, each by a fate of its own. On it a kill and a power cut can
fall on any single write, sync or rename. Another card keeps what was written: there a power cut is
a kill.

A full disk grows no file; a failing one fails writes and syncs.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.edge.disk.platter import FATES, Image, Operation, Platter, Sync, Write
from tests.edge.disk.simulated import Disk

NAME = "outbox.db"
ENDS = ("", "-wal", "-journal")
DAMAGED = (".suspect", ".damaged-")
BALLAST_BYTES = 8192


class Card:
    """The files in one folder. Who holds them open is told by `opened`."""

    def __init__(self, folder: Path, draw: random.Random, lying: bool) -> None:
        self.folder, self._draw, self.lying = folder, draw, lying
        self.path = folder / NAME
        self.failing = ""  # "", "eio", "full"
        self.cut = False  # the power went, or the agent died, in the middle of a call
        self.powerless = False  # it was the power
        self._cut_in: int | None = None
        self._disk: Disk | None = None
        self.cuts = 0
        if lying:
            self._lay({})
        else:
            folder.mkdir()

    def connect(self, path: str, **options: Any) -> Any:
        """In place of `sqlite3.connect`."""
        self.cut = False
        if self._disk is None:
            return sqlite3.connect(path, **options)
        connection = self._disk.connect(path, **options)
        close = connection.close

        def close_quietly() -> None:  # SQLite keeps what fails then to itself, apsw doesn't
            with suppress(sqlite3.Error):
                close()

        connection.close = close_quietly
        return connection

    def cut_in(self, operations: int, powerless: bool) -> None:
        """Let the power go, or the agent die, in the disk's operation of that number from now."""
        self._cut_in, self.powerless = operations, powerless

    def spare(self) -> None:
        """No cut after all; the disk is well."""
        self._cut_in, self.failing = None, ""

    def died(self, outbox: Any, silent: bool) -> None:
        """The agent that had `outbox` open is no more; `silent` when the power went."""
        kept = self.image()
        disk, self._cut_in = self._disk, None
        ended = len(disk.log) if disk else 0
        if outbox is not None:
            self.cut = True  # closing writes nothing any more
            with suppress(sqlite3.Error):
                outbox._file.connection.close()
            outbox._file._lock.close()
        if disk is not None:
            del disk.log[ended:]
        self._write(kept)
        self.cut = False
        if disk is not None and silent:
            self.cuts += 1
            platter = Platter(disk.image)
            for operation in disk.log:
                platter.follow(operation)
            fate = self._draw.choice(FATES)
            self._lay(platter.image(fate(platter.pending, self._draw)))

    def image(self) -> Image:
        """What it holds."""
        paths = (self.path.with_name(NAME + end) for end in ENDS)
        return {path.name: path.read_bytes() for path in paths if path.exists()}

    def put(self, image: Image) -> None:
        """Another card in its place; nobody has it open."""
        if self.lying:
            self._lay(image)
        else:
            self._write(image)

    def close(self) -> None:
        """Nobody will have it any more."""
        if self._disk is not None:
            self._disk.take_out()

    def damaged(self) -> list[str]:
        """Files by which the outbox says that the card broke something."""
        names = (path.name for path in self.folder.iterdir())
        return sorted(name for name in names if any(word in name for word in DAMAGED))

    def _write(self, image: Image) -> None:
        for end in (*ENDS, "-shm"):
            path = self.path.with_name(NAME + end)
            if path.name in image:
                path.write_bytes(image[path.name])
            else:
                path.unlink(missing_ok=True)

    def _lay(self, image: Image) -> None:
        """The same card after its power was gone: all that is on it is what the disk has."""
        if self._disk is not None:
            self._disk.take_out()
            shutil.rmtree(self.folder)
        self._disk = Disk(self.folder, image)
        self._disk.illness = self._illness

    def _illness(self, operation: Operation) -> int | None:
        if self.cut:
            return sqlite3.SQLITE_IOERR_WRITE
        if self._cut_in is not None:
            self._cut_in -= 1
            if self._cut_in <= 0:
                self.cut, self._cut_in = True, None
                assert self._disk is not None
                if self.powerless:  # what is under way may be done, torn or never begun
                    self._disk.log.append(operation)
                return sqlite3.SQLITE_IOERR_WRITE
        if self.failing == "eio" and isinstance(operation, Write | Sync):
            return self._sick(operation)
        if self.failing == "full" and isinstance(operation, Write):
            return sqlite3.SQLITE_FULL if self._grows(operation) else None
        return None

    def _sick(self, operation: Operation) -> int | None:
        if self._draw.random() < 0.5:
            return None
        return (
            sqlite3.SQLITE_IOERR_FSYNC
            if isinstance(operation, Sync)
            else sqlite3.SQLITE_IOERR_WRITE
        )

    def _grows(self, write: Write) -> bool:
        """Whether this write needs room that isn't there: the ballast's is, once it is given back
        (the log alone grows while the file isn't written back)."""
        if self.path.with_name(f"{NAME}.ballast").exists():
            return write.offset >= self._bytes_of(write)
        return False

    def _bytes_of(self, write: Write) -> int:
        assert self._disk is not None
        for name, number in self._disk._files.items():
            if number == write.file:
                path = self.folder / name
                return path.stat().st_size if path.exists() else 0
        return 0
