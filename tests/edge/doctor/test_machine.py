"""The doctor on machines of every condition: files as a Raspberry Pi shows them, in a folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge.card import card_life_used
from edge.configuration import load_configuration
from edge.doctor.machine import clock, disk, look_at_machine, memory, ports, power

GATEWAY = '[gateway]\nname = "a-01"\nsite = "s"\n'
BY_ID = "/dev/serial/by-id/usb-FTDI-0"


def configured(text: str = ""):
    return load_configuration(GATEWAY + text, "gateway.toml")


def uart(port: str):
    return configured(f'[[link]]\ntype = "uart"\nname = "u"\nport = "{port}"\n')


def file(root: Path, name: str, text: str = "") -> Path:
    path = root / name.lstrip("/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_port_that_is_not_there_is_named_with_those_that_are(tmp_path):
    file(tmp_path, BY_ID)
    (finding,) = ports(uart("/dev/ttyUSB0"), tmp_path)
    assert finding.verdict == "fail"
    assert "usb-FTDI-0" in finding.remedy


def test_a_port_by_its_number_works_and_is_warned_of(tmp_path):
    file(tmp_path, "/dev/ttyUSB0")
    (finding,) = ports(uart("/dev/ttyUSB0"), tmp_path)
    assert finding.verdict == "warn"
    assert "by-id" in finding.remedy


@pytest.mark.parametrize(
    ("holder", "verdict"), [("minicom -D /dev/x", "fail"), ("gampong edge run", "pass")]
)
def test_a_port_that_another_program_holds_fails_and_the_agents_own_does_not(
    tmp_path, holder, verdict
):
    port = file(tmp_path, BY_ID)
    file(tmp_path, "/proc/77/cmdline", holder.replace(" ", "\0"))
    (tmp_path / "proc/77/fd").mkdir()
    (tmp_path / "proc/77/fd/3").symlink_to(port)
    (finding,) = ports(uart(BY_ID), tmp_path)
    assert finding.verdict == verdict
    if verdict == "fail":
        assert "minicom" in finding.seen


def test_a_network_port_is_not_looked_for_among_the_devices(tmp_path):
    assert list(ports(uart("socket://10.0.0.7:5000"), tmp_path)) == []


@pytest.mark.parametrize(
    ("bits", "verdict"), [("0x0", "pass"), ("0x50005", "fail"), ("0x50000", "warn")]
)
def test_a_weak_supply_is_told_by_the_pi_itself(tmp_path, bits, verdict):
    file(tmp_path, "sys/devices/platform/soc/soc:firmware/get_throttled", f"{bits}\n")
    assert power(tmp_path).verdict == verdict


@pytest.mark.parametrize(("kb", "verdict"), [(20_000, "fail"), (80_000, "warn"), (900_000, "pass")])
def test_memory_that_runs_out_is_said_before_it_has(tmp_path, kb, verdict):
    file(tmp_path, "proc/meminfo", f"MemTotal: 948000 kB\nMemAvailable: {kb} kB\n")
    assert memory(tmp_path).verdict == verdict


@pytest.mark.parametrize(
    ("told", "used"),
    [("0x01 0x02\n", 0.2), ("0x0b 0x01\n", 1.0), ("0x00 0x00\n", None), ("", None)],
)
def test_the_card_s_own_estimate_is_the_worse_of_its_two(tmp_path, told, used):
    number = tmp_path.stat().st_dev
    file(tmp_path, f"sys/dev/block/{os.major(number)}:{os.minor(number)}/device/life_time", told)
    assert card_life_used(tmp_path / "outbox.db", tmp_path) == used


def test_a_clock_nobody_keeps_right_is_warned_of_and_one_the_operator_trusts_is_not():
    assert clock(configured(), lambda: False).verdict == "warn"
    assert clock(configured(), lambda: True).verdict == "pass"
    assert clock(configured('[time]\ntrust = "system"\n'), lambda: False).verdict == "pass"


def test_an_outbox_larger_than_the_disk_is_warned_of(tmp_path):
    text = f'[outbox]\npath = "{tmp_path}/outbox.db"\nbytes_max = {2**50}\n'
    (finding,) = disk(configured(text))
    assert finding.verdict == "warn"
    assert "bytes_max" in finding.remedy


def test_a_machine_that_tells_nothing_passes_and_says_so(tmp_path):
    findings = list(look_at_machine(configured(), tmp_path, lambda: True))
    assert {finding.verdict for finding in findings} <= {"pass", "warn"}
    assert sum("doesn't tell" in finding.seen for finding in findings) == 3
