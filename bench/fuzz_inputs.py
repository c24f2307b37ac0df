"""Hostile inputs of seeds: by bytes, by words, as large as anybody lets in.

In: what a taker usually gets, a source of chance. Out: one input. The same chance gives the same.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

LARGE_BYTES, LARGE_SHARE = 512 * 1024, 0.002


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
