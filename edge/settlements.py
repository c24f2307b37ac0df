"""Payments of one terminal keep apart, and one that is told again stays where it was. Pure.

In: a terminal, a transaction, the second it was settled in. Out: the time of its point.

What holds: a repeat of one of the last `REMEMBERED` transactions of a terminal gets the very time
it had, even if the message names another one. A repeat of an older one, or after a restart, gets
the same time from its number and second (`devices.payments`). Two transactions whose numbers give
them the same millisecond of the same second (one pair in a thousand of those that share a second)
are a millisecond apart. What doesn't: should the later one of such a pair be told again after a
restart or 1,000 payments later, it takes the first one's place.
"""

from __future__ import annotations

from collections import defaultdict

from devices.payments import settled_ms

REMEMBERED = 1000
"""Transactions a terminal; beyond them the oldest is forgotten."""


class Settlements:
    """What was placed where, by terminal."""

    def __init__(self) -> None:
        self._times: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self._taken: defaultdict[str, set[int]] = defaultdict(set)

    def place(self, terminal: str, transaction: str, time_ms: int) -> int:
        """The time of that payment's point, Unix milliseconds."""
        times, taken = self._times[terminal], self._taken[terminal]
        if transaction in times:
            return times[transaction]
        placed_ms = settled_ms(time_ms, transaction)
        while placed_ms in taken:  # ends: no more of them than are remembered
            placed_ms += 1
        times[transaction] = placed_ms
        taken.add(placed_ms)
        if len(times) > REMEMBERED:
            taken.discard(times.pop(next(iter(times))))
        return placed_ms
