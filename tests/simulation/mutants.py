"""Faults of ours, put in by hand, that the simulation must catch; each a line of real code."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple
from unittest.mock import patch

import msgspec

import edge.outbox
import edge.outbox_keys
import edge.outbox_packing
import edge.outbox_reader
import edge.outbox_rows
import edge.window
from edge.outbox import Outbox
from edge.outbox_file import OutboxFile
from edge.outbox_reader import Pending, settlement_of
from edge.outbox_rows import CONFIRMED, Head, read_head
from edge.outbox_thread import OutboxThread, _on_thread
from edge.records import Tally
from edge.sealing import Sealing
from edge.timekeeping import Timekeeping
from edge.uplink import Uplink
from edge.window import Window
from ingest.dead_letters import DeadLetters
from ingest.joiner import Joiner
from tests.simulation.schedule import simulate
from wire.messages import Fate
from wire.topics import Leaf

Patch = tuple[Any, str, Any]
"""An owner, its attribute, and what is put there."""


async def _told_before(self: Any, group: Any) -> None:
    await self._outcomes.written(group, {})
    await self._store_all([line for batch in group for line in batch.checked.lines])


def _acknowledged_before(real: Callable[..., Any]) -> Callable[..., Any]:
    def uplink(self: Any, link: str, heard: Any, answered: Any) -> None:
        real(self, link, heard, lambda _: None)
        answered(None)

    return uplink


def _any_digest(self: Any, fate: Fate) -> bool:
    head = read_head(self._connection, fate.sequence)
    if head is None or head.state == CONFIRMED or fate.sequence in self._pending.settlements:
        return False
    self._pending.settlements[fate.sequence] = settlement_of(head, fate)
    return True


def _numbered_by_rows(real: Callable[..., Any]) -> Callable[..., Any]:
    """As without AUTOINCREMENT, where confirmed rows go at once."""

    def insert(connection: Any, packed: Any, seal_ms: int) -> int:
        connection.execute(
            "DELETE FROM payloads WHERE sequence IN (SELECT sequence FROM batches WHERE state = 1)"
        )
        connection.execute("DELETE FROM batches WHERE state = 1")
        with patch.object(edge.outbox_rows, "newest_sequence", edge.outbox_rows.highest_sequence):
            number: int = real(connection, packed, seal_ms)
        return number

    return insert


def _gone_when_sent(self: Any, sequence: int) -> bool:
    head = read_head(self._connection, sequence)
    if head is not None and sequence not in self._pending.settlements:
        fate = Fate(sequence, head.digest, head.readings)
        self._pending.settlements[sequence] = settlement_of(head, fate)
    return True


def _timeless(connection: Any, after: int) -> Iterator[Head]:
    sql = (
        f"SELECT {', '.join(Head.__struct_fields__)} FROM batches"
        " WHERE state = 0 AND sequence > ? AND reason = '' ORDER BY sequence"
    )
    return (Head(*row) for row in connection.execute(sql, (after,)))


def _as_it_is(self: Any, head: Head) -> Any:
    payload = self._payload(head)
    return None if payload is None else self._sealed(head, payload)


def _relaxed(real: Callable[..., Any]) -> Callable[..., Any]:
    def open_(cls: Any, *args: Any) -> Any:
        file = real(*args)
        file.connection.execute("PRAGMA synchronous=NORMAL")
        return file

    return classmethod(open_)  # type: ignore[return-value]


def _buried_nowhere(self: Any, batches: Any) -> list[str]:
    return [""] * len(batches)


def _always_live(real: Callable[..., Any]) -> Callable[..., Any]:
    def send(self: Any, now: float, sequence: int, leaf: Leaf) -> Any:
        return real(self, now, sequence, Leaf.BATCH)

    return send


def _long_lived(real: Callable[..., Any]) -> Callable[..., Any]:
    def send(self: Any, now: float, sequence: int, leaf: Leaf) -> Any:
        return msgspec.structs.replace(real(self, now, sequence, leaf), expiry_s=600)

    return send


def _never_again(self: Any, connection: Any, sequence: int, code: int) -> None:
    """As if each PUBACK were the end of it."""
    if connection is self._connection:
        self._window.settled(sequence)
        self._wake.set()


def _nothing(self: Any, connection: Any, now_ms: int) -> None:
    """Nothing is written."""


def _unmarked(head: str) -> str:
    return head


MUTANTS: dict[str, tuple[Patch, ...]] = {
    "confirm before the write": ((Joiner, "_write_until_known", _told_before),),
    "acknowledge before commit": ((Sealing, "uplink", _acknowledged_before(Sealing.uplink)),),
    "synchronous=NORMAL": ((OutboxFile, "open", _relaxed(OutboxFile.open)),),
    "a confirmation's digest ignored": ((Outbox, "_settles", _any_digest),),
    "a sequence used again": (
        (edge.outbox, "insert_batch", _numbered_by_rows(edge.outbox_rows.insert_batch)),
    ),
    "deleted when sent": ((OutboxThread, "mark_sent", _on_thread(_gone_when_sent)),),
    "no re-send after a time-out": ((Window, "_expire", lambda self, now: False),),
    "no re-send after a PUBACK": ((Uplink, "_puback", _never_again),),
    "sent before the time is known": (
        (edge.outbox_reader, "waiting_heads", _timeless),
        (Outbox, "_sendable", _as_it_is),
    ),
    "any clock is trusted": ((Timekeeping, "_system_knows", lambda self: True),),
    "an estimated time doesn't say so": ((edge.outbox_packing, "_mark", _unmarked),),
    "the keys of uplinks forgotten": (
        (edge.outbox_keys, "add_key", lambda connection, line: True),
    ),
    "rejected without a dead letter": ((DeadLetters, "append", _buried_nowhere),),
    "confirmations never written down": (
        (Pending, "write", lambda self, connection, now_ms: None),
    ),
    "back-fill sent as live": ((Window, "_send", _always_live(Window._send)),),
    "lost copies hold the live lane": ((edge.window, "LOST_MAX", 0),),
    "copies that outlive their time-out": ((Window, "_send", _long_lived(Window._send)),),
    "counts of a failed commit forgotten": ((Tally, "give_back", lambda self, counts: None),),
}
"""Of each: what is wrong, and where."""


class Caught(NamedTuple):
    """How a mutant was found out; `seed` is None when it wasn't."""

    mutant: str
    seed: int | None
    schedules: int
    seconds: float
    problem: str


@contextmanager
def put_in(name: str) -> Iterator[None]:
    """While the block lasts, that line is wrong."""
    with ExitStack() as stack:
        for owner, attribute, wrong in MUTANTS[name]:
            stack.enter_context(patch.object(owner, attribute, wrong))
        yield


def catch(name: str, first: int, most: int) -> Caught:
    """Run schedules with that fault until one finds it out."""
    began = time.perf_counter()
    with put_in(name):
        for number in range(most):
            outcome = simulate(first + number)
            if outcome.problems:
                seconds = time.perf_counter() - began
                return Caught(name, outcome.seed, number + 1, seconds, outcome.problems[0])
    return Caught(name, None, most, time.perf_counter() - began, "")
