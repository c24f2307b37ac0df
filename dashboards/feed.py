"""From the store to every open page: one poll, one picture, one patch for all.

Reads the store's changes five times a second, more seldom where a look takes long, puts them on the
board, and gives listeners each patch as JSON text, encoded once. A store that is away stays away
only as long as it must: it is opened again each second, and then read whole, so that nothing that
happened meanwhile is missed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager

import msgspec

from dashboards.board import READINGS_SHOWN, Board, Patch
from dashboards.states import default_expiry_s
from dashboards.store_file import Source
from dashboards.trend_reader import TrendReader
from devices.kinds import KINDS
from ingest.stores import Bucket, Query, StoreError
from ingest.stores.kinds import DEVICE_REGISTRY, GATEWAY_BATCH, GATEWAY_HEALTH
from ingest.stores.live import Change
from wire.clock import Clock
from wire.together import together

POLL_S = 0.2
HEARTBEAT_S = 1.0
RETRY_S = 1.0
HEALTH_EVERY = 2  # polls
TREND_LOOK_S = 1.0
BUSY_SHARE = 0.2  # of the time, at most, is spent looking: the database has other work
REST_S_MAX = 1.0  # a seldom, long look must not keep the next short one waiting
RECENT_MS_MAX = 86_400_000
RECENT_SLICE_MS = 3_600_000
RECENT_POINTS_MAX = 200_000

CITY_KINDS = (*KINDS, GATEWAY_BATCH.name)
HEALTH_KINDS = (DEVICE_REGISTRY.name, GATEWAY_HEALTH.name)

Listener = Callable[[str], None]
OpenSource = Callable[[], AbstractAsyncContextManager[Source]]

log = logging.getLogger(__name__)


class Feed:
    """Keeps `board` up to date, tells `listeners` and `followers`; `run` it for the process's life.

    `looked` is set once the store has answered, or turned out to be away.
    """

    def __init__(self, open_source: OpenSource, clock: Clock) -> None:
        self.board = Board()
        self.clock = clock
        self.listeners: set[Listener] = set()
        self.followers: set[Callable[[], None]] = set()  # told after the listeners, without a text
        self.looked = asyncio.Event()
        self._open_source = open_source
        self._told_at = 0.0

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow())
            group.create_task(self._beat())

    def snapshot(self) -> bytes:
        """Everything as JSON, for a page that opens now."""
        return msgspec.json.encode(self.board.snapshot(self.clock.now_ms()))

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
        """Everything once, then what is new, and beside it the trend.

        What counts comes first, and is shown: who is registered, and every reading that hasn't
        expired. The newest reading of each device, however old, costs a large database seconds.

        Raises:
            StoreError: the store went away.
        """
        health = await store.changes(HEALTH_KINDS, 0, Bucket.HEALTH)
        recent = await self._recent(store, _longest_s(health.changes))
        self._take(health.changes)
        self._take(sorted(recent, key=lambda change: change.row.time_ms)[-READINGS_SHOWN:])
        self.board.recall(recent, self.clock.now_ms())
        if self.board.devices:
            self._answered()
        city = await store.changes(CITY_KINDS, 0)
        strangers = [each for each in city.changes if not self._is_known(each)]
        recent = await self._recent(store, _longest_s(strangers)) if strangers else []
        self._take(city.changes)
        self.board.recall(recent, self.clock.now_ms())
        changes = self._follow_changes(store, health.cursor, city.cursor)
        await together(StoreError, changes, self._follow_trend(store))

    async def _follow_changes(self, store: Source, health: int, city: int) -> None:
        """What is new since these cursors."""
        polls, took_s = 0, 0.0
        while True:
            self._answered()
            await self.clock.pause(max(POLL_S, _rest_s(took_s)))
            polls += 1
            began_s = self.clock.monotonic()
            if polls % HEALTH_EVERY == 0:
                seen = await store.changes(HEALTH_KINDS, health, Bucket.HEALTH)
                self._take(seen.changes)
                health = seen.cursor
            seen = await store.changes(CITY_KINDS, city)
            self._take(seen.changes)
            city = seen.cursor
            took_s = self.clock.monotonic() - began_s

    def _answered(self) -> None:
        """The store has, and what it said is on the board."""
        if self.board.away:
            log.warning("event=store_back")
        self.board.away, self.board.read_ms = False, self.clock.now_ms()
        self.looked.set()
        self._tell()

    async def _follow_trend(self, store: Source) -> None:
        reader = TrendReader(self.clock)
        while True:
            began_s = self.clock.monotonic()
            counted = await reader.look(store, self.board.devices.values())
            if counted:
                self.board.take_trend(counted)
            rest_s = _rest_s(self.clock.monotonic() - began_s)
            await self.clock.pause(rest_s if reader.counting else TREND_LOOK_S)

    def _take(self, changes: list[Change]) -> None:
        by_time = sorted(changes, key=lambda change: change.row.time_ms)
        self.board.apply(by_time, self.clock.now_ms())

    def _is_known(self, change: Change) -> bool:
        return change.kind not in KINDS or change.row.tags["device"] in self.board.devices

    async def _recent(self, store: Source, longest_s: float) -> list[Change]:
        """Every reading that may still count: a device's newest point may lack a field that the
        one before it has. Newest first, and no more than `RECENT_POINTS_MAX` and some."""
        now_ms = self.clock.now_ms()
        oldest_ms = now_ms - min(int(longest_s * 1000), RECENT_MS_MAX)
        found: list[Change] = []
        stop_ms = now_ms + 1
        while stop_ms > oldest_ms and len(found) < RECENT_POINTS_MAX:
            start_ms = max(oldest_ms, stop_ms - RECENT_SLICE_MS)
            for kind in KINDS.values():
                rows = await store.read(_points(kind.name, tuple(kind.fields), start_ms, stop_ms))
                found += [Change(kind.name, row) for row in rows]
            stop_ms = start_ms
        return found

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
        for told in tuple(self.followers):
            told()


def _longest_s(changes: Iterable[Change]) -> float:
    """How long a reading of these devices can count: what the registry says, or the kind."""
    said = (
        change.row.fields.get("expiry_s") or default_expiry_s(change.kind) for change in changes
    )
    return max((float(expiry_s) for expiry_s in said), default=0.0)


def _rest_s(took_s: float) -> float:
    """How long to leave the database alone after a look that took so long."""
    return min(took_s * (1 / BUSY_SHARE - 1), REST_S_MAX)


def _text(patch: Patch) -> str:
    return msgspec.json.encode(patch).decode()


def _points(kind: str, fields: tuple[str, ...], start_ms: int, stop_ms: int) -> Query:
    return Query(
        kind=kind,
        fields=fields,
        start_ms=start_ms,
        stop_ms=stop_ms,
        limit=RECENT_POINTS_MAX,
    )
