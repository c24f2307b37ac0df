"""A device on a pseudo-terminal: plugged in, talking, pulled out, plugged in again."""

from __future__ import annotations

import asyncio
import os
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Self


class PtyDevice:
    """The far end of a serial line. `path` stays the same over unplugging, as a path by id does.

    Args:
        path: the symbolic link that the agent opens.
        hear: called with the bytes the agent sent.
    """

    def __init__(self, path: Path, hear: Callable[[bytes], None] = lambda data: None) -> None:
        self.path, self._hear = path, hear
        self._ours = self._theirs = -1
        self.plug_in()

    def plug_in(self) -> None:
        self._ours, self._theirs = os.openpty()
        tty.setraw(self._theirs)
        os.set_blocking(self._ours, False)
        self.path.symlink_to(os.ttyname(self._theirs))
        asyncio.get_running_loop().add_reader(self._ours, self._readable)

    def unplug(self) -> None:
        self.path.unlink()
        asyncio.get_running_loop().remove_reader(self._ours)
        os.close(self._ours)
        os.close(self._theirs)
        self._ours = -1

    def say(self, data: bytes) -> None:
        assert os.write(self._ours, data) == len(data)

    def _readable(self) -> None:
        self._hear(os.read(self._ours, 4096))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._ours >= 0:
            self.unplug()
