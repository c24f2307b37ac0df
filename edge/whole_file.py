"""A file replaced whole or not at all: after a power cut it is the old one or the new one.

In: a file, what shall be in it, who may read it. Out: the new file on disk, and its folder, or the
old one as it was.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def write_whole(path: Path, data: bytes, mode: int | None = None, group: int = -1) -> None:
    """Replace a file; nobody else can read it before it has its mode.

    Args:
        mode: of a file of ours. None: owner and mode stay, a new file has its folder's.
        group: of a file with a `mode`; -1 is ours.

    Raises:
        OSError: it can't be; then the old one is there.
    """
    user = -1
    if mode is None:
        mode, user, group = _kept(path)
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)  # of a power cut
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(part, flags, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            with suppress(PermissionError):  # not root: then it is ours anyway
                os.fchown(descriptor, user, group)
            os.fchmod(descriptor, mode)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _kept(path: Path) -> tuple[int, int, int]:
    """Mode, user and group that are there already; a folder's without the right to enter."""
    try:
        there = path.stat()
    except FileNotFoundError:
        there = path.parent.stat()
    return there.st_mode & 0o666, there.st_uid, there.st_gid
