"""The demo, as a newcomer runs it: it ends by itself and agrees with the truth, and Ctrl-C leaves
nothing running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from gampong.demo import Report

END_S = 3.0
RUN_S = 120.0


def demo(folder: Path, *words: str) -> subprocess.Popen[str]:
    """`gampong demo` in a session of its own, so that Ctrl-C can be sent to it as to a terminal."""
    command = [sys.executable, "-m", "gampong", "demo", "--headless", *words]
    return subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def processes_in(folder: Path) -> Iterator[str]:
    """Command lines of running processes that mention the folder."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                text = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if str(folder) in text:
                yield text.replace("\0", " ")


@pytest.mark.parametrize("broker", [(), ("--fallback-broker",)], ids=["mosquitto", "from pip"])
def test_a_run_ends_by_itself_and_what_is_stored_is_what_happened(
    tmp_path: Path, broker: tuple[str, ...]
) -> None:
    report = tmp_path / "report.json"
    run = demo(
        tmp_path, "--seconds", "12", "--speed", "60", "--report", str(report),
        "--directory", str(tmp_path / "city"), *broker,
    )  # fmt: skip
    said, _ = run.communicate(timeout=RUN_S)
    assert run.returncode == 0, said
    assert "stored equals truth" in said
    told = msgspec.json.decode(report.read_bytes(), type=Report)
    assert told.balanced
    assert told.agrees
    assert told.total.accepted == told.total.stored == told.comparison.stored
    assert told.comparison.uplinks_sent > 0
    assert told.comparison.polled_stored > 0
    assert sorted(told.ledgers) == ["lhokseumawe-01", "mahirah-01"]
    assert list(processes_in(tmp_path)) == []


def test_faults_are_counted_by_reason_and_lose_nothing_that_arrived(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    run = demo(tmp_path, "--seconds", "15", "--speed", "120", "--faults", "--report", str(report))
    said, _ = run.communicate(timeout=RUN_S)
    assert run.returncode == 0, said
    told = msgspec.json.decode(report.read_bytes(), type=Report)
    reasons = set(told.total.refused) | set(told.total.noise)
    assert {"timeout", "checksum"} <= reasons, told.total


def test_ctrl_c_ends_everything_within_three_seconds(tmp_path: Path) -> None:
    folder = tmp_path / "city"
    run = demo(tmp_path, "--directory", str(folder))
    assert run.stdout
    for line in run.stdout:
        if line.startswith("gateway: "):
            break
    began = time.monotonic()
    os.kill(run.pid, signal.SIGINT)
    run.communicate(timeout=RUN_S)
    assert time.monotonic() - began < END_S
    assert run.returncode == 0
    assert list(processes_in(folder)) == []


def test_ctrl_c_before_everything_has_started_leaves_nothing_running(tmp_path: Path) -> None:
    folder = tmp_path / "city"
    run = demo(tmp_path, "--directory", str(folder))
    assert run.stdout
    assert run.stdout.readline().startswith("broker: ")
    os.kill(run.pid, signal.SIGINT)
    run.communicate(timeout=RUN_S)
    assert list(processes_in(folder)) == []


def test_a_demo_that_is_killed_takes_its_processes_with_it(tmp_path: Path) -> None:
    folder = tmp_path / "city"
    run = demo(tmp_path, "--directory", str(folder))
    assert run.stdout
    for line in run.stdout:
        if line.startswith("gateway: "):
            break
    run.kill()
    run.communicate(timeout=RUN_S)
    deadline = time.monotonic() + END_S
    while list(processes_in(folder)) and time.monotonic() < deadline:
        os.sched_yield()
    assert list(processes_in(folder)) == []


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--speed", "0"), "--speed must be 0.1 to 3600"),
        (("--seconds", "-1"), "--seconds must be above 0"),
        (("--port", "70000"), "--port must be 0 to 65535"),
        (("--host", "0.0.0.0"), "--host must be of this machine"),
    ],
)
def test_a_wrong_option_is_named_with_its_bounds(
    tmp_path: Path, words: tuple[str, ...], named: str
) -> None:
    run = demo(tmp_path, *words)
    said, _ = run.communicate(timeout=RUN_S)
    assert run.returncode != 0
    assert named in said


def test_a_folder_with_files_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    run = demo(tmp_path, "--directory", str(tmp_path))
    said, _ = run.communicate(timeout=RUN_S)
    assert run.returncode != 0
    assert "isn't empty" in said
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
