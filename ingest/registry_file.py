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
    try:
        return msgspec.json.decode(data, type=RegistryFile)
    except MALFORMED as error:
        remedy = "Restore it from a backup, or move it away to learn it anew from the gateways"
        raise ConfigurationError(str(path), "", f"damaged: {error}", remedy) from error


def save_registry(path: Path, file: RegistryFile) -> None:
    """Replace the file at once: after a power cut it is the old one or the new one."""
    write_whole(path, msgspec.json.encode(file))
