"""The outbox: readings go in with one commit, and leave when the cloud says that it has them.

In: formatted lines, the counts that belong to them, the devices' states. Out: sealed batches, in
order, as often as asked. `OUTBOX.md` beside this file says what is promised and what a power cut
can cost. Everything here is synchronous and single-threaded; `outbox_thread.py` is its thread.
"""

from __future__ import annotations

import hashlib
import sqlite3
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TypeVar

from edge.configuration import OutboxSettings
from edge.outbox_boots import Boots
from edge.outbox_file import (
    Connect,
    DiskFull,
    OutboxFailing,
    OutboxFile,
    OutboxFull,
    OutboxUnusable,
    take_lock,
)
from edge.outbox_keys import add_once
from edge.outbox_packing import Entry, Offset, Packed, pack, repack
from edge.outbox_reader import OutboxReader, settlement_of
from edge.outbox_repair import open_or_repair
from edge.outbox_room import Room, pages_for
from edge.outbox_rows import (
    CONFIRMED,
    STAMP,
    Counts,
    Head,
    add_counts,
    get_meta,
    insert_batch,
    next_seal_ms,
    raise_marks,
    read_counts,
    read_head,
    read_journal,
    replace_batch,
    resend,
    set_meta,
    set_stamp,
)
from edge.records import Line, Sealed
from wire.clock import Clock
from wire.messages import Fate

COUNTED_BY_CALLERS = ("taken", "refused", "suppressed", "noise")

_T = TypeVar("_T")


class Outbox(OutboxReader):
    """Readings between the gateway's sensors and the cloud's database.

    A call that raises `OutboxFailing` has changed nothing: its lines are not accepted and its
    counts are not counted.
    """

    def __init__(self, file: OutboxFile, settings: OutboxSettings, clock: Clock, boot_id: str):
        super().__init__(file, settings.bytes_max)
        self.boot_id = boot_id
        self._clock = clock
        self._room = Room(file, settings)
        self._window: frozenset[int] = frozenset()
        self._saved = self.states()
        self._boots = Boots(file, boot_id, round(clock.uptime_s() * 1000))
        self._closed = False

    @classmethod
    def open(
        cls,
        settings: OutboxSettings,
        clock: Clock,
        identity: str,
        connect: Connect = sqlite3.connect,
        boot_id: str = "",
    ) -> Outbox:
        """Open or make the outbox of this machine; a damaged one is repaired, never refused.

        `identity` says which machine and card this is: another one begins a new epoch. `boot_id`
        is the kernel's, so that a restarted agent knows that its uptime runs on; without one every
        start counts as a boot.

        Raises:
            OutboxUnusable: the path, the file system or the disk won't do; it says which and why.
        """
        path = Path(settings.path)
        with ExitStack() as undo:
            lock = take_lock(path)
            undo.callback(lock.close)
            try:
                file, repaired = open_or_repair(
                    path, settings.bytes_max, clock.now_ms(), connect, lock
                )
                undo.callback(file.close)
                outbox = cls(file, settings, clock, boot_id or uuid.uuid4().hex)
                outbox._begin(identity)
            except OutboxFailing as error:
                raise OutboxUnusable(error.reason, error.remedy) from error
            undo.pop_all()
        if repaired:
            outbox._alarms.add("damaged")
        return outbox

    def journal(self, lines: Sequence[Line], counts: Counts) -> list[bool]:
        """Commit lines whose source waits for it. False where a line came before, within 31 days.
        One with a number of its own goes to the next millisecond that no other number has.

        Counts accepted and refused{repeat} itself; `counts` holds what the caller took. Counts
        alone, without lines, need no room.
        """
        _check_counts(counts)
        entries = [Entry.of(line, self._boots.current) for line in lines]

        def work(now_ms: int) -> list[bool]:
            if size := sum(len(entry.text) for entry in entries):
                self._room.make(pages_for((), size), self._window, now_ms)
            fresh = [add_once(self._connection, line, self._boots.current) for line in lines]
            self._boots.stretch(entries)
            accepted = sum(fresh)
            add_counts(self._connection, counts)
            own = {("accepted", ""): accepted, ("refused", "repeat"): len(fresh) - accepted}
            add_counts(self._connection, Counter(own))
            return fresh

        return self._commit(work)

    def seal(
        self, lines: Sequence[Line], states: Mapping[str, bytes], counts: Counts
    ) -> list[Sealed]:
        """Commit lines, and whatever is journalled, as batches; the ones that can be sent now.

        The same commit holds the marks of the lines' times, changed states, counts, and all that
        was confirmed since the last one. With nothing new to keep there is no commit.
        """
        _check_counts(counts)
        with self._file.errors():
            journalled, broken = read_journal(self._connection)
        entries = [Entry.of(line, self._boots.current) for line in lines]
        batches = pack([*journalled, *entries], self._boots.offsets)
        changed = {d: state for d, state in states.items() if self._saved.get(d) != state}
        if not (batches or broken or changed or any(counts.values()) or self._pending.due):
            return []

        def work(now_ms: int) -> list[Sealed]:
            if journalled or broken:
                self._connection.execute("DELETE FROM journal")
            if batches:
                others = sum(len(device) + len(state) for device, state in changed.items())
                self._room.make(pages_for(batches, others), self._window, now_ms)
            sealed = [self._insert(packed, now_ms) for packed in batches]
            raise_marks(self._connection, [e.time_ms for e in entries if e.boot is None])
            self._boots.stretch(entries)
            add_counts(self._connection, counts)
            own = {("accepted", ""): len(lines), ("dropped", "damaged"): broken}
            add_counts(self._connection, Counter(own))
            self._connection.executemany(
                "INSERT OR REPLACE INTO states VALUES (?, ?, ?)",
                [(device, state, now_ms) for device, state in changed.items()],
            )
            self._room.tidy(now_ms, self._clock.uptime_s())
            return [batch for batch in sealed if batch]

        sealed = self._commit(work)
        self._saved.update(changed)
        return sealed

    def confirm(self, epoch: bytes, fates: Sequence[Fate]) -> list[int]:
        """Take in what the cloud says; the sequences that are final now. Kept in memory until the
        next commit: a crash before it makes a repeat, which changes nothing.

        Epoch, sequence and digest must match. Another digest for a known sequence means a second
        outbox with our name and epoch: the `cloned` alarm.
        """
        if epoch != self.epoch:
            self._pending.ignored["ignored", "epoch"] += len(fates)
            return []
        with self._file.errors():
            return [fate.sequence for fate in fates if fate.final and self._settles(fate)]

    def mark_sent(self, sequence: int) -> bool:
        """A row is about to leave: if it is dropped from now on, a late confirm still finds it.
        False when it doesn't wait any more."""
        self._pending.sent.add(sequence)
        return self._waits(sequence)

    def set_window(self, sequences: frozenset[int]) -> None:
        """The rows on their way now, which aren't given up for room."""
        self._window = sequences

    def park(self, sequence: int, reason: str) -> None:
        """Set a row aside that the broker won't take: it waits on, out of the others' way."""
        sql = "UPDATE batches SET reason = ? WHERE sequence = ? AND state = 0"
        self._commit(lambda _: self._connection.execute(sql, (reason or "parked", sequence)))

    def unpark_all(self) -> None:
        """Try the parked rows again."""
        sql = "UPDATE batches SET reason = '' WHERE state = 0 AND reason <> ''"
        if self.summary().parked:
            self._commit(lambda _: self._connection.execute(sql))

    def resend_since(self, time_ms: int) -> int:
        """Let confirmed rows with readings at or after that time wait again; how many batches."""
        return self._commit(lambda _: resend(self._connection, time_ms))

    def set_boot_offset(self, offset_ms: int, quality: str) -> None:
        """This boot's uptime plus `offset_ms` is Unix time. Earlier boots that never learnt theirs
        are placed too, as late as they can have been, as `estimated`. A boot's offset is learnt
        once: readings placed by two could get the same time."""
        added = self._commit(lambda _: self._boots.learn(Offset(offset_ms, quality)))
        self._boots.learnt(added)

    def new_epoch(self, reason: str) -> None:
        """Number on under a new name, so that nobody's confirmations are taken for ours."""
        epoch = uuid.uuid4().bytes
        self._commit(lambda _: self._set_epoch(epoch, reason))
        self.epoch = epoch
        self._alarms.discard("cloned")

    def close(self) -> None:
        """A last commit, and the mark that nothing was lost."""
        if self._closed:
            return
        self._closed = True
        try:
            self._commit(lambda _: set_meta(self._connection, "clean", 1))
        finally:
            self._file.close()

    def _begin(self, identity: str) -> None:
        """What every start writes, in one commit."""
        name = hashlib.blake2b(identity.encode(), digest_size=16).hexdigest()
        clean, known = get_meta(self._connection, "clean"), get_meta(self._connection, "identity")
        epoch = self.epoch if self.epoch and known == name else uuid.uuid4().bytes
        stamps = read_counts(self._connection)
        left_ms = stamps[STAMP, "commit"] if clean == 0 else None

        def work(now_ms: int) -> None:
            if epoch != self.epoch:
                self._set_epoch(epoch, "identity" if self.epoch else "made")
            set_meta(self._connection, "identity", name)
            set_meta(self._connection, "clean", 0)
            set_meta(self._connection, "bytes_max", self._bytes_max)
            self._boots.begin(left_ms, now_ms)

        self._commit(work)
        self.epoch = epoch

    def _set_epoch(self, epoch: bytes, reason: str) -> None:
        set_meta(self._connection, "epoch", epoch)
        set_meta(self._connection, "epoch_reason", reason)

    def _commit(self, work: Callable[[int], _T]) -> _T:
        """One transaction around `work` and all that is pending; `work` may run twice."""
        try:
            try:
                result = self._transact(work)
            except DiskFull:
                if self._room.disk_full:
                    raise
                self._room.release_ballast(self._clock.uptime_s())
                result = self._transact(work)
        except OutboxFailing as error:
            self._alarms.add("disk_full" if isinstance(error, OutboxFull) else "disk_failing")
            self._confirm_alone()
            self._room.restore_ballast(self._clock.uptime_s())  # room again: the next one may grow
            raise
        self._pending.clear()
        self._room.restore_ballast(self._clock.uptime_s())
        with suppress(OutboxFailing):  # later will do
            self._room.give_back()
        self._alarms -= {"disk_failing", "disk_full"}
        if self._room.disk_full:
            self._alarms.add("disk_full")
        return result

    def _confirm_alone(self) -> None:
        """New readings found no room; what was confirmed needs none, and makes some."""
        if self._pending.due:
            with suppress(OutboxFailing):
                self._transact(lambda _: None)
                self._pending.clear()

    def _transact(self, work: Callable[[int], _T]) -> _T:
        now_ms = self._clock.now_ms()
        with self._file.transaction():
            self._pending.write(self._connection, now_ms)
            result = work(now_ms)
            set_stamp(self._connection, "commit", now_ms)
            if self._boots.trusted:
                set_stamp(self._connection, "trusted", now_ms)
        return result

    def _insert(self, packed: Packed, now_ms: int) -> Sealed | None:
        """Number a batch; None when it can't be sent before its boot's time is known."""
        sequence = insert_batch(self._connection, packed, next_seal_ms(self._connection, now_ms))
        head = read_head(self._connection, sequence)
        return self._sealed(head, packed.payload) if head and packed.boot is None else None

    def _sendable(self, head: Head) -> Sealed | None:
        if head.boot is None:
            return super()._sendable(head)
        payload = self._payload(head)
        packed = payload and repack(payload, bool(head.event), self._boots.offsets[head.boot])
        if not packed:
            return None

        def work(now_ms: int) -> Head | None:
            seal_ms = next_seal_ms(self._connection, now_ms)
            replace_batch(self._connection, head.sequence, packed, seal_ms)
            return read_head(self._connection, head.sequence)

        placed = self._commit(work)
        return self._sealed(placed, packed.payload) if placed else None

    def _settles(self, fate: Fate) -> bool:
        pending = self._pending.settlements.get(fate.sequence)
        head = read_head(self._connection, fate.sequence)
        if head is None:
            self._pending.ignored["ignored", "unknown"] += 1
        elif head.digest != fate.digest:
            self._pending.ignored["ignored", "digest"] += 1
            self._alarms.add("cloned")
        elif pending is None and head.state != CONFIRMED:
            self._pending.settlements[fate.sequence] = settlement_of(head, fate)
            return True
        return False


def _check_counts(counts: Counts) -> None:
    for name, _ in counts:
        if name not in COUNTED_BY_CALLERS:
            raise ValueError(f"{name} is counted by the outbox, not by its callers")
