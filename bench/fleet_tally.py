"""What a played fleet has seen: counts, and how long confirmations took; parts add up."""

from __future__ import annotations

import math
from collections import Counter

import msgspec

_STEP = 1.02  # two per cent: the resolution of a percentile


class Times(msgspec.Struct):
    """Durations by size: step → how many. A percentile is right to two per cent."""

    counts: dict[int, int] = {}
    greatest_s: float = 0.0

    def add(self, seconds: float) -> None:
        step = round(math.log(max(seconds, 1e-6), _STEP))
        self.counts[step] = self.counts.get(step, 0) + 1
        self.greatest_s = max(self.greatest_s, seconds)

    def percentile_s(self, percent: float) -> float:
        """The duration below which so many per cent are; 0 when there are none."""
        left = sum(self.counts.values()) * percent / 100
        for step in sorted(self.counts):
            left -= self.counts[step]
            if left <= 0:
                return min(float(_STEP**step), self.greatest_s)
        return 0.0

    def __add__(self, other: Times) -> Times:
        counts = dict(Counter(self.counts) + Counter(other.counts))
        return Times(counts, max(self.greatest_s, other.greatest_s))

    def since(self, before: Times) -> Times:
        """Those that came after `before`; the greatest may be of earlier."""
        return Times(dict(Counter(self.counts) - Counter(before.counts)), self.greatest_s)

    def summary(self) -> dict[str, float]:
        """p50, p99 and the greatest, in seconds."""
        return {
            "p50_s": round(self.percentile_s(50), 4),
            "p99_s": round(self.percentile_s(99), 4),
            "max_s": round(self.greatest_s, 4),
        }


class Tally(msgspec.Struct):
    """Counts since the start, unless it says now.

    `sealed`, `confirmed` are batches, `..._readings` readings; `rejected_readings` is part of
    `confirmed_readings`. `sends` counts copies handed to a link, `resends` those beyond a batch's
    first. `in_flight` is how many copies may be in the broker now, `in_flight_max` the sum of each
    process's most; `resting` is how many processes seal no more. `live` is from seal to final
    confirmation for what was sent on `batch`, `late` from the first send to final confirmation for
    what was sent on `backfill`.
    """

    sealed: int = 0
    sealed_readings: int = 0
    confirmed: int = 0
    confirmed_readings: int = 0
    rejected_readings: int = 0
    held: int = 0
    sends: int = 0
    resends: int = 0
    questions: int = 0
    snapshots: int = 0
    copies_of_one_max: int = 0
    in_flight: int = 0
    in_flight_max: int = 0
    connected: int = 0
    connections_lost: int = 0
    resting: int = 0
    pubacks: dict[str, int] = {}
    live: Times = msgspec.field(default_factory=Times)
    late: Times = msgspec.field(default_factory=Times)

    @property
    def waiting(self) -> int:
        """Batches sealed and not confirmed."""
        return self.sealed - self.confirmed

    def answered(self, code: int) -> None:
        """Count a PUBACK."""
        name = f"0x{code:02x}"
        self.pubacks[name] = self.pubacks.get(name, 0) + 1

    def __add__(self, other: Tally) -> Tally:
        added = {}
        for name in self.__struct_fields__:
            mine, theirs = getattr(self, name), getattr(other, name)
            if name == "copies_of_one_max":
                added[name] = max(mine, theirs)
            elif isinstance(mine, dict):
                added[name] = dict(Counter(mine) + Counter(theirs))
            else:
                added[name] = mine + theirs
        return Tally(**added)

    def summary(self) -> dict[str, object]:
        """For people: the counts, and percentiles in place of the times."""
        counts = {name: getattr(self, name) for name in self.__struct_fields__}
        return counts | {"live": self.live.summary(), "late": self.late.summary()}
