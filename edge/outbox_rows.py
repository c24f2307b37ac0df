"""Rows of the outbox: one sealed batch each, its head apart from its payload.

A head is 60 bytes and outlives its payload, which bears its digest too, should the head be lost.
The counts that say where its readings are change in the transaction that changes its state. Nothing
here begins or ends a transaction.

    state       payload   its readings are counted as
    waiting     yes       waiting (parked or not, its time known or not)
    confirmed   yes       stored and rejected; deleted after a week, or for room
    dropped     no        dropped{full}; kept only if it was sent: a late confirm moves it
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec

from edge.lanes import LANES, Marks, marks_of
from edge.outbox_packing import Entry, Packed
from wire.malformed import MALFORMED
from wire.messages import Ledger

WAITING, CONFIRMED, DROPPED = 0, 1, 2
SEQUENCE_MAX = 2**53
STAMP = "stamp"
"""Counters of this name are no readings. Moments, in Unix milliseconds: `seal`, `commit`,
`trusted`, and the marks of `lanes.py`, `lane-0` to `lane-9`. And `sequence`, the highest ever given
out: here, on the page that every commit writes, since AUTOINCREMENT's table is one page more."""

Counts = Counter[tuple[str, str]]

COLUMNS = (
    "sequence, state, event, readings, size, digest, seal_ms, first_ms, last_ms, boot, sent,"
    " reason, settled_ms, rejected"
)


class Head(msgspec.Struct, frozen=True):
    """What is known of a batch besides its payload. With a `boot`, its times are that boot's
    uptime, and it can't be sent before the boot's time is known. `reason` says why a waiting row
    is parked, or for what a dropped one was dropped; `rejected` is JSON, readings by reason."""

    sequence: int
    state: int
    event: int
    readings: int
    size: int
    digest: bytes
    seal_ms: int
    first_ms: int
    last_ms: int
    boot: int | None
    sent: int
    reason: str
    settled_ms: int
    rejected: str


class Settlement(msgspec.Struct, frozen=True):
    """One row's new state and what it moves in the ledger. `freed` readings wait no longer."""

    sequence: int
    digest: bytes
    state: int
    moves: Counter[tuple[str, str]]
    freed: int
    reason: str = ""
    rejected: str = ""

    @classmethod
    def drop(cls, head: Head, reason: str) -> Settlement:
        """A waiting row's readings given up."""
        moves = Counter({("dropped", reason): head.readings})
        return cls(head.sequence, head.digest, DROPPED, moves, head.readings, reason)


def read_head(connection: sqlite3.Connection, sequence: int) -> Head | None:
    """The head of that row, if it is still there."""
    sql = f"SELECT {COLUMNS} FROM batches WHERE sequence = ?"
    row = connection.execute(sql, (sequence,)).fetchone()
    return Head(*row) if row else None


def waiting_heads(connection: sqlite3.Connection, after: int) -> Iterator[Head]:
    """Heads of rows that can be sent, ascending."""
    sql = (
        f"SELECT {COLUMNS} FROM batches INDEXED BY waiting"
        " WHERE state = 0 AND sequence > ? AND reason = '' AND (boot IS NULL OR boot IN"
        " (SELECT id FROM boots WHERE offset_ms IS NOT NULL)) ORDER BY sequence"
    )
    return (Head(*row) for row in connection.execute(sql, (after,)))


def read_payload(connection: sqlite3.Connection, sequence: int) -> bytes | None:
    """A row's payload."""
    sql = "SELECT payload FROM payloads WHERE sequence = ?"
    row = connection.execute(sql, (sequence,)).fetchone()
    return row[0] if row else None


def insert_batch(connection: sqlite3.Connection, packed: Packed, seal_ms: int) -> int:
    """A new row at the end; its sequence, which no row has had before, deleted ones included."""
    sequence = newest_sequence(connection) + 1
    set_stamp(connection, "sequence", sequence)
    connection.execute(
        "INSERT INTO batches (sequence, state, event, readings, size, digest, seal_ms, first_ms,"
        " last_ms, boot, settled_ms) VALUES (?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            sequence,
            packed.event,
            packed.readings,
            len(packed.payload),
            packed.digest,
            seal_ms,
            packed.first_ms,
            packed.last_ms,
            packed.boot,
            seal_ms,  # only to hold the place: settling a row must not make it longer
        ),
    )
    sql = "INSERT INTO payloads VALUES (?, ?, ?)"
    connection.execute(sql, (sequence, packed.payload, packed.digest))
    return sequence


def replace_batch(connection: sqlite3.Connection, row: int, packed: Packed, seal_ms: int) -> None:
    """The same readings under the same sequence, now with their time."""
    connection.execute(
        "UPDATE batches SET size = ?, digest = ?, seal_ms = ?, first_ms = ?, last_ms = ?,"
        " boot = NULL WHERE sequence = ?",
        (
            len(packed.payload),
            packed.digest,
            seal_ms,
            packed.first_ms,
            packed.last_ms,
            row,
        ),
    )
    sql = "UPDATE payloads SET payload = ?, digest = ? WHERE sequence = ?"
    connection.execute(sql, (packed.payload, packed.digest, row))


def settle(connection: sqlite3.Connection, settlement: Settlement, now_ms: int) -> None:
    """Give a row its final state, and its readings their place in the ledger."""
    connection.execute(
        "UPDATE batches SET state = ?, settled_ms = ?, reason = ?, rejected = ? WHERE sequence = ?",
        (
            settlement.state,
            now_ms,
            settlement.reason,
            settlement.rejected,
            settlement.sequence,
        ),
    )
    if settlement.state == DROPPED:
        connection.execute("DELETE FROM payloads WHERE sequence = ?", (settlement.sequence,))
    add_counts(connection, settlement.moves)


def drop(connection: sqlite3.Connection, head: Head, now_ms: int) -> None:
    """Give a waiting row up for room, counted."""
    settle(connection, Settlement.drop(head, "full"), now_ms)
    if not head.sent:
        delete_batches(connection, [head.sequence])


def delete_batches(connection: sqlite3.Connection, sequences: Iterable[int]) -> None:
    """Forget rows whose readings are counted elsewhere."""
    rows = [(sequence,) for sequence in sequences]
    connection.executemany("DELETE FROM payloads WHERE sequence = ?", rows)
    connection.executemany("DELETE FROM batches WHERE sequence = ?", rows)


def resend(connection: sqlite3.Connection, since_ms: int) -> int:
    """Confirmed rows with a reading at or after `since_ms` wait again; how many. One that had been
    dropped before its confirm came has nothing left to send."""
    sql = (
        f"SELECT {COLUMNS} FROM batches WHERE state = 1 AND last_ms >= ?"
        " AND sequence IN (SELECT sequence FROM payloads)"
    )
    moves: Counts = Counter()
    heads = [Head(*row) for row in connection.execute(sql, (since_ms,))]
    for head in heads:
        rejected = rejected_of(head)
        moves["stored", ""] -= head.readings - sum(rejected.values())
        for reason, readings in rejected.items():
            moves["rejected", reason] -= readings
    connection.executemany(
        "UPDATE batches SET state = 0, rejected = '' WHERE sequence = ?",
        [(head.sequence,) for head in heads],
    )
    add_counts(connection, moves)
    return len(heads)


def rejected_of(head: Head) -> dict[str, int]:
    """A confirmed row's rejected readings by reason; none where the card has changed the text."""
    try:
        return msgspec.json.decode(head.rejected or "{}", type=dict[str, int])
    except (*MALFORMED, UnicodeError):
        return {}


def add_journal(connection: sqlite3.Connection, entry: Entry) -> None:
    """A line that must survive before it is sealed."""
    connection.execute(
        "INSERT INTO journal (line, time_ms, event, boot) VALUES (?, ?, ?, ?)",
        (entry.text, entry.time_ms, entry.event, entry.boot),
    )


def read_journal(connection: sqlite3.Connection) -> tuple[list[Entry], int]:
    """Journalled lines in the order they came, and how many the card has changed."""
    rows = connection.execute("SELECT line, time_ms, event, boot FROM journal ORDER BY id")
    entries, broken = [], 0
    for text, time_ms, event, boot in rows:
        if is_line(text, time_ms):
            entries.append(Entry(text, time_ms, bool(event), boot))
        else:
            broken += 1
    return entries, broken


def is_line(text: str, time_ms: int) -> bool:
    """Whether this is still what was journalled, as far as one can tell without a digest."""
    return text.isascii() and text.isprintable() and text.endswith(f" {time_ms}")


def add_counts(connection: sqlite3.Connection, counts: Counts) -> None:
    """Add to the ledger's counters, zeros left out."""
    connection.executemany(
        "INSERT INTO counters VALUES (?, ?, ?)"
        " ON CONFLICT DO UPDATE SET value = value + excluded.value",
        [(name, reason, value) for (name, reason), value in counts.items() if value],
    )


def set_stamp(connection: sqlite3.Connection, name: str, value: int) -> None:
    """Keep a moment, or the newest sequence."""
    connection.execute(
        "INSERT INTO counters VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
        (STAMP, name, value),
    )


def next_seal_ms(connection: sqlite3.Connection, now_ms: int) -> int:
    """Now, or just after the last seal: never the same twice, whatever the clock does."""
    seal_ms = max(now_ms, _stamp(connection, "seal") + 1)
    set_stamp(connection, "seal", seal_ms)
    return seal_ms


def raise_marks(connection: sqlite3.Connection, stamps: Iterable[int]) -> None:
    """Remember these times of readings, so that no other gets one of them."""
    connection.executemany(
        "INSERT INTO counters VALUES (?, ?, ?)"
        " ON CONFLICT DO UPDATE SET value = max(value, excluded.value)",
        [(STAMP, f"lane-{lane}", mark) for lane, mark in marks_of(stamps).items()],
    )


def read_marks(connection: sqlite3.Connection) -> Marks:
    """The highest time given to a reading in each lane."""
    counts = read_counts(connection)
    return tuple(counts[STAMP, f"lane-{lane}"] for lane in range(LANES))


def read_counts(connection: sqlite3.Connection) -> Counts:
    """Every counter, stamps included."""
    rows = connection.execute("SELECT name, reason, value FROM counters")
    return Counter({(name, reason): value for name, reason, value in rows})


def newest_sequence(connection: sqlite3.Connection) -> int:
    """The highest sequence that was ever given out in this file."""
    return _stamp(connection, "sequence")


def _stamp(connection: sqlite3.Connection, name: str) -> int:
    sql = "SELECT value FROM counters WHERE name = ? AND reason = ?"
    row = connection.execute(sql, (STAMP, name)).fetchone()
    return int(row[0]) if row else 0


def highest_sequence(connection: sqlite3.Connection) -> int:
    """The highest among the rows there are."""
    sql = "SELECT ifnull(max(sequence), 0) FROM batches"
    return int(connection.execute(sql).fetchone()[0])


def can_number_on(connection: sqlite3.Connection) -> bool:
    """Whether the next sequence is one that no row has or had."""
    return highest_sequence(connection) <= newest_sequence(connection) <= SEQUENCE_MAX


def count_waiting(connection: sqlite3.Connection) -> tuple[int, int, int]:
    """Readings that wait (journalled ones too), batches that wait, and the parked among them."""
    batches, readings, parked = connection.execute(
        "SELECT count(*), ifnull(sum(readings), 0), ifnull(sum(reason <> ''), 0)"
        " FROM batches INDEXED BY waiting WHERE state = 0"
    ).fetchone()
    (journalled,) = connection.execute("SELECT count(*) FROM journal").fetchone()
    return readings + journalled, batches, parked


def settled_by(counts: Counts) -> int:
    """Readings that wait no longer, by these counters."""
    names = ("stored", "rejected", "dropped")
    return sum(value for (name, _), value in counts.items() if name in names)


def is_balanced(connection: sqlite3.Connection) -> bool:
    """Whether the counters agree with each other, and with the rows there are."""
    waiting, _, _ = count_waiting(connection)
    counts = read_counts(connection)
    settled = counts["accepted", ""] - waiting == settled_by(counts)
    return settled and as_ledger(counts, waiting, 0).balanced


def get_meta(connection: sqlite3.Connection, name: str) -> bytes | str | int | None:
    """A word the file keeps about itself."""
    row = connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return row[0] if row else None


def set_meta(connection: sqlite3.Connection, name: str, value: bytes | str | int) -> None:
    """Keep a word about the file."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))


def as_ledger(counts: Counts, waiting: int, open_readings: int) -> Ledger:
    """Counters as the ledger that leaves the gateway."""

    def by_reason(name: str) -> dict[str, int]:
        return {r: value for (n, r), value in sorted(counts.items()) if n == name and value}

    return Ledger(
        taken=counts["taken", ""],
        refused=by_reason("refused"),
        suppressed=counts["suppressed", ""],
        open=open_readings,
        accepted=counts["accepted", ""],
        waiting=waiting,
        stored=counts["stored", ""],
        rejected=by_reason("rejected"),
        dropped=by_reason("dropped"),
        noise=by_reason("noise"),
        gaps=counts["gaps", ""],
        gap_ms=counts["gap_ms", ""],
    )
