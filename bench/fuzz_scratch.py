"""A folder in memory for `bench.fuzz`."""

from __future__ import annotations

import tempfile
from pathlib import Path


class Scratch:
    """A folder in memory that goes with the process."""

    def __init__(self) -> None:
        shm = Path("/dev/shm")
        place = shm if shm.is_dir() else None
        self._folder = tempfile.TemporaryDirectory(prefix="gampong-fuzz-", dir=place)
        self.path = Path(self._folder.name)

    def file(self, name: str, data: bytes) -> Path:
        """That file with those bytes."""
        path = self.path / name
        path.write_bytes(data)
        return path
