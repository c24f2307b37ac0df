"""Which questions find what is new in InfluxDB, without asking about every device each time. No IO.

InfluxDB can't say when a point was stored, and asking it for the last minute of 10,000 devices
costs it a third of a CPU-second, however little is new (bench/queries.py). The ingestor's `arrival`
notes say which gateways something came from, and since when; a gateway's devices cost 5 ms.

* each look: the gateways with a note that wasn't seen yet, where it says "within the last hours";
* every ten seconds: the gateways with a note about older readings as well;
* every half a minute: all points of the last minute, for what came without a note (those of the
  health bucket always do);
* every ten minutes, and after a long pause: the newest of each device, of a week back.

In the health bucket, kinds with one series a gateway are few enough to be asked for each time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from ingest.stores import Aggregate, Bucket, Query, Row
from ingest.stores.kinds import ARRIVAL, PER_GATEWAY
from ingest.stores.points import kinds_of
from ingest.stores.query import WHERE_VALUES_MAX, check_query

OVERLAP_MS = 60_000
"""Readings are looked for from so long before the last look: clocks differ, batches travel."""

NOTES_OVERLAP_MS = 10_000
LATE_EVERY_MS = 10_000
WITHOUT_NOTES_EVERY_MS = 30_000
WEEK_EVERY_MS = 600_000
DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS
PAUSE_MS_MAX = 300_000
LIVE_MS = 2 * 3_600_000
LOOK_AHEAD_MS = 3_600_000
LIVE_AHEAD_MS = 60_000
"""A device's one reading with a time far ahead must not hide those that come after it."""

Note = tuple[str, int]
"""Gateway and time of an arrival."""


class Look(msgspec.Struct, frozen=True):
    """One look: the caller's kinds and cursor, and the city's time now."""

    kinds: tuple[str, ...]
    cursor: int
    bucket: Bucket
    now_ms: int

    @property
    def start_ms(self) -> int:
        """From when readings are new."""
        return max(self.cursor - OVERLAP_MS, 0)

    @property
    def whole(self) -> bool:
        """Whether it is time for the newest point of every device."""
        return self.now_ms - self.cursor > PAUSE_MS_MAX or self.turn(WEEK_EVERY_MS)

    @property
    def noted(self) -> bool:
        """Whether notes are about this bucket: what gateways send, and their batches."""
        return self.bucket is Bucket.CITY

    def turn(self, every_ms: int) -> bool:
        """Whether a multiple of that time lies between the last look and this one."""
        return self.now_ms // every_ms != self.cursor // every_ms

    def question(
        self, kind: str, start_ms: int, aggregate: Aggregate | None, gateways: Sequence[str] = ()
    ) -> Query:
        """What is asked about one kind, checked.

        Raises:
            StoreError: the bucket has no such kind.
        """
        known = kinds_of(self.bucket).get(kind)
        return check_query(
            Query(
                kind=kind,
                fields=tuple(known.fields) if known else (),
                start_ms=max(start_ms, 0),
                stop_ms=self.now_ms + (LIVE_AHEAD_MS if gateways else LOOK_AHEAD_MS),
                aggregate=aggregate,
                where={"gateway": tuple(gateways)} if gateways else {},
                bucket=self.bucket,
            )
        )


class Looks:
    """What one store has been asked, look by look."""

    def __init__(self) -> None:
        # Notes by the kinds that were asked for → the look that took them in. Bounded: what has
        # left the window that `notes` asks for is forgotten.
        self._taken: dict[tuple[Bucket, tuple[str, ...]], dict[Note, int]] = {}

    def notes(self, look: Look) -> Query | None:
        """The question for notes, to be asked before the readings: they are written after them.
        None when there are none."""
        if not look.noted:
            return None
        return check_query(
            Query(
                kind=ARRIVAL.name,
                fields=tuple(ARRIVAL.fields),
                start_ms=_notes_from_ms(look),
                stop_ms=look.now_ms + LOOK_AHEAD_MS,
            )
        )

    def questions(self, look: Look, notes: Iterable[Row], retention_days: int) -> list[Query]:
        """What to ask for, given the notes."""
        if look.whole:
            back_ms = max(WEEK_MS, look.now_ms - look.start_ms)
            start_ms = look.now_ms - min(back_ms, retention_days * DAY_MS)
            return [look.question(kind, start_ms, Aggregate.NEWEST) for kind in look.kinds]
        without_notes = look.turn(WITHOUT_NOTES_EVERY_MS)
        asked = [
            look.question(kind, look.start_ms, None)
            for kind in look.kinds
            if without_notes or (kind in PER_GATEWAY and not look.noted)
        ]
        for since in self._gateways(look, notes):
            if since:
                asked += [
                    look.question(kind, min(since.values()), Aggregate.NEWEST, _some(since))
                    for kind in look.kinds
                ]
        return asked

    def took(self, look: Look, notes: Iterable[Row]) -> None:
        """The answers are in: these notes are dealt with, for this look's cursor and later ones."""
        key, from_ms = (look.bucket, look.kinds), _notes_from_ms(look)
        known = self._taken.get(key, {})
        taken = {_note(row): known.get(_note(row), look.now_ms) for row in notes}
        self._taken[key] = {
            note: at_ms for note, at_ms in {**known, **taken}.items() if note[1] >= from_ms
        }

    def _gateways(self, look: Look, notes: Iterable[Row]) -> tuple[dict[str, int], dict[str, int]]:
        """Gateway → the oldest reading that came: of live ones, and of late ones if it's time."""
        taken = self._taken.get((look.bucket, look.kinds), {})
        live: dict[str, int] = {}
        late: dict[str, int] = {}
        for row in notes:
            gateway, oldest_ms = row.tags["gateway"], int(row.fields["oldest_ms"])
            if oldest_ms < look.now_ms - LIVE_MS:
                if look.turn(LATE_EVERY_MS):
                    late[gateway] = min(oldest_ms, late.get(gateway, oldest_ms))
            elif taken.get(_note(row), look.now_ms + 1) > look.cursor:
                live[gateway] = min(oldest_ms, live.get(gateway, oldest_ms))
        return live, late


def _notes_from_ms(look: Look) -> int:
    """From when notes matter: since the last look, and since the last turn for late readings. A
    whole look needs them only so that the next one knows what it has dealt with."""
    since_ms = look.now_ms if look.whole else look.cursor
    return max(since_ms - since_ms % LATE_EVERY_MS - NOTES_OVERLAP_MS, 0)


def _note(row: Row) -> Note:
    return row.tags["gateway"], row.time_ms


def _some(since: dict[str, int]) -> tuple[str, ...]:
    """The gateways, or none (which asks about all) when they are too many to name."""
    return tuple(since) if len(since) <= WHERE_VALUES_MAX else ()
