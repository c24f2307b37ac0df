"""How full parking was: the share of occupied bays over the last hours, by site.

In: the bays' readings of those hours, each bay's expiry, the moments to look at. Out: for each
site, what the board would have shown then: occupied of all bays whose state was known, None when
none was. Counting states instead of averaging readings keeps a bay that reports often from
weighing more than one that reports seldom.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from dashboards.states import State, Timed, state_of
from ingest.stores import Row

STEP_MS = 300_000
HOURS = 12

KIND = "parking_spot"


class Bay(msgspec.Struct, frozen=True):
    """What the count needs to know of a bay."""

    site: str
    expiry_s: float
    maintenance: bool = False


Shares = dict[str, list[float | None]]
"""Site → a share for each moment."""


class Trend(msgspec.Struct, frozen=True):
    """Shares with their moments, as pages draw them."""

    times: list[int] = []
    shares: Shares = {}


def moments(now_ms: int) -> list[int]:
    """The steps of the last hours, up to the last whole one."""
    last = now_ms - now_ms % STEP_MS
    return list(range(last - HOURS * 3_600_000, last + 1, STEP_MS))


def replay(rows: Sequence[Row], bays: Mapping[str, Bay], times: Sequence[int]) -> Shares:
    """The share at each time, from readings in any order."""
    shares: Shares = {site: [] for site in sorted({bay.site for bay in bays.values()})}
    ordered = sorted(
        (row for row in rows if row.tags["device"] in bays and "occupied" in row.fields),
        key=lambda row: row.time_ms,
    )
    newest: dict[str, dict[str, Timed]] = {}
    reached = 0
    for time_ms in times:
        while reached < len(ordered) and ordered[reached].time_ms <= time_ms:
            row = ordered[reached]
            timed = Timed(row.fields["occupied"], row.time_ms)
            newest[row.tags["device"]] = {"occupied": timed}
            reached += 1
        for site, share in _shares(newest, bays, time_ms).items():
            shares[site].append(share)
    return shares


def _shares(
    newest: Mapping[str, Mapping[str, Timed]], bays: Mapping[str, Bay], time_ms: int
) -> dict[str, float | None]:
    known: dict[str, list[int]] = {bay.site: [0, 0] for bay in bays.values()}
    for name, bay in bays.items():
        state = state_of(
            KIND,
            newest.get(name, {}),
            expiry_s=bay.expiry_s,
            now_ms=time_ms,
            maintenance=bay.maintenance,
        )
        if state in (State.FREE, State.OCCUPIED):
            known[bay.site][state is State.OCCUPIED] += 1
    return {
        site: round(occupied / (free + occupied), 4) if free + occupied else None
        for site, (free, occupied) in known.items()
    }
