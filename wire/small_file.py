"""Files that a configuration names: only plain ones, only as much as such a file may hold, and
secrets only from files that nobody else reaches.

A name can lead to anything: a pipe would hold a process for ever, /dev/zero would fill its memory
until it is killed, and then again at each start.

A secret (password, token, private key, passphrase, PIN) is its owner's, and its group's to read:
`root:gampong`, mode 640. One that others may read, or that somebody else may write, is refused with
file, key and remedy, by every program: at its start, and by each command that reads one. What
becomes so while a program runs is not taken up: `Kept` goes on with what it had, and says so.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from wire.configuration import ConfigurationError

SECRET_FILE_BYTES_MAX = 64 * 1024
"""Passwords, keys, certificates of one gateway."""

LARGE_FILE_BYTES_MAX = 1024 * 1024
"""Authorities, which may be a system's whole list, and vendors' decoders."""

OTHERS = 0o027
"""Mode bits that a secret's file may not have: any for others, writing for the group."""

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class OpenToOthers(ConfigurationError):
    """A secret's file that others may read, or somebody else write."""

    def __init__(self, file: str, key: str, mode: int) -> None:
        problem = f"others may reach this secret (mode {stat.S_IMODE(mode):04o})"
        super().__init__(file, key, problem, f"Run: chmod 640 {file}")


def read_small(file: str, bytes_max: int = SECRET_FILE_BYTES_MAX) -> bytes:
    """What is in a plain file of at most `bytes_max`. Never waits, never opens anything else.

    Raises:
        OSError: it can't be read, isn't a plain file, or is larger; `strerror` says which.
    """
    return _read(file, bytes_max)[0]


def read_secret(file: str, key: str, bytes_max: int = SECRET_FILE_BYTES_MAX) -> bytes:
    """The same of a secret; `key` is where the configuration names its file.

    Raises:
        OpenToOthers: with file, key and remedy.
        OSError: as `read_small`.
    """
    data, mode = _read(file, bytes_max)
    _check_mode(file, key, mode)
    return data


def check_secret(file: str, key: str) -> None:
    """Look at a secret's file without reading it. One that isn't there, or that this user can't
    see, is for whoever reads it to refuse.

    Raises:
        OpenToOthers: with file, key and remedy.
    """
    try:
        mode = Path(file).stat().st_mode
    except (OSError, ValueError):
        return
    if stat.S_ISREG(mode):
        _check_mode(file, key, mode)


class Kept(Generic[_T]):
    """Secrets that may be replaced while all runs: read anew each time, and what was read before
    where a file has become open to others.

    Args:
        read: reads them; `OpenToOthers` is answered here, everything else is the caller's.
    """

    def __init__(self, read: Callable[[], _T]) -> None:
        self._read = read
        self._before: tuple[_T] | None = None
        self.behind: OpenToOthers | None = None
        """Why the last answer was what was read before; None when it was what is there."""

    def now(self) -> _T:
        """Those that are valid now.

        Raises:
            OpenToOthers: and there is nothing from before.
        """
        try:
            self._before, self.behind = (self._read(),), None
        except OpenToOthers as error:
            if self._before is None:
                raise
            self.behind = error
            _log.error("event=secret_not_read_again going_on_with=before reason=%r", str(error))
        return self._before[0]


def _read(file: str, bytes_max: int) -> tuple[bytes, int]:
    if "\0" in file:
        raise OSError(errno.EINVAL, "has a zero byte in its name", file)
    _check_plain(Path(file).stat(), file)  # opening a device may do something already
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as opened:
        found = os.fstat(descriptor)
        _check_plain(found, file)
        data = opened.read(bytes_max + 1)
    if len(data) > bytes_max:
        raise OSError(errno.EFBIG, f"larger than {bytes_max} bytes", file)
    return data, found.st_mode


def _check_plain(found: os.stat_result, file: str) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "not a plain file", file)


def _check_mode(file: str, key: str, mode: int) -> None:
    if mode & OTHERS:
        raise OpenToOthers(file, key, mode)
