"""When the gateway says how it is: its status, alone or beside a batch.

In: the report, alarms, the clock. Out: messages to publish. The interval is the city's, so that the
watch, which judges in city time, isn't misled when a simulated day takes half an hour.
"""

from __future__ import annotations

from collections.abc import Callable

from edge.broker import Connection, Outgoing
from edge.status import Report
from edge.timekeeping import Timekeeping
from edge.uplink_inbox import Inbox
from wire.messages import pack_message
from wire.topics import Leaf, topic

EARLY, LATE = 0.75, 1.25
"""Of its interval: from when on the status goes along with a seal's batch, in one segment with it,
and when it goes alone because no batch came: alone it costs 130 bytes more."""

LOOK_S = 1.0
PREPARED_S = 1.0
"""A status that was made for a batch and couldn't go with it for so long is made anew."""


class Tidings:
    """The status, and what of it was told last."""

    def __init__(
        self,
        gateway: str,
        interval_s: float,
        report: Report,
        timekeeping: Timekeeping,
        inbox: Inbox,
        alarms: Callable[[], tuple[str, ...]],
    ) -> None:
        self._topic, self._interval_s = topic(gateway, Leaf.STATUS), interval_s
        self._report, self._timekeeping, self._inbox = report, timekeeping, inbox
        self._clock, self._alarms = timekeeping.clock, alarms
        self._told_s = 0.0
        self._told: tuple[str, ...] = ()
        self._prepared: tuple[float, Outgoing] | None = None

    @property
    def has_news(self) -> bool:
        """Whether an alarm or a link has changed since the last status."""
        return self._alarms() + self._report.news != self._told

    @property
    def is_late(self) -> bool:
        """Whether no batch took it along in time."""
        return self._is_due(LATE)

    async def status(self, online: bool, qos: int = 1) -> Outgoing:
        """The status as it is now."""
        trusted = self._timekeeping.time_trusted()
        payload = pack_message(await self._report.status(online, trusted, self._alarms()))
        self._inbox.said(payload, online)
        return Outgoing(self._topic, payload, retain=True, qos=qos)

    async def told(self, qos: int) -> Outgoing:
        """The same, about to be published alone; at QoS 0 without news: another comes in a minute,
        not worth an answer's bytes."""
        self._told_s, self._told = self._clock.uptime_s(), self._alarms() + self._report.news
        return await self.status(online=True, qos=qos)

    async def prepare(self) -> None:
        """Make the status that goes with the next batch, if it is time for one."""
        if self._is_due(EARLY) and not self.has_news:
            status = await self.status(online=True, qos=0)
            self._prepared = self._clock.monotonic(), status

    def take_prepared(self) -> Outgoing | None:
        """What `prepare` made, if it is fresh; it is about to be published."""
        prepared, self._prepared = self._prepared, None
        if prepared is None or self._clock.monotonic() >= prepared[0] + PREPARED_S:
            return None
        self._told_s = self._clock.uptime_s()
        return prepared[1]

    async def keep_telling(self, connection: Connection) -> None:
        """The status soon after an alarm or a link has changed, and where no batch took it along;
        never more often than each wall second.

        Raises:
            ConnectionLost: at the end.
        """
        while True:
            await self._clock.pause(LOOK_S)
            if self.has_news or self.is_late:
                qos = int(self.has_news)
                await connection.publish(await self.told(qos))

    def _is_due(self, share: float) -> bool:
        return self._clock.uptime_s() >= self._told_s + share * self._interval_s
