"""A day's file and its signature, as openssl judges them."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from ingest.stores import Bucket, Written
from ingest.stores.configuration import SqliteSettings
from ingest.stores.open import open_store
from tests.dashboards.opendata.public_process import COMMAND, ROOT, toml
from tests.dashboards.opendata.test_opendata_api import hours
from wire.clock import SystemClock

DAY_MS, WIB_MS = 86_400_000, 7 * 3_600_000
NOW_MS = SystemClock().now_ms()


def midnight_ms() -> int:
    """The last one in WIB."""
    return (NOW_MS + WIB_MS) // DAY_MS * DAY_MS - WIB_MS


def yesterday() -> date:
    return (datetime.fromtimestamp((midnight_ms() + WIB_MS) / 1000, UTC) - timedelta(1)).date()


@pytest.fixture
def city(tmp_path: Path) -> Path:
    """Two days of hours up to the last midnight, a configuration, and a city's own authority."""
    settings = SqliteSettings(path=str(tmp_path / "city.db"))

    async def fill() -> None:
        async with open_store(settings, SystemClock()) as store:
            assert await store.write(Bucket.HOURLY, hours(midnight_ms(), 48)) == Written()

    import asyncio

    asyncio.run(fill())
    (tmp_path / "opendata.toml").write_text(toml(settings))
    openssl(
        tmp_path, "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 "
        "-keyout ca.key -out ca.pem -subj /CN=kota",
    )  # fmt: skip
    openssl(
        tmp_path, "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout data.key "
        "-out data.csr -subj /CN=data",
    )  # fmt: skip
    openssl(tmp_path, "x509 -req -in data.csr -CA ca.pem -CAkey ca.key -days 365 -out data.pem")
    return tmp_path


def openssl(folder: Path, words: str) -> subprocess.CompletedProcess[str]:
    command = ["openssl", *words.split()]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if not words.startswith("cms"):
        assert ended.returncode == 0, ended.stderr
    return ended


def export(folder: Path, day: str, *changes: str) -> subprocess.CompletedProcess[str]:
    words = ["export", "--config", "opendata.toml", "--day", day, "--certificate", "data.pem",
             "--key", "data.key", *changes]  # fmt: skip
    return subprocess.run(
        [*COMMAND, *words], cwd=folder, capture_output=True, text=True, timeout=60, check=False,
        env={"PYTHONPATH": str(ROOT), "PATH": str(Path(sys.executable).parent)},
    )  # fmt: skip


def verify(folder: Path, file: str) -> bool:
    """The documented command."""
    ended = openssl(
        folder, f"cms -verify -binary -inform DER -in {file}.p7s -content {file} -CAfile ca.pem "
        "-purpose any -out /dev/null",
    )  # fmt: skip
    return ended.returncode == 0


def test_openssl_verifies_the_day_and_sees_a_changed_byte(city):
    day = yesterday().isoformat()
    ended = export(city, day)
    assert ended.returncode == 0, ended.stderr
    file = f"gampong-{day}.csv"
    assert ended.stdout.split() == [file, f"{file}.p7s"]
    assert sorted(path.name for path in city.glob("gampong-*")) == [file, f"{file}.p7s"]
    assert verify(city, file)
    whole = (city / file).read_bytes()
    (city / file).write_bytes(whole.replace(b"0.25", b"0.26", 1))
    assert not verify(city, file)


def test_the_file_is_the_citys_day_and_the_same_bytes_again(city):
    day = yesterday().isoformat()
    export(city, day)
    first = (city / f"gampong-{day}.csv").read_bytes()
    assert export(city, day).returncode == 0
    assert (city / f"gampong-{day}.csv").read_bytes() == first
    assert verify(city, f"gampong-{day}.csv")
    rows = list(csv.DictReader(io.StringIO(first.decode())))
    bays = [row for row in rows if row["kind"] == "parking_spot"]
    assert len(bays) == 24 * 3
    begin = datetime.fromtimestamp((midnight_ms() - DAY_MS) / 1000, UTC)
    assert datetime.fromisoformat(rows[0]["hour"]) == begin
    assert {row["mean"] for row in bays} == {"0.25", "0.5", "0.75"}
    people = next(row for row in rows if row["field"] == "clients")
    assert (people["mean"], people["min"], people["max"], people["count"]) == ("0", "0", "10", "60")
    assert "mahirah-01" not in first.decode()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (["--day", (yesterday() + timedelta(1)).isoformat()], "isn't over yet"),
        (["--day", "2001-01-01"], "has no hours"),
        (["--day", "tomorrow"], "tomorrow"),
        (["--key", "ca.key"], "isn't the key of"),
        (["--certificate", "nowhere.pem"], "Give PEM files"),
        (["--config", "nowhere.toml"], "Name a TOML file"),
    ],
)
def test_what_can_not_be_exported_is_said_and_leaves_nothing(city, changes, said):
    ended = export(city, yesterday().isoformat(), *changes)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
    assert list(city.glob("gampong-*")) == []
