"""A rejected line is on disk before anybody is told, once, and nobody's room is another's."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.dead_letters import DISK, FULL, DeadLetters, Letter

PROGRAM = """
import sys
from tests.ingest.test_dead_letters import letters_of, open_letters
letters = open_letters(sys.argv[1])
print(letters.append([letters_of(sequence=int(n)) for n in sys.argv[2:]]), flush=True)
sys.stdin.read()
"""


def open_letters(path: Path | str, bytes_max: int = 1_000_000, share: int = 1_000_000):
    return DeadLetters(Path(path), bytes_max, share)


def letters_of(count: int = 2, sequence: int = 1, gateway: str = "gw-1") -> list[Letter]:
    return [
        Letter(1000, gateway, "ab" * 16, sequence, "cd" * 8, index, "range", f"line {index}\r\t☃")
        for index in range(count)
    ]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "dead-letters.jsonl"


def on_disk(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_a_letter_is_one_readable_line_of_json(path):
    assert open_letters(path).append([letters_of(1)]) == [""]
    assert on_disk(path) == [
        {
            "time_ms": 1000,
            "gateway": "gw-1",
            "epoch": "ab" * 16,
            "sequence": 1,
            "digest": "cd" * 8,
            "index": 0,
            "reason": "range",
            "line": "line 0\r\t☃",
        }
    ]


def test_a_batch_that_comes_again_is_written_once(path):
    letters = open_letters(path)
    assert letters.append([letters_of()]) == [""]
    assert (
        letters.append([letters_of(), letters_of(sequence=2), letters_of(sequence=2)]) == [""] * 3
    )
    assert len(on_disk(path)) == 4


def test_after_a_restart_it_is_still_written_once(path):
    open_letters(path).append([letters_of()])
    assert open_letters(path).append([letters_of()]) == [""]
    assert len(on_disk(path)) == 2


def test_a_line_that_goes_bad_later_is_added(path):
    letters = open_letters(path)
    letters.append([letters_of(1)])
    letters.append([letters_of(3)])
    assert [each["index"] for each in on_disk(path)] == [0, 1, 2]


def test_a_torn_last_line_is_cut_off_and_written_again(path):
    open_letters(path).append([letters_of(2)])
    path.write_bytes(path.read_bytes()[:-10])
    assert open_letters(path).append([letters_of(2)]) == [""]
    assert [each["index"] for each in on_disk(path)] == [0, 1]


def test_a_damaged_line_in_the_middle_is_left_alone(path):
    path.write_bytes(b"\x00\xff garbage\n{}\n")
    letters = open_letters(path)
    assert letters.append([letters_of(1)]) == [""]
    letters.mark_done({letters_of(1)[0].id}, 5)
    assert path.read_bytes().startswith(b"\x00\xff garbage\n{}\n{")
    assert letters.waiting() == []


def test_a_gateway_that_fills_its_room_leaves_the_others_theirs(path):
    letters = open_letters(path, share=1000)
    answers = [letters.append([letters_of(1, sequence)])[0] for sequence in range(20)]
    assert set(answers) == {"", FULL}
    assert letters.append([letters_of(1, 99), letters_of(1, gateway="gw-2")]) == [FULL, ""]


def test_the_file_never_outgrows_its_bound(path):
    letters = open_letters(path, bytes_max=3000)
    for number in range(40):
        letters.append([letters_of(1, gateway=f"gw-{number}")])
    assert 2500 < path.stat().st_size <= 3000


def test_a_batch_is_taken_whole_or_not_at_all(path):
    letters = open_letters(path, share=1000)
    assert letters.append([letters_of(50)]) == [FULL]
    assert on_disk(path) == []


def test_what_is_done_makes_room_when_room_is_needed(path):
    letters = open_letters(path, share=1000)
    sequence = 0
    while letters.append([letters_of(1, sequence)]) == [""]:
        sequence += 1
    done = letters.waiting()
    letters.mark_done({letter.id for letter in done}, 2000)
    assert letters.waiting() == []
    assert {each["done_ms"] for each in on_disk(path)} == {2000}
    assert letters.append([letters_of(1, 1000)]) == [""]
    assert [letter.sequence for letter in letters.waiting()] == [1000]


def test_what_a_replay_has_stored_waits_no_more(path):
    letters = open_letters(path)
    assert letters.waiting_bytes() == 0
    letters.append([letters_of(2, 1), letters_of(1, 2)])
    assert letters.waiting_bytes() == path.stat().st_size
    open_letters(path).mark_done({letter.id for letter in letters_of(2, 1)}, 2000)
    (waiting,) = letters.waiting()
    assert letters.waiting_bytes() == len(msgspec.json.encode(waiting)) + 1
    open_letters(path).mark_done({waiting.id}, 2000)
    assert letters.waiting_bytes() == 0
    assert letters.size_bytes() == path.stat().st_size > 0
    path.unlink()
    assert letters.waiting_bytes() == 0


def test_a_file_that_was_moved_away_is_begun_anew(path):
    letters = open_letters(path)
    letters.append([letters_of(1, 1)])
    path.rename(path.with_suffix(".old"))
    assert letters.append([letters_of(1, 2)]) == [""]
    assert [each["sequence"] for each in on_disk(path)] == [2]


def test_a_disk_that_fails_in_the_middle_keeps_the_batch_and_leaves_no_torn_line(path):
    letters = open_letters(path)
    assert letters.append([letters_of(1)]) == [""]
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 50, hard))
    try:
        assert letters.append([letters_of(2, 2)]) == [DISK]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert letters.append([letters_of(2, 2)]) == [""]


def test_a_missing_folder_keeps_the_batch(tmp_path):
    assert open_letters(tmp_path / "gone" / "letters").append([letters_of()]) == [DISK]


def test_two_processes_share_a_file_and_a_kill_leaves_what_was_answered(path):
    letters = open_letters(path)
    assert letters.append([letters_of(1, 1)]) == [""]
    command = [sys.executable, "-c", PROGRAM, str(path), "1", "2"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path.cwd()
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline().strip() == b"['', '']"
        child.kill()
    assert letters.append([letters_of(1, 2), letters_of(1, 3)]) == ["", ""]
    assert sorted((each["sequence"], each["index"]) for each in on_disk(path)) == [
        (1, 0),
        (1, 1),
        (2, 0),
        (2, 1),
        (3, 0),
    ]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4), st.booleans()), max_size=20))
def test_any_history_of_batches_and_restarts_gives_each_line_once(tmp_path_factory, history):
    path = tmp_path_factory.mktemp("letters") / "letters.jsonl"
    letters, told = open_letters(path), set()
    for sequence, count, restart in history:
        if restart:
            letters = open_letters(path)
        assert letters.append([letters_of(count, sequence)]) == [""]
        told |= {(sequence, index) for index in range(count)}
    lines = [(each["sequence"], each["index"]) for each in on_disk(path)] if history else []
    assert sorted(lines) == sorted(told)
