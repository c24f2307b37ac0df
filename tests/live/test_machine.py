"""The machine that the time tests and the chaos give a process: it says what it was told to say."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.live.machine import Machine
from tests.processes import ROOT

SAY = """
import asyncio, time
from edge.agent import boot_id
from edge.timekeeping import ntp_synchronised

async def say():
    for _ in range(2):
        began = time.monotonic()
        await asyncio.sleep(0.2)
        print(time.time(), time.monotonic() - began, ntp_synchronised(), boot_id(), flush=True)
        if not _:
            input()

asyncio.run(say())
"""


@pytest.mark.live
def test_a_turned_clock_moves_no_timer_and_a_running_process_sees_ntp_set_it(
    tmp_path: Path,
) -> None:
    machine = Machine(tmp_path)
    machine.boots_in_1970()
    environment = os.environ | machine.environment
    with subprocess.Popen(
        [sys.executable, "-c", SAY], text=True, cwd=ROOT, env=environment,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdin
        assert process.stdout
        seconds, slept, synchronised, boot = process.stdout.readline().split()
        assert 0 < float(seconds) < 86_400
        assert 0.2 <= float(slept) < 2
        assert synchronised == "False"
        machine.ntp_sets_the_clock()
        process.stdin.write("\n")
        process.stdin.flush()
        seconds, slept, synchronised, still = process.stdout.readline().split()
    assert abs(float(seconds) - time.time()) < 10
    assert 0.2 <= float(slept) < 2
    assert synchronised == "True"
    assert boot == still
    machine.boots()
    assert Path(machine.environment["MACHINE_BOOT"]).read_text().strip() != boot
