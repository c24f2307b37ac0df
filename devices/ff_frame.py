"""The FF-H-L-SUM frame of cheap ultrasonic rangers: finds frames in a byte stream.

In: bytes, however they were cut. Out: `Frame` and `Noise`, in order.

    FF | distance high | distance low | sum

    sum   low byte of FF + high + low; some makers leave the header out (an option here)

0xFF may also stand in any of the other three places, so a wrong sum drops one byte and not four:
the real header may be the next one. Sources: wiki.dfrobot.com sen0311/docs/21651 (sum with the
header); github.com/esphome/esphome, jsn_sr04t.cpp (AJ-SR04M, sum without it).
"""

from __future__ import annotations

from devices.driver import Frame, Noise

HEADER = 0xFF
FRAME_SIZE = 4


def frame_sum(frame: bytes, *, sum_has_header: bool = True) -> int:
    """The sum that the first three bytes of a frame ask for."""
    first = 0 if sum_has_header else 1
    return sum(frame[first : FRAME_SIZE - 1]) & 0xFF


class FfFramer:
    """A `Framer` of FF-H-L-SUM frames; keeps at most three bytes between two feeds."""

    def __init__(self, *, sum_has_header: bool = True) -> None:
        self._sum_has_header = sum_has_header
        self._rest = b""

    def feed(self, data: bytes) -> list[Frame | Noise]:
        """Take the next bytes; return what they complete, adjacent noise as one `Noise`."""
        found: list[Frame | Noise] = []
        stream = self._rest + data
        at = noise_from = 0
        reason = "garbage"
        while at < len(stream):
            if stream[at] == HEADER:
                frame = stream[at : at + FRAME_SIZE]
                if len(frame) < FRAME_SIZE:
                    break
                if frame[-1] == frame_sum(frame, sum_has_header=self._sum_has_header):
                    if at > noise_from:
                        found.append(Noise(reason, at - noise_from))
                    found.append(Frame(frame))
                    at = noise_from = at + FRAME_SIZE
                    reason = "garbage"
                    continue
                reason = "checksum"  # a header was there, so this isn't mere line noise
            at += 1
        if at > noise_from:
            found.append(Noise(reason, at - noise_from))
        self._rest = stream[at:]
        return found

    def reset(self) -> None:
        """Forget a half-read frame."""
        self._rest = b""
