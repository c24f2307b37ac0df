"""An operator's word that a device has moved, or a gateway is gone: from a command to the watch.

The watch alone writes the registry, so that two writers can't undo each other. The command leaves a
small file beside it, whole or not at all; the watch takes it up within a second, or at its next
start, keeps the registry, tells the ingestors, and then takes the file away. Who may write into
that folder may move devices: the watch's own user.

    registry.json                         the watch's
    registry.json.move-1790000000000-41   {"device": "bay-07", "gateway": "gw-2"}
    registry.json.retire-1790000000000-42 {"gateway": "gw-1", "back": false}
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from ingest.whole_file import write_whole
from wire.malformed import MALFORMED


class Move(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The operator accepts this gateway's claim to the device."""

    device: str
    gateway: str


class Retire(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The gateway is gone for good; or, `back`, it isn't after all."""

    gateway: str
    back: bool = False


_WORDS: dict[str, type[Move | Retire]] = {"move": Move, "retire": Retire}


def leave_word(registry: Path, word: Move | Retire, now_ms: int) -> Path:
    """Leave a request for the watch that keeps this registry.

    Raises:
        OSError: the folder can't be written.
    """
    name = next(name for name, kind in _WORDS.items() if isinstance(word, kind))
    path = registry.with_name(f"{registry.name}.{name}-{now_ms}-{os.getpid()}")
    write_whole(path, msgspec.json.encode(word))
    return path


def waiting_words(registry: Path) -> list[tuple[Path, Move | Retire | None]]:
    """Every request that is there, a sort's oldest first; None for a file that isn't one."""
    return [
        (path, _read(path, kind))
        for name, kind in _WORDS.items()
        for path in sorted(registry.parent.glob(f"{registry.name}.{name}-*"))
    ]


def _read(path: Path, kind: type[Move | Retire]) -> Move | Retire | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, *MALFORMED):
        return None
