"""Finds frames that begin with a header, in a byte stream that begins anywhere.

In: bytes, however they were cut. Out: `Frame` and `Noise`, in order.

What a frame looks like is three answers of a product: its header, how long the frame that begins
here is, and whether it is good. A header may also stand inside a frame, so a bad frame drops one
byte and not all of its bytes: the real header may be the next one.
"""

from __future__ import annotations

from collections.abc import Callable

from devices.driver import Frame, Noise


class HeaderFramer:
    """A `Framer`; keeps at most one frame's bytes between two feeds.

    Args:
        header: a frame's first bytes.
        size_of: a frame's whole size from its bytes so far; 0 for no frame, None for not yet.
        is_good: whether a whole frame's integrity holds.
        reason: the noise of a frame that isn't good.
    """

    def __init__(
        self,
        header: bytes,
        size_of: Callable[[bytes], int | None],
        is_good: Callable[[bytes], bool],
        reason: str = "checksum",
    ) -> None:
        self._header, self._size_of, self._is_good = header, size_of, is_good
        self._reason = reason
        self._rest = b""

    def feed(self, data: bytes) -> list[Frame | Noise]:
        """Take the next bytes; return what they complete, adjacent noise as one `Noise`."""
        found: list[Frame | Noise] = []
        stream = self._rest + data
        at = noise_from = 0
        reason = "garbage"
        while at < len(stream):
            here = stream[at:]
            if self._header.startswith(here[: len(self._header)]):
                size = self._size_of(here) if len(here) >= len(self._header) else None
                if size is None or len(here) < size:
                    break
                if size and self._is_good(here[:size]):
                    if at > noise_from:
                        found.append(Noise(reason, at - noise_from))
                    found.append(Frame(here[:size]))
                    at = noise_from = at + size
                    reason = "garbage"
                    continue
                reason = self._reason  # a header was there, so this isn't mere line noise
            at += 1
        if at > noise_from:
            found.append(Noise(reason, at - noise_from))
        self._rest = stream[at:]
        return found

    def reset(self) -> None:
        """Forget a half-read frame."""
        self._rest = b""


def of_size(size: int) -> Callable[[bytes], int | None]:
    """For frames that are all of one size."""
    return lambda _frame: size


def ends_with_sum(frame: bytes) -> bool:
    """Whether the last byte is the low byte of the sum of all before it."""
    return frame[-1] == sum(frame[:-1]) & 0xFF
