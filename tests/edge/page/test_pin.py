"""The PIN's file, and the command that makes it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edge.page.pin import Pin, PinUnusable, draw, is_guessable, is_pin, read, write
from wire.small_file import OpenToOthers


def command(file: Path, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "gampong", "edge", "pin", str(file), *words]
    return subprocess.run(
        line, input=stdin, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_pin_is_drawn_shown_once_and_kept_as_a_hash_that_others_cannot_read(tmp_path):
    file = tmp_path / "page.pin"
    run = command(file)
    digits = run.stdout.strip()
    assert run.returncode == 0
    assert is_pin(digits)
    assert digits not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o640
    assert read(file).matches(digits)
    assert not read(file).matches(digits[:-1] + str((int(digits[-1]) + 1) % 10))


def test_a_pin_of_ones_own_comes_by_stdin_and_never_as_an_argument(tmp_path):
    file = tmp_path / "page.pin"
    assert command(file, "--stdin", stdin="902714\n").returncode == 0
    assert read(file).matches("902714")
    for bad in ("123456", "000000", "987654", "12345", "1234567890123", "abcdef", ""):
        run = command(file, "--stdin", stdin=f"{bad}\n")
        assert run.returncode == 2
        assert "Nothing is changed" in run.stderr
    assert read(file).matches("902714")


def test_two_files_of_one_pin_have_nothing_in_common(tmp_path):
    write(tmp_path / "a", "902714")
    write(tmp_path / "b", "902714")
    assert read(tmp_path / "a").scrypt != read(tmp_path / "b").scrypt


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o666, 0o641])
def test_a_file_that_others_can_read_or_write_is_refused_with_the_remedy(tmp_path, mode):
    file = tmp_path / "page.pin"
    write(file, "902714")
    file.chmod(mode)
    with pytest.raises(OpenToOthers, match="chmod 640"):
        read(file)


@pytest.mark.parametrize(
    "text", ["", "{}", "[1]", '{"salt":"00","scrypt":"00"}', '{"salt":"zz","scrypt":"zz"}', "\xff"]
)
def test_a_file_that_is_something_else_is_refused_with_the_remedy(tmp_path, text):
    file = tmp_path / "page.pin"
    file.write_text(text, encoding="latin-1")
    file.chmod(0o600)
    with pytest.raises(PinUnusable, match="gampong edge pin"):
        read(file)


def test_a_missing_file_names_the_command_that_makes_it(tmp_path):
    with pytest.raises(PinUnusable, match="gampong edge pin"):
        read(tmp_path / "none")


def test_edge_check_says_when_nobody_could_log_in(tmp_path):
    settings = tmp_path / "gateway.toml"
    settings.write_text(
        f'[gateway]\nname = "a-01"\nsite = "s"\n[page]\nhost = "127.0.0.1"\n'
        f'pin_file = "{tmp_path}/page.pin"\n'
    )
    line = [sys.executable, "-m", "gampong", "edge", "check", str(settings)]
    run = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0
    assert "nobody can log in" in run.stderr
    settings.write_text(settings.read_text().replace("127.0.0.1", "gampong.local"))
    run = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 2
    assert "page.host" in run.stderr


def test_what_is_no_pin_never_matches():
    pin = Pin.of("902714")
    for wrong in ("", "90271", "902714 ", "９０２７１４", "902714\0", "9" * 4096):
        assert not pin.matches(wrong)


def test_no_drawn_pin_is_among_the_first_that_anybody_tries():
    assert not any(is_guessable(draw()) for _ in range(200))
    assert is_guessable("111111")
    assert is_guessable("890123")
