"""A machine of one's own for a process: its clock, NTP's word on it, and its boots.

    machine = Machine(tmp_path / "machine")
    machine.boots_in_1970()
    Gampong("agent", …, environment=machine.environment)
    machine.ntp_sets_the_clock()          # the running process sees it at once

`machine.c` is compiled once a folder and preloaded. Monotonic clocks stay the kernel's.
"""

from __future__ import annotations

import mmap
import shutil
import struct
import subprocess
import time
import uuid
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("machine.c")
_LAYOUT = struct.Struct("=qq")
DAY_S = 24 * 3600


class Machine:
    """What one machine believes; changing it changes it under the running process.

    Begins with the right time, set by NTP, in a boot of its own.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path, self._boot = folder / "machine", folder / "boot_id"
        path.write_bytes(_LAYOUT.pack(0, 1))
        with path.open("r+b") as file:
            self._mapped = mmap.mmap(file.fileno(), _LAYOUT.size)
        self.environment = {
            "LD_PRELOAD": str(_compiled(folder)),
            "MACHINE_FILE": str(path),
            "MACHINE_BOOT": str(self._boot),
        }
        self.boots()

    @property
    def offset_s(self) -> float:
        """How far its clock is ahead of ours."""
        offset_ns, _ = _LAYOUT.unpack_from(self._mapped)
        return float(offset_ns / 1e9)

    @property
    def synchronised(self) -> bool:
        """Whether NTP has set its clock."""
        _, synchronised = _LAYOUT.unpack_from(self._mapped)
        return bool(synchronised)

    def boots(self) -> None:
        """A new boot; its processes have to be started again."""
        self._boot.write_text(f"{uuid.uuid4()}\n")

    def boots_in_1970(self) -> None:
        """A new boot of a machine without a clock of its own, before NTP."""
        self.boots()
        self.set(-time.time() + DAY_S / 24, synchronised=False)

    def ntp_sets_the_clock(self) -> None:
        """From now on the time is right, and the kernel says so."""
        self.set(0, synchronised=True)

    def set(self, offset_s: float, synchronised: bool) -> None:
        """Step its clock; the step comes before the word, as NTP has it."""
        _, before = _LAYOUT.unpack_from(self._mapped)
        offset_ns = round(offset_s * 1e9)
        _LAYOUT.pack_into(self._mapped, 0, offset_ns, before and synchronised)
        _LAYOUT.pack_into(self._mapped, 0, offset_ns, synchronised)


def _compiled(folder: Path) -> Path:
    library = folder / "machine.so"
    compiler = shutil.which("cc")
    if not compiler:
        pytest.fail("no C compiler; apt-get install --no-install-recommends gcc libc6-dev")
    words = [compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"{SOURCE.name} doesn't compile:\n{done.stderr}")
    return library
