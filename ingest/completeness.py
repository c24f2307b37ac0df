"""How much of a gateway's day is in the store: numbers that are there, wait, or are missing.

In: the notes of settled batches (`gateway_batch`), and what the gateway says of itself (`Mark`).
Out: a `Day` for each day (UTC) asked for. Pure.

A batch is named by its outbox's epoch and its sequence, which is never used twice, and belongs to
the day of its `seal_ms`. A number without a note, between two that have one or below the newest
that the gateway has given out, is

    waiting   the gateway still holds numbers as old as this one
    missing   it doesn't: dropped for room, damaged, or confirmed and not there

What is no gap though it looks like one:

* a new epoch in the same file numbers on, and what waited is sent under the new name: a number that
  another epoch has, sealed between the neighbours of the hole, fills it;
* a row that was sealed without time is sealed again, later, under its own number: order is by
  sequence, never by time;
* a batch that comes twice, or is noted twice, is one;
* one that is dead-lettered, even whole, has arrived: `rejected`.

Nobody knows when a missing batch was sealed: its day is interpolated between its neighbours.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import msgspec

from wire.messages import Status

DAY_MS = 86_400_000
_SANE_MS = 10**12  # 2001: no gateway is older
EPOCHS_MAX, HOLES_MAX = 64, 10_000
"""The newest of each are looked at. No gateway has half as many but one that invents them, and it
must not keep the watch from judging the others."""


class Note(msgspec.Struct, frozen=True):
    """One `gateway_batch`. `readings` 0: it couldn't be opened."""

    epoch: str
    sequence: int
    seal_ms: int
    readings: int
    rejected: int


class Mark(msgspec.Struct, frozen=True):
    """What the gateway's newest status says: the numbers that wait (0 when none does), the newest
    ever given out, and readings dropped by reason since its outbox was made."""

    epoch: str
    oldest: int
    newest: int
    oldest_ms: int
    time_ms: int
    dropped: dict[str, int]

    @classmethod
    def of(cls, status: Status) -> Mark:
        return cls(
            status.epoch,
            status.oldest_sequence,
            status.newest_sequence,
            status.oldest_waiting_ms,
            status.time_ms,
            status.ledger.dropped,
        )


class Given(msgspec.Struct, frozen=True):
    """An epoch had given out the numbers up to `newest` at that moment."""

    epoch: str
    newest: int
    time_ms: int


class Hole(msgspec.Struct, frozen=True):
    """Numbers `first` to `last` of an epoch without a note, sealed between two moments."""

    epoch: str
    first: int
    last: int
    start_ms: int
    stop_ms: int
    waiting: bool = False

    @property
    def batches(self) -> int:
        return self.last - self.first + 1


class Day(msgspec.Struct):
    """A gateway's day in batches, and in readings where that is said."""

    start_ms: int
    stored: int = 0
    rejected: int = 0
    waiting: int = 0
    missing: list[Hole] = []
    readings: int = 0
    readings_rejected: int = 0

    @property
    def missing_batches(self) -> int:
        return sum(hole.batches for hole in self.missing)

    @property
    def sealed(self) -> int:
        return self.stored + self.rejected + self.waiting + self.missing_batches

    @property
    def share(self) -> float | None:
        """Stored of what should be there by now; None when that is nothing."""
        due = self.sealed - self.waiting
        return self.stored / due if due else None


def day_of(time_ms: int) -> int:
    """Start of the day (UTC) that holds the time."""
    return time_ms - time_ms % DAY_MS


def account(
    notes: Sequence[Note], mark: Mark, days: Iterable[int], earlier: Sequence[Given] = ()
) -> tuple[dict[int, Day], list[Hole]]:
    """The days that start at these moments, and every hole found, waiting or missing.

    `notes` must reach back to the last one before the first day, and up to now: a batch of any day
    can come at any time. `earlier` is what is remembered of epochs that have ended, so that what
    waited on a card that burnt is missed.
    """
    accounts = {start_ms: Day(start_ms, missing=[]) for start_ms in days}
    by_name = {(note.epoch, note.sequence): note for note in notes}
    for note in by_name.values():
        if day := accounts.get(day_of(note.seal_ms)):
            if note.readings > note.rejected:
                day.stored += 1
            else:
                day.rejected += 1
            day.readings += note.readings - note.rejected
            day.readings_rejected += note.rejected
    holes = list(_holes(list(by_name.values()), mark, earlier))
    for hole in holes:
        for day in accounts.values():
            piece = _within(hole, day.start_ms)
            if piece is None:
                continue
            if piece.waiting:
                day.waiting += piece.batches
            else:
                day.missing.append(piece)
    return accounts, holes


def ranges_text(holes: Sequence[Hole], length: int) -> str:
    """`17-19 40 +3`: the first ranges that fit, and how many don't."""
    words = [
        f"{hole.first}-{hole.last}" if hole.first < hole.last else str(hole.first) for hole in holes
    ]
    for shown in range(len(words), 0, -1):
        rest = [f"+{len(words) - shown}"] if shown < len(words) else []
        text = " ".join([*words[:shown], *rest])
        if len(text) <= length:
            return text
    return f"+{len(words)}" if words else ""


def _holes(notes: Sequence[Note], mark: Mark, earlier: Sequence[Given]) -> Iterator[Hole]:
    by_epoch: defaultdict[str, list[Note]] = defaultdict(list)
    for note in notes:
        by_epoch[note.epoch].append(note)
    for known in by_epoch.values():
        known.sort(key=lambda note: note.sequence)
    everyone = sorted((note.sequence, note.seal_ms) for note in notes)
    in_time = sorted(by_epoch.values(), key=lambda known: known[0].seal_ms)[-EPOCHS_MAX:]
    now = Given(mark.epoch, mark.newest, mark.time_ms)
    holes = [hole for known in in_time for hole in _between(pairwise(known))][-HOLES_MAX:]
    edges = [_below(by_epoch.get(mark.epoch), mark)]
    edges += [_above(by_epoch.get(given.epoch), given) for given in (now, *earlier)]
    # The first batch of an epoch follows the last of the one before, if it numbers on.
    edges += _between((before[-1], after[0]) for before, after in pairwise(in_time))
    for edge in filter(None, edges):
        holes += _beside(edge, holes)
    for hole in holes:
        for part in _unfilled(hole, everyone):
            yield from _judged(part, mark)


def _between(pairs: Iterable[tuple[Note, Note]]) -> Iterator[Hole]:
    for before, after in pairs:
        if after.sequence > before.sequence + 1:
            start_ms, stop_ms = sorted((before.seal_ms, after.seal_ms))
            yield Hole(after.epoch, before.sequence + 1, after.sequence - 1, start_ms, stop_ms)


def _beside(hole: Hole, others: Sequence[Hole]) -> list[Hole]:
    """The hole without the numbers that other holes of that time already have."""
    pieces, first = [], hole.first
    for low, high in sorted(
        (other.first, other.last)
        for other in others
        if other.start_ms <= hole.stop_ms and hole.start_ms <= other.stop_ms
    ):
        if low > hole.last:
            break
        if low > first:
            pieces.append(msgspec.structs.replace(hole, first=first, last=low - 1))
        first = max(first, high + 1)
    if first <= hole.last:
        pieces.append(msgspec.structs.replace(hole, first=first))
    return pieces


def _below(known: Sequence[Note] | None, mark: Mark) -> Hole | None:
    """What the gateway still holds from before the first note of its epoch."""
    first, stop_ms = mark.newest + 1, mark.time_ms
    if known:
        first, stop_ms = known[0].sequence, known[0].seal_ms
    if not 0 < mark.oldest < first:
        return None
    start_ms = min(mark.oldest_ms, stop_ms)
    if start_ms < _SANE_MS:  # a row of a boot that doesn't know the time
        start_ms = stop_ms
    return Hole(mark.epoch, mark.oldest, first - 1, start_ms, stop_ms)


def _above(known: Sequence[Note] | None, given: Given) -> Hole | None:
    """Numbers given out after the last note."""
    if not known or known[-1].sequence >= given.newest:
        return None
    last = known[-1]
    stop_ms = max(given.time_ms, last.seal_ms)
    return Hole(given.epoch, last.sequence + 1, given.newest, last.seal_ms, stop_ms)


def _unfilled(hole: Hole, everyone: Sequence[tuple[int, int]]) -> Iterator[Hole]:
    """The hole without the numbers that another epoch has from that time."""
    low, high = bisect_left(everyone, (hole.first, 0)), bisect_right(everyone, (hole.last + 1, 0))
    first = hole.first
    for sequence, seal_ms in everyone[low:high]:
        if first <= sequence <= hole.last and hole.start_ms <= seal_ms <= hole.stop_ms:
            if sequence > first:
                yield msgspec.structs.replace(hole, first=first, last=sequence - 1)
            first = sequence + 1
    if first <= hole.last:
        yield msgspec.structs.replace(hole, first=first)


def _judged(hole: Hole, mark: Mark) -> Iterator[Hole]:
    """Cut where the numbers begin that the gateway still holds. Of another epoch it holds those
    that it will send under its new name."""
    holds = mark.oldest > 0 and (hole.epoch == mark.epoch or mark.oldest_ms <= hole.stop_ms)
    if not holds or hole.last < mark.oldest:
        yield hole
        return
    if hole.first < mark.oldest:
        yield msgspec.structs.replace(hole, last=mark.oldest - 1)
    yield msgspec.structs.replace(hole, first=max(hole.first, mark.oldest), waiting=True)


def _within(hole: Hole, day_ms: int) -> Hole | None:
    """The part of the hole that falls into that day, its numbers spread evenly over its time."""
    low, high = _first_at(hole, day_ms), _first_at(hole, day_ms + DAY_MS) - 1
    return msgspec.structs.replace(hole, first=low, last=high) if low <= high else None


def _first_at(hole: Hole, time_ms: int) -> int:
    """The first number of the hole at or after that moment, `last + 1` when there is none. The
    i-th is at start + i * span / (n + 1)."""
    span_ms, steps = hole.stop_ms - hole.start_ms, hole.batches + 1
    if time_ms <= hole.start_ms:
        return hole.first
    if time_ms > hole.stop_ms:
        return hole.last + 1
    index = -(-(time_ms - hole.start_ms) * steps // span_ms)
    return min(hole.first + max(index, 1) - 1, hole.last + 1)
