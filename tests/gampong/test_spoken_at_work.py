"""A technician's day in an Indonesian shell, over ptys and files: enrol, check, scan, probe,
calibrate, the doctor of the bus."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import serial

from devices.modbus import Request
from tests.edge.doctor.test_bus import Answer, bus, gateway, good
from tests.edge.scan.test_calibrate import BIN, distances
from tests.edge.scan.test_scan import METER, Cable
from wire.bundle import PREFIX


def gampong(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gampong", *map(str, words)]
    environment = {**os.environ, "LC_ALL": "id_ID.UTF-8", "PYTHONUTF8": "1"}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env=environment
    )


@pytest.fixture
def cable(tmp_path: Path) -> Iterator[Cable]:
    one = Cable(tmp_path / "ttyBIN")
    yield one
    one.port.close()


@pytest.fixture
def settings(tmp_path: Path, cable: Cable) -> Path:
    path = tmp_path / "gateway.toml"
    path.write_text(BIN.format(port=cable.path))
    return path


def test_a_calibration_says_its_verdict_in_indonesian(cable: Cable, settings: Path) -> None:
    with distances(cable, lambda said: 400 + said * 37 % 500):
        run = gampong("calibrate", settings, "bin-01", "--empty", "--count", "12")
    assert run.returncode == 1, run.stderr
    seen, verdict, remedy = [line for line in run.stdout.splitlines() if "selain itu" not in line]
    assert seen.startswith("bin-01: 12 bacaan, median ")
    assert verdict == "tidak tenang: jaraknya tidak tenang"
    assert remedy.endswith("kencangkan colokannya. Tidak ada yang diubah")


def test_an_adapter_that_is_away_during_calibration_is_said_in_indonesian(settings: Path) -> None:
    settings.write_text(settings.read_text().replace("ttyBIN", "ttyAWAY"))
    run = gampong("calibrate", settings, "bin-01", "--empty")
    assert run.returncode == 1
    assert run.stderr.startswith("port hilang: ")
    assert run.stderr.endswith(". Tidak ada yang diubah\n")


def test_what_cannot_be_calibrated_is_an_error_with_its_remedy(settings: Path) -> None:
    run = gampong("calibrate", settings, "bin-01", "--free")
    assert run.returncode == 2
    assert run.stderr.splitlines() == [
        f"gampong calibrate: kesalahan: {settings}: bin-01: "
        "waste_container tidak bisa dikalibrasi dengan --free",
        "    yang harus dilakukan: --free hanya untuk parking_spot",
    ]


def test_a_silent_probe_and_an_unknown_device_are_told(settings: Path) -> None:
    silent = gampong("probe", settings, "bin-01", "--within", "0.5")
    assert silent.returncode == 1
    last = silent.stdout.splitlines()[-1]
    assert last.startswith(("u jalan: ", "u putus: "))
    unknown = gampong("probe", settings, "bin-02")
    assert unknown.stderr.splitlines()[-1] == "    yang harus dilakukan: Pilih salah satu: bin-01"


def test_a_scan_names_what_it_added_and_a_port_that_is_held(cable: Cable, tmp_path: Path) -> None:
    path = tmp_path / "new.toml"
    path.write_text('[gateway]\nname = "a-01"\nsite = "s"\n')
    with cable.ranger():
        run = gampong("scan", "--port", cable.path, "--write", path)
    assert run.returncode == 0, run.stderr
    found, read, added = run.stdout.splitlines()
    assert METER in found
    assert " mentah ff0280" in read
    assert added == f"{path}: ditambahkan bin-01. Sekarang: gampong edge check {path}"
    checked = gampong("edge", "check", path)
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.splitlines()[0] == "gateway a-01, lokasi s"
    assert any(line.startswith("  alat bin-01 di ") for line in checked.stdout.splitlines())
    with serial.Serial(cable.path, exclusive=True):
        held = gampong("scan", "--port", cable.path)
    assert held.returncode == 2
    assert "sedang dibuka program lain; hentikan program itu" in held.stderr


def test_a_dead_slave_on_a_bus_is_named_with_what_to_do(tmp_path: Path) -> None:
    def answer(asked: Request, before: int) -> Answer:
        return (b"", 0) if asked.unit == 2 else (good(asked), 0)

    path = gateway(tmp_path, 2)
    with bus(tmp_path / "tty", answer):
        run = gampong("bus", path, "--rounds", "2")
    assert run.returncode == 1, run.stderr
    lines = run.stdout.splitlines()
    assert "alamat 1 (g-1), ditanya 2 kali" in lines
    dead = lines.index("✗ alamat 2 (g-2): tidak pernah menjawab")
    assert lines[dead + 1].startswith("    Yang lain menjawab: periksa dayanya")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gampong-network-1:x", "bukan bundel gateway. Pakai berkas atau kode QR"),
        (f"{PREFIX}AAAA", "Salin atau pindai lagi"),
    ],
)
def test_a_bundle_of_something_else_is_refused_in_indonesian(
    tmp_path: Path, text: str, said: str
) -> None:
    bundle = tmp_path / "a.bundle"
    bundle.write_text(text)
    run = gampong("edge", "enrol", bundle, "--folder", tmp_path / "etc")
    assert run.returncode == 2
    assert run.stderr.startswith("gampong edge enrol: kesalahan: ")
    assert said in run.stderr


def test_a_pin_that_anybody_would_try_is_refused_in_indonesian(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gampong", "edge", "pin", "--stdin", str(tmp_path / "pin")]
    run = subprocess.run(
        command, input="123456\n", capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "LC_ALL": "id_ID.UTF-8"},
    )  # fmt: skip
    assert run.returncode == 2
    assert "PIN itu yang pertama kali ditebak orang. Tidak ada yang diubah" in run.stderr
