"""What operators want of gateways and devices, from the command line (or a page) to the watch.

The watch alone speaks to gateways and keeps what is wanted; whoever wants something leaves a small
file beside the registry, whole or not at all (as `ingest/moves.py`), and the watch takes it up
within a second. Who may write into that folder may ask: the watch's own user.

    registry.json.ask-1790000000000-17    one request
    gateways/configurations/<name>.json   `Kept`: what is wanted of that gateway, what it said
    gateways/maintenance.json             `Closed` devices
    gateways/results/<id>.json            answers to commands, for an hour
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeVar

import msgspec

from ingest.whole_file import write_whole
from wire.line import NAME
from wire.malformed import MALFORMED
from wire.messages import BadMessage
from wire.remote import Applied, Command, CommandResult, Desired


class SetConfiguration(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="configuration", tag_field="type"
):
    """This gateway shall have this text; see `wire.remote.Desired`."""

    gateway: str
    text: str
    base: str = ""
    by: str = ""


class SendCommand(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="command", tag_field="type"
):
    """Tell this gateway."""

    gateway: str
    command: Command


class SetMaintenance(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="maintenance", tag_field="type"
):
    """The device is being worked at until then; a time in the past ends it."""

    device: str
    until_ms: int
    by: str = ""
    why: str = ""


Ask = SetConfiguration | SendCommand | SetMaintenance


class Kept(msgspec.Struct):
    """Of one gateway. `running` is the text that it told when it was asked last."""

    desired: Desired | None = None
    applied: Applied | None = None
    applied_ms: int = 0
    running: str = ""
    running_ms: int = 0


class Closed(msgspec.Struct, frozen=True):
    """A device that is being worked at."""

    until_ms: int
    since_ms: int
    by: str = ""
    why: str = ""


_T = TypeVar("_T")
_ASK: msgspec.json.Decoder[Ask] = msgspec.json.Decoder(Ask)
_KEPT = msgspec.json.Decoder(Kept)
_CLOSED = msgspec.json.Decoder(dict[str, Closed])
_RESULT = msgspec.json.Decoder(CommandResult)


class Desk:
    """The folder, read and written by whoever has it."""

    def __init__(self, registry: Path) -> None:
        self._registry = registry
        self.folder = registry.with_name("gateways")

    def leave(self, ask: Ask, now_ms: int) -> Path:
        """Leave a request for the watch with this registry.

        Raises:
            OSError: the folder can't be written.
        """
        name = f"{self._registry.name}.ask-{now_ms}-{os.getpid()}"
        path = self._registry.with_name(name)
        _replace(path, msgspec.json.encode(ask))
        return path

    def asks(self) -> list[tuple[Path, Ask | None]]:
        """Every request that is there, oldest first; None for a file that isn't one."""
        folder, name = self._registry.parent, self._registry.name
        return [(path, _read(path, _ASK)) for path in sorted(folder.glob(f"{name}.ask-*"))]

    def kept(self, gateway: str) -> Kept:
        """What is known of that gateway; nothing when the file isn't there, or is damaged."""
        return (_read(self._path(gateway), _KEPT) if NAME.fullmatch(gateway) else None) or Kept()

    def keep(self, gateway: str, kept: Kept) -> None:
        """On disk when this returns.

        Raises:
            OSError: the folder can't be written.
        """
        _replace(self._path(gateway), msgspec.json.encode(kept))

    def wanted(self) -> dict[str, Desired]:
        """Every gateway's desired configuration."""
        names = (path.stem for path in self.folder.glob("configurations/*.json"))
        kept = {name: self.kept(name).desired for name in names if NAME.fullmatch(name)}
        return {name: desired for name, desired in kept.items() if desired is not None}

    def closed(self) -> dict[str, Closed]:
        """Devices in maintenance by an operator's word."""
        return _read(self._closed_path, _CLOSED) or {}

    def keep_closed(self, closed: dict[str, Closed]) -> None:
        """On disk when this returns.

        Raises:
            OSError: the folder can't be written.
        """
        _replace(self._closed_path, msgspec.json.encode(closed))

    def result(self, id_: str) -> CommandResult | None:
        """The answer to that command, once it is there."""
        return _read(self._result_path(id_), _RESULT)

    def keep_result(self, result: CommandResult) -> None:
        """For whoever asked.

        Raises:
            OSError: the folder can't be written.
        """
        _replace(self._result_path(result.id), msgspec.json.encode(result))

    def forget_results(self, before_s: float) -> None:
        """Delete those that were written before that (Unix seconds)."""
        for path in self.folder.glob("results/*.json"):
            try:
                if path.stat().st_mtime < before_s:
                    path.unlink()
            except FileNotFoundError:
                continue

    def _path(self, gateway: str) -> Path:
        if NAME.fullmatch(gateway) is None:
            raise BadMessage(f"{gateway!r} isn't a gateway's name")
        return self.folder / "configurations" / f"{gateway}.json"

    def _result_path(self, id_: str) -> Path:
        if NAME.fullmatch(id_) is None:
            raise BadMessage(f"{id_!r} isn't a command's id")
        return self.folder / "results" / f"{id_}.json"

    @property
    def _closed_path(self) -> Path:
        return self.folder / "maintenance.json"


def _replace(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, data)


def _read(path: Path, decoder: msgspec.json.Decoder[_T]) -> _T | None:
    try:
        return decoder.decode(path.read_bytes())
    except (OSError, *MALFORMED):
        return None
