"""Completion scripts: the shells themselves take them, and the Tab key finds our words."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gampong.cli import COMMANDS
from tests.servers import find


def script(shell: str) -> str:
    command = [sys.executable, "-m", "gampong", "completion", shell]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_word_is_in_every_shell_s_script(shell):
    text = script(shell)
    for word in (*COMMANDS, "--empty", "confirmed"):
        assert word in text


def test_bash_completes_words_options_and_files(tmp_path: Path):
    (tmp_path / "gampong.bash").write_text(script("bash"))
    (tmp_path / "gateway.toml").touch()

    def tab(*typed: str) -> set[str]:
        words = " ".join(f"'{word}'" for word in typed)
        asked = (
            f"source ./gampong.bash; COMP_WORDS=({words}); COMP_CWORD={len(typed) - 1}; "
            '_shtab_gampong; printf "%s\\n" "${COMPREPLY[@]}"'
        )
        run = subprocess.run(
            [find("bash", "install bash"), "--norc", "-c", asked],
            capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path,
        )  # fmt: skip
        return set(run.stdout.split())

    assert {"calibrate", "completion"} >= tab("gampong", "cal") >= {"calibrate"}
    assert "top" in tab("gampong", "edge", "t")
    assert "--empty" in tab("gampong", "calibrate", "--em")
    assert "gateway.toml" in tab("gampong", "calibrate", "gate")
