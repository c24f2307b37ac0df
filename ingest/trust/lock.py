"""One writer of an authority's folder at a time: a command, or the service that renews."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Waits for whoever writes now; a process that dies lets go.

    Raises:
        OSError: the folder can't be written.
    """
    with (folder / ".lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
