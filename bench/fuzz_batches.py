"""Batches, for `bench.fuzz`: as they come, and with lines changed under a true key.

The guard's two ways, a batch at once and line by line, have to agree; what it lets through is good,
and this gateway's.
"""

from __future__ import annotations

import random

import zstandard

from bench.fuzz_inputs import mutated, mutated_text
from bench.fuzzing import Broken, Taker
from ingest.guard import (
    Checked,
    Limits,
    Refused,
    check,
    cost_of,
    postpone,
    sort_out,
    sort_out_at_once,
)
from ingest.newcomers import Newcomers
from simulators.fleet import FleetGateway
from wire.batch import CONTENT_TYPE, RAW_BYTES_MAX, BatchKey, digest, encode_batch
from wire.line import LINE_PATTERNS
from wire.mqtt import Message

NOW_MS = 1_795_136_400_000
GATEWAY = "gw-pasar"
EPOCH = bytes(range(16))
LIMITS = Limits()
NEWCOMERS_A_DAY = 50


def _lines() -> list[bytes]:
    gateway = FleetGateway(1, 13, seed=3)
    texts = [*gateway.lines(NOW_MS), *gateway.lines(NOW_MS - 5_000_000)]
    return ["".join(f"{line}\n" for line in texts[start : start + 9]).encode() for start in (0, 9)]


class _Ingest:
    """The guard with a registry in which some devices are another gateway's."""

    def __init__(self) -> None:
        self.newcomers = Newcomers(NEWCOMERS_A_DAY, self._whose)

    def _whose(self, device: str) -> str | None:
        return "another" if device.endswith("3") else GATEWAY if device.endswith("1") else None

    def owner_of(self, device: str, _time_ms: int) -> str | None:
        return self._whose(device)

    def judge(self, message: Message) -> str:
        """What became of it; every line that is written is good, and this gateway's."""
        judged = check(message, NOW_MS, LIMITS, self.owner_of, self.newcomers)
        postpone(message)
        if cost_of(judged, message) <= 0:
            raise Broken("costs nothing")
        if isinstance(judged, Checked):
            for line in judged.lines:
                kind, _, _ = line.partition(",")
                plain = line.replace(f",gateway={judged.gateway}", "", 1)
                if not LINE_PATTERNS[kind].fullmatch(plain):
                    raise Broken(f"writes {line[:200]!r}")
            return f"checked{' in part' if judged.rejected else ''}"
        word = type(judged).__name__.lower()
        return f"{word} {judged.reason}" if not isinstance(judged, Refused) else word


def takers() -> list[Taker]:
    """All of them."""
    ingest = _Ingest()
    topic = f"gampong/v1/{GATEWAY}/batch"

    def message(payload: bytes, key: bytes | None, where: str = topic) -> Message:
        user = (("seal_ms", str(NOW_MS)),)
        return Message(where, payload, 1, False, CONTENT_TYPE, key, user)

    def under_key(data: bytes, draw: random.Random) -> str:
        payload = zstandard.ZstdCompressor(level=1).compress(data[:RAW_BYTES_MAX])
        key = BatchKey(EPOCH, draw.randrange(1, 2**53), digest(payload)).pack()
        _agree(data)
        return ingest.judge(message(payload, key))

    def as_it_came(data: bytes, draw: random.Random) -> str:
        true_key = BatchKey(EPOCH, draw.randrange(0, 2**60), digest(data)).pack()
        key = draw.choice((None, true_key, true_key, data[:32]))
        where = draw.choice((topic, topic, topic, data[:40].decode("latin-1")))
        return ingest.judge(message(data, key, where))

    payloads = [encode_batch(raw.decode().splitlines()) for raw in _lines()]
    return [
        Taker("batches", "lines", _lines(), under_key, mutated_text, 3.0),
        Taker("batches", "lines, by bytes", _lines(), under_key, mutated, 2.0),
        Taker("batches", "payload", payloads, as_it_came, mutated, 2.0),
    ]


def _agree(data: bytes) -> None:
    """A batch sorted out at once is as if line by line."""
    at_once = sort_out_at_once(data, GATEWAY, NOW_MS, LIMITS)
    if at_once is not None:
        slowly = sort_out(data[:-1].decode("ascii").split("\n"), GATEWAY, NOW_MS, LIMITS)
        if slowly.rejected or slowly.lines.text != at_once.lines.text:
            raise Broken("a batch at once isn't what its lines are")
