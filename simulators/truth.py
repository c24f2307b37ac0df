"""The truth file: a JSON line for each thing a device was asked or sent, with the value it gave.

    {"device":"bin-03","kind":"waste_container","driver":"dfrobot_a02yyuw","how":"sent",
     "time_ms":1790000000000,"fields":{"distance_mm":713.0},"actual":{"filling_level":0.41}}

`how` is `asked` (it answered a poll), `sent` (it spoke by itself) or `lost` (it spoke and nobody
heard: radio, or a serial port that nobody reads). `fields` is what the bytes say, read back by the
driver that drew them: exact to the sensor's resolution, and empty when the bytes say nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from devices.driver import Driver
from devices.reading import Payload, Undecodable, Value, Values

How = Literal["asked", "sent", "lost"]


class Row(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line. `time_ms` is city time; for uplinks the envelope's own, for payments that of their
    point. `fault` is what went wrong with this message (`kept`: a payment that a collector kept),
    `ailment` what ailed its device then (`simulators/faults.py` has the words). `actual` is what is
    really there, which no sensor knows: the kind's state."""

    device: str
    kind: str
    driver: str
    how: How
    time_ms: int
    fields: Mapping[str, Value] = {}
    fault: str = ""
    ailment: str = ""
    actual: Mapping[str, Value] = {}


class Spoken(msgspec.Struct, frozen=True):
    """What a device says: its bytes, and what these bytes mean."""

    payload: Payload
    fields: Mapping[str, Value]


def speak(driver: Driver, values: Values) -> Spoken:
    """A driver's voice for these values, with what a reader will make of it."""
    payload = driver.encode(values)
    try:
        records = driver.decode(payload)
    except Undecodable:
        return Spoken(payload, {})
    return Spoken(payload, records[0].fields if records else {})


class Truth:
    """The file, buffered: whoever has a loop calls `flush` each second. No path, no file."""

    def __init__(self, path: Path | None) -> None:
        self._file = path.open("wb") if path else None
        self.rows = 0

    def write(self, row: Row) -> None:
        """Note one row; polled devices do so before their answer's bytes leave."""
        self.rows += 1
        if self._file:
            self._file.write(msgspec.json.encode(row) + b"\n")

    def flush(self) -> None:
        if self._file:
            self._file.flush()

    def close(self) -> None:
        if self._file:
            self._file.close()


def read_truth(path: Path) -> list[Row]:
    """All whole rows of a file that may still be written to."""
    lines = path.read_bytes().split(b"\n")[:-1]
    return [msgspec.json.decode(line, type=Row) for line in lines]
