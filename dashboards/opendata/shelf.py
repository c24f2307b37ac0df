"""Answers made once and given to all who ask the same, with an entity tag of what they say.

An answer stands until the board has news, and for `STANDS_S` at the longest (a field may expire
without news). The tag is of the body, so that who has it is told 304 even when it was made again.
"""

from __future__ import annotations

import hashlib
import zlib
from collections import OrderedDict
from collections.abc import Callable, Hashable

from wire.clock import Clock

STANDS_S = 1.0
BYTES_MAX = 32 << 20
"""All bodies together; the least recently asked for goes first."""

ANSWERS_MAX = 512
_GZIP_BITS, _LEVEL, _SMALL = 31, 1, 1000


class Made:
    """A body, its tag, and the body compressed once somebody has asked for that."""

    def __init__(self, body: bytes, at_s: float, version: Hashable) -> None:
        self.body, self.at_s, self.version = body, at_s, version
        self.tag = f'W/"{hashlib.sha256(body).hexdigest()[:24]}"'
        self._packed: bytes | None = None

    def coded(self, accepted: str) -> tuple[bytes, str]:
        """The body as it is best sent to who accepts these codings, and the coding."""
        if len(self.body) < _SMALL or not _takes_gzip(accepted):
            return self.body, ""
        if self._packed is None:
            packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP_BITS)
            self._packed = packer.compress(self.body) + packer.flush()
        return self._packed, "gzip"


class Shelf:
    """Answers by question."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._made: OrderedDict[Hashable, Made] = OrderedDict()
        self._bytes = 0

    def get(self, question: Hashable, version: Hashable, make: Callable[[], bytes]) -> Made:
        """The answer that stands, or a new one."""
        now = self._clock.monotonic()
        made = self._made.get(question)
        if made is None or made.version != version or now - made.at_s > STANDS_S:
            return self._put(question, Made(make(), now, version))
        self._made.move_to_end(question)
        return made

    def _put(self, question: Hashable, made: Made) -> Made:
        self._bytes += len(made.body) - len(getattr(self._made.get(question), "body", b""))
        self._made[question] = made
        self._made.move_to_end(question)
        while len(self._made) > 1 and (self._bytes > BYTES_MAX or len(self._made) > ANSWERS_MAX):
            _, gone = self._made.popitem(last=False)
            self._bytes -= len(gone.body)
        return made


def _takes_gzip(accepted: str) -> bool:
    """`q=0` refuses it."""
    for word in accepted.lower().replace(" ", "").split(","):
        name, _, quality = word.partition(";q=")
        if name == "gzip":
            return not quality or bool(quality.strip("0."))
    return False
