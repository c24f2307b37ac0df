"""Bytes over the SIM: as the kernel counts them, through restarts, reboots and months."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from edge.configuration import UplinkSettings
from edge.month import ALARM, STATE, Month, interface_bytes, month_of

MB = 1_000_000


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


class Sim:
    """A modem's counters, and an agent that counts them."""

    def __init__(self, root: Path, quota_mb: int = 100) -> None:
        self._root, self._settings = root, UplinkSettings(interface="wwan0", quota_mb=quota_mb)
        self.now_ms, self.trusted, self.boot = at("2026-11-10T12:00"), True, "one"
        self.kept: bytes | None = None
        self.carries(0, 0)
        self.start()

    def carries(self, received: int, sent: int) -> None:
        folder = self._root / "wwan0" / "statistics"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "rx_bytes").write_text(f"{received}\n")
        (folder / "tx_bytes").write_text(f"{sent}\n")

    def start(self) -> None:
        self.month = Month(
            self._settings, self.boot, lambda: self.now_ms, lambda: self.trusted, self.kept,
            self._root,
        )  # fmt: skip
        self.month.total()

    def seal(self) -> None:
        self.kept = self.month.state()[STATE]


@pytest.fixture
def sim(tmp_path: Path) -> Sim:
    return Sim(tmp_path)


def test_both_directions_count_from_the_first_look_on(tmp_path):
    sim = Sim(tmp_path)
    sim.carries(3 * MB, 2 * MB)
    assert sim.month.total() == 5 * MB


def test_what_went_by_while_the_agent_was_away_counts_within_a_boot(sim):
    sim.carries(MB, 0)
    sim.seal()
    sim.carries(4 * MB, 0)
    sim.start()
    assert sim.month.total() == 4 * MB


def test_after_a_reboot_the_counters_begin_again_and_the_month_does_not(sim):
    sim.carries(5 * MB, 0)
    sim.seal()
    sim.boot = "two"
    sim.carries(7 * MB, 0)  # more than before: only the boot tells that all of it is new
    sim.start()
    assert sim.month.total() == 12 * MB


def test_a_modem_that_is_plugged_in_again_counts_on(sim, tmp_path):
    sim.carries(5 * MB, 0)
    sim.month.total()
    for name in ("rx_bytes", "tx_bytes"):
        (tmp_path / "wwan0" / "statistics" / name).unlink()
    assert sim.month.total() == 5 * MB
    sim.carries(MB, 0)
    assert sim.month.total() == 6 * MB


def test_a_new_month_begins_with_nothing_once_the_time_is_known(sim):
    sim.carries(90 * MB, 0)
    assert sim.month.alarms == (ALARM,)
    sim.now_ms, sim.trusted = at("2026-12-01T00:01"), False
    assert sim.month.total() == 90 * MB
    sim.trusted = True
    sim.carries(91 * MB, 0)
    assert sim.month.total() == MB
    assert sim.month.alarms == ()


def test_eighty_percent_is_an_alarm(sim):
    sim.carries(80 * MB - 1, 0)
    assert sim.month.alarms == ()
    sim.carries(80 * MB, 0)
    assert sim.month.alarms == (ALARM,)


def test_a_state_that_cannot_be_read_begins_anew(sim):
    sim.kept = b"\xc1"
    sim.start()
    assert sim.month.total() == 0


@pytest.mark.parametrize(
    ("now", "day", "begins"),
    [
        ("2026-11-22T10:00", 1, "2026-11-01"),
        ("2026-11-22T10:00", 22, "2026-11-22"),
        ("2026-11-22T10:00", 23, "2026-10-23"),
        ("2026-02-28T10:00", 31, "2026-02-28"),
        ("2026-03-30T10:00", 31, "2026-02-28"),
        ("2027-01-05T10:00", 15, "2026-12-15"),
    ],
)
def test_a_month_begins_on_the_providers_day(now, day, begins):
    assert month_of(at(now), day) == begins


@pytest.mark.parametrize("name", ["../../etc", "", "no-such", "a" * 16])
def test_a_name_that_is_no_interface_reads_no_file(tmp_path, name):
    assert interface_bytes(name, tmp_path) is None


def test_without_an_interface_nothing_is_told_or_kept(tmp_path):
    month = Month(UplinkSettings(), "boot", lambda: 0, lambda: True, None, tmp_path)
    assert month.total() is None
    assert month.state() == {}
