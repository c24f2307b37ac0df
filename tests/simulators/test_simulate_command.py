"""`gampong simulate` for chosen devices: what it writes, what it refuses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edge.configuration import load_configuration
from simulators.faults import NO_FAULTS, Faults, with_shares
from simulators.truth import read_truth

ROOT = Path(__file__).parents[2]


def simulate(folder, *words):
    command = [sys.executable, "-m", "gampong", "simulate", "--directory", str(folder), *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


def test_chosen_devices_need_no_broker_and_are_written_for_a_gateway(tmp_path):
    done = simulate(
        tmp_path, "--device", "dfrobot_sen0591:2", "--device", "maxbotix_hrxl", "--serial", "tcp",
        "--seconds", "0.5", "--truth", str(tmp_path / "truth.jsonl"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    path = tmp_path / "gampong-01.toml"
    loaded = load_configuration(path.read_text(), str(path))
    assert [device.name for device in loaded.device] == ["bay-01", "bay-02", "bin-01"]
    assert "socket://127.0.0.1:" in path.read_text()
    assert {row.device for row in read_truth(tmp_path / "truth.jsonl")} == {"bin-01"}


def test_a_city_file_is_another_way_to_choose(tmp_path):
    file = tmp_path / "street.toml"
    file.write_text('name = "gang-mawar"\n[[device]]\ndriver = "peacefair_pzem"\ncount = 2\n')
    done = simulate(tmp_path, "--city", str(file), "--seconds", "0.2")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "gang-mawar.toml").exists()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--device", "nobodys"), "no driver 'nobodys'"),
        (("--device", "bosch_tps110"), "--mqtt"),
        (("--device", "dfrobot_sen0591", "--fault", "sulking=0.1"), "no fault 'sulking'"),
        (("--device", "dfrobot_sen0591", "--fault", "silent=7"), "share"),
        (("--city", "/nowhere.toml"), "/nowhere.toml"),
    ],
)
def test_what_can_not_be_is_refused_with_its_reason(tmp_path, words, why):
    done = simulate(tmp_path, *words)
    assert done.returncode == 2
    assert why in done.stdout


def test_faults_are_named_with_their_shares():
    faults = with_shares(NO_FAULTS, ["checksum=0.1", "never_answers=bay-01,bay-02"])
    assert faults == Faults(checksum=0.1, never_answers=("bay-01", "bay-02"))
