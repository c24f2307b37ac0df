"""Batches as a gateway seals them, for every test of this side."""

from __future__ import annotations

from collections.abc import Sequence

from devices.reading import Reading, Value
from ingest.guard import SEAL_MS
from wire.batch import CONTENT_TYPE, BatchKey, digest, encode_batch
from wire.line import format_line
from wire.mqtt import Message
from wire.topics import Leaf, topic

NOW_MS = 1_790_000_000_000
EPOCH = bytes(range(16))
GATEWAY = "gw-pasar"


def line(device: str = "bay-01", time_ms: int = NOW_MS, **fields: Value) -> str:
    """A bay's reading; any field of the kind by its name."""
    reading = Reading(device, "parking_spot", time_ms, fields or {"occupied": 1})
    return format_line(reading, "pasar", "a")


def lines(count: int, time_ms: int = NOW_MS, name: str = "bay") -> list[str]:
    """As many readings of as many bays."""
    return [line(f"{name}-{index:04d}", time_ms) for index in range(count)]


def key_of(payload: bytes, sequence: int = 1, epoch: bytes = EPOCH) -> BatchKey:
    return BatchKey(epoch, sequence, digest(payload))


def envelope(
    content: Sequence[str] | bytes,
    sequence: int | None = 1,
    gateway: str = GATEWAY,
    leaf: Leaf = Leaf.BATCH,
    seal_ms: int = NOW_MS,
) -> Message:
    """A message of these lines, or of these bytes; without a sequence it is a snapshot."""
    payload = content if isinstance(content, bytes) else encode_batch(content)
    key = None if sequence is None else key_of(payload, sequence).pack()
    user = ((SEAL_MS, str(seal_ms)),)
    return Message(topic(gateway, leaf), payload, 1, False, CONTENT_TYPE, key, user)
