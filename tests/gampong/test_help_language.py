"""`--help` in Indonesian for whoever stands on the ladder."""

from __future__ import annotations

import argparse

import pytest

from gampong.cli import main, parser
from gampong.help_language import TECHNICIAN, english, speaks_indonesian, subparsers, texts


def commands() -> dict[str, argparse.ArgumentParser]:
    return {name: each for name, each in subparsers(parser([])) if name in TECHNICIAN}


@pytest.mark.parametrize("name", TECHNICIAN)
def test_every_text_of_a_technicians_command_is_there_in_indonesian(name: str) -> None:
    missing = [text for text in english(commands()[name]) if text not in texts()]
    assert missing == []


def test_no_translation_is_left_over_from_a_text_that_changed() -> None:
    said = {text for each in commands().values() for text in english(each)}
    said |= {text for text in english(parser([])) if text in texts()}
    assert set(texts()) - said == set()


@pytest.mark.parametrize(
    ("environment", "indonesian"),
    [
        ({"LANG": "id_ID.UTF-8"}, True),
        ({"LANG": "en_GB.UTF-8", "LC_ALL": "id_ID"}, True),
        ({"LANG": "id_ID.UTF-8", "LC_MESSAGES": "C"}, False),
        ({"LANG": "ido"}, False),
        ({}, False),
    ],
)
def test_the_shells_language_decides(environment: dict[str, str], indonesian: bool) -> None:
    assert speaks_indonesian(environment) is indonesian


def test_a_technician_reads_help_in_indonesian_and_others_as_before(monkeypatch, capsys) -> None:
    monkeypatch.setenv("LC_ALL", "id_ID.UTF-8")
    with pytest.raises(SystemExit):
        main(["doctor", "--help"])
    assert "Tidak mengubah apa pun" in capsys.readouterr().out
    monkeypatch.setenv("LC_ALL", "C")
    with pytest.raises(SystemExit):
        main(["doctor", "--help"])
    assert "Changes nothing" in capsys.readouterr().out
