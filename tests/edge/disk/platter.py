"""What a disk holds after a power cut, said in full: what was synced, and any part of the rest.

A disk is a list of operations in the order in which they were asked for. `Platter` follows them:
`durable` is what was synced, `pending` what wasn't. When the power goes, a `Fate` picks what of
`pending` reached the disk: nothing, all, single sectors, in any order, the last one torn.

Names are apart from files: a file that was made, renamed or deleted keeps its old name until the
folder is synced. A sync that failed forgets what it should have written, as Linux does.

A write that is torn garbles all of the sector under the head, what was synced there before
included: nothing of SQLite's "powersafe overwrite" is taken for granted. Sectors are what a disk
calls so, or a block of the file system, drawn for each.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

import msgspec

SECTORS_BYTES = (512, 4096)

Image = dict[str, bytes]
"""The files of a folder: names and contents."""


class Write(msgspec.Struct, frozen=True):
    """Bytes into a file. Files are numbers, since their names change."""

    file: int
    offset: int
    data: bytes


class Tear(msgspec.Struct, frozen=True):
    """Garbage from `offset` on, over what is there; the write it comes from ended at `end`, before
    which the file is longer now."""

    file: int
    offset: int
    end: int
    data: bytes


class Truncate(msgspec.Struct, frozen=True):
    """Another length."""

    file: int
    size: int


class Sync(msgspec.Struct, frozen=True):
    """All of a file's writes are on the disk once this has returned."""

    file: int


class SyncFailed(msgspec.Struct, frozen=True):
    """They may never be, and a later sync won't try again."""

    file: int


class Rename(msgspec.Struct, frozen=True):
    """Names change together: to a file, or to none."""

    names: tuple[tuple[str, int | None], ...]


class SyncFolder(msgspec.Struct, frozen=True):
    """The names are on the disk."""


Change = Write | Tear | Truncate | Rename
Operation = Change | Sync | SyncFailed | SyncFolder


class Platter:
    """The disk after so many operations."""

    def __init__(self, image: Image) -> None:
        self.names: dict[str, int] = {}
        self.durable: dict[int, bytearray] = {}
        self.pending: list[Change] = []
        for number, (name, content) in enumerate(sorted(image.items())):
            self.names[name] = number
            self.durable[number] = bytearray(content)

    def follow(self, operation: Operation) -> None:
        """One more."""
        match operation:
            case Sync(file):
                self._settle([c for c in self.pending if _touches(c, file)])
            case SyncFailed(file):
                self.pending = [c for c in self.pending if not _touches(c, file)]
            case SyncFolder():
                self._settle([c for c in self.pending if isinstance(c, Rename)])
            case _:
                self.pending.append(operation)

    def image(self, survivors: Sequence[Change]) -> Image:
        """What is found at the next start."""
        contents = {file: bytearray(content) for file, content in self.durable.items()}
        names = dict(self.names)
        for change in survivors:
            _apply(change, contents, names)
        return {name: bytes(contents.get(file, b"")) for name, file in names.items()}

    def _settle(self, changes: list[Change]) -> None:
        settled = set(map(id, changes))
        for change in changes:
            _apply(change, self.durable, self.names)
        self.pending = [change for change in self.pending if id(change) not in settled]


def _touches(change: Change, file: int) -> bool:
    return not isinstance(change, Rename) and change.file == file


def _apply(change: Change, contents: dict[int, bytearray], names: dict[str, int]) -> None:
    match change:
        case Write(file, offset, data):
            content = contents.setdefault(file, bytearray())
            content.extend(bytes(max(0, offset - len(content))))
            content[offset : offset + len(data)] = data
        case Tear(file, offset, end, data):
            content = contents.setdefault(file, bytearray())
            content.extend(bytes(max(0, end - len(content))))
            stop = min(len(content), offset + len(data))
            content[offset:stop] = data[: stop - offset]
        case Truncate(file, size):
            content = contents.setdefault(file, bytearray())
            del content[size:]
            content.extend(bytes(size - len(content)))
        case Rename(changes):
            for name, renamed in changes:
                if renamed is None:
                    names.pop(name, None)
                else:
                    names[name] = renamed


Fate = Callable[[Sequence[Change], random.Random], list[Change]]
"""What of the pending changes reached the disk."""


def all_lost(pending: Sequence[Change], draw: random.Random) -> list[Change]:
    """The power went before the disk began."""
    return []


def all_kept(pending: Sequence[Change], draw: random.Random) -> list[Change]:
    """As after `kill -9`."""
    return list(pending)


def last_torn(pending: Sequence[Change], draw: random.Random) -> list[Change]:
    """In order, up to the middle of the last write: the sector under the head is garbage."""
    *kept, last = pending or [Truncate(0, 0)]
    if not pending or not isinstance(last, Write):
        return list(kept)
    size = draw.choice(SECTORS_BYTES)
    sectors = list(_sectors(last, size))
    torn = draw.randrange(len(sectors))
    return [*kept, *sectors[:torn], _garbled(sectors[torn], size, draw)]


def only_the_last(pending: Sequence[Change], draw: random.Random) -> list[Change]:
    """The disk began at the end."""
    return list(pending[-1:])


def some_of_them(pending: Sequence[Change], draw: random.Random) -> list[Change]:
    """Each change kept or lost by itself."""
    share = draw.random()
    return [change for change in pending if draw.random() < share]


def some_sectors(pending: Sequence[Change], draw: random.Random) -> list[Change]:
    """Each sector kept, lost or, seldom, garbage."""
    share, size, kept = draw.random(), draw.choice(SECTORS_BYTES), list[Change]()
    for change in pending:
        pieces = _sectors(change, size) if isinstance(change, Write) else (change,)
        for piece in pieces:
            chance = draw.random()
            if chance < share * 0.95:
                kept.append(piece)
            elif chance < share and isinstance(piece, Write):
                kept.append(_garbled(piece, size, draw))
    return kept


FATES: tuple[Fate, ...] = (
    all_lost,
    all_kept,
    last_torn,
    only_the_last,
    some_of_them,
    some_sectors,
)


def _sectors(write: Write, size: int) -> Iterator[Write]:
    """A write in pieces that the disk writes one by one."""
    start, end = write.offset, write.offset + len(write.data)
    while start < end:
        stop = min(end, (start // size + 1) * size)
        yield Write(write.file, start, write.data[start - write.offset : stop - write.offset])
        start = stop


def _garbled(piece: Write, size: int, draw: random.Random) -> Tear:
    start, end = piece.offset // size * size, piece.offset + len(piece.data)
    return Tear(piece.file, start, end, draw.randbytes(size))
