"""The small disk is full when it says so, and a limited process can't write."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.chaos.disk import LIMIT_BYTES, SmallDisk, limit_files

WRITE = "input(); print(open('file', 'wb', 0).write(bytes(%d)))"


def written(folder: Path, size: int, limited: bool) -> str:
    """What a process that is limited once it runs says of its write."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITE % size], cwd=folder, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        limit_files(process.pid, limited)
        said, _ = process.communicate("\n")
    return said


def test_a_limited_process_writes_up_to_the_limit_and_an_unlimited_one_all(tmp_path: Path) -> None:
    assert written(tmp_path, 4 * LIMIT_BYTES, limited=True).strip() == str(LIMIT_BYTES)
    assert written(tmp_path, 4 * LIMIT_BYTES, limited=False).strip() == str(4 * LIMIT_BYTES)


def test_a_small_disk_takes_nothing_while_it_is_full_and_only_a_mounted_one_is_filled(
    tmp_path: Path,
) -> None:
    with closing(SmallDisk(tmp_path / "disk")) as disk:
        assert disk.mounted == os.path.ismount(disk.folder)
        if not disk.mounted:  # not root: the chaos says that it left this fault out
            return
        disk.fill()
        with pytest.raises(OSError) as full:
            (disk.folder / "file").write_bytes(b"x")
        assert full.value.errno == errno.ENOSPC
        disk.free()
        assert (disk.folder / "file").write_bytes(b"x") == 1
