"""How full parking was: the share of occupied bays over the last hours, by site.

In: the bays' readings of those hours, piece by piece, and each bay's expiry. Out: for each site,
what the board would have shown at a moment: occupied of all bays whose state was known, None when
none was. Counting states instead of averaging readings keeps a bay that reports often from
weighing more than one that reports seldom.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

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


Shares = dict[str, float | None]
"""Site → its share at one moment."""


class Trend(msgspec.Struct, frozen=True):
    """Each site's shares with their moments, as pages draw them."""

    times: list[int] = []
    shares: dict[str, list[float | None]] = {}


def moments(now_ms: int) -> list[int]:
    """The steps of the last hours, up to the last whole one."""
    last = now_ms - now_ms % STEP_MS
    return list(range(last - HOURS * 3_600_000, last + 1, STEP_MS))


class Replay:
    """The bays' states as they followed each other: `take` a piece of readings, then ask for the
    shares `at` its moments. Pieces and moments come in order, readings of a piece in any."""

    def __init__(
        self, bays: Mapping[str, Bay], newest: Mapping[str, Mapping[str, Timed]] | None = None
    ) -> None:
        self._bays = bays
        self._newest = dict(newest or {})
        self._ahead: deque[Row] = deque()

    def take(self, rows: Iterable[Row]) -> None:
        """Readings after the last moment that was asked for; strangers' are left out."""
        ordered = [
            row for row in rows if row.tags["device"] in self._bays and "occupied" in row.fields
        ]
        self._ahead = deque(sorted([*self._ahead, *ordered], key=lambda row: row.time_ms))

    def at(self, time_ms: int) -> Shares:
        """What the board would have shown."""
        while self._ahead and self._ahead[0].time_ms <= time_ms:
            row = self._ahead.popleft()
            timed = Timed(row.fields["occupied"], row.time_ms)
            self._newest[row.tags["device"]] = {"occupied": timed}
        return _shares(self._newest, self._bays, time_ms)

    def copy(self) -> Replay:
        """The same states, without what was taken for later moments."""
        return Replay(self._bays, self._newest)


def _shares(
    newest: Mapping[str, Mapping[str, Timed]], bays: Mapping[str, Bay], time_ms: int
) -> Shares:
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
