"""What the rounds achieved: emptyings, visits for little, hours of overflow; and who needs one now.

In: a bin's levels and fires. Out: a `Service` for a range of time, and today's list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from dashboards.analysis.emptyings import Emptying, emptyings
from dashboards.analysis.spans import Points, spans
from dashboards.analysis.time_to_full import TimeToFull
from ingest.rules.forecast import FULL

WASTED_BELOW = 0.40
"""A bin emptied at less than this could have waited."""

OVERFLOW_ABOVE = 0.95
"""Nothing more goes in: a ranger's noise keeps a heaped bin from always saying 1."""


class Service(msgspec.Struct, frozen=True):
    """One bin's range of time. Hours in which nobody knew its level are `unknown_h`."""

    emptied: tuple[Emptying, ...]
    wasted: int
    overflow_h: float
    unknown_h: float

    @property
    def visits(self) -> int:
        return len(self.emptied)


def service(
    levels: Points, start_ms: int, stop_ms: int, hold_ms: int, fires_ms: Sequence[int] = ()
) -> Service:
    """What happened to a bin in the range; `hold_ms` is how long a level is believed."""
    found = tuple(one for one in emptyings(levels, fires_ms) if start_ms <= one.until_ms < stop_ms)
    overflow_h = unknown_h = 0.0
    for span in spans(levels, start_ms, stop_ms, hold_ms):
        if span.value is None:
            unknown_h += span.hours
        elif span.value >= OVERFLOW_ABOVE:
            overflow_h += span.hours
    wasted = sum(one.before < WASTED_BELOW for one in found)
    return Service(found, wasted, overflow_h, unknown_h)


def due(
    levels: Mapping[str, float], full_in: Mapping[str, TimeToFull], within_h: float
) -> list[str]:
    """Bins that must be emptied now, the fullest first: above the limit already, or likely to be
    before the next round comes in `within_h` hours."""
    chosen = [
        name
        for name, level in levels.items()
        if level >= FULL or (name in full_in and full_in[name].hours <= within_h)
    ]
    return sorted(chosen, key=lambda name: (-levels[name], name))
