"""What operators say, from the command line (or a page) to the watch; and what is kept of it.

The watch alone keeps `alerts.json` beside the registry. Whoever wants something leaves a small file
there, whole or not at all (as `ingest/moves.py`); the watch takes it up within a second and then
takes it away. Who may write into that folder may silence: the watch's own user.

    alerts.json                       the watch's: silences, acknowledgements, what is still to tell
    alerts.json.ask-1790000000000-17  {"type": "silence", "device": "bin-07", "until_ms": …, …}
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from ingest.alerts.news import Box, Told
from ingest.rules.muting import Acknowledged, Silence
from ingest.whole_file import write_whole
from wire.configuration import ConfigurationError
from wire.malformed import MALFORMED

NAME = "alerts.json"


class Acknowledge(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="acknowledge", tag_field="type"
):
    """I know of this one, and see to it."""

    rule: str
    device: str
    who: str
    why: str


class AskSilence(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="silence", tag_field="type"
):
    """Tell nothing of what matches until then; a time in the past ends such a silence."""

    until_ms: int
    who: str
    why: str
    rule: str = ""
    device: str = ""
    site: str = ""


Ask = Acknowledge | AskSilence


class DeskFile(msgspec.Struct):
    """What is kept over a restart of the watch, beside what the store has."""

    silences: list[Silence] = []
    acknowledged: list[Acknowledged] = []
    told: list[Told] = []
    boxes: dict[str, Box] = {}


def desk_path(registry: Path) -> Path:
    """Where the file of the watch with this registry is."""
    return registry.with_name(NAME)


def leave_ask(desk: Path, ask: Ask, now_ms: int) -> Path:
    """Leave a request for the watch.

    Raises:
        OSError: the folder can't be written.
    """
    path = desk.with_name(f"{desk.name}.ask-{now_ms}-{os.getpid()}")
    write_whole(path, msgspec.json.encode(ask))
    return path


def waiting_asks(desk: Path) -> list[tuple[Path, Ask | None]]:
    """Every request that is there, oldest first; None for a file that isn't one."""
    return [(path, _read(path)) for path in sorted(desk.parent.glob(f"{desk.name}.ask-*"))]


def load_desk(path: Path) -> DeskFile:
    """The desk of that file; an empty one when there is none.

    Raises:
        ConfigurationError: the file is damaged; it names it and the remedy.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return DeskFile()
    try:
        return msgspec.json.decode(data, type=DeskFile)
    except MALFORMED as error:
        remedy = "Move it away: silences and what was being told are lost, standings are not"
        raise ConfigurationError(str(path), "", f"damaged: {error}", remedy) from error


def save_desk(path: Path, text: bytes) -> None:
    """Replace the file at once: after a power cut it is the old one or the new one."""
    write_whole(path, text)


def _read(path: Path) -> Ask | None:
    try:
        ask: Ask = msgspec.json.decode(path.read_bytes(), type=Ask)
    except (OSError, *MALFORMED):
        return None
    return ask
