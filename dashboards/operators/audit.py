"""Who did what, from where: log-ins, refused ones, acknowledgements, silences, changes.

Bounded: the newest `rows_max` entries are kept, and a tenth as many refused log-ins: who tries
names by the thousand pushes out other tries, never what was done. Each text is cut.
"""

from __future__ import annotations

import sqlite3

import msgspec

TEXT_MAX = 240
REFUSED = "log-in refused"
REFUSED_SHARE = 10
_SPARE = 100  # rows beyond the bound before the oldest are taken away, in one go


class Entry(msgspec.Struct, frozen=True):
    """One line. `time_ms` is wall time; `who` is as it was given, which may be no account."""

    time_ms: int
    who: str
    address: str
    action: str
    target: str = ""
    note: str = ""


class Audit:
    """The log in the accounts' file."""

    def __init__(self, file: sqlite3.Connection, rows_max: int) -> None:
        self._file, self._rows_max = file, rows_max

    def write(self, entry: Entry) -> None:
        """Add it at the end; the oldest go when there are too many."""
        texts = (entry.who, entry.address, entry.action, entry.target, entry.note)
        number = self._file.execute(
            "INSERT INTO audit (time_ms, who, address, action, target, note) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (entry.time_ms, *(_line(text) for text in texts)),
        ).lastrowid
        if number and number % _SPARE == 0:
            self._cut(f"action = '{REFUSED}'", self._rows_max // REFUSED_SHARE)
            self._cut(f"action <> '{REFUSED}'", self._rows_max)

    def newest(self, limit: int, before: int | None = None) -> list[tuple[int, Entry]]:
        """Numbers and entries, the newest first; `before` a number, for the next page."""
        rows = self._file.execute(
            "SELECT number, time_ms, who, address, action, target, note FROM audit "
            "WHERE number < ? ORDER BY number DESC LIMIT ?",
            (before if before is not None else 2**62, limit),
        )
        return [(number, Entry(*rest)) for number, *rest in rows]

    def _cut(self, which: str, rows_max: int) -> None:
        self._file.execute(
            f"DELETE FROM audit WHERE {which} AND number <= "
            f"(SELECT number FROM audit WHERE {which} ORDER BY number DESC LIMIT 1 OFFSET ?)",
            (rows_max,),
        )


def _line(text: str) -> str:
    """One line that can be stored: no control characters, nor halves of letters."""
    return "".join(letter if letter.isprintable() else " " for letter in text[:TEXT_MAX])
