"""The commissioning sheet: for each device, what was seen of it when it was taken into service.

In: entries, as a technician makes them on the gateway's page. Out: `commissioning.json` beside the
outbox, written whole or not at all, one entry a device (the newest), and what the inventory says of
it. A sheet that can't be read is put aside under its name and `.damaged`, and a new one begins.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

import msgspec

from devices.reading import Value
from edge.configuration import EdgeConfiguration
from edge.whole_file import write_whole
from wire.malformed import MALFORMED
from wire.messages import Place

NAME = "commissioning.json"
ENTRIES_MAX = 2000
"""As many as a gateway has devices; of more the oldest go."""

BYTES_MAX = 8 * 1024 * 1024
NOTE_MAX, RAW_HEX_MAX = 200, 512


class Fate(StrEnum):
    """Where the reading of an entry is: heard by the gateway, on its disk, in the city's database,
    or refused by it."""

    HEARD = "heard"
    KEPT = "kept"
    STORED = "stored"
    REJECTED = "rejected"


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One device, once. `raw` is the frame in hex, cut after `RAW_HEX_MAX` digits; `fields` what
    its driver reads in it; `point` the line as the database has it, gateway's tag included.
    `sequence` and `digest` (hex) name the batch that holds it. `round_trip_ms` is from the frame on
    the cable to the cloud's confirmation."""

    device: str
    driver: str
    at_ms: int
    passed: bool
    note: str = ""
    place: Place | None = None
    raw: str = ""
    fields: dict[str, Value] = {}
    point: str = ""
    sequence: int = 0
    digest: str = ""
    fate: Fate = Fate.HEARD
    why: str = ""
    round_trip_ms: int | None = None
    time_trusted: bool = True


class _Sheet(msgspec.Struct, frozen=True):
    entries: tuple[Entry, ...] = ()


def sheet_of(configuration: EdgeConfiguration) -> Path:
    """Where that gateway's sheet is."""
    return Path(configuration.outbox.path).absolute().with_name(NAME)


def read_sheet(path: Path) -> dict[str, Entry]:
    """Entries by device, none when there is no sheet that can be read."""
    try:
        with path.open("rb") as file:
            data = file.read(BYTES_MAX + 1)
        sheet = msgspec.json.decode(data, type=_Sheet)
    except FileNotFoundError:
        return {}
    except (OSError, *MALFORMED):
        with suppress(OSError):
            path.replace(path.with_name(f"{path.name}.damaged"))
        return {}
    return {entry.device: entry for entry in sheet.entries}


def write_sheet(path: Path, entries: Iterable[Entry]) -> None:
    """Replace the sheet; it is on disk when this returns.

    Raises:
        OSError: it can't be written; the old one is still there.
    """
    newest = sorted(entries, key=lambda entry: entry.at_ms)[-ENTRIES_MAX:]
    write_whole(path, msgspec.json.encode(_Sheet(tuple(newest))), 0o640)


def with_entry(entries: Mapping[str, Entry], entry: Entry) -> dict[str, Entry]:
    """The sheet with that entry in place of its device's last one, within bounds."""
    entry = msgspec.structs.replace(
        entry, note=_one_line(entry.note, NOTE_MAX), raw=entry.raw[:RAW_HEX_MAX]
    )
    return {**entries, entry.device: entry}


def _one_line(text: str, length: int) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:length]
