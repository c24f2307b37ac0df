"""How hostile inputs are thrown: takers, and what a taker may not do.

A taker gets bytes and names what became of them. It may refuse by the one exception it promises; it
may not raise another, take more than `CPU_S_MAX` of CPU time for one input, or make the process
grow by more than `GROWTH_BYTES_MAX`. Inputs come of seeds (what the taker usually gets), by bytes
(`mutated`), by words for what people and machines write (`mutated_text`; both `fuzz_inputs`), or by
the taker's own way, so that what lies under a checksum or a compression is reached too. One number
replays a run.
"""

from __future__ import annotations

import csv
import random
import resource
import signal
import sqlite3
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import NamedTuple

import msgspec
import zstandard
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from bench.fuzz_inputs import mutated
from devices.reading import Undecodable

CPU_S_MAX = 1.0
GROWTH_BYTES_MAX = 256 * 1024 * 1024
ADDRESS_SPACE_BYTES = 4 * 1024 * 1024 * 1024
SHOWN_MAX = 10
FAILURES = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, OSError),
    *(RuntimeError, TypeError, ValueError, msgspec.MsgspecError, Undecodable, TimeoutError),
    *(UnsupportedAlgorithm, InvalidSignature, sqlite3.Error, zstandard.ZstdError, csv.Error),
    *(x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType),
)
"""What a taker may not raise: all that bytes can bring about, its own refusal where it doesn't
belong included."""

Take = Callable[[bytes, random.Random], str]
Mutate = Callable[[Sequence[bytes], random.Random], bytes]


class Broken(AssertionError):
    """A taker gave what it may not give."""


class TooSlow(AssertionError):
    """A taker took more than `CPU_S_MAX` for one input."""


class Taker(NamedTuple):
    """Something that takes bytes. `share` is how often it has its turn, beside 1 of the others."""

    group: str
    name: str
    seeds: Sequence[bytes]
    take: Take
    mutate: Mutate = mutated
    share: float = 1.0


def refusing(
    read: Callable[[bytes], object], *refusals: type[Exception], taken: str = "taken"
) -> Take:
    """A taker's `take`: read, or refused by one of these."""

    def take(data: bytes, _draw: random.Random) -> str:
        try:
            read(data)
        except refusals:
            return "refused"
        return taken

    return take


def as_text(data: bytes) -> str:
    """The bytes as a text that any file may hold."""
    return data.decode("utf-8", "replace")


class Findings:
    """What became of the inputs. `broken` are taker, input and why: all are counted, the shortest
    of each taker and reason is kept."""

    def __init__(self) -> None:
        self.fates: Counter[tuple[str, str, str]] = Counter()
        self.broken: list[tuple[Taker, bytes, BaseException]] = []
        self.broken_count = 0
        self.slowest_s: dict[str, float] = {}
        self.grown_bytes: Counter[str] = Counter()

    def breaks(self, taker: Taker, data: bytes, error: BaseException) -> None:
        """One more that did what it may not do."""
        self.broken_count += 1
        known = {(one.name, type(why)): place for place, (one, _, why) in enumerate(self.broken)}
        place = known.get((taker.name, type(error)))
        if place is None and len(self.broken) < SHOWN_MAX:
            self.broken.append((taker, data, error))
        elif place is not None and len(data) < len(self.broken[place][1]):
            self.broken[place] = (taker, data, error)

    def of_taker(self, taker: Taker) -> dict[str, int]:
        """Fate → inputs."""
        return {
            fate: count
            for (group, name, fate), count in sorted(self.fates.items())
            if (group, name) == (taker.group, taker.name)
        }


def throw(
    takers: Sequence[Taker], count: int, seed: int, said: Callable[[str], None] = print
) -> Findings:
    """So many inputs, shared out between the takers."""
    draw, findings = random.Random(seed), Findings()
    whole = sum(taker.share for taker in takers)
    with _bounded_time():
        for taker in takers:
            for _ in range(max(1, round(count * taker.share / whole))):
                _throw_one(taker, taker.mutate(taker.seeds, draw), draw, findings)
                if findings.broken_count > 100 * SHOWN_MAX:
                    said("gives up: too many broken")
                    return findings
    return findings


def again(taker: Taker, data: bytes, seed: int = 0) -> str:
    """One input once more, as a regression: what became of it.

    Raises:
        whatever the taker raises, and TooSlow.
    """
    with _bounded_time():
        signal.setitimer(signal.ITIMER_VIRTUAL, CPU_S_MAX)
        return taker.take(data, random.Random(seed))


def _throw_one(taker: Taker, data: bytes, draw: random.Random, findings: Findings) -> None:
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    signal.setitimer(signal.ITIMER_VIRTUAL, 5 * CPU_S_MAX)
    began = time.process_time()
    try:
        fate = taker.take(data, draw)
        findings.fates[taker.group, taker.name, fate] += 1
    except FAILURES as error:
        findings.breaks(taker, data, error)
    took_s = time.process_time() - began
    if took_s > findings.slowest_s.get(taker.name, 0.0):
        findings.slowest_s[taker.name] = took_s
        if took_s > CPU_S_MAX:
            findings.breaks(taker, data, TooSlow(f"{took_s:.1f} s"))
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - resident)
    findings.grown_bytes[taker.name] += grown
    if grown > GROWTH_BYTES_MAX:
        findings.breaks(taker, data, Broken(f"grew by {grown / 1e6:.0f} MB"))


@contextmanager
def _bounded_time() -> Iterator[None]:
    """An input that hangs is cut off by a timer of CPU time."""

    def over(_number: int, _frame: FrameType | None) -> None:
        raise TooSlow("cut off")

    before = signal.signal(signal.SIGVTALRM, over)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def bound_memory() -> None:
    """For the whole process: asking for more than `ADDRESS_SPACE_BYTES` is a MemoryError."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_BYTES, hard))


def told(takers: Sequence[Taker], findings: Findings, one_by_one: bool) -> str:
    """Counts by taker (or by group), and every one that is broken with its input."""
    rows: Counter[tuple[str, str]] = Counter()
    for (group, name, fate), count in findings.fates.items():
        rows[f"{group} {name}" if one_by_one else group, fate] += count
    lines = [f"  {who:<34} {fate:<28} {count:>9}" for (who, fate), count in sorted(rows.items())]
    for taker, data, error in findings.broken:
        lines.append(f"BROKEN {taker.group} {taker.name} {data[:4000].hex()}: {error!r}")
        lines += traceback.format_exception(error, limit=-3)
    slowest = max(findings.slowest_s, key=findings.slowest_s.__getitem__, default="")
    grown = sum(findings.grown_bytes.values()) / 1e6
    slowest_s = findings.slowest_s.get(slowest, 0.0)
    lines.append(
        f"{findings.broken_count} broken of {sum(findings.fates.values())} over {len(takers)} "
        f"takers; slowest {slowest} {slowest_s:.3f} s; grew {grown:.0f} MB"
    )
    return "\n".join(lines)
