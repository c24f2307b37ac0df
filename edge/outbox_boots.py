"""Boots: runs of the machine, some of which didn't know what time it was.

A reading of such a run carries its boot's uptime. `learn` fixes this boot's offset, and places the
boots before it that never learnt theirs: as late as possible before the next one began, but after
the last moment that was trusted. Each goes into a lane where no reading is (`lanes.py`). It also
mends the length of the gap that an unclean end left, which couldn't be told while the clock was
wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from edge.lanes import LANE_MS, marks_of, offset_in_lane
from edge.outbox_file import OutboxFile
from edge.outbox_packing import ESTIMATED, UPTIME_BELOW_MS, Entry, Offset
from edge.outbox_rows import STAMP, add_counts, raise_marks, read_counts, read_marks


class Boots:
    """The boots that rows still refer to, and what is known of their time."""

    def __init__(self, file: OutboxFile, boot_id: str, uptime_ms: int) -> None:
        self._connection = file.connection
        self._boot_id = boot_id
        self._uptime_ms = uptime_ms
        self._left_ms = 0
        self._gap_ms: int | None = None
        self.current = 0
        self.trusted = False
        self.offsets: dict[int, Offset] = {}

    def begin(self, left_ms: int | None, now_ms: int) -> None:
        """Enter this boot. `left_ms` is the last commit before an unclean end, None after a clean
        one: the time between is a gap."""
        self._connection.execute(
            "DELETE FROM boots WHERE boot_id <> ? AND id NOT IN (SELECT boot FROM batches"
            " WHERE boot IS NOT NULL UNION SELECT boot FROM journal WHERE boot IS NOT NULL)",
            (self._boot_id,),
        )
        self._connection.execute(
            "INSERT OR IGNORE INTO boots (boot_id, first_ms, last_ms) VALUES (?, ?, ?)",
            (self._boot_id, self._uptime_ms, self._uptime_ms),
        )
        sql = "SELECT id FROM boots WHERE boot_id = ?"
        (self.current,) = self._connection.execute(sql, (self._boot_id,)).fetchone()
        known = self._connection.execute(
            "SELECT id, offset_ms, quality FROM boots WHERE offset_ms IS NOT NULL"
        )
        self.offsets = {boot: Offset(offset_ms, quality) for boot, offset_ms, quality in known}
        if left_ms is not None:
            if left_ms < UPTIME_BELOW_MS:  # a clock in 1970 told it; it was after this, at least
                left_ms = read_counts(self._connection)[STAMP, "trusted"]
            self._left_ms = left_ms
            self._gap_ms = max(0, now_ms - left_ms) if left_ms else 0
            gap = {("gaps", ""): 1, ("gap_ms", ""): self._gap_ms}
            add_counts(self._connection, Counter(gap))

    def stretch(self, entries: Sequence[Entry]) -> None:
        """Note how long this boot has been running without knowing its time."""
        uptimes = [entry.time_ms for entry in entries if entry.boot is not None]
        if uptimes:
            sql = "UPDATE boots SET last_ms = max(last_ms, ?) WHERE id = ?"
            self._connection.execute(sql, (max(uptimes), self.current))
            if self.current in self.offsets:  # they were placed when they were packed
                offset_ms = self.offsets[self.current].offset_ms
                raise_marks(self._connection, [offset_ms + max(uptimes)])

    def learn(self, offset: Offset) -> dict[int, Offset]:
        """Write this boot's offset and those that follow from it; hand them to `learnt` once they
        are committed."""
        if offset.offset_ms < UPTIME_BELOW_MS:
            raise ValueError(f"a boot before 1973: offset {offset.offset_ms} ms")
        found = {} if self.current in self.offsets else self._place(offset)
        self._connection.executemany(
            "UPDATE boots SET offset_ms = ?, quality = ? WHERE id = ?",
            [(offset.offset_ms, offset.quality, boot) for boot, offset in found.items()],
        )
        self._mend_gap(offset)
        return found

    def _place(self, offset: Offset) -> dict[int, Offset]:
        """This boot and those before it that have no offset, the latest of them first, so that
        each ends before the next began; then, the earliest first, each into a lane."""
        trusted_ms = read_counts(self._connection)[STAMP, "trusted"]
        boots = self._connection.execute(
            "SELECT id, first_ms, last_ms FROM boots WHERE id <= ? AND offset_ms IS NULL"
            " ORDER BY id DESC",
            (self.current,),
        ).fetchall()
        wanted, next_ms = [], 0
        for boot, first_ms, last_ms in boots:
            placed = offset
            if boot != self.current:
                latest, least = next_ms - LANE_MS - last_ms, trusted_ms + 1 - first_ms
                placed = Offset(max(latest, least), ESTIMATED)
            next_ms = placed.offset_ms + first_ms
            wanted.append((boot, placed, first_ms, last_ms))
        found, marks = {}, list(read_marks(self._connection))
        for boot, placed, first_ms, last_ms in reversed(wanted):
            offset_ms = offset_in_lane(marks, placed.offset_ms, first_ms)
            for lane, mark in marks_of([offset_ms + last_ms]).items():
                marks[lane] = max(marks[lane], mark)
            found[boot] = Offset(offset_ms, placed.quality)
        raise_marks(self._connection, marks)
        return found

    def learnt(self, offsets: Mapping[int, Offset]) -> None:
        """They are on disk: rows of these boots can be sent, and the clock is right."""
        self.offsets.update(offsets)
        self.trusted = True
        self._gap_ms = None

    def _mend_gap(self, offset: Offset) -> None:
        if self._gap_ms is not None and self._left_ms:
            true_ms = max(0, offset.offset_ms + self._uptime_ms - self._left_ms)
            add_counts(self._connection, Counter({("gap_ms", ""): true_ms - self._gap_ms}))
