"""From the store to every open page: one poll, one picture, one patch for all.

Reads the store's changes five times a second, puts them on the board, and gives listeners each
patch as JSON text, encoded once. A store that is away stays away only as long as it must: it is
opened again each second, and then read whole, so that nothing that happened meanwhile is missed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import msgspec

from dashboards import trend
from dashboards.board import Board, Patch
from dashboards.store_file import Source
from devices.kinds import KINDS
from ingest.stores import Bucket, Query, StoreError
from ingest.stores.kinds import DEVICE_REGISTRY, GATEWAY_BATCH, GATEWAY_HEALTH
from ingest.stores.live import Change
from wire.clock import Clock

POLL_S = 0.2
HEARTBEAT_S = 1.0
RETRY_S = 1.0
TREND_S = 10.0  # at least so far apart, and only when a step of city time has passed
HEALTH_EVERY = 2  # polls
POINTS_MAX = 200_000
RECENT_MS_MAX = 86_400_000

CITY_KINDS = tuple(KINDS)
HEALTH_KINDS = (DEVICE_REGISTRY.name, GATEWAY_HEALTH.name, GATEWAY_BATCH.name)

Listener = Callable[[str], None]
OpenSource = Callable[[], AbstractAsyncContextManager[Source]]

log = logging.getLogger(__name__)


class Feed:
    """Keeps `board` up to date and tells `listeners`; `run` it for the process's life.

    `looked` is set once the store has answered, or turned out to be away.
    """

    def __init__(self, open_source: OpenSource, clock: Clock) -> None:
        self.board = Board()
        self.clock = clock
        self.listeners: set[Listener] = set()
        self.looked = asyncio.Event()
        self._open_source = open_source
        self._told_at = 0.0
        self._trend_at = 0.0
        self._counted = (0, 0)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow())
            group.create_task(self._beat())

    def snapshot(self) -> str:
        """Everything as JSON text, for a page that opens now."""
        return _text(self.board.snapshot(self.clock.now_ms()))

    async def _beat(self) -> None:
        """Let states expire and pages know that they are heard, whatever the store does."""
        while True:
            await self.clock.pause(HEARTBEAT_S / 4)
            self._tell()

    async def _follow(self) -> None:
        while True:
            try:
                async with self._open_source() as store:
                    await self._read(store)
            except StoreError as error:
                if not self.board.away:
                    log.warning("event=store_away reason=%s", error)
                self.board.away = True
            self.looked.set()
            self._tell()
            await self.clock.pause(RETRY_S)

    async def _read(self, store: Source) -> None:
        """Everything once, then what is new.

        Raises:
            StoreError: the store went away.
        """
        health = await store.changes(HEALTH_KINDS, 0, Bucket.HEALTH)
        city = await store.changes(CITY_KINDS, 0)
        self._take(health.changes)
        self._take(await self._recent(store) + city.changes)
        self._trend_at, self._counted = 0.0, (0, 0)
        polls = 0
        while True:
            if self.board.away:
                log.warning("event=store_back")
            self.board.away, self.board.read_ms = False, self.clock.now_ms()
            self.looked.set()
            self._tell()
            await self._follow_trend(store)
            await self.clock.pause(POLL_S)
            polls += 1
            if polls % HEALTH_EVERY == 0:
                health = await store.changes(HEALTH_KINDS, health.cursor, Bucket.HEALTH)
                self._take(health.changes)
            city = await store.changes(CITY_KINDS, city.cursor)
            self._take(city.changes)

    def _take(self, changes: list[Change]) -> None:
        by_time = sorted(changes, key=lambda change: change.row.time_ms)
        self.board.apply(by_time, self.clock.now_ms())

    async def _recent(self, store: Source) -> list[Change]:
        """Every reading that may still count: a device's newest point may lack a field that the
        one before it has."""
        now_ms = self.clock.now_ms()
        longest_s = max((device.expiry_s for device in self.board.devices.values()), default=0.0)
        start_ms = now_ms - min(int(longest_s * 1000), RECENT_MS_MAX)
        found: list[Change] = []
        for kind in KINDS.values():
            query = _points(kind.name, tuple(kind.fields), start_ms, now_ms)
            found += [Change(kind.name, row) for row in await store.read(query)]
        return found

    async def _follow_trend(self, store: Source) -> None:
        """Count the trend anew when a step has passed, late readings included."""
        now_ms, now = self.clock.now_ms(), self.clock.monotonic()
        times = trend.moments(now_ms)
        bays = {
            device.name: trend.Bay(device.site, device.expiry_s, device.maintenance)
            for device in self.board.devices.values()
            if device.kind == trend.KIND
        }
        counted = (times[-1], len(bays))
        if now < self._trend_at or counted == self._counted:
            return
        self._trend_at, self._counted = now + TREND_S, counted
        longest_s = max((bay.expiry_s for bay in bays.values()), default=0.0)
        start_ms = times[0] - int(longest_s * 1000)
        rows = await store.read(_points(trend.KIND, ("occupied",), start_ms, now_ms))
        self.board.take_trend(trend.Trend(times, trend.replay(rows, bays, times)))

    def _tell(self) -> None:
        """Hand listeners what is new; each second at least, so that they know they are heard."""
        patch = self.board.patch(self.clock.now_ms())
        now = self.clock.monotonic()
        if not patch.news and now - self._told_at < HEARTBEAT_S:
            return
        self._told_at = now
        text = _text(patch)
        for listener in tuple(self.listeners):
            listener(text)


def _text(patch: Patch) -> str:
    return msgspec.json.encode(patch).decode()


def _points(kind: str, fields: tuple[str, ...], start_ms: int, stop_ms: int) -> Query:
    return Query(
        kind=kind,
        fields=fields,
        start_ms=start_ms,
        stop_ms=stop_ms + 1,
        group=("device", "gateway", "site", "zone"),
        limit=POINTS_MAX,
    )
