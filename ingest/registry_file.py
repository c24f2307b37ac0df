"""The registry's file: read when the watch starts, replaced whole whenever it changes."""

from __future__ import annotations

from pathlib import Path

import msgspec

from ingest.registry import RegistryFile
from ingest.whole_file import write_whole
from wire.configuration import ConfigurationError
from wire.malformed import MALFORMED


def load_registry(path: Path) -> RegistryFile:
    """The registry of that file; an empty one when there is none.

    Raises:
        ConfigurationError: the file is damaged; it names it and the remedy.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return RegistryFile()
    remedy = "Restore it from a backup, or move it away to learn it anew from the gateways"
    try:
        file = msgspec.json.decode(data, type=RegistryFile)
    except MALFORMED as error:
        raise ConfigurationError(str(path), "", f"damaged: {error}", remedy) from error
    if (nobodys := _nobodys(file)) is not None:
        raise ConfigurationError(str(path), "", f"damaged: {nobodys!r} has no owner", remedy)
    return file


def _nobodys(file: RegistryFile) -> str | None:
    """A device that is named there and has no owner; None, as in each file of ours."""
    claimed = (claim.device for claim in file.claims)
    return next((name for name in (*file.owners, *claimed) if not file.owners.get(name)), None)


def save_registry(path: Path, file: RegistryFile) -> None:
    """Replace the file at once: after a power cut it is the old one or the new one."""
    write_whole(path, msgspec.json.encode(file))
