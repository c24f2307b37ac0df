"""Lines to payloads, and times of a boot that didn't know the time yet.

In: entries, each a line with its time. Out: batches within the wire's bounds. Entries whose time
is a boot's uptime are packed apart, one boot at a time, with room to grow by the digits that their
real time needs; `place` gives them that time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from edge.records import Line
from wire.batch import (
    COMPRESSED_BYTES_MAX,
    RAW_BYTES_MAX,
    UnknownDictionary,
    decode_batch,
    digest,
    encode_batch,
)

UPTIME_BELOW_MS = 10**11
"""A line's time under this is its boot's uptime: as Unix time it would be 1973."""

ESTIMATED = "estimated"
_MARK = f'time_quality="{ESTIMATED}"'


class Offset(msgspec.Struct, frozen=True):
    """What turns a boot's uptime into Unix time, and how well it is known."""

    offset_ms: int
    quality: str = ""


class Entry(msgspec.Struct, frozen=True):
    """A line on its way into a batch. `boot` is set while its time is that boot's uptime."""

    text: str
    time_ms: int
    event: bool
    boot: int | None = None

    @classmethod
    def of(cls, line: Line, boot: int) -> Entry:
        """A line as intake gives it, in this boot."""
        relative = line.time_ms < UPTIME_BELOW_MS
        return cls(line.text, line.time_ms, line.event, boot if relative else None)


class Packed(msgspec.Struct, frozen=True):
    """A batch before it has its number."""

    payload: bytes
    digest: bytes
    readings: int
    first_ms: int
    last_ms: int
    event: bool
    boot: int | None


def pack(entries: Iterable[Entry], offsets: Mapping[int, Offset]) -> list[Packed]:
    """Entries as batches in their order, those of a boot without known time apart."""
    groups: dict[int | None, list[Entry]] = {}
    for entry in entries:
        offset = offsets.get(entry.boot) if entry.boot is not None else None
        placed = place(entry, offset) if offset else entry
        groups.setdefault(placed.boot, []).append(placed)
    return [packed for group in groups.values() for packed in _split(group)]


def place(entry: Entry, offset: Offset) -> Entry:
    """An entry with its boot's uptime replaced by Unix time."""
    head, _, uptime = entry.text.rpartition(" ")
    time_ms = int(uptime) + offset.offset_ms
    if offset.quality == ESTIMATED:
        head = _mark(head)
    return Entry(f"{head} {time_ms}", time_ms, entry.event)


def repack(payload: bytes, event: bool, offset: Offset) -> Packed | None:
    """A payload of uptimes as one of Unix times. It fits: `_split` left room for it.

    None for one that a newer version packed, before it went back: it waits for that one.
    """
    try:
        texts = decode_batch(payload)
    except UnknownDictionary:
        return None
    entries = [Entry(text, int(text.rpartition(" ")[2]), event) for text in texts]
    return _packed([place(entry, offset) for entry in entries])


def _mark(head: str) -> str:
    tags, _, fields = head.partition(" ")
    if _MARK in fields:
        return head
    return f"{tags} {','.join(sorted([*fields.split(','), _MARK]))}"  # no value holds a comma


def _device_of(text: str) -> list[str]:
    """What lines are sorted by, which makes a batch 2 % smaller; a device's stay in their order."""
    return text.split(",", 2)[:2]


def _split(entries: Sequence[Entry]) -> Iterator[Packed]:
    share = 1 if entries[0].boot is None else 2
    raw = sum(len(entry.text) + 1 for entry in entries)
    if len(entries) == 1 or raw <= RAW_BYTES_MAX // (2 * share):  # else hardly ever small enough
        packed = _packed(entries)
        if len(entries) == 1 or len(packed.payload) <= COMPRESSED_BYTES_MAX // share:
            yield packed
            return
    middle = len(entries) // 2
    yield from _split(entries[:middle])
    yield from _split(entries[middle:])


def _packed(entries: Sequence[Entry]) -> Packed:
    payload = encode_batch(sorted([entry.text for entry in entries], key=_device_of))
    times = [entry.time_ms for entry in entries]
    event = any(entry.event for entry in entries)
    return Packed(
        payload, digest(payload), len(entries), min(times), max(times), event, entries[0].boot
    )
