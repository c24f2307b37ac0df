"""The whole run: every program is there, one that fails or hangs is told, and the others go on."""

from __future__ import annotations

import sys

from bench.__main__ import PROGRAMS, run
from bench.running import ROOT


def test_every_program_of_the_run_is_a_file():
    assert [name for name in PROGRAMS if not (ROOT / "bench" / f"{name}.py").exists()] == []


def test_a_program_that_hangs_is_ended_and_named_as_too_long():
    assert run([sys.executable, "-c", "import signal; signal.pause()"], within_s=1.0) == "too long"


def test_a_program_s_exit_code_is_told():
    assert run([sys.executable, "-c", "raise SystemExit(3)"], within_s=30.0) == 3
