"""A file replaced whole or not at all: after a power cut it is the old one or the new one."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Replace a file, with that mode (less the umask) from its first byte on.

    Raises:
        OSError: it can't be; then the old one is there.
    """
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)  # of a power cut
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        settle(part, path)
    finally:
        part.unlink(missing_ok=True)


def settle(part: Path, path: Path) -> None:
    """A written file in place of the old one, on disk when this returns.

    Raises:
        OSError: it can't be.
    """
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
