"""`--help` of a technician's commands in Indonesian where the shell speaks it (`LANG=id_ID.UTF-8`).

In: a parser with English texts. Out: the same parser, each text that `help_id.toml` knows in
Indonesian. What it doesn't know stays English; a test holds the technician's commands to it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from functools import cache

TECHNICIAN = (
    "edge",
    "outbox",
    "device",
    "doctor",
    "bus",
    "scan",
    "probe",
    "calibrate",
    "completion",
    "devices",
    "decode",
)
"""The commands that somebody on a ladder needs."""


def speaks_indonesian(environment: Mapping[str, str]) -> bool:
    """By the first of the variables that is set, as gettext asks them."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := environment.get(name):
            return value.lower().startswith(("id_", "id.")) or value.lower() == "id"
    return False


def speak_indonesian(parser: argparse.ArgumentParser) -> None:
    """Put the known texts in place of the English ones, in all its subcommands too."""
    known = texts()
    parser.description = known.get(parser.description or "", parser.description)
    parser.epilog = known.get(parser.epilog or "", parser.epilog)
    for action in _told(parser):
        action.help = known.get(action.help or "", action.help)
    for _, inner in subparsers(parser):
        speak_indonesian(inner)


def english(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Every text of a parser that a person reads, its subcommands' included."""
    yield from filter(None, (parser.description, parser.epilog))
    for action in _told(parser):
        if action.help and action.help != argparse.SUPPRESS:
            yield action.help
    for _, inner in subparsers(parser):
        yield from english(inner)


def subparsers(
    parser: argparse.ArgumentParser,
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Its words, each with its parser."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()


def _told(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            yield from action._choices_actions


@cache
def texts() -> dict[str, str]:
    """English to Indonesian. What reads them is imported here: an agent never asks."""
    import tomllib
    from importlib.resources import files

    read = tomllib.loads(files("gampong").joinpath("help_id.toml").read_text(encoding="utf-8"))
    return {each["en"]: each["id"] for each in read["text"]}
