"""What the air lost: uplinks that the LoRaWAN frame counters tell of and nobody heard. Pure.

A device counts its uplinks. Two readings that follow each other with counters 7 and 10 say that
two uplinks came between them that were not stored. If the store has every batch of that time, the
air lost them (or the gateway refused them, or they carried no reading: MAC commands); if batches of
that time wait or are missing, nobody can tell yet: they are `unsure`, and count as neither.

    7 → 8       nothing lost
    7 → 7       the same uplink again
    65534 → 1   a counter of 16 bits rolled over: two lost
    900 → 3     a new session (the device joined again): counted anew, nothing inferred
    7 → 30000   farther than `STEP_MAX`: another device or session, as above

Source: LoRaWAN 1.0.3, 4.3.1.5 (frame counters, MAX_FCNT_GAP).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

STEP_MAX = 16_384
_SIXTEEN_BITS = 65_536

Heard = tuple[int, int]
"""Time in ms and frame counter of a stored uplink."""
Span = tuple[int, int]
"""From and until when batches aren't in the store, in ms."""


class Radio(msgspec.Struct):
    """Uplinks: `expected` by the counters, `heard` of these, and `unsure` ones beside them."""

    expected: int = 0
    heard: int = 0
    unsure: int = 0

    def add(self, other: Radio) -> None:
        self.expected += other.expected
        self.heard += other.heard
        self.unsure += other.unsure


def count_uplinks(uplinks: Iterable[Heard], start_ms: int, unsure: Sequence[Span]) -> Radio:
    """One device's uplinks since `start_ms`; earlier ones only say where counting begins."""
    counted = Radio()
    before: Heard | None = None
    for after in sorted(uplinks):
        step = 1 if before is None else _step(before[1], after[1])
        if step == 0:
            continue
        if after[0] >= start_ms:
            counted.heard += 1
            between = (before or after)[0], after[0]
            if step > 1 and any(low < between[1] and between[0] < high for low, high in unsure):
                counted.unsure += step - 1
                step = 1
            counted.expected += step
        before = after
    return counted


def _step(before: int, after: int) -> int:
    """How many uplinks on; 1 for a new session."""
    step = after - before
    if step < 0 and before < _SIXTEEN_BITS:
        step += _SIXTEEN_BITS
    return step if 0 <= step <= STEP_MAX else 1
