"""The doctor of a bus, on ptys with slaves that have what real ones have: a twin, a weak plug, too
slow a processor, another master beside us, a cable that damages everything."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import serial

from devices.modbus import (
    ILLEGAL_ADDRESS,
    Request,
    RequestReader,
    build_exception,
    build_request,
    build_response,
)
from edge.doctor.bus import BusRecord, SlaveRecord
from edge.doctor.bus_advice import advise, histogram
from simulators.ptys import PtyPort
from tests.edge.scan.test_scan import running

Answer = tuple[bytes, float]
"""Bytes, and after how many seconds."""


def good(asked: Request) -> bytes:
    return build_response(asked.unit, asked.function, bytes(2 * asked.count))


def damaged(frame: bytes) -> bytes:
    return frame[:-1] + bytes((frame[-1] ^ 0x55,))


@contextmanager
def bus(path: Path, answer: Callable[[Request, int], Answer], idle: bytes = b"") -> Iterator[None]:
    """Slaves on a pty; `answer` gets the request and how often that unit was asked before. `idle`
    is on the line before anybody is asked, again and again."""
    port, reader, counts = PtyPort(path), RequestReader(), Counter[int]()

    async def babble() -> None:
        while idle and not counts:
            port.say(idle)
            await asyncio.sleep(0.05)

    async def serve() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(babble())
            while True:
                for asked in reader.feed(await port.heard()):
                    if isinstance(asked, Request):
                        frame, after_s = answer(asked, counts[asked.unit])
                        counts[asked.unit] += 1
                        await asyncio.sleep(after_s)
                        port.say(frame)

    try:
        with running(serve()):
            yield
    finally:
        port.close()


def gateway(folder: Path, units: int, **settings: float) -> Path:
    path = folder / "gateway.toml"
    more = "".join(f"{key} = {value}\n" for key, value in settings.items())
    text = (
        '[gateway]\nname = "a-01"\nsite = "s"\n'
        f'[[link]]\ntype = "modbus"\nname = "b"\nport = "{folder / "tty"}"\n{more}'
        '[register_map.gauge]\nkind = "parking_spot"\n'
        'value = [{ field = "distance_mm", function = 3, register = 0, type = "u16" }]\n'
    )
    for unit in range(1, units + 1):
        text += f'[[device]]\nname = "g-{unit}"\ndriver = "gauge"\nlink = "b"\nunit = {unit}\n'
    path.write_text(text)
    return path


def examined(
    folder: Path,
    units: int,
    answer: Callable[[Request, int], Answer],
    idle: bytes = b"",
    rounds: int = 4,
    **settings: float,
) -> tuple[int, dict[str, dict[str, str]]]:
    """Exit code, and the findings by what they are about."""
    path = gateway(folder, units, **settings)
    command = [sys.executable, "-m", "gampong", "bus", str(path), "b", "--json"]
    with bus(folder / "tty", answer, idle):
        run = subprocess.run(
            [*command, "--rounds", str(rounds)],
            capture_output=True, text=True, timeout=90, check=False,
        )  # fmt: skip
    assert run.stdout, run.stderr
    findings = json.loads(run.stdout)["findings"]
    worst: dict[str, dict[str, str]] = {}
    for one in findings:
        key = one["look"].split(" (")[0]
        if one["verdict"] != "pass" or key not in worst:
            worst[key] = one
    return run.returncode, worst


def test_a_healthy_bus_passes_and_one_dead_slave_is_named(tmp_path):
    def answer(asked: Request, before: int) -> Answer:
        return (b"", 0) if asked.unit == 2 else (good(asked), 0)

    code, found = examined(tmp_path, 3, answer)
    assert code == 1
    assert found["bus"]["verdict"] == "pass"
    assert found["address 1"]["verdict"] == found["address 3"]["verdict"] == "pass"
    assert found["address 2"]["seen"] == "never answers"
    assert "its power" in found["address 2"]["remedy"]


def test_two_devices_with_one_address_are_told_by_their_second_answer(tmp_path):
    def answer(asked: Request, before: int) -> Answer:
        return good(asked) * (2 if asked.unit == 1 else 1), 0

    code, found = examined(tmp_path, 2, answer)
    assert code == 1
    assert "Two devices have this address" in found["address 1"]["remedy"]
    assert found["address 2"]["verdict"] == "pass"


def test_damage_at_one_slave_is_its_own_and_damage_at_all_is_the_cable_s(tmp_path):
    def one(asked: Request, before: int) -> Answer:
        return (damaged(good(asked)) if asked.unit == 1 and before % 2 else good(asked)), 0

    code, found = examined(tmp_path, 3, one)
    assert code == 1
    assert "Only here" in found["address 1"]["remedy"]
    assert found["bus"]["verdict"] == "pass"

    def every(asked: Request, before: int) -> Answer:
        return (damaged(good(asked)) if before % 2 else good(asked)), 0

    code, found = examined(tmp_path, 3, every, baudrate=115200)
    assert code == 1
    assert "120 Ω at both ends" in found["bus"]["remedy"]
    assert "lower speed than 115200" in found["bus"]["remedy"]
    assert found["address 1"]["verdict"] == "pass"


def test_a_slave_slower_than_the_agent_waits_is_told_with_the_key_to_change(tmp_path):
    def answer(asked: Request, before: int) -> Answer:
        return good(asked), 0.25 if asked.unit == 2 else 0

    code, found = examined(tmp_path, 2, answer, answer_timeout_s=0.1)
    assert code == 1
    assert "after 0.1 s" in found["address 2"]["seen"]
    # Half as much again as the slowest answer: 0.4 s, more on a machine that is busy.
    remedy = found["address 2"]["remedy"].split()
    assert remedy[:2] == ["answer_timeout_s", "="]
    assert float(remedy[2]) >= 0.4
    assert found["address 1"]["verdict"] == "pass"


def test_a_slave_that_is_silent_now_and_then_has_a_weak_supply_or_plug(tmp_path):
    def answer(asked: Request, before: int) -> Answer:
        return (b"" if asked.unit == 1 and before % 2 else good(asked)), 0

    code, found = examined(tmp_path, 2, answer)
    assert code == 1
    assert found["address 1"]["seen"] == "2 of 4 times silent"
    assert "supply" in found["address 1"]["remedy"]


def test_another_master_and_plain_noise_are_told_apart(tmp_path):
    def answer(asked: Request, before: int) -> Answer:
        return good(asked), 0

    code, found = examined(tmp_path, 1, answer, idle=build_request(9, 3, 0, 2))
    assert code == 1
    assert "another master" in found["bus"]["seen"]
    code, found = examined(tmp_path, 1, answer, idle=b"\xff\x00")
    assert code == 0
    assert found["bus"]["verdict"] == "warn"
    assert "Bias" in found["bus"]["remedy"]


def test_the_wrong_model_and_the_wrong_speed_are_told_apart(tmp_path):
    def refuses(asked: Request, before: int) -> Answer:
        return build_exception(asked.unit, asked.function, ILLEGAL_ADDRESS), 0

    code, found = examined(tmp_path, 1, refuses)
    assert code == 1
    assert "Is it the model" in found["address 1"]["remedy"]

    def garbled(asked: Request, before: int) -> Answer:
        return bytes(byte ^ 0xA5 for byte in good(asked)), 0

    code, found = examined(tmp_path, 1, garbled, rounds=2)
    assert code == 1
    assert "Another speed or parity" in found["bus"]["remedy"]


def test_the_histogram_counts_every_question_once(tmp_path):
    path = gateway(tmp_path, 2)
    with bus(tmp_path / "tty", lambda asked, before: (good(asked), 0.03 * (before % 2))):
        run = subprocess.run(
            [sys.executable, "-m", "gampong", "bus", str(path), "--rounds", "6"],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    rows = [line.split() for line in run.stdout.splitlines() if " ms " in line and "#" in line]
    assert sum(int(row[-1]) for row in rows) == 12
    assert "asked 6 times" in run.stdout
    assert "✓ bus" in run.stdout


def test_a_port_that_is_used_missing_or_without_slaves_is_2_with_the_remedy(tmp_path):
    def bus_command(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "gampong", "bus", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    path = gateway(tmp_path, 1)
    run = bus_command(str(path))
    assert run.returncode == 2
    assert "is the adapter plugged in?" in run.stderr
    port = PtyPort(tmp_path / "tty")
    with serial.Serial(str(port.path), exclusive=True):
        run = bus_command(str(path))
    port.close()
    assert run.returncode == 2
    assert "stop that program" in run.stderr
    run = bus_command(str(path), "street")
    assert run.returncode == 2
    assert "Take one of: b" in run.stderr


@pytest.mark.parametrize(("busy", "verdict"), [(0.5, "pass"), (1.3, "warn")])
def test_a_bus_that_is_asked_more_than_it_can_answer_is_said(busy, verdict):
    slave = SlaveRecord(1, ("a",), asked=20, answer_s=[0.01] * 20, busy_share=busy)
    record = BusRecord("/dev/x", 9600, "N", 0.3, idle_s=1.0, slaves=[slave])
    assert max(finding.verdict for finding in advise(record)) == verdict
    assert histogram(slave) == [f"{'10–20 ms':>14} {'#' * 40} 20"]
