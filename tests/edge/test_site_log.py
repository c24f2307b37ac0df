"""The log of the site: kept through power cuts, bounded, and harmless to print."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from edge.site_log import NAME, Entry, What, note, note_here, read_log


def entry(text: str = "", time_ms: int = 1_790_000_000_000) -> Entry:
    return Entry(time_ms, What.CALIBRATED, "rizal", "bay-07", text)


def test_what_was_noted_is_read_again_in_order(tmp_path):
    for number in range(3):
        note(tmp_path, entry(str(number)))
    assert [one.text for one in read_log(tmp_path)] == ["0", "1", "2"]


def test_a_line_that_a_power_cut_tore_costs_only_itself(tmp_path):
    note(tmp_path, entry("first"))
    note(tmp_path, entry("torn"))
    path = tmp_path / NAME
    path.write_bytes(path.read_bytes()[:-9])
    note(tmp_path, entry("after"))
    assert [one.text for one in read_log(tmp_path)] == ["first", "after"]


def test_it_never_fills_the_card_and_keeps_the_newest(tmp_path):
    for number in range(200):
        note(tmp_path, entry(f"entry {number}"), 4096)
        assert sum(one.stat().st_size for one in tmp_path.iterdir()) <= 2 * 4096
    texts = [one.text for one in read_log(tmp_path)]
    assert texts[-1] == "entry 199"
    assert len(texts) > 30


def test_a_log_that_cannot_be_written_stops_nobody(tmp_path):
    assert not note_here(tmp_path / "nowhere", What.NOTE, 0, text="x")


def test_the_command_shows_it_and_takes_notes(tmp_path: Path):
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "gampong", "edge", "log", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)

    note(tmp_path, entry("empty, median\x1b[2J 812 mm"))
    run(str(tmp_path), "--note", "antenna on the roof")
    shown = run(str(tmp_path)).stdout
    assert "rizal: calibrated bay-07: empty, median [2J 812 mm" in shown
    assert "note: antenna on the roof" in shown
    assert "\x1b" not in shown
    assert "antenna" not in run(str(tmp_path), "--device", "bay-07").stdout
