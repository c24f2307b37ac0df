"""What counting a day asks the store: notes of batches, frame counters, what is written already.

A question costs more than its answer, so each is about several gateways. An answer that reaches the
limit would make what it leaves out look missing: then it is `TooMany`, and the caller asks for
fewer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import msgspec

from devices.kinds import KINDS
from ingest.completeness import DAY_MS, Given, Note
from ingest.radio import Heard
from ingest.rollup import HOUR_MS
from ingest.stores import Aggregate, Bucket, Query, Row, Store
from ingest.stores.kinds import GATEWAY_BATCH, GATEWAY_COMPLETENESS
from ingest.stores.query import ROWS_MAX

_BASELINE_MS = 2 * HOUR_MS
"""How far before a day frame counters are looked for, to count its first uplinks."""

_FIELDS = ("epoch", "sequence", "readings", "rejected")


class Known(msgspec.Struct, frozen=True):
    """What is already written of a day, and was true when it was last the newest one. A day that
    was first counted when it was over says nothing of epochs."""

    missing: int = 0
    unfinished: int = 0
    dropped_ever: int = 0
    epoch: str = ""
    newest: int = 0
    newest_ms: int = 0
    epoch_before: str = ""
    newest_before: int = 0
    newest_before_ms: int = 0

    @property
    def given(self) -> list[Given]:
        """Numbers given out by the end of that day."""
        known = [
            Given(self.epoch_before, self.newest_before, self.newest_before_ms),
            Given(self.epoch, self.newest, self.newest_ms),
        ]
        return [given for given in known if given.epoch]


class TooMany(Exception):
    """An answer that reached its limit, of more than one gateway."""


class Answers:
    """One store, asked by the accounts."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def known(
        self, gateways: Sequence[str], start_ms: int, last_ms: int
    ) -> dict[tuple[str, int], Known]:
        """What is written of these gateways, of all when none is named."""
        query = Query(
            kind=GATEWAY_COMPLETENESS.name,
            fields=Known.__struct_fields__,
            start_ms=start_ms,
            stop_ms=last_ms + 1,
            group=("device",),
            where={"gateway": tuple(gateways)} if gateways else {},
            bucket=Bucket.HOURLY,
            limit=ROWS_MAX,
        )
        return {
            (row.tags["device"], row.time_ms): msgspec.convert(row.fields, Known)
            for row in await self._store.read(query)
        }

    async def notes(
        self, gateways: Sequence[str], start_ms: int, now_ms: int
    ) -> defaultdict[str, list[Note]]:
        """The notes since then of each gateway, and its last one before."""
        query = Query(
            kind=GATEWAY_BATCH.name,
            fields=_FIELDS,
            start_ms=start_ms,
            stop_ms=now_ms + DAY_MS,
            where={"gateway": tuple(gateways)},
            limit=ROWS_MAX,
        )
        before = msgspec.structs.replace(
            query, start_ms=0, stop_ms=start_ms, aggregate=Aggregate.NEWEST
        )
        notes: defaultdict[str, list[Note]] = defaultdict(list)
        for row in [*await self._store.read(before), *await self._whole(query, gateways)]:
            if len(row.fields) == len(_FIELDS):
                notes[row.tags["gateway"]].append(_note(row))
        return notes

    async def uplinks(self, gateways: Sequence[str], start_ms: int) -> dict[str, list[list[Heard]]]:
        """The frame counters of each gateway's devices around that day."""
        found: dict[str, list[list[Heard]]] = {}
        for kind in KINDS.values():
            if "frame_counter" not in kind.fields:
                continue
            query = Query(
                kind=kind.name,
                fields=("frame_counter",),
                start_ms=start_ms - _BASELINE_MS,
                stop_ms=start_ms + DAY_MS,
                where={"gateway": tuple(gateways)},
                limit=ROWS_MAX,
            )
            heard: defaultdict[tuple[str, str], list[Heard]] = defaultdict(list)
            for row in await self._whole(query, gateways):
                if (counter := row.fields.get("frame_counter")) is not None:
                    key = row.tags["gateway"], row.tags["device"]
                    heard[key].append((row.time_ms, int(counter)))
            for (gateway, _), uplinks in heard.items():
                found.setdefault(gateway, []).append(uplinks)
        return found

    async def _whole(self, query: Query, gateways: Sequence[str]) -> list[Row]:
        rows = await self._store.read(query)
        if len(rows) >= query.limit and len(gateways) > 1:
            raise TooMany
        return rows


def _note(row: Row) -> Note:
    fields = row.fields
    return Note(
        str(fields["epoch"]),
        int(fields["sequence"]),
        row.time_ms,
        int(fields["readings"]),
        int(fields["rejected"]),
    )
