"""What became of each batch, and telling its gateway: the verb is confirm.

    written, all lines good ─────────────────────────────▶ note, Confirm, acknowledge
    written, some bad ─▶ dead letters (one sync for many) ─▶ note, Confirm, acknowledge
    refused whole      ─▶ dead letters ──────────────────▶ note, Confirm, acknowledge
    kept, deferred, postponed, dead letters full ─▶ hold, acknowledge

A gateway hears `stored` after the database said yes and `rejected` after the dead letter is on
disk, never earlier. What it doesn't hear (a crash in between, a lost connection) it sends again,
and writing again changes nothing. Batches without bad lines never wait for the dead-letter file.

The topic of a confirmation comes from the gateway's name, never from the message. A snapshot (no
key) is answered by nothing.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache

import msgspec

from ingest.arrivals import Arrival
from ingest.broker import Connection, Lost
from ingest.counters import Counters
from ingest.dead_letters import DeadLetters, Letter
from ingest.guard import Checked, Deferred, Postponed, Refused, Rejected
from ingest.joiner import Rejections, Taken
from ingest.notes import Notes, Settled
from wire.batch import COMPRESSED_BYTES_MAX, BatchKey
from wire.clock import Clock
from wire.messages import Fate, encode_confirm
from wire.topics import Leaf, topic

log = logging.getLogger(__name__)

CONFIRM_EXPIRY_S = 30
HOLD_S, HOLD_FOR_NEWER_VERSION_S, HOLD_FOR_ROOM_S = 5.0, 300.0, 60.0
_LETTER_BATCHES_MAX = 1000

Told = tuple[str, bytes, Fate]
"""Gateway, epoch, fate."""


class _Bad(msgspec.Struct, eq=False):
    """A batch on its way to the dead-letter file; `stored` of its lines are in the database."""

    gateway: str
    key: BatchKey
    arrival: Arrival
    letters: list[Letter]
    rejected: dict[str, int]
    batch: Checked | Refused
    stored: int = 0


class Fates:
    """The end of the line for every batch that came in."""

    def __init__(
        self, letters: DeadLetters, notes: Notes, clock: Clock, counters: Counters
    ) -> None:
        self._letters, self._notes, self._clock = letters, notes, clock
        self._counters = counters
        self._bad: asyncio.Queue[_Bad] = asyncio.Queue()  # bounded by what subscribers have in hand
        self.connections: list[Connection] = []

    async def run(self) -> None:
        """Write dead letters until cancelled."""
        while True:
            await self._bury(await self._some_bad())

    async def written(self, batches: Sequence[Taken], rejected: Rejections) -> None:
        """See `joiner.Outcomes`."""
        told: list[Told] = []
        clean: list[Taken] = []
        stored = 0
        for place, batch in enumerate(batches):
            checked = batch.checked
            key, size = checked.key, checked.lines.size
            bad = rejected.get(place, {}) if rejected else {}
            stored += size - len(bad)
            if key is None:
                self._counters.rejected.update(_reasons(_all_rejected(checked, bad)))
                clean.append(batch)
            elif bad or checked.rejected:
                self._bad.put_nowait(self._bad_lines(batch, key, bad))
            else:
                told.append((checked.gateway, key.epoch, Fate(key.sequence, key.digest, size)))
                clean.append(batch)
        self._counters.stored += stored
        await self._notes.note([Settled(batch.checked) for batch in clean])
        await self._tell(told)
        for batch in clean:
            batch.arrival.settle()

    async def kept(self, batches: Sequence[Taken], reason: str, retry_after_s: float) -> None:
        """See `joiner.Outcomes`."""
        await self._tell(
            self._hold(batch.checked.gateway, key, reason, retry_after_s)
            for batch in batches
            if (key := batch.checked.key)
        )
        for batch in batches:
            batch.arrival.settle()

    async def nothing_to_write(self, batch: Taken) -> None:
        """A batch of which no line is good."""
        await self.written([batch], {})

    async def deferred(self, deferred: Deferred, arrival: Arrival) -> None:
        """A batch that a newer version of this program will read."""
        hold_s = HOLD_FOR_NEWER_VERSION_S
        await self._tell([self._hold(deferred.gateway, deferred.key, deferred.reason, hold_s)])
        arrival.settle()

    async def postponed(self, postponed: Postponed, wait_s: float, arrival: Arrival) -> None:
        """A batch of a gateway that has sent too much."""
        await self._tell([self._hold(postponed.gateway, postponed.key, "rate", wait_s)])
        arrival.settle()

    def refused(self, refused: Refused, arrival: Arrival) -> None:
        """A batch that nobody can read: all of it is rejected (a count of 0 says all)."""
        self._counters.refused[refused.reason] += 1
        letter = self._letter(refused.gateway, refused.key, Rejected(-1, refused.reason, ""))
        payload = refused.payload[:COMPRESSED_BYTES_MAX]
        letters = [msgspec.structs.replace(letter, payload=payload)]
        self._bad.put_nowait(
            _Bad(refused.gateway, refused.key, arrival, letters, {refused.reason: 0}, refused)
        )

    def _bad_lines(self, batch: Taken, key: BatchKey, rejected: dict[int, str]) -> _Bad:
        checked = batch.checked
        everything = _all_rejected(checked, rejected)
        return _Bad(
            checked.gateway,
            key,
            batch.arrival,
            [self._letter(checked.gateway, key, each) for each in everything],
            dict(_reasons(everything)),
            checked,
            len(checked.lines) - len(rejected),
        )

    def _letter(self, gateway: str, key: BatchKey, rejected: Rejected) -> Letter:
        epoch, digest = key.epoch.hex(), key.digest.hex()
        now_ms, line = self._clock.now_ms(), rejected.line
        return Letter(
            now_ms, gateway, epoch, key.sequence, digest, rejected.index, rejected.reason, line
        )

    async def _some_bad(self) -> list[_Bad]:
        some = [await self._bad.get()]
        while len(some) < _LETTER_BATCHES_MAX and not self._bad.empty():
            some.append(self._bad.get_nowait())
        return some

    async def _bury(self, batches: Sequence[_Bad]) -> None:
        answers = await asyncio.to_thread(self._letters.append, [each.letters for each in batches])
        told, buried = [], []
        for batch, problem in zip(batches, answers, strict=True):
            key = batch.key
            if problem:
                log.error(
                    "event=%s gateway=%s remedy=replay_or_move_the_file", problem, batch.gateway
                )
                told.append(self._hold(batch.gateway, key, problem, HOLD_FOR_ROOM_S))
                continue
            self._counters.rejected.update(batch.rejected)
            fate = Fate(key.sequence, key.digest, batch.stored, batch.rejected)
            told.append((batch.gateway, key.epoch, fate))
            whole = isinstance(batch.batch, Refused)
            buried.append(Settled(batch.batch, 0 if whole else len(batch.letters)))
        await self._notes.note(buried)
        await self._tell(told)
        for batch in batches:
            batch.arrival.settle()

    def _hold(self, gateway: str, key: BatchKey, reason: str, retry_after_s: float) -> Told:
        self._counters.held[reason] += 1
        # Spread, so that a hundred gateways don't come back at once.
        hold_s = round(max(retry_after_s, HOLD_S) * random.uniform(1.0, 1.2), 2)
        return gateway, key.epoch, Fate(key.sequence, key.digest, hold_s=hold_s)

    async def _tell(self, told: Iterable[Told]) -> None:
        """One confirmation for each gateway and epoch, all of them at once."""
        grouped: defaultdict[tuple[str, bytes], list[Fate]] = defaultdict(list)
        final = count = 0
        for gateway, epoch, fate in told:
            grouped[gateway, epoch].append(fate)
            final += fate.hold_s == 0
            count += 1
        if not count:
            return
        confirms = [
            (_confirm_topic(gateway), encode_confirm(epoch, fates))
            for (gateway, epoch), fates in grouped.items()
        ]
        if await self._publish(confirms):
            self._counters.confirmed += final
        else:
            self._counters.confirms_unsent += count

    async def _publish(self, confirms: Sequence[tuple[str, bytes]]) -> bool:
        for connection in tuple(self.connections):
            try:
                await connection.tell(confirms, CONFIRM_EXPIRY_S, self._not_allowed)
            except Lost:
                continue
            return True
        return False

    def _not_allowed(self, reason: str) -> None:
        self._counters.confirm_refused[reason] += 1


@lru_cache(maxsize=32_768)
def _confirm_topic(gateway: str) -> str:
    return topic(gateway, Leaf.CONFIRM)


def _all_rejected(checked: Checked, by_store: dict[int, str]) -> list[Rejected]:
    """The guard's and the store's, each as the gateway sealed it, at its place in the batch."""
    if not by_store:
        return checked.rejected
    bad = {rejected.index for rejected in checked.rejected}
    readings = len(checked.lines) + len(bad)
    places = [place for place in range(readings) if place not in bad]
    tag = f",gateway={checked.gateway}"
    found = [
        Rejected(places[index], reason, checked.lines[index].replace(tag, "", 1))
        for index, reason in by_store.items()
    ]
    return [*checked.rejected, *found]


def _reasons(rejected: Iterable[Rejected]) -> Counter[str]:
    return Counter(each.reason for each in rejected)
