"""`gampong doctor` beside real parts: a broker with and without a listener, certificates, names."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.line.certificates import EXPIRED, Authority
from tests.secret_file import write_secret
from tests.servers import Mosquitto, free_port


def doctor(folder: Path, broker: str, *words: str) -> subprocess.CompletedProcess[str]:
    path = folder / "gateway.toml"
    outbox = f'[outbox]\npath = "{folder}/outbox.db"\nbytes_max = 2000000\n'
    path.write_text(f'[gateway]\nname = "a-01"\nsite = "s"\n{outbox}[broker]\n{broker}\n')
    command = [sys.executable, "-m", "gampong", "doctor", str(path), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def findings(run: subprocess.CompletedProcess[str]) -> dict[str, dict[str, str]]:
    return {one["look"]: one for one in json.loads(run.stdout)}


def test_a_broker_behind_which_nobody_listens_is_told_apart_from_one_that_is_down(tmp_path):
    with Mosquitto(tmp_path / "m") as broker:
        run = doctor(tmp_path, f"port = {broker.port}", "--json")
    assert run.returncode == 0, run.stderr
    seen = findings(run)
    assert seen["broker"]["verdict"] == "pass"
    assert seen["cloud"]["verdict"] == "warn"
    assert "nobody listens" in seen["cloud"]["seen"]
    down = doctor(tmp_path, f"port = {free_port()}")
    assert down.returncode == 1
    assert "✗ broker" in down.stdout
    assert "Is the port right" in down.stdout


def test_a_name_that_does_not_resolve_ends_the_way_there(tmp_path):
    run = doctor(tmp_path, 'host = "nowhere.invalid"', "--json")
    assert run.returncode == 1
    seen = findings(run)
    assert seen["name"]["verdict"] == "fail"
    assert "broker" not in seen


@pytest.mark.parametrize(("days", "verdict"), [(EXPIRED, "fail"), (9, "warn"), (300, "pass")])
def test_a_certificate_that_runs_out_is_said_in_time(tmp_path, days, verdict):
    signed = Authority(tmp_path / "ca").sign("a-01", days)
    run = doctor(tmp_path, f"port = {free_port()}\n{signed.toml}", "--json")
    assert findings(run)["certificate"]["verdict"] == verdict


def test_the_support_bundle_holds_what_helps_and_no_secret(tmp_path):
    secret = tmp_path / "password"
    write_secret(secret, "hunter2-secret")
    packed = tmp_path / "bundle.tar.gz"
    broker = f'port = {free_port()}\nusername = "a"\npassword_file = "{secret}"'
    doctor(tmp_path, broker, "--bundle", str(packed))
    with tarfile.open(packed) as bundle:
        bundle.extractall(tmp_path / "unpacked", filter="data")
    files = {one.name: one.read_bytes() for one in tmp_path.glob("unpacked/*/*")}
    assert {"gateway.toml", "doctor.json", "versions.txt", "outbox.txt"} == set(files)
    assert all(b"hunter2" not in data for data in files.values())


def test_a_configuration_that_can_not_be_read_is_2(tmp_path):
    run = doctor(tmp_path, "nonsense = 1")
    assert run.returncode == 2
    assert "nonsense" in run.stderr
