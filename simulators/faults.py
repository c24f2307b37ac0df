"""What goes wrong on the way from a sensor, as data: how often, and what it does to bytes.

Two sorts: a fault of one message (an answer, a frame, an uplink), drawn for each by its share; and
an ailment of a device (`ailments.py`), which lasts for hours. Each is noted in the truth file, in
the row of every message it touched.

Radio loss is no fault: it is always there (`radio.py`); `lost` adds to it. These are for tests and
for `--faults`.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

NOISE_BYTES = 6
ANSWER = ("silent", "checksum", "wrong_unit", "truncated", "noise", "extra", "late")
FRAME = ("silent", "checksum", "truncated", "noise", "extra")
UPLINK = ("late", "duplicate", "lost", "unknown_device", "not_json")
AILMENTS = ("stuck", "drifting", "noisy", "battery_dying", "clock_wrong")
NAMED = ("never_answers", "collector_keeps")
UNITS = 247


class Faults(msgspec.Struct, frozen=True):
    """Share of answers, frames or uplinks that go wrong in each way; 0 is never.

    silent          asked, no answer; a frame that isn't sent
    checksum        a damaged frame
    wrong_unit      an answer that bears another slave's address
    truncated       a frame cut short
    noise           bytes that belong to no frame, in front of a good one
    extra           bytes that belong to no frame, behind a good one
    late            an answer after the time-out; an uplink delivered minutes after its time
    duplicate       an uplink delivered twice
    lost            an uplink that nobody hears
    unknown_device  beside an uplink, one of a device that nobody configured
    not_json        in place of an uplink, half of its envelope
    outlier         a ranger's echo off something else, beyond the world's own
    ailments_a_day  share of devices that fall ill each day, in one way of `AILMENTS`
    never_answers   names of polled devices that are dead
    collector_keeps zones where most payments never reach the terminal
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
    wrong_unit: float = 0.0
    extra: float = 0.0
    lost: float = 0.0
    outlier: float = 0.0
    ailments_a_day: float = 0.0
    collector_keeps: tuple[str, ...] = ()

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
    wrong_unit=0.001,
    extra=0.002,
    lost=0.01,
    ailments_a_day=0.05,
)
"""What `--faults` turns on."""


def with_shares(faults: Faults, texts: Sequence[str]) -> Faults:
    """These faults with shares given as `checksum=0.1`, names as `never_answers=bay-13`.

    Raises:
        ValueError: no fault of that name, or no share from 0 to 1.
    """
    for text in texts:
        name, _, share = text.partition("=")
        if name in NAMED:
            faults = msgspec.structs.replace(faults, **{name: tuple(share.split(","))})
            continue
        known = sorted(set(Faults.__struct_fields__) - set(NAMED))
        if name not in known:
            raise ValueError(f"no fault {name!r}; there are: {', '.join((*known, *NAMED))}")
        if not 0 <= float(share or "nan") <= 1:
            raise ValueError(f"{text}: give a share from 0 to 1")
        faults = msgspec.structs.replace(faults, **{name: float(share)})
    return faults


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
        return _babble(draws) + frame
    if fault == "extra":
        return frame + _babble(draws)
    return frame


def _babble(draws: np.random.Generator) -> bytes:
    """Never FF, nor a byte under 80: a header's would make a frame of what must stay noise."""
    return draws.integers(0x80, 0xFF, NOISE_BYTES, dtype=np.uint8).tobytes()


def is_readable(fault: str) -> bool:
    """Whether what is left can be read as what the device meant."""
    return fault not in ("silent", "checksum", "truncated", "wrong_unit")
