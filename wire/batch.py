"""A batch: lines joined by newlines, compressed with a dictionary that both sides ship.

    zstd frame = dictionary id | content size | compressed lines, each ended by a newline

`zstd -d -D wire/dictionaries/<id>.zdict` makes one readable in any shell. Dictionaries are trained
on the kinds (`python -m wire.train`); none is ever removed, so that a gateway that was away for a
year is still understood. Sizes are judged from the frame's header before anything is expanded.
Source: RFC 8878.
"""

from __future__ import annotations

import hashlib
import struct
import threading
from collections.abc import Iterable
from functools import cache, cached_property
from pathlib import Path

import msgspec
import zstandard

CONTENT_TYPE = "lines-1+zstd"
"""The MQTT property that names format and version of a batch."""

RAW_BYTES_MAX = 1024 * 1024
COMPRESSED_BYTES_MAX = 64 * 1024
DICTIONARY_ID = 4
"""The dictionary that gateways of this version compress with."""

LEVEL = 19
"""A batch is a few KB: the best level takes 1 ms more than a middle one and saves 5 % of a bill."""

BULK_LEVEL, BULK_BYTES = 6, 32 * 1024
"""For what is larger: 19 would take a fifth of the agent's CPU at its highest rate."""


class BadBatch(Exception):
    """A payload that isn't a batch: `reason` is `not_zstd`, `too_large`, `truncated` or `text`."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class UnknownDictionary(Exception):
    """A batch by a dictionary this side doesn't ship: keep it, a newer version will read it."""

    def __init__(self, dictionary_id: int) -> None:
        self.dictionary_id = dictionary_id
        super().__init__(f"dictionary {dictionary_id}")


class BatchKey(msgspec.Struct, frozen=True, gc=False):
    """What names one sealed batch for ever: the outbox's epoch (16 bytes), sequence and digest."""

    epoch: bytes
    sequence: int
    digest: bytes

    def pack(self) -> bytes:
        """The MQTT correlation data: epoch, sequence (8 bytes, big-endian), digest (8 bytes)."""
        return _KEY.pack(self.epoch, self.sequence, self.digest)

    @classmethod
    def unpack(cls, data: bytes) -> BatchKey:
        """The inverse of `pack`.

        Raises:
            BadBatch: `correlation`, when it isn't 32 bytes.
        """
        if len(data) != _KEY.size:
            raise BadBatch("correlation")
        return cls(*_KEY.unpack(data))


_KEY = struct.Struct(">16sQ8s")


def digest(payload: bytes) -> bytes:
    """The 64-bit digest (BLAKE2b) of a compressed payload."""
    return hashlib.blake2b(payload, digest_size=8).digest()


@cache
def dictionary(dictionary_id: int) -> zstandard.ZstdCompressionDict:
    """One of the dictionaries that ship.

    Raises:
        UnknownDictionary: this version doesn't have it.
    """
    file = Path(__file__).parent / "dictionaries" / f"{dictionary_id}.zdict"
    if not file.is_file():
        raise UnknownDictionary(dictionary_id)
    return zstandard.ZstdCompressionDict(file.read_bytes())


class _Contexts(threading.local):
    """zstd's contexts, of each thread its own: two threads in one end the process. The outbox's
    writer packs while the loop makes a snapshot."""

    @cached_property
    def compressor(self) -> zstandard.ZstdCompressor:
        return zstandard.ZstdCompressor(level=LEVEL, dict_data=dictionary(DICTIONARY_ID))

    @cached_property
    def bulk_compressor(self) -> zstandard.ZstdCompressor:
        return zstandard.ZstdCompressor(level=BULK_LEVEL, dict_data=dictionary(DICTIONARY_ID))

    @cached_property
    def decompressors(self) -> dict[int, zstandard.ZstdDecompressor]:
        return {}


_contexts = _Contexts()


def _decompressor(dictionary_id: int) -> zstandard.ZstdDecompressor:
    made = _contexts.decompressors
    decompressor = made.get(dictionary_id)
    if decompressor is None:
        known = dictionary(dictionary_id) if dictionary_id else None
        decompressor = made[dictionary_id] = zstandard.ZstdDecompressor(
            dict_data=known, max_window_size=RAW_BYTES_MAX
        )
    return decompressor


def encode_batch(lines: Iterable[str]) -> bytes:
    """Lines as one compressed payload. The caller keeps within `RAW_BYTES_MAX` (`split_lines`)."""
    raw = "".join(f"{line}\n" for line in lines).encode("ascii")
    is_bulk = len(raw) > BULK_BYTES
    return (_contexts.bulk_compressor if is_bulk else _contexts.compressor).compress(raw)


def decode_batch(payload: bytes) -> list[str]:
    """The lines of a payload, which may come from anyone.

    Raises:
        BadBatch: not zstd, larger than the bounds, cut short, or not ASCII lines.
        UnknownDictionary: compressed with a dictionary this version doesn't ship.
    """
    return lines_of(expand(payload))


def expand(payload: bytes) -> bytes:
    """What was compressed, whatever it is.

    Raises:
        BadBatch, UnknownDictionary: as `decode_batch`, but for the lines.
    """
    if len(payload) > COMPRESSED_BYTES_MAX:
        raise BadBatch("too_large")
    try:
        header = zstandard.get_frame_parameters(payload)
    except zstandard.ZstdError as error:
        raise BadBatch("not_zstd") from error
    if header.content_size > RAW_BYTES_MAX:  # includes "unknown", which is the largest number
        raise BadBatch("too_large")
    try:
        return _decompressor(header.dict_id).decompress(payload, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise BadBatch("truncated") from error


def lines_of(raw: bytes) -> list[str]:
    """The lines of an expanded payload.

    Raises:
        BadBatch: not ASCII lines, each ended by a newline.
    """
    try:
        text = raw.decode("ascii")
    except UnicodeDecodeError as error:
        raise BadBatch("text") from error
    if not text.endswith("\n"):
        raise BadBatch("text")
    return text[:-1].split("\n")
