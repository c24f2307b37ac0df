"""What can be asked of an outbox: its ledger, its summary, what waits. Asking removes nothing.

`Pending` is what the cloud has said since the last commit. It counts at once in every answer and
goes to disk with the next seal; if the power goes first, the rows wait again and are sent again.
"""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path
from typing import cast

import msgspec

from edge.lanes import Stamped
from edge.outbox_file import OutboxFailing, OutboxFile, disk_errors, read_only
from edge.outbox_rows import (
    CONFIRMED,
    DROPPED,
    WAITING,
    Counts,
    Head,
    Settlement,
    as_ledger,
    count_waiting,
    get_meta,
    newest_sequence,
    read_counts,
    read_head,
    read_marks,
    read_payload,
    settle,
    waiting_heads,
)
from edge.records import Sealed
from wire.batch import BatchKey, digest
from wire.messages import Fate, Ledger

_REASON = re.compile(r"[a-z0-9_]{1,32}")
_REASONS_MAX = 32
RATE_BATCHES = 2000
RATE_MS_MIN = 60_000
ROW_BYTES = 512
"""What a batch takes beside its payload: head, index, and a share of the page left over."""

OTHER, UNCOUNTED = "other", "uncounted"


class OutboxSummary(msgspec.Struct, frozen=True):
    """The outbox in figures. Sequences and times are 0 when nothing waits; `newest_sequence` is
    the highest ever given out in this file; `hours_left` until it is full if nothing more were
    confirmed, at the rate of the last day or so, None while there is no rate."""

    epoch: str
    oldest_sequence: int
    newest_sequence: int
    oldest_waiting_ms: int
    waiting_batches: int
    waiting_readings: int
    parked: int
    unplaced: int
    bytes: int
    bytes_max: int
    hours_left: float | None
    alarms: tuple[str, ...]
    ignored: dict[str, int]
    ledger: Ledger


class Pending:
    """What the next commit will write besides new rows."""

    def __init__(self) -> None:
        self.settlements: dict[int, Settlement] = {}
        self.sent: set[int] = set()
        self.ignored: Counts = Counter()

    @property
    def due(self) -> bool:
        """Whether it is worth a commit of its own; that a batch was sent isn't."""
        return bool(self.settlements) or bool(self.ignored)

    def counts(self) -> Counts:
        """How the ledger moves."""
        moves: Counts = Counter()
        for settlement in self.settlements.values():
            moves.update(settlement.moves)
        moves.update(self.ignored)
        return moves

    def write(self, connection: sqlite3.Connection, now_ms: int) -> None:
        """Put it into the open transaction."""
        for settlement in self.settlements.values():
            settle(connection, settlement, now_ms)
        connection.executemany(
            "UPDATE batches SET sent = 1 WHERE sequence = ? AND state = 0",
            [(sequence,) for sequence in self.sent - self.settlements.keys()],
        )

    def clear(self) -> None:
        """It is on disk."""
        self.settlements.clear()
        self.sent.clear()
        self.ignored.clear()


def settlement_of(head: Head, fate: Fate) -> Settlement:
    """A final fate as what it moves. Numbers that don't add up to the row's readings are bounded,
    and the rest is rejected{uncounted}: the ledger balances whatever a cloud says. A count of 0 is
    all that is left: the cloud couldn't open the batch."""
    moves: Counts = Counter()
    left = head.readings
    stored = min(max(fate.stored, 0), left)
    left -= stored
    rejected: Counter[str] = Counter()
    for number, (reason, readings) in enumerate(sorted(fate.rejected.items())):
        known = _REASON.fullmatch(reason) is not None and number < _REASONS_MAX
        taken = left if readings == 0 else min(max(readings, 0), left)
        rejected[reason if known else OTHER] += taken
        left -= taken
    rejected[UNCOUNTED] += left
    rejected = +rejected
    moves["stored", ""] += stored
    for reason, readings in rejected.items():
        moves["rejected", reason] += readings
    if head.state == DROPPED:
        moves["dropped", head.reason] -= head.readings
    text = msgspec.json.encode(dict(rejected)).decode() if rejected else ""
    freed = head.readings if head.state == WAITING else 0
    return Settlement(head.sequence, head.digest, CONFIRMED, moves, freed, rejected=text)


class OutboxReader:
    """An outbox to look at; `Outbox` is one that also takes in."""

    def __init__(self, file: OutboxFile, bytes_max: int) -> None:
        self._file = file
        self._connection = file.connection
        self._bytes_max = bytes_max
        self._pending = Pending()
        self._alarms: set[str] = set()
        with file.errors():
            self.epoch = cast(bytes, get_meta(self._connection, "epoch") or b"")

    def waiting(self, after: int, limit: int) -> list[Sealed]:
        """Up to `limit` batches that can be sent now, with sequences above `after`, ascending.

        Left out, though they wait: parked ones, and those of a boot whose time isn't known.
        """
        found: list[Sealed] = []
        while len(found) < limit:
            heads = self._heads(after, limit - len(found))
            if not heads:
                break
            after = heads[-1].sequence
            found.extend(sealed for head in heads if (sealed := self._sendable(head)))
        return found

    def _heads(self, after: int, limit: int) -> list[Head]:
        settled = self._pending.settlements
        with self._file.errors():
            heads = waiting_heads(self._connection, after)
            return list(islice((h for h in heads if h.sequence not in settled), limit))

    def _waits(self, sequence: int) -> bool:
        """Whether that row is still to be sent; on a card that can't be read nobody says no."""
        with suppress(OutboxFailing), self._file.errors():
            head = read_head(self._connection, sequence)
            there = head is not None and head.state == WAITING
            return there and sequence not in self._pending.settlements
        return True

    def _sendable(self, head: Head) -> Sealed | None:
        """The row as it is sent."""
        payload = self._payload(head)
        return None if payload is None else self._sealed(head, payload)

    def _payload(self, head: Head) -> bytes | None:
        """A row's payload; one that the card has changed is dropped{damaged}, and None."""
        with self._file.errors():
            payload = read_payload(self._connection, head.sequence)
        if payload is not None and digest(payload) == head.digest:
            return payload
        self._alarms.add("damaged")
        self._pending.settlements[head.sequence] = Settlement.drop(head, "damaged")
        return None

    def _sealed(self, head: Head, payload: bytes) -> Sealed:
        key = BatchKey(self.epoch, head.sequence, head.digest)
        event = bool(head.event)
        first_ms, last_ms = head.first_ms, head.last_ms
        return Sealed(key, head.seal_ms, payload, head.readings, first_ms, last_ms, event)

    def ledger(self, tally_counts: Counts, open_readings: int) -> Ledger:
        """Where every reading is, the caller's uncommitted counts and open readings included."""
        with self._file.errors():
            counts = read_counts(self._connection)
            waiting, _, _ = count_waiting(self._connection)
        counts.update(self._pending.counts())
        counts.update(tally_counts)
        freed = sum(settlement.freed for settlement in self._pending.settlements.values())
        return as_ledger(counts, waiting - freed, open_readings)

    def summary(self) -> OutboxSummary:
        """The outbox in figures, what is pending included."""
        settled = self._pending.settlements
        with self._file.errors():
            readings, batches, parked = count_waiting(self._connection)
            oldest = self._oldest()
            newest = newest_sequence(self._connection)
            (unplaced,) = self._connection.execute(
                "SELECT count(*) FROM batches INDEXED BY waiting WHERE state = 0 AND boot IN"
                " (SELECT id FROM boots WHERE offset_ms IS NULL)"
            ).fetchone()
            counts = read_counts(self._connection) + self._pending.ignored
            taken = self._file.bytes()
            hours_left = self._hours_left(newest)
        freed = [settlement.freed for settlement in settled.values() if settlement.freed]
        return OutboxSummary(
            epoch=self.epoch.hex(),
            oldest_sequence=oldest.sequence if oldest else 0,
            newest_sequence=newest,
            oldest_waiting_ms=_since_ms(oldest) if oldest else 0,
            waiting_batches=batches - len(freed),
            waiting_readings=readings - sum(freed),
            parked=parked,
            unplaced=unplaced,
            bytes=taken,
            bytes_max=self._bytes_max,
            hours_left=hours_left,
            alarms=tuple(sorted(self._alarms)),
            ignored={reason: n for (name, reason), n in counts.items() if name == "ignored"},
            ledger=self.ledger(Counter(), 0),
        )

    def _oldest(self) -> Head | None:
        sql = "SELECT sequence FROM batches INDEXED BY waiting WHERE state = 0 ORDER BY sequence"
        for (sequence,) in self._connection.execute(sql):
            if sequence not in self._pending.settlements:
                return read_head(self._connection, sequence)
        return None

    def _hours_left(self, newest: int) -> float | None:
        """Confirmed rows make room, so what counts is what waits."""
        recent, span_ms = self._connection.execute(
            f"SELECT ifnull(sum(size + {ROW_BYTES}), 0), ifnull(max(seal_ms) - min(seal_ms), 0)"
            " FROM batches WHERE sequence > ?",
            (newest - RATE_BATCHES,),
        ).fetchone()
        if span_ms < RATE_MS_MIN or not self._bytes_max:  # lost with a damaged page
            return None
        (waiting,) = self._connection.execute(
            f"SELECT ifnull(sum(size + {ROW_BYTES}), 0) FROM batches INDEXED BY waiting"
            " WHERE state = 0"
        ).fetchone()
        return float(max(0, self._bytes_max - waiting) / (recent / span_ms) / 3_600_000)

    def states(self) -> dict[str, bytes]:
        """Each device's state as saved with the last seal that changed it."""
        with self._file.errors():
            return dict(self._connection.execute("SELECT device, state FROM states"))

    def stamped(self) -> Stamped:
        """Which times of readings are taken, for those that are stamped from now on."""
        with self._file.errors():
            sql = "SELECT last_ms FROM boots ORDER BY id DESC LIMIT 1"
            boot = self._connection.execute(sql).fetchone()
            return Stamped(read_marks(self._connection), boot[0] if boot else -1)


def _since_ms(head: Head) -> int:
    """The oldest reading's time, or when it was sealed while that time isn't known."""
    return head.first_ms if head.boot is None else head.seal_ms


def count_uplinks(path: Path) -> int:
    """How many uplinks that outbox has committed in 31 days, repeats once; beside its agent."""
    if not path.exists():
        return 0
    with closing(read_only(path)) as connection, disk_errors(path):
        made = "SELECT count(*) FROM sqlite_master WHERE name = 'keys'"
        if not connection.execute(made).fetchone()[0]:
            return 0  # its agent is just starting
        return int(connection.execute("SELECT count(*) FROM keys").fetchone()[0])
