"""Reads what can be read of a damaged outbox into a new file, and makes its ledger balance.

Tables are walked from both ends, and row by row between, so that one broken page costs what is on
it. A head counts when its values make sense, a payload when its digest fits. One whose head is lost
waits again, since sending it twice changes nothing.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from edge.lanes import marks_of
from edge.outbox_file import UNREADABLE
from edge.outbox_packing import UPTIME_BELOW_MS
from edge.outbox_rows import (
    COLUMNS,
    CONFIRMED,
    DROPPED,
    SEQUENCE_MAX,
    STAMP,
    WAITING,
    Counts,
    Head,
    add_counts,
    count_waiting,
    highest_sequence,
    is_line,
    read_payload,
    rejected_of,
    set_meta,
    settled_by,
)
from wire.batch import BadBatch, UnknownDictionary, decode_batch, digest

PROBES_MAX = 500_000
COMMIT_ROWS = 500

_SMALL: dict[str, tuple[str, Any]] = {
    "boots": (
        "id, boot_id, first_ms, last_ms, offset_ms, quality",
        tuple[int, str, int, int, int | None, str],
    ),
    "journal": ("id, line, time_ms, event, boot", tuple[int, str, int, int, int | None]),
    "states": ("device, state, saved_ms", tuple[str, bytes, int]),
    "keys": ("time_ms, name", tuple[int, int]),
}


class Salvage:
    """One rescue. `views` are connections to the damaged file, the best first; `new` is empty."""

    def __init__(self, views: Sequence[sqlite3.Connection], new: sqlite3.Connection) -> None:
        self._views = views
        self._new = new
        self._marks: dict[int, int] = {}

    def run(self) -> None:
        """Fill the new file. A disk that gets full on the way keeps what was copied before."""
        with self._transaction():
            set_meta(self._new, "clean", 0)
        with suppress(sqlite3.OperationalError), self._transaction():
            for table in _SMALL:
                self._copy_small(table)
        rows = sorted(self._heads(), key=lambda head: (head.state, head.sequence))
        with suppress(sqlite3.OperationalError):
            for start in range(0, len(rows), COMMIT_ROWS):
                with self._transaction():
                    for head in rows[start : start + COMMIT_ROWS]:
                        self._copy(head)
        with self._transaction():
            self._balance(sum(head.readings for head in rows if head.state == WAITING))

    def _transaction(self) -> _Transaction:
        return _Transaction(self._new)

    def _copy_small(self, table: str) -> None:
        columns, types = _SMALL[table]
        marks = ", ".join("?" for _ in columns.split(","))
        for view in self._views:
            for order in ("ASC", "DESC"):
                scan = _Scan(view, f"SELECT {columns} FROM {table} ORDER BY 1 {order}")
                self._new.executemany(
                    f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({marks})",
                    (row for row in scan if _makes_sense(table, row, types)),
                )
                if scan.whole:
                    return

    def _heads(self) -> Iterator[Head]:
        """Heads that can be read, and heads made for payloads that have lost theirs."""
        seen: set[int] = set()
        whole = False
        for view in self._views:
            sequences, whole = _sequences(view, "batches")
            for sequence in sorted(sequences - seen):
                row = _one(view, f"SELECT {COLUMNS} FROM batches WHERE sequence = ?", sequence)
                head = _sound_head(row) if row else None
                if head:
                    seen.add(sequence)
                    yield head
            if whole:
                return
        for view in self._views:
            sequences, _ = _sequences(view, "payloads")
            for sequence in sorted(sequences - seen):
                sql = "SELECT payload, digest FROM payloads WHERE sequence = ?"
                row = _one(view, sql, sequence)
                made = _head_for(sequence, *row) if row else None
                if made:
                    seen.add(sequence)
                    yield made

    def _copy(self, head: Head) -> None:
        payload = self._payload(head)
        if payload is None and head.state != DROPPED:
            return
        lines = _lines(payload)
        self._raise_marks(lines)
        if lines and head.state == WAITING:
            head = msgspec.structs.replace(head, readings=len(lines))
        values = msgspec.structs.astuple(head)
        marks = ", ".join("?" for _ in values)
        self._new.execute(f"INSERT OR IGNORE INTO batches ({COLUMNS}) VALUES ({marks})", values)
        if payload is not None:
            sql = "INSERT OR IGNORE INTO payloads VALUES (?, ?, ?)"
            self._new.execute(sql, (head.sequence, payload, head.digest))
        if head.boot is not None:  # its boot's row may be lost
            self._new.execute(
                "INSERT INTO boots (id, boot_id, first_ms, last_ms) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (id) DO UPDATE SET last_ms = max(last_ms, excluded.last_ms)",
                (head.boot, f"lost-{head.boot}", head.first_ms, head.last_ms),
            )

    def _raise_marks(self, lines: Sequence[str]) -> None:
        """Times that readings have; which of them were polled can't be told any more."""
        times = (int(line.rpartition(" ")[2]) for line in lines)
        for lane, mark in marks_of(time for time in times if time >= UPTIME_BELOW_MS).items():
            self._marks[lane] = max(self._marks.get(lane, 0), mark)

    def _payload(self, head: Head) -> bytes | None:
        if head.state == DROPPED:
            return None
        for view in self._views:
            with suppress(*UNREADABLE):
                payload = read_payload(view, head.sequence)
                if isinstance(payload, bytes) and digest(payload) == head.digest:
                    return payload
        return None

    def _balance(self, known_waiting: int) -> None:
        """Counters that agree with the rows there are; what isn't found is dropped{damaged}."""
        counts = self._counts()
        rows = self._counts_of_rows()
        for key, least in rows.items():
            counts[key] = max(counts[key], least)
        waiting, _, _ = count_waiting(self._new)
        total = waiting + settled_by(counts)
        accepted = counts["accepted", ""] or total - waiting + max(known_waiting, waiting)
        if total > accepted:  # rows counted as stored wait again
            back = min(total - accepted, counts["stored", ""] - rows["stored", ""])
            counts["stored", ""] -= back
        elif total < accepted:
            counts["dropped", "damaged"] += accepted - total
        counts["accepted", ""] = waiting + settled_by(counts)
        refused = sum(n for (name, _), n in counts.items() if name == "refused")
        counts["taken", ""] = counts["accepted", ""] + refused + counts["suppressed", ""]
        newest = self._new.execute("SELECT ifnull(max(seal_ms), 0) FROM batches").fetchone()[0]
        sequence = highest_sequence(self._new)
        marks = {f"lane-{lane}": mark for lane, mark in self._marks.items()}
        for name, least in {"seal": newest, "sequence": sequence, **marks}.items():
            known = counts[STAMP, name]
            counts[STAMP, name] = known if least <= known <= SEQUENCE_MAX else least
        add_counts(self._new, counts)

    def _counts(self) -> Counts:
        """The counters, if one view has them whole."""
        for view in self._views:
            scan = _Scan(view, "SELECT name, reason, value FROM counters")
            rows = list(scan)
            try:
                found = msgspec.convert(rows, list[tuple[str, str, int]])
            except msgspec.ValidationError:
                continue
            if scan.whole and rows:
                return Counter({(name, reason): value for name, reason, value in found})
        return Counter()

    def _counts_of_rows(self) -> Counts:
        counts: Counts = Counter()
        sql = f"SELECT {COLUMNS} FROM batches WHERE state <> {WAITING}"
        for row in self._new.execute(sql):
            head = Head(*row)
            if head.state == CONFIRMED:
                rejected = rejected_of(head)
                counts["stored", ""] += head.readings - sum(rejected.values())
                for reason, readings in rejected.items():
                    counts["rejected", reason] += readings
            else:
                counts["dropped", head.reason] += head.readings
        return counts


class _Transaction:
    """`BEGIN` and `COMMIT` around a block, `ROLLBACK` when it fails."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN")

    def __exit__(self, failed: object, *_: object) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK" if failed else "COMMIT")


class _Scan:
    """Rows of a query up to the first that can't be read; `whole` says whether that was the end."""

    def __init__(self, view: sqlite3.Connection, sql: str) -> None:
        self._view, self._sql = view, sql
        self.whole = False

    def __iter__(self) -> Iterator[Any]:
        with suppress(*UNREADABLE):
            yield from self._view.execute(self._sql)
            self.whole = True


def _sequences(view: sqlite3.Connection, table: str) -> tuple[set[int], bool]:
    """Sequences that can be read, and whether these are all."""
    up = _Scan(view, f"SELECT sequence FROM {table} ORDER BY sequence")
    rising = _numbers(up)
    if up.whole:
        return set(rising), True
    down = _Scan(view, f"SELECT sequence FROM {table} ORDER BY sequence DESC")
    falling = _numbers(down)
    sql = f"SELECT value FROM counters WHERE name = '{STAMP}' AND reason = 'sequence'"
    newest = max(_numbers(_Scan(view, sql)), default=0)
    low, high = max(rising, default=0) + 1, min(falling, default=newest + 1)
    sql = f"SELECT sequence FROM {table} WHERE sequence = ?"
    probes = range(low, min(high, low + PROBES_MAX))
    return {*rising, *falling, *(s for s in probes if _one(view, sql, s))}, False


def _numbers(scan: _Scan) -> list[int]:
    """A column of sequences, without what can't be one."""
    found = [row[0] for row in scan]
    return [number for number in found if isinstance(number, int) and 0 < number <= SEQUENCE_MAX]


def _sound_head(row: Any) -> Head | None:
    """A row as a head, if its values can be a head's."""
    try:
        head = msgspec.convert(dict(zip(Head.__struct_fields__, row, strict=True)), Head)
    except msgspec.ValidationError:
        return None
    numbers = (head.readings, head.size, abs(head.first_ms), abs(head.last_ms), head.seal_ms)
    sound = (
        head.state in (WAITING, CONFIRMED, DROPPED)
        and all(0 <= number <= SEQUENCE_MAX for number in numbers)
        and sum(rejected_of(head).values()) <= head.readings
        and (head.boot is None or 0 < head.boot <= SEQUENCE_MAX)
    )
    return head if sound else None


def _one(view: sqlite3.Connection, sql: str, sequence: int) -> Any:
    with suppress(*UNREADABLE):
        return view.execute(sql, (sequence,)).fetchone()
    return None


def _makes_sense(table: str, row: Any, types: Any) -> bool:
    try:
        msgspec.convert(row, types)
    except msgspec.ValidationError:
        return False
    return table != "journal" or is_line(row[1], row[2])


def _lines(payload: bytes | None) -> list[str]:
    """A payload's lines, none when no decoder knows it."""
    with suppress(BadBatch, UnknownDictionary):
        return decode_batch(payload) if payload else []
    return []


def _head_for(sequence: int, payload: object, known: object) -> Head | None:
    """A head for a payload that lost its own: it waits, and may have been sent."""
    if not isinstance(payload, bytes) or digest(payload) != known:
        return None
    try:
        lines = decode_batch(payload)
        times = [int(line.rpartition(" ")[2]) for line in lines]
    except (BadBatch, UnknownDictionary, ValueError):
        return None
    first_ms, last_ms = min(times), max(times)
    if first_ms < UPTIME_BELOW_MS:
        return None  # the uptime of a boot that nobody knows any more
    return Head(
        sequence=sequence,
        state=WAITING,
        event=1,
        readings=len(lines),
        size=len(payload),
        digest=digest(payload),
        seal_ms=last_ms,
        first_ms=first_ms,
        last_ms=last_ms,
        boot=None,
        sent=1,
        reason="",
        settled_ms=0,
        rejected="",
    )
