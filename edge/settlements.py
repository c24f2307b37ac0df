"""A payment that is told again stays where it was. Pure.

In: a terminal, a transaction, the second it was settled in. Out: the time of its point.

What holds: a repeat of one of the last `REMEMBERED` transactions of a terminal gets the very time
it had, even if the message names another one. A repeat of an older one, or after a restart, gets
the same time from its number and second (`devices.payments`). Two transactions whose numbers give
them the same millisecond of the same second (one pair in a thousand of those that share a second)
get the same time here: the outbox knows over restarts which number has it, and moves the later one
on (`outbox_keys.place_line`).
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

    def place(self, terminal: str, transaction: str, time_ms: int) -> int:
        """The time of that payment's point, Unix milliseconds."""
        times = self._times[terminal]
        if transaction in times:
            return times[transaction]
        placed_ms = times[transaction] = settled_ms(time_ms, transaction)
        if len(times) > REMEMBERED:
            del times[next(iter(times))]
        return placed_ms
