"""What many ask the page's server for: encoded once a change, compressed beside the loop, kept.

    answers = Answers(encode, clock)
    feed.listeners.add(answers.tell)
    ... group.create_task(answers.run())
    answer = await answers.get(request.headers.get("accept-encoding", ""))

The city as JSON is 3 MB at 10,000 devices: encoding it takes 10 ms and compressing it 10 to 40,
which who asks shouldn't wait for, nor the loop stand still. So while somebody asks, each change's
answer is made ready; who asks gets the newest that is: no older than one change, or `OLD_S`.
"""

from __future__ import annotations

import asyncio
import secrets
import zlib
from collections.abc import Callable, Iterable

import msgspec
import zstandard

from wire.clock import Clock

ASKED_S = 10.0
"""So long after somebody asked, answers are made ready for the next one who does."""

EVERY_S = 0.2
OLD_S = 2.0
_CODINGS = ("zstd", "gzip", "")
"""Content codings, the cheapest first; "" is none."""

_GZIP_BITS = 31
_LEVEL = 1


class Answer(msgspec.Struct, frozen=True):
    """A body in its content coding, its entity tag, and when (monotonic) it was encoded."""

    body: bytes
    coding: str
    tag: str
    at_s: float


class Answers:
    """One question's answers, at most one a coding. `encode` gives the body as it is now."""

    def __init__(self, encode: Callable[[], bytes], clock: Clock) -> None:
        self._encode, self._clock = encode, clock
        self._asked_at: dict[str, float] = {}
        self._ready: dict[str, Answer] = {}
        self._run, self._made = secrets.token_hex(4), 0  # numbers begin anew with the process
        self._news = asyncio.Event()
        self._making = asyncio.Lock()

    def tell(self, _patch: str = "") -> None:
        """There is something new."""
        self._news.set()

    async def run(self) -> None:
        """Keep answers ready while somebody asks; until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            now = self._clock.monotonic()
            wanted = [coding for coding, at in self._asked_at.items() if now - at < ASKED_S]
            if wanted:
                async with self._making:
                    await self._make(wanted)
            await self._clock.pause(EVERY_S)

    async def get(self, accepted: str) -> Answer:
        """The newest answer for who sent this `Accept-Encoding`."""
        coding = _coding(accepted)
        self._asked_at[coding] = self._clock.monotonic()
        if self._is_old(coding):
            async with self._making:
                if self._is_old(coding):
                    await self._make([coding])
        return self._ready[coding]

    def _is_old(self, coding: str) -> bool:
        ready = self._ready.get(coding)
        return ready is None or self._clock.monotonic() - ready.at_s > OLD_S

    async def _make(self, codings: Iterable[str]) -> None:
        at_s, body = self._clock.monotonic(), self._encode()
        self._made += 1
        for coding in codings:
            coded = await asyncio.to_thread(_coded, coding, body) if coding else body
            tag = f'"{self._run}-{self._made}{coding and "-"}{coding}"'
            self._ready[coding] = Answer(coded, coding, tag, at_s)


def _coded(coding: str, body: bytes) -> bytes:
    """In a thread: a context of its own each time, they can't be shared."""
    if coding == "zstd":
        return zstandard.ZstdCompressor(level=_LEVEL).compress(body)
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP_BITS)
    return packer.compress(body) + packer.flush()


def _coding(accepted: str) -> str:
    """The cheapest coding that is accepted; what is refused with `q=0` isn't."""
    words = [word.replace(" ", "").lower() for word in accepted.split(",")]
    names = {
        name for name, _, q in (word.partition(";q=") for word in words) if q.strip("0.") or not q
    }
    return next((coding for coding in _CODINGS if coding in names), "")
