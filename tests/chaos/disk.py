"""A small file system for one outbox: a tmpfs of its own where we may mount one.

    disk = SmallDisk(folder)
    disk.fill()        # not a byte left: ENOSPC for who writes
    disk.free()
    disk.close()

Without the right to mount it is a plain folder and can't be filled (`mounted` is False);
`limit_files` works for every user: beyond the limit a write fails with EFBIG, which SQLite calls an
I/O error.
"""

from __future__ import annotations

import errno
import os
import resource
import subprocess
from pathlib import Path

SIZE = "32m"
BLOCK_BYTES = 4096
LIMIT_BYTES = 16 * 1024


class SmallDisk:
    """A folder with little room, which a filler takes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        words = [
            "mount",
            "-t",
            "tmpfs",
            "-o",
            f"size={SIZE},mode=700",
            "gampong-chaos",
            str(folder),
        ]
        self.mounted = os.geteuid() == 0 and not subprocess.run(words, check=False).returncode
        self._filler = folder / "filler"

    def fill(self) -> None:
        """Write until there is no room for another byte."""
        assert self.mounted
        with self._filler.open("ab", buffering=0) as filler:
            for size in (64 * BLOCK_BYTES, BLOCK_BYTES, 1):
                try:
                    while True:
                        filler.write(bytes(size))
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise

    def free(self) -> None:
        """Give the room back."""
        self._filler.unlink(missing_ok=True)

    def close(self) -> None:
        """Unmount; what was on it is gone."""
        if self.mounted:
            subprocess.run(["umount", "--lazy", str(self.folder)], check=False)


def limit_files(pid: int, limited: bool) -> None:
    """No file of that process may grow beyond a few pages; or all may again."""
    most = LIMIT_BYTES if limited else resource.RLIM_INFINITY
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
