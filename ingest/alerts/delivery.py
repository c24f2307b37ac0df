"""Out to people: each receiver in its own time, again and again until it takes what is due.

A receiver that is away is tried after 10 s, then ever more seldom, at most each ten minutes, or
when it asks; the others don't wait for it. What it takes leaves its box and the file; a crash
between the two tells twice rather than never. After each whole round a heartbeat goes to an address
of the operator's choice: a dead-man's switch says so when it stops, which nothing here could.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping

import aiohttp

from ingest.alerts.message import compose
from ingest.alerts.news import ready
from ingest.alerts.newsroom import Newsroom
from ingest.alerts.receivers import Away, Sending
from ingest.alerts.settings import AlertSettings
from wire.clock import Clock

log = logging.getLogger("gampong.watch")

LOOK_S = 1.0
GAP_S = 4.0
"""Between two messages to one receiver: Telegram takes 20 a minute in a group."""

BACK_OFF_S = (10.0, 600.0)
HEARTBEAT_S = 10.0


class Delivery:
    """Every receiver at work, and the heartbeat."""

    def __init__(
        self,
        settings: AlertSettings,
        newsroom: Newsroom,
        sendings: Mapping[str, Sending],
        session: aiohttp.ClientSession,
        clock: Clock,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._settings, self._newsroom, self._sendings = settings, newsroom, dict(sendings)
        self._session, self._clock = session, clock
        self._beat = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._heartbeats())
            for name, sending in self._sendings.items():
                group.create_task(self._serve(name, sending))

    def beat(self) -> None:
        """A whole round is over."""
        self._beat.set()

    async def _serve(self, name: str, sending: Sending) -> None:
        pause_s = BACK_OFF_S[0]
        while True:
            fate = await self.deliver(name, sending)
            if fate is None:
                await self._clock.pause(LOOK_S)
            elif isinstance(fate, Away):
                await self._clock.pause(max(pause_s, fate.retry_after_s))
                pause_s = min(2 * pause_s, BACK_OFF_S[1])
            else:
                pause_s = BACK_OFF_S[0]
                await self._clock.pause(GAP_S)

    async def deliver(self, name: str, sending: Sending) -> object:
        """One try, if something is due: None when nothing is, `Away`, or `Taken`."""
        box, now_ms = self._newsroom.boxes[name], self._clock.now_ms()
        quiet = self._settings.quiet
        taken = ready(
            box,
            now_ms,
            quiet=self._settings.quiet_passes if quiet and quiet.hold(now_ms) else None,
            all_clear=self._newsroom.all_clear(name),
            wait_s=self._settings.recovery_wait_s,
        )
        if not taken:
            return None
        dropped = box.dropped
        fate = await sending.send(compose(taken, self._settings, now_ms, dropped))
        if isinstance(fate, Away):
            box.failed += 1
            self.counts["failed"] += 1
            log.warning("event=not_told receiver=%r news=%d why=%r", name, len(taken), fate.why)
        else:
            box.took(taken, dropped)
            self.counts["sent"] += 1
            await self._newsroom.save()
        return fate

    async def _heartbeats(self) -> None:
        while True:
            await self._beat.wait()
            self._beat.clear()
            if not self._settings.heartbeat_url:
                continue
            try:
                limit = aiohttp.ClientTimeout(total=HEARTBEAT_S)
                async with self._session.get(self._settings.heartbeat_url, timeout=limit) as answer:
                    told = answer.status < 300
            except (aiohttp.ClientError, OSError, TimeoutError):
                told = False
            self.counts["heartbeats" if told else "heartbeats_failed"] += 1
            if not told:
                log.warning("event=heartbeat_not_taken")
