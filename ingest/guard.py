"""Whose batch is this, and which of its lines may be written?

    topic + payload + properties ──check──▶ Checked    lines to write, bad lines with their reason
                                            Refused    this gateway's, but it can never be read
                                            Deferred   a newer version will read it: keep it
                                            Noise      nobody's; counted, never answered

No line brings its gateway: the topic says who speaks, and the broker's access list says that this
is true. The guard puts the tag in where InfluxDB sorts it, after the device; a line that brings one
is out of grammar.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

import msgspec

from ingest.grammar import SURE, BadLine, judge, sure_batch
from ingest.newcomers import Newcomers
from ingest.stores.block import Block
from wire.batch import (
    COMPRESSED_BYTES_MAX,
    CONTENT_TYPE,
    RAW_BYTES_MAX,
    BadBatch,
    BatchKey,
    UnknownDictionary,
    digest,
    expand,
    lines_of,
)
from wire.line import TIME_PATTERN
from wire.mqtt import Message
from wire.topics import Leaf, gateway_of

OwnerOf = Callable[[str, int], str | None]
"""(device, time in ms) → the gateway that owns the device then, or None when nobody does."""

HOUR_MS = 3_600_000
LINES_MAX = RAW_BYTES_MAX // 48
"""More lines than this in a batch can't all be lines: the shortest has 57 characters. A batch that
is more is refused before it is cut into lines; of one that is sure, each line is a line."""

TOPIC_LENGTH_MAX = 128
"""No topic with a gateway's name in it is longer; a longer one isn't remembered anywhere."""

SEAL_MS = "seal_ms"
"""The user property with a batch's seal time."""

_SEQUENCE_MAX = 2**53  # every number up to it is exact in InfluxQL's and JSON's floats


class Limits(msgspec.Struct, frozen=True):
    """Which times are believed, in city milliseconds around now."""

    retention_ms: int = 90 * 24 * HOUR_MS
    future_ms: int = 24 * HOUR_MS
    late_ms: int = 300_000


class Rejected(msgspec.Struct, frozen=True):
    """A line that isn't written. `index` is its place in the batch, which names it for ever."""

    index: int
    reason: str
    line: str


class SortedOut(msgspec.Struct, gc=False):
    """Lines to write, with the gateway's tag, and lines not to.

    `late_hours` are the starts of the hours that readings older than `Limits.late_ms` touch.
    """

    lines: Block
    rejected: list[Rejected]
    late_hours: tuple[int, ...]


class Checked(msgspec.Struct, frozen=True, gc=False):
    """A batch of this gateway. `key` is None for a snapshot: written, never confirmed.

    `seal_ms` is None when the property is missing or can't be.
    """

    gateway: str
    key: BatchKey | None
    lines: Block
    rejected: list[Rejected]
    late_hours: tuple[int, ...]
    seal_ms: int | None


class Refused(msgspec.Struct, frozen=True):
    """A batch of this gateway that can never be read; how many readings it has isn't known.

    It is confirmed as `Fate(rejected={reason: 0})`, where 0 means all of it: the gateway knows how
    many that is. Reasons: `too_large`, `digest`, `not_zstd`, `truncated`, `text`.
    """

    gateway: str
    key: BatchKey
    reason: str
    payload: bytes
    seal_ms: int | None = None


class Deferred(msgspec.Struct, frozen=True):
    """A batch of this gateway in a format (`content_type`) or by a dictionary (`dictionary`) that
    this version doesn't know."""

    gateway: str
    key: BatchKey
    reason: str


class Postponed(msgspec.Struct, frozen=True):
    """A batch of a gateway that has sent more than it may; it is as good as any, later."""

    gateway: str
    key: BatchKey


class Noise(msgspec.Struct, frozen=True):
    """Nothing that could be answered: no gateway (`topic`) or no batch is named (`correlation`, or
    why a snapshot can't be read). `probe` is an empty message, with which a gateway asks the
    broker whether anybody listens; `rate` is a snapshot of a gateway that has sent too much."""

    reason: str


Judgement = Checked | Refused | Deferred | Noise

MESSAGE_COST_BYTES, LINE_COST_BYTES = 4000, 1000
"""What a message costs beside its lines (it is received, confirmed and noted), and a line that is
judged by itself and dead-lettered: in bytes of good lines that take as much CPU time
(`python -m bench.guard_cost` has the guard's part of it)."""


def check(
    message: Message,
    now_ms: int,
    limits: Limits,
    owner_of: OwnerOf | None = None,
    newcomers: Newcomers | None = None,
) -> Judgement:
    """Judge one message. Never raises, whatever it holds."""
    payload = message.payload
    gateway = _speaker(message.topic) if len(message.topic) < TOPIC_LENGTH_MAX else None
    if gateway is None:
        return Noise("topic")
    if not payload:
        return Noise("probe")
    try:
        key = _key(message.correlation_data)
    except BadBatch as bad:
        return Noise(bad.reason)
    if message.content_type != CONTENT_TYPE:
        return Deferred(gateway, key, "content_type") if key else Noise("content_type")
    seal_ms = _seal_ms(message, now_ms + limits.future_ms)
    try:
        raw = _expand(payload, key)
        out = sort_out_at_once(raw, gateway, now_ms, limits, owner_of, newcomers)
        if out is None:
            lines = _few_lines_of(raw)
            out = sort_out(lines, gateway, now_ms, limits, owner_of, newcomers)
    except BadBatch as bad:
        return Refused(gateway, key, bad.reason, payload, seal_ms) if key else Noise(bad.reason)
    except UnknownDictionary:
        return Deferred(gateway, key, "dictionary") if key else Noise("dictionary")
    return Checked(gateway, key, out.lines, out.rejected, out.late_hours, seal_ms)


def postpone(message: Message) -> Postponed | Noise:
    """What to say of a message without looking into it. Never raises."""
    gateway = _speaker(message.topic) if len(message.topic) < TOPIC_LENGTH_MAX else None
    if gateway is None:
        return Noise("topic")
    if not message.payload:
        return Noise("probe")
    try:
        key = _key(message.correlation_data)
    except BadBatch as bad:
        return Noise(bad.reason)
    return Postponed(gateway, key) if key else Noise("rate")


def cost_of(judged: Judgement, message: Message) -> int:
    """What it took to judge a message, in bytes of good lines."""
    if isinstance(judged, Checked):
        return MESSAGE_COST_BYTES + len(judged.lines.text) + LINE_COST_BYTES * len(judged.rejected)
    return MESSAGE_COST_BYTES + min(len(message.payload), COMPRESSED_BYTES_MAX)  # else unread


@lru_cache(maxsize=32_768)
def _speaker(topic: str) -> str | None:
    """The gateway whose batches come on this topic."""
    return gateway_of(topic, Leaf.BATCH) or gateway_of(topic, Leaf.BACKFILL)


def open_payload(payload: bytes, key: BatchKey | None) -> list[str]:
    """The lines of a payload, as the gateway sealed them.

    Raises:
        BadBatch: as `decode_batch`, and `digest` when these aren't the bytes that the key names.
        UnknownDictionary: as `decode_batch`.
    """
    return _few_lines_of(_expand(payload, key))


def _expand(payload: bytes, key: BatchKey | None) -> bytes:
    if len(payload) > COMPRESSED_BYTES_MAX:  # before the digest, which would read all of it
        raise BadBatch("too_large")
    if key is not None and key.digest != digest(payload):
        raise BadBatch("digest")
    return expand(payload)


def _few_lines_of(raw: bytes) -> list[str]:
    if raw.count(b"\n") > LINES_MAX:
        raise BadBatch("text")
    return lines_of(raw)


def sort_out_at_once(
    raw: bytes,
    gateway: str,
    now_ms: int,
    limits: Limits,
    owner_of: OwnerOf | None = None,
    newcomers: Newcomers | None = None,
) -> SortedOut | None:
    """What `sort_out` says of an expanded payload without anything bad in it, sooner; None of
    others."""
    if not sure_batch(raw):
        return None
    pieces = raw.split(b",site=")  # which stands in a line once
    times = _times_of(raw, len(pieces) - 1)
    first_ms, last_ms = int(min(times)[:_DIGITS]), int(max(times)[:_DIGITS])
    if first_ms < now_ms - limits.retention_ms or last_ms > now_ms + limits.future_ms:
        return None
    if owner_of is not None:
        places = _PLACES.findall(raw.decode("ascii"))
        if not (newcomers and newcomers.are_sure(gateway, places)):
            for place, time in zip(places, times, strict=True):
                owner = owner_of(place.partition(",")[0], int(time[:_DIGITS]))
                if owner not in (None, gateway):
                    return None
                if newcomers and not newcomers.admits(gateway, place, now_ms):
                    return None
    hours = _late_hours(first_ms, last_ms, now_ms - limits.late_ms, times)
    return SortedOut(Block(_tag(gateway).join(pieces), len(times)), [], hours)


def _late_hours(
    first_ms: int, last_ms: int, before_ms: int, times: Sequence[bytes]
) -> tuple[int, ...]:
    """The hours in which a time before that lies; most batches are of one, or of two neighbours,
    which the first and the last time tell alone."""
    if first_ms >= before_ms:
        return ()
    first, last = first_ms - first_ms % HOUR_MS, last_ms - last_ms % HOUR_MS
    if first == last:
        return (first,)
    if last == first + HOUR_MS and last_ms < before_ms:
        return (first, last)
    late = {ms for ms in [int(time[:_DIGITS]) for time in times] if ms < before_ms}
    return tuple(sorted({time_ms - time_ms % HOUR_MS for time_ms in late}))


def _times_of(raw: bytes, lines: int) -> list[bytes]:
    """The times of sure lines, each at the beginning of a text: all have 13 digits, so that they
    sort like numbers."""
    words = raw.split(b" ")  # a line has three, when no text in it has more
    return words[2::2] if len(words) == 2 * lines + 1 else _TIMES.findall(raw)


@lru_cache(maxsize=32_768)
def _tag(gateway: str) -> bytes:
    return b",gateway=%b,site=" % gateway.encode()


_DIGITS = 13
_TIMES = re.compile(rb" ([0-9]{13})\n")
_PLACES = re.compile(r",device=([^ ]+) ")


def sort_out(
    lines: Sequence[str],
    gateway: str,
    now_ms: int,
    limits: Limits,
    owner_of: OwnerOf | None = None,
    newcomers: Newcomers | None = None,
) -> SortedOut:
    """Judge each line by itself: a bad one takes none with it."""
    tag = f",gateway={gateway}"
    low_ms, high_ms = now_ms - limits.retention_ms, now_ms + limits.future_ms
    late_before_ms = now_ms - limits.late_ms
    good: list[str] = []
    rejected: list[Rejected] = []
    hours: set[int] = set()
    for index, line in enumerate(lines):
        pattern = SURE.get(line[: line.find(",")])
        match = pattern.fullmatch(line) if pattern else None
        try:
            before, after, time = match.groups() if match else judge(line)
            time_ms = int(time)
            if not low_ms <= time_ms <= high_ms:
                raise BadLine("time")
            if owner_of is not None and owner_of(_device(before), time_ms) not in (None, gateway):
                raise BadLine("claim")
            if newcomers and not newcomers.admits(gateway, _place(before, after), now_ms):
                raise BadLine("too_many_new")
        except BadLine as why:
            rejected.append(Rejected(index, why.reason, line))
            continue
        good.append(before + tag + after)
        if time_ms < late_before_ms:
            hours.add(time_ms - time_ms % HOUR_MS)
    return SortedOut(Block.of(good), rejected, tuple(sorted(hours)))


def _device(before: str) -> str:
    return before.partition("=")[2]


def _place(before: str, after: str) -> str:
    return _device(before) + after[: after.find(" ")]


def _key(correlation_data: bytes | None) -> BatchKey | None:
    if correlation_data is None:
        return None
    key = BatchKey.unpack(correlation_data)
    if not 0 < key.sequence <= _SEQUENCE_MAX:
        raise BadBatch("correlation")
    return key


_IS_TIME = re.compile(TIME_PATTERN).fullmatch


def _seal_ms(message: Message, high_ms: int) -> int | None:
    for name, value in message.user:
        if name == SEAL_MS:
            seal_ms = int(value) if _IS_TIME(value) else high_ms + 1
            return seal_ms if seal_ms <= high_ms else None
    return None
