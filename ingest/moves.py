"""An operator's word that a device has moved, from the command line to the watch.

The watch alone writes the registry, so that two writers can't undo each other. The command leaves a
small file beside it, whole or not at all; the watch takes it up within a second, or at its next
start, keeps the registry, tells the ingestors, and then takes the file away. Who may write into
that folder may move devices: the watch's own user.

    registry.json                       the watch's
    registry.json.move-1790000000000    {"device": "bay-07", "gateway": "gw-2"}
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


def leave_move(registry: Path, move: Move, now_ms: int) -> Path:
    """Leave a request for the watch that keeps this registry.

    Raises:
        OSError: the folder can't be written.
    """
    path = registry.with_name(f"{registry.name}.move-{now_ms}-{os.getpid()}")
    write_whole(path, msgspec.json.encode(move))
    return path


def waiting_moves(registry: Path) -> list[tuple[Path, Move | None]]:
    """Every request that is there, oldest first; None for a file that isn't one."""
    return [(path, _read(path)) for path in sorted(registry.parent.glob(f"{registry.name}.move-*"))]


def _read(path: Path) -> Move | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Move)
    except (OSError, *MALFORMED):
        return None
