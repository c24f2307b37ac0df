"""What travels inside the agent between intake, outbox and uplink.

`Line` is a reading on its way to be sealed, `Sealed` a batch on disk, `Tally` the counts that
must be committed together with what they count.
"""

from __future__ import annotations

from collections import Counter

import msgspec

from wire.batch import BatchKey


class Line(msgspec.Struct, frozen=True):
    """A formatted reading (`wire.line.format_line`) with what sealing needs to know of it.

    While the machine's time isn't trusted, the line of a polled reading ends in the boot's uptime
    in milliseconds (under 10**11, tens of them) instead of Unix time, and `time_ms` is that uptime.
    """

    text: str
    device: str
    kind: str
    time_ms: int
    event: bool = False
    number: str = ""
    """The event's own, where its kind has one: two of them on one millisecond are no repeat."""


class Sealed(msgspec.Struct, frozen=True):
    """A sealed batch as the uplink sends it. `seal_ms` increases strictly within a gateway."""

    key: BatchKey
    seal_ms: int
    payload: bytes
    readings: int
    first_ms: int
    last_ms: int
    event: bool


class Tally:
    """Counts since the last commit, in readings; `take` empties it into a commit.

    Keys are `(name, reason)`: `("taken", "")`, `("refused", "checksum")`, `("suppressed", "")`,
    `("noise", "garbage")` (noise is counted in pieces, it never was a reading).
    """

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()

    def add(self, name: str, reason: str = "", readings: int = 1) -> None:
        """Count so many readings."""
        self.counts[name, reason] += readings

    def take(self) -> Counter[tuple[str, str]]:
        """The counts so far; the tally is empty afterwards."""
        counts, self.counts = self.counts, Counter()
        return counts

    def give_back(self, counts: Counter[tuple[str, str]]) -> None:
        """Undo `take` after a commit that failed."""
        self.counts.update(counts)
