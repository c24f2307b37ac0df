"""How hostile inputs are made and thrown: takers, mutations, and what a taker may not do.

A taker gets bytes and names what became of them. It may refuse by the one exception it promises; it
may not raise another, take more than `CPU_S_MAX` of CPU time for one input, or make the process
grow by more than `GROWTH_BYTES_MAX`. Inputs come of seeds (what the taker usually gets), by bytes
(`mutated`), by words for what people and machines write (`mutated_text`), or by the taker's own
way, so that what lies under a checksum or a compression is reached too. One number replays a run.
"""

from __future__ import annotations

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

from devices.reading import Undecodable

CPU_S_MAX = 1.0
GROWTH_BYTES_MAX = 256 * 1024 * 1024
ADDRESS_SPACE_BYTES = 4 * 1024 * 1024 * 1024
SHOWN_MAX = 10
LARGE_BYTES, LARGE_SHARE = 512 * 1024, 0.002
FAILURES = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, OSError),
    *(RuntimeError, TypeError, ValueError, msgspec.MsgspecError, Undecodable, TimeoutError),
    *(UnsupportedAlgorithm, InvalidSignature, sqlite3.Error, zstandard.ZstdError),
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


def mutated(seeds: Sequence[bytes], draw: random.Random) -> bytes:
    """One input: bytes exchanged, cut, doubled, joined or appended, or none of any meaning."""
    if draw.random() < LARGE_SHARE:
        return large(seeds, draw)
    if draw.random() < 0.15:
        return draw.randbytes(draw.randrange(80))
    data = bytearray(draw.choice(seeds))
    for _ in range(draw.choice((0, 1, 1, 2, 4, 9))):
        if data:
            data[draw.randrange(len(data))] = draw.choice(
                (0, 1, 0x7F, 0x80, 0xFF, draw.randrange(256))
            )
    match draw.randrange(8):
        case 0:
            del data[draw.randrange(len(data) + 1) :]
        case 1:
            data += draw.randbytes(draw.randrange(1, 12))
        case 2:
            at = draw.randrange(len(data) + 1)
            data[at:at] = data[: draw.randrange(len(data) + 1)]
        case 3:
            data += draw.choice(seeds)
        case 4:
            del data[: draw.randrange(len(data) + 1)]
    return bytes(data)


WORDS = (
    *(
        b"",
        b" ",
        b"\n",
        b"\r\n",
        b"\x00",
        b"\xff",
        b"\xed\xa0\x80",
        b"\xe2\x80\xae",
        b"\xef\xbb\xbf",
    ),
    *(b"-1", b"0", b"9" * 400, b"9" * 5000, b"1e999", b"-0.0", b"nan", b"inf", b"0x1", b"1_0"),
    *(b"true", b"null", b'"', b"'", b'"""', b"\\", b"\\u0000", b"\\ud800", b"%00", b"%ff", b"%"),
    *(b"[" * 3000, b"{" * 3000, b'{"a":' * 1500, b"(" * 500, b"a." * 1500, b"=", b",", b";", b":"),
    *(b"../../etc/passwd", b"<script>", b"' OR 1=1--", b"${x}", b"%s%n", b"A" * 10_000),
    *(b"2026-02-30", b"0000-00-00T00:00:00Z", b"9999-12-31T23:59:60+24:00", b"1970-01-01"),
)
"""What has broken parsers before."""


def mutated_serial(seeds: Sequence[bytes], draw: random.Random) -> bytes:
    """As `mutated`, for what comes over a wire a few KB at a time."""
    return mutated(seeds, draw)[: 8 * 1024]


def large(seeds: Sequence[bytes], draw: random.Random) -> bytes:
    """One input that is as large as anybody lets in, of one piece again and again: what costs the
    square of its length shows."""
    seed = draw.choice(seeds)
    at = draw.randrange(len(seed) + 1)
    piece = (
        seed[at : at + draw.choice((1, 2, 5, 20))] if draw.random() < 0.5 else draw.choice(WORDS)
    )
    piece = piece[:64] or b","
    return seed[:at] + piece * (LARGE_BYTES // len(piece)) + draw.choice((b"", seed[at:]))


def mutated_text(seeds: Sequence[bytes], draw: random.Random) -> bytes:
    """One input of words: some exchanged for what has broken parsers before, lines moved, lost or
    doubled; or as `mutated` does."""
    if draw.random() < LARGE_SHARE:
        return large(seeds, draw)
    if draw.random() < 0.3:
        return mutated(seeds, draw)
    data = draw.choice(seeds)
    for _ in range(draw.choice((1, 1, 2, 3))):
        at = draw.randrange(len(data) + 1)
        end = min(len(data), at + draw.choice((0, 0, 1, 3, 8, 30)))
        data = data[:at] + draw.choice(WORDS) + data[end:]
    if draw.random() < 0.3:
        lines = data.split(b"\n")
        first, second = draw.randrange(len(lines)), draw.randrange(len(lines))
        if draw.random() < 0.5:
            lines[first], lines[second] = lines[second], lines[first]
        else:
            lines.insert(first, lines[second])
        data = b"\n".join(lines)
    return data


class Taker(NamedTuple):
    """Something that takes bytes. `share` is how often it has its turn, beside 1 of the others."""

    group: str
    name: str
    seeds: Sequence[bytes]
    take: Take
    mutate: Mutate = mutated
    share: float = 1.0


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
