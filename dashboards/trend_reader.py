"""Reads what the trend is counted from, a few steps' readings at a time, so no page waits for it.

The last steps are counted again at each new one, since readings travel; all of them as often as
that costs at most a hundredth of the time, for what came later than that: in a small city at each
step, in one of 10,000 devices each few minutes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from dashboards.device import Device
from dashboards.store_file import Source
from dashboards.trend import KIND, STEP_MS, Bay, Replay, Shares, Trend, moments
from ingest.stores import Query
from ingest.stores.query import ROWS_MAX
from wire.clock import Clock

EVERY_S = 10.0  # wall seconds between counts, at the least
STEPS_AGAIN = 2
PIECE_MS = 3 * STEP_MS
WHOLE_SHARE = 0.01


class TrendReader:
    """Counts the trend from one store; a new one begins with all of its hours."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._next_at = self._whole_at = 0.0
        self._whole, self._took_s = True, 0.0
        self._bays: dict[str, Bay] = {}
        self._shares: dict[int, Shares] = {}  # by moment; no more than one count's
        self._times: list[int] = []
        self._pieces: deque[tuple[int, int]] = deque()  # after, up to; no more than one count's
        self._replay = Replay({})
        self._settled = (0, Replay({}))

    @property
    def counting(self) -> bool:
        """Whether a count is under way."""
        return bool(self._pieces)

    async def look(self, store: Source, devices: Iterable[Device]) -> Trend | None:
        """Read one piece at most, a few milliseconds' work; the trend when a count is done.

        Raises:
            StoreError: the store went away.
        """
        if not self._pieces and not self._begin(devices):
            return None
        began_s = self._clock.monotonic()
        after_ms, until_ms = self._pieces[0]
        self._replay.take(await store.read(_readings(after_ms, until_ms)))
        self._pieces.popleft()
        for time_ms in self._times:
            if after_ms < time_ms <= until_ms:
                self._shares[time_ms] = self._replay.at(time_ms)
                if time_ms == self._times[-1 - STEPS_AGAIN]:
                    self._settled = time_ms, self._replay.copy()
        self._took_s += self._clock.monotonic() - began_s
        return None if self._pieces else self._finish()

    def _begin(self, devices: Iterable[Device]) -> bool:
        """Plan a count if one is due."""
        now, times = self._clock.monotonic(), moments(self._clock.now_ms())
        if now < self._next_at:
            return False
        self._next_at = now + EVERY_S
        bays = {
            device.name: Bay(device.site, device.expiry_s, device.maintenance)
            for device in devices
            if device.kind == KIND
        }
        if times == self._times and bays == self._bays:
            return False
        settled_ms, replay = self._settled
        self._whole = bays != self._bays or now >= self._whole_at or settled_ms < times[0]
        self._took_s = 0.0
        if self._whole:
            longest_s = max((bay.expiry_s for bay in bays.values()), default=0.0)
            after_ms = times[0] - int(longest_s * 1000) - 1
            self._replay, self._shares = Replay(bays), {}
        else:
            after_ms, self._replay = settled_ms, replay.copy()
        self._times, self._bays = times, bays
        edges = range(after_ms, times[-1], PIECE_MS)
        self._pieces.extend(zip(edges, [*edges[1:], times[-1]], strict=True))
        return True

    def _finish(self) -> Trend:
        now = self._clock.monotonic()
        if self._whole:
            self._whole_at = now + self._took_s / WHOLE_SHARE
        self._shares = {time_ms: self._shares[time_ms] for time_ms in self._times}
        sites = sorted({bay.site for bay in self._bays.values()})
        return Trend(
            self._times,
            {site: [self._shares[ms].get(site) for ms in self._times] for site in sites},
        )


def _readings(after_ms: int, until_ms: int) -> Query:
    """What bays said after one moment and up to another."""
    return Query(
        kind=KIND,
        fields=("occupied",),
        start_ms=max(after_ms + 1, 0),
        stop_ms=until_ms + 1,
        limit=ROWS_MAX,
    )
