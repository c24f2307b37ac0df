"""The log of the site: what people and the cloud did to this gateway, and when.

In: entries. Out: `site-log.jsonl` beside the outbox, a JSON line an entry, newest last; when it has
grown to `BYTES_MAX` it becomes `site-log.1.jsonl` and a new one begins, so that the last some
thousand entries are kept and the card isn't filled. Each entry is appended whole and synced; a line
that a power cut tore is left out by whoever reads, and never joins the next.

A log that can't be written stops nobody's work: `note_here` says False, and that is all.
"""

from __future__ import annotations

import getpass
import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

import msgspec

from edge.configuration import EdgeConfiguration
from wire.malformed import MALFORMED

NAME, NAME_BEFORE = "site-log.jsonl", "site-log.1.jsonl"
FOLDER = Path("/var/lib/gampong")
"""Where it is while no configuration says where the outbox is."""

BYTES_MAX = 256 * 1024
TEXT_MAX = 500
WHO_MAX = 64

_log = logging.getLogger(__name__)


class What(StrEnum):
    """What was done."""

    INSTALLED = "installed"
    ENROLLED = "enrolled"
    RENEWED = "renewed"
    SCANNED = "scanned"
    CALIBRATED = "calibrated"
    COMMISSIONED = "commissioned"
    REPLACED = "replaced"
    MAINTENANCE = "maintenance"
    CONFIGURED = "configured"
    REFUSED = "refused"
    ROLLED_BACK = "rolled_back"
    COMMAND = "command"
    PAGE = "page"
    NOTE = "note"


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that was done. `who` is a person, `page`, or `cloud`; `time_trusted` is False where
    the machine didn't know the time yet."""

    time_ms: int
    what: What
    who: str
    device: str = ""
    text: str = ""
    time_trusted: bool = True


def folder_of(configuration: EdgeConfiguration) -> Path:
    """Where that gateway's log is."""
    return Path(configuration.outbox.path).absolute().parent


def note(folder: Path, entry: Entry, bytes_max: int = BYTES_MAX) -> None:
    """Append an entry, on disk when this returns.

    Raises:
        OSError: it can't be written.
    """
    path = folder / NAME
    entry = msgspec.structs.replace(
        entry, who=_one_line(entry.who, WHO_MAX), text=_one_line(entry.text, TEXT_MAX)
    )
    line = msgspec.json.encode(entry) + b"\n"
    with suppress(FileNotFoundError):
        if path.stat().st_size + len(line) > bytes_max:
            path.replace(folder / NAME_BEFORE)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
    with os.fdopen(descriptor, "r+b", buffering=0) as file:
        _give_to_owner_of(folder, descriptor)
        size = file.seek(0, os.SEEK_END)
        torn = b""
        if size:
            file.seek(size - 1)
            torn = b"" if file.read(1) == b"\n" else b"\n"
        file.write(torn + line)
        os.fsync(descriptor)


def note_here(
    folder: Path,
    what: What,
    time_ms: int,
    *,
    who: str = "",
    device: str = "",
    text: str = "",
    time_trusted: bool = True,
) -> bool:
    """The same, for those whose work doesn't hang on it; `who` is by default whoever runs this.
    False when it can't be written, which is said in the process's log."""
    try:
        note(folder, Entry(time_ms, what, who or who_is_here(), device, text, time_trusted))
    except OSError as error:
        _log.warning("event=site_log_not_written why=%r", str(error))
        return False
    return True


def read_log(folder: Path) -> Iterator[Entry]:
    """Every entry that can be read, oldest first.

    Raises:
        OSError: a file that is there can't be read.
    """
    for name in (NAME_BEFORE, NAME):
        try:
            lines = (folder / name).read_bytes().splitlines()
        except FileNotFoundError:
            continue
        for line in lines:
            with suppress(*MALFORMED):
                yield msgspec.json.decode(line, type=Entry)


def who_is_here() -> str:
    """The person at the terminal, also behind sudo."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (OSError, KeyError):  # a user without a name
        return str(os.getuid())


def _give_to_owner_of(folder: Path, descriptor: int) -> None:
    """A technician's `sudo gampong calibrate` must leave a file that the agent can append to."""
    there = folder.stat()
    if os.fstat(descriptor).st_uid != there.st_uid:
        with suppress(PermissionError):  # not root: then it is ours anyway
            os.fchown(descriptor, there.st_uid, there.st_gid)


def _one_line(text: str, length: int) -> str:
    """Without what would move a terminal's cursor."""
    return "".join(c if c.isprintable() else " " for c in text)[:length]
