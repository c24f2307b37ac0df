"""Files that a configuration names: only plain ones, and only as much as such a file may hold.

A name can lead to anything: a pipe would hold the agent for ever, /dev/zero would fill its memory
until it is killed, and then again at each start.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

SECRET_FILE_BYTES_MAX = 64 * 1024
"""Passwords, keys, certificates of one gateway."""

LARGE_FILE_BYTES_MAX = 1024 * 1024
"""Authorities, which may be a system's whole list, and vendors' decoders."""


def read_small(file: str, bytes_max: int = SECRET_FILE_BYTES_MAX) -> bytes:
    """What is in a plain file of at most `bytes_max`. Never waits, never opens anything else.

    Raises:
        OSError: it can't be read, isn't a plain file, or is larger; `strerror` says which.
    """
    if "\0" in file:
        raise OSError(errno.EINVAL, "has a zero byte in its name", file)
    _check_plain(Path(file).stat(), file)  # opening a device may do something already
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as opened:
        _check_plain(os.fstat(descriptor), file)
        data = opened.read(bytes_max + 1)
    if len(data) > bytes_max:
        raise OSError(errno.EFBIG, f"larger than {bytes_max} bytes", file)
    return data


def _check_plain(found: os.stat_result, file: str) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "not a plain file", file)
