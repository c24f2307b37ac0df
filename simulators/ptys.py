"""A serial port without a cable: a pty pair whose far end has a stable name.

    port = PtyPort(directory / "ttyBUS-mahirah-01")    open it with pyserial as /dev/ttyUSB0
    data = await port.heard()                          what the gateway wrote
    port.say(frame)                                    what it will read, or is lost to

The near end keeps the far one open too, so that a gateway may open and close it as it likes. Like a
UART that nobody reads, the port holds a little and then loses what comes.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sys
import termios
import tty
from pathlib import Path

DEPTH_BYTES = 256
"""Unread bytes from which on more is lost: a driver's FIFO, a quarter of a second at 9600 baud."""

_READ_BYTES = 4096


class PtyPort:
    """One pty pair; `path` is a symbolic link to the far end."""

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, path.name
        self._near, self._far = os.openpty()
        tty.setraw(self._far)
        os.set_blocking(self._near, False)
        fresh = path.with_name(f".{path.name}.{os.getpid()}")
        fresh.symlink_to(os.ttyname(self._far))
        fresh.replace(path)  # over one that an earlier city left

    async def heard(self) -> bytes:
        """The next bytes from whoever opened the far end."""
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(self._near, readable.set)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(self._near)
        return os.read(self._near, _READ_BYTES)

    def say(self, data: bytes) -> bool:
        """Put bytes on the wire; False when they were lost because nobody reads."""
        unread = fcntl.ioctl(self._far, termios.FIONREAD, bytes(4))
        if int.from_bytes(unread, sys.byteorder) + len(data) > DEPTH_BYTES:
            return False
        try:
            return os.write(self._near, data) == len(data)
        except BlockingIOError:
            return False

    def close(self) -> None:
        """Unplug it."""
        self.path.unlink(missing_ok=True)
        os.close(self._near)
        os.close(self._far)
