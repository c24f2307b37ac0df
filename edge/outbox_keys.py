"""Which readings came before: keys of uplinks, 31 days long, by time, kind and device.

A payment's key holds its own number too: two of them on one millisecond of a terminal are two
readings, and the later one is a millisecond on. Nothing here begins or ends a transaction.
"""

from __future__ import annotations

import hashlib
import sqlite3

import msgspec

from edge.outbox_packing import UPTIME_BELOW_MS, Entry
from edge.outbox_rows import add_journal
from edge.records import Line

NUMBER_BITS = 32
"""Of a key's 64: two numbers of one terminal and millisecond are taken for one in 4 billion."""


def add_once(connection: sqlite3.Connection, line: Line, boot: int) -> bool:
    """Journal a line of this boot at its place, unless it is there already; whether it is new."""
    placed = place_line(connection, line)
    new = add_key(connection, placed)
    if new:
        add_journal(connection, Entry.of(placed, boot))
    return new


def add_key(connection: sqlite3.Connection, line: Line) -> bool:
    """Whether this reading is new. One that doesn't know its time can't be told from another."""
    if line.time_ms < UPTIME_BELOW_MS:
        return True
    key = (line.time_ms, _key_name(line))
    return connection.execute("INSERT OR IGNORE INTO keys VALUES (?, ?)", key).rowcount == 1


def place_line(connection: sqlite3.Connection, line: Line) -> Line:
    """The line where its number is already, or else at the first millisecond that no other number
    of its device has: who has which one is known here even after a restart.

    A key without a number (a version's that knew none) may be anybody's: the line is its repeat.
    """
    if not line.number or line.time_ms < UPTIME_BELOW_MS:
        return line
    nameless, own = msgspec.structs.replace(line, number=""), _key_name(line)
    low = own >> NUMBER_BITS << NUMBER_BITS
    sql = "SELECT name FROM keys WHERE time_ms = ? AND (name BETWEEN ? AND ? OR name = ?)"
    rest = (low, low + (1 << NUMBER_BITS) - 1, _key_name(nameless))
    time_ms = line.time_ms
    while taken := {name for (name,) in connection.execute(sql, (time_ms, *rest))}:
        if own in taken:
            break
        if rest[-1] in taken:
            return msgspec.structs.replace(nameless, time_ms=time_ms)
        time_ms += 1  # ends: keys are bounded
    text = f"{line.text.removesuffix(str(line.time_ms))}{time_ms}"
    return msgspec.structs.replace(line, text=text, time_ms=time_ms)


def _key_name(line: Line) -> int:
    """Kind and device in 64 bits; with a number half of them are its own."""
    name = _hash(f"{line.kind},{line.device}")
    if not line.number:
        return name
    return (name >> NUMBER_BITS << NUMBER_BITS) | (_hash(line.number) & (1 << NUMBER_BITS) - 1)


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), signed=True)
