"""The FF-H-L-SUM frame of cheap ultrasonic rangers: finds frames in a byte stream.

In: bytes, however they were cut. Out: `Frame` and `Noise`, in order.

    FF | distance high | distance low | sum

    sum   low byte of FF + high + low; some makers leave the header out (an option here)

    FFFD  nothing reflects, FFFE another ranger's sound is heard

0xFF may also stand in any of the other three places, so a wrong sum drops one byte and not four:
the real header may be the next one. Sources: wiki.dfrobot.com sen0311/docs/21651 (sum with the
header); github.com/esphome/esphome, jsn_sr04t.cpp (AJ-SR04M, sum without it); wiki.dfrobot.com
sen0754/docs/24696 (FFFD, FFFE).
"""

from __future__ import annotations

from devices.driver import Frame, Noise
from devices.reading import Payload, Refusal, Undecodable, Values

HEADER = 0xFF
FRAME_SIZE = 4
NO_TARGET, INTERFERENCE = 0xFFFD, 0xFFFE


def frame_sum(frame: bytes, *, sum_has_header: bool = True) -> int:
    """The sum that the first three bytes of a frame ask for."""
    first = 0 if sum_has_header else 1
    return sum(frame[first : FRAME_SIZE - 1]) & 0xFF


def read_distance(
    payload: Payload, blind_mm: int, high_mm: int, *, sum_has_header: bool = True
) -> tuple[Values, ...]:
    """One whole frame to one `distance_mm`.

    Args:
        blind_mm: this and less can't be measured.
        high_mm: the farthest that can be.

    Raises:
        Undecodable: `length`, `checksum`, `format` for another header, `no_target`,
            `sensor_fault` for another ranger's sound, or `range`.
    """
    frame = payload.data
    if len(frame) != FRAME_SIZE:
        raise Undecodable(Refusal.LENGTH, f"{len(frame)} bytes, a frame has {FRAME_SIZE}")
    wanted = frame_sum(frame, sum_has_header=sum_has_header)
    if frame[-1] != wanted:
        raise Undecodable(Refusal.CHECKSUM, f"sum {frame[-1]:02x}, not {wanted:02x}")
    if frame[0] != HEADER:
        raise Undecodable(Refusal.FORMAT, f"header {frame[0]:02x}, not ff")
    distance_mm = int.from_bytes(frame[1:3], "big")
    if distance_mm == NO_TARGET:
        raise Undecodable(Refusal.NO_TARGET, "nothing reflects")
    if distance_mm == INTERFERENCE:
        raise Undecodable(Refusal.SENSOR_FAULT, "another ranger's sound")
    if not blind_mm < distance_mm <= high_mm:
        raise Undecodable(Refusal.RANGE, f"{distance_mm} mm not in {blind_mm + 1}..{high_mm}")
    return (Values({"distance_mm": float(distance_mm)}),)


def say_distance(values: Values, *, sum_has_header: bool = True) -> Payload:
    """The frame for a distance; without one it says that nothing reflects."""
    number = round(float(values.fields.get("distance_mm", NO_TARGET)))
    body = bytes((HEADER,)) + number.to_bytes(2, "big")
    return Payload(body + bytes((frame_sum(body, sum_has_header=sum_has_header),)))


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
