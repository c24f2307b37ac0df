"""What a process has used so far, from /proc: CPU, memory, disk."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Used(msgspec.Struct, frozen=True):
    """CPU-seconds (user and system, all threads), resident bytes, bytes that went to a disk.

    `written_bytes` is the kernel's `write_bytes`: pages made dirty on a block device, so a tmpfs
    counts as nothing.
    """

    cpu_s: float
    resident_bytes: int
    written_bytes: int


def used(pid: int) -> Used:
    """The process's use so far.

    Raises:
        OSError: it has ended.
    """
    process = Path("/proc") / str(pid)
    # The name, in brackets, may hold anything: fields are counted from behind it.
    fields = (process / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    cpu_s = (int(fields[11]) + int(fields[12])) / _TICKS
    resident = int((process / "statm").read_text(encoding="utf-8").split()[1]) * _PAGE_BYTES
    io = dict(
        line.split(": ") for line in (process / "io").read_text(encoding="utf-8").splitlines()
    )
    return Used(cpu_s, resident, int(io["write_bytes"]))
