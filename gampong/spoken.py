"""What a technician's commands say, in Indonesian where the shell speaks it.

In: sentences (`wire/sentence.py`) and errors. Out: text for the terminal: English as it was told,
or made anew from the Indonesian template in `said_id.toml`. What isn't there stays English; a test
holds the technician's commands to it. JSON and logs don't come through here: they are for programs.
"""

from __future__ import annotations

import os
import sys
from functools import cache

from gampong.help_language import speaks_indonesian
from wire.sentence import Told, constant, system_told, told


def spoken(text: str) -> str:
    """For the terminal. Text that isn't a sentence (a name, a path) stays as it is."""
    return in_indonesian(text) if speaks_indonesian(os.environ) else str(text)


def in_indonesian(text: str) -> str:
    """A sentence, and those in its places."""
    if not isinstance(text, Told):
        return text
    if not text.places:  # what the system said may be more than its template
        return said().get(text.template, str(text))
    places = {
        name: in_indonesian(value) if isinstance(value, str) else value
        for name, value in text.places.items()
    }
    return said().get(text.template, text.template).format(**places)


def complain(command: str, error: BaseException) -> None:
    """An error that ends a command, on stderr, with what to do."""
    if not speaks_indonesian(os.environ):
        print(f"gampong {command}: {error}", file=sys.stderr)
        return
    what, remedy = _parts(error)
    print(f"gampong {command}: kesalahan: {in_indonesian(what)}", file=sys.stderr)
    if remedy:
        print(f"    yang harus dilakukan: {in_indonesian(remedy)}", file=sys.stderr)


def reason(error: OSError) -> str:
    """Why the system didn't, for the terminal."""
    return spoken(system_told(error)) if speaks_indonesian(os.environ) else error.strerror or ""


def _parts(error: BaseException) -> tuple[str, str]:
    """What is wrong, and what to do, "" where the error doesn't tell them apart."""
    from edge.outbox_file import OutboxError
    from wire.configuration import ConfigurationError

    if isinstance(error, ConfigurationError):
        where = f"{error.source}: {error.key}" if error.key else error.source
        problem = constant(error.problem)
        return told("{where}: {problem}", where=where, problem=problem), constant(error.remedy)
    if isinstance(error, OutboxError):
        return error.reason, constant(error.remedy)
    if isinstance(error, OSError) and error.strerror:
        where = error.filename or ""
        return (f"{where}: {reason(error)}" if where else reason(error)), ""
    first = error.args[0] if error.args and isinstance(error.args[0], str) else str(error)
    return first, ""


@cache
def said() -> dict[str, str]:
    """English template to Indonesian. What reads them is imported here: an agent never asks."""
    import tomllib
    from importlib.resources import files

    read = tomllib.loads(files("gampong").joinpath("said_id.toml").read_text(encoding="utf-8"))
    return {each["en"]: each["id"] for each in read["text"]}
