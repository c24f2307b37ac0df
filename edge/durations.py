"""How long something took, many times: counts by upper bound, the sum, and nothing of each.

In: seconds. Out: what a histogram needs. Bounds from the fastest confirmation over a good line to
the slowest that isn't yet an outage.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

BOUNDS_S = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class Durations:
    """Grows with nothing."""

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS_S) + 1)
        self.sum_s = 0.0

    @property
    def count(self) -> int:
        return sum(self._counts)

    def note(self, seconds: float) -> None:
        """One more."""
        self._counts[bisect_left(BOUNDS_S, seconds)] += 1
        self.sum_s += seconds

    def up_to(self) -> Iterator[tuple[float, int]]:
        """Each bound, and how many took so long or less."""
        so_far = 0
        for bound_s, count in zip(BOUNDS_S, self._counts, strict=False):
            so_far += count
            yield bound_s, so_far
