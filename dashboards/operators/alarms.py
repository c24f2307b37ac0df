"""What fires now, looked at once for all viewers; and what operators say of it, for the watch.

In: the store, and the watch's desk (`alerts.json`), beside which requests are left as files. The
watch alone judges; here, nothing is decided.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from ingest.alerts.current import Alert, firing
from ingest.alerts.desk import Ask, DeskFile, leave_ask, load_desk
from ingest.rules.kinds import WATCH_HEALTH
from ingest.stores import Aggregate, Bucket, Query, Reader, StoreError
from wire.clock import Clock
from wire.configuration import ConfigurationError

LOOK_S = 3.0
BUSY_SHARE = 0.1  # of the time, at most, is spent looking
WORDS_MAX = 200
SILENT_S = 20.0
"""Wall seconds for which a watch may be busy, however fast city time runs."""

DAY_MS = 86_400_000

log = logging.getLogger(__name__)


class Alarms:
    """Keeps `firing`, the worst first, and tells `followers`; `run` it for the process's life.

    `away` says why there is nothing newer than `read_ms`; empty when there is. `watch_ms` is when
    the watch last ended a round. `desk` is what the watch keeps: silences and acknowledgements.
    """

    def __init__(self, store: Reader, clock: Clock, desk_file: str = "") -> None:
        self.firing: tuple[Alert, ...] = ()
        self.desk = DeskFile()
        self.read_ms = self.watch_ms = 0
        self.away = ""
        self.followers: set[Callable[[], None]] = set()
        self._store, self._clock = store, clock
        self._path = Path(desk_file) if desk_file else None
        self._asked_ms = 0

    @property
    def stale(self) -> bool:
        """Whether the watch, which judges each minute, has said nothing for too long: what fires
        may be something else by now."""
        return self._clock.now_ms() - self.watch_ms > silent_after_ms(self._clock)

    @property
    def can_answer(self) -> bool:
        """Whether acknowledgements reach the watch."""
        return self._path is not None

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            began_s = self._clock.monotonic()
            await self._look()
            for told in tuple(self.followers):
                told()
            took_s = self._clock.monotonic() - began_s
            await self._clock.pause(max(LOOK_S, took_s / BUSY_SHARE))

    async def leave(self, ask: Ask) -> Path:
        """Leave a request for the watch, which takes the file away; each has a name of its own.

        Raises:
            OSError: there is no desk, or its folder can't be written.
        """
        if self._path is None:
            raise FileNotFoundError("no alerts.desk_file in page.toml")
        self._asked_ms = max(self._asked_ms + 1, self._clock.now_ms())
        return await asyncio.to_thread(leave_ask, self._path, ask, self._asked_ms)

    async def _look(self) -> None:
        try:
            if self._path is not None:
                self.desk = await asyncio.to_thread(load_desk, self._path)
            now_ms = self._clock.now_ms()
            found = await firing(self._store, self.desk, now_ms)
            self.watch_ms = await watch_said_ms(self._store, now_ms)
        except (StoreError, ConfigurationError, OSError) as error:
            if not self.away:
                log.warning("event=alerts_away reason=%s", error)
            self.away = str(error) or type(error).__name__
        else:
            self.firing, self.read_ms, self.away = tuple(found), self._clock.now_ms(), ""


async def watch_said_ms(store: Reader, now_ms: int) -> int:
    """When the watch last ended a round; 0 when it hasn't for seven days.

    Raises:
        StoreError: the store can't be read now.
    """
    query = Query(
        kind=WATCH_HEALTH.name,
        fields=("uptime_s",),
        start_ms=max(0, now_ms - 7 * DAY_MS),
        stop_ms=now_ms + DAY_MS,
        aggregate=Aggregate.NEWEST,
        bucket=Bucket.HEALTH,
    )
    return max((row.time_ms for row in await store.read(query)), default=0)


def silent_after_ms(clock: Clock) -> float:
    """After how long without a round the watch counts as silent: three minutes; in a city at speed
    that is a moment, and a busy machine needs more."""
    rate = clock.uptime_s() / clock.monotonic()
    return 1000 * max(WATCH_HEALTH.expiry_s, SILENT_S * rate)


def in_bounds(why: str) -> str:
    """A reason that fits into a message: one line, not empty.

    Raises:
        ValueError: it is empty or too long.
    """
    said = " ".join(why.split())
    if not 0 < len(said) <= WORDS_MAX:
        raise ValueError(f"{len(said)} letters; write 1 to {WORDS_MAX}")
    return said
