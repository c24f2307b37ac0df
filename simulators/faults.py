"""What goes wrong on the way from a sensor, as data: how often, and what it does to bytes.

Radio loss is no fault: it is always there (`radio.py`). These are for tests and for `--faults`.
"""

from __future__ import annotations

import msgspec
import numpy as np

NOISE_BYTES = 6
ANSWER = ("silent", "checksum", "truncated", "noise", "late")
FRAME = ("silent", "checksum", "truncated", "noise")
UPLINK = ("late", "duplicate", "unknown_device", "not_json")


class Faults(msgspec.Struct, frozen=True):
    """Share of answers, frames or uplinks that go wrong in each way; 0 is never.

    silent          asked, no answer; a frame that isn't sent
    checksum        a damaged frame
    truncated       a frame cut short
    noise           bytes that belong to no frame, in front of a good one
    late            an answer after the time-out; an uplink delivered minutes after its time
    duplicate       an uplink delivered twice
    unknown_device  beside an uplink, one of a device that nobody configured
    not_json        in place of an uplink, half of its envelope
    never_answers   names of polled devices that are dead
    """

    silent: float = 0.0
    checksum: float = 0.0
    truncated: float = 0.0
    noise: float = 0.0
    late: float = 0.0
    duplicate: float = 0.0
    unknown_device: float = 0.0
    not_json: float = 0.0
    never_answers: tuple[str, ...] = ()

    def pick(self, draws: np.random.Generator, among: tuple[str, ...]) -> str:
        """The fault of this occasion, or "" for none."""
        share = float(draws.random())
        for name in among:
            share -= float(getattr(self, name))
            if share < 0:
                return name
        return ""


NO_FAULTS = Faults()
MIXED_FAULTS = Faults(
    silent=0.002,
    checksum=0.003,  # RS-485 errors 0.3 % (§4 [control, I])
    truncated=0.001,
    noise=0.002,
    late=0.002,
    duplicate=0.01,  # gateways that hear it twice (§4 [I])
    unknown_device=0.01,
    not_json=0.01,
    never_answers=("bay-13",),
)
"""What `--faults` turns on."""


def damaged(frame: bytes, fault: str, draws: np.random.Generator) -> bytes:
    """What such a fault makes of a frame: nothing, another frame, or more bytes."""
    if fault == "silent":
        return b""
    if fault == "checksum":
        return frame[:-1] + bytes((frame[-1] ^ 0x55,))
    if fault == "truncated":
        # Not where the next frame's header would stand in for the byte that is missing.
        return frame[:-1] if frame[-1] != frame[0] else frame[: len(frame) // 2]
    if fault == "noise":
        # Never FF: a header's byte would make a frame of what must stay noise.
        return draws.integers(0, 255, NOISE_BYTES, dtype=np.uint8).tobytes() + frame
    return frame


def is_readable(fault: str) -> bool:
    """Whether what is left can be read as what the device meant."""
    return fault not in ("silent", "checksum", "truncated")
