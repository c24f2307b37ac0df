"""Whether this machine knows what time it is; a Pi has no clock of its own.

In: the system's word (NTP's synchronised flag), or the cloud's (`gampong/v1/time`). Out: a clock
for the whole agent, and one committed row, the boot's offset from uptime to Unix time, by which
what was read before is dated.

    trust = "system"         trusted at once: someone else keeps the clock right
    simulated city time      trusted at once: it is made up
    trust = "ntp"            trusted once the system's clock is synchronised, or once the cloud has
                             told the time; until NTP speaks, the cloud's time stands above the
                             system's, which may be years off

A time before 2020 or after 2100 is nobody's, whoever says it: a machine without a clock boots in
1970 under `trust = "system"` too. Once trusted, a boot stays trusted: uptime never steps.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from edge.configuration import TimeSettings
from edge.intake import EARLIEST_MS, LATEST_MS
from edge.outbox_file import OutboxFailing
from edge.outbox_thread import OutboxThread
from wire.clock import REAL_TIME, Clock, SystemClock

LOOK_S = 1.0
_TIMESYNC_FLAG = Path("/run/systemd/timesync/synchronized")
_STA_UNSYNC = 0x40
_TIME_ERROR = 5

_log = logging.getLogger(__name__)


class AgentClock:
    """The clock of the agent: the one it was given, or the cloud's time carried on by uptime."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.cloud_offset_ms: int | None = None

    def system_ms(self) -> int:
        """What the machine itself thinks."""
        return self._clock.now_ms()

    def now_ms(self) -> int:
        if self.cloud_offset_ms is None:
            return self._clock.now_ms()
        return self.cloud_offset_ms + int(1000 * self._clock.uptime_s())

    def uptime_s(self) -> float:
        return self._clock.uptime_s()

    def monotonic(self) -> float:
        return self._clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)

    async def pause(self, seconds: float) -> None:
        await self._clock.pause(seconds)


class Timekeeping:
    """Watches for the moment from which this machine's time can be trusted.

    Args:
        settings: whom to trust.
        clock: the machine's; `self.clock` is the agent's.
        synchronised: asks the system; tests bring their own.
    """

    def __init__(
        self,
        settings: TimeSettings,
        clock: Clock,
        synchronised: Callable[[], bool] | None = None,
    ) -> None:
        self._simulated = isinstance(clock, SystemClock) and clock.city != REAL_TIME
        self._synchronised = synchronised or ntp_synchronised
        self._settings = settings
        self._heard = asyncio.Event()
        self.clock = AgentClock(clock)
        self._by_system = self.trusted = self._system_knows()

    def time_trusted(self) -> bool:
        """Whether `clock.now_ms()` is the time; intake asks for every reading."""
        return self.trusted

    def heard(self, cloud_ms: int) -> None:
        """The cloud said what time it is. Only the first word counts, and only when needed."""
        if not self.trusted and not self._heard.is_set() and _can_be(cloud_ms):
            self.clock.cloud_offset_ms = cloud_ms - int(1000 * self.clock.uptime_s())
            self._heard.set()

    async def run(self, outbox: OutboxThread, on_trusted: Callable[[], None]) -> None:
        """Wait for the time, commit the boot's offset, and tell; ends when the system knows it."""
        while not (self._by_system or self._heard.is_set()):
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._heard.wait()
            self._by_system = not self._heard.is_set() and self._system_knows()
        await self._commit(outbox)
        self.trusted = True
        _log.info("event=time_trusted by=%s", "system" if self._by_system else "cloud")
        on_trusted()
        while not (self._by_system or self._system_knows()):
            await self.clock.pause(LOOK_S)
        self.clock.cloud_offset_ms = None

    def _system_knows(self) -> bool:
        if self._simulated:
            return True
        told = self._settings.trust == "system"
        return _can_be(self.clock.system_ms()) and (told or self._synchronised())

    async def _commit(self, outbox: OutboxThread) -> None:
        while True:
            offset_ms = self.clock.now_ms() - int(1000 * self.clock.uptime_s())
            try:
                return await outbox.set_boot_offset(offset_ms, "")
            except OutboxFailing as error:
                _log.warning("event=boot_offset_not_kept reason=%r", error.reason)
                await self.clock.pause(LOOK_S)


def _can_be(time_ms: int) -> bool:
    return EARLIEST_MS <= time_ms <= LATEST_MS


def ntp_synchronised() -> bool:
    """Whether the kernel or systemd-timesyncd says that the clock is synchronised.

    Source: adjtimex(2); systemd-timesyncd.service(8).
    """
    if _TIMESYNC_FLAG.exists():
        return True
    import ctypes

    class Timex(ctypes.Structure):
        _fields_ = [
            ("modes", ctypes.c_uint),
            ("offset", ctypes.c_long),
            ("freq", ctypes.c_long),
            ("maxerror", ctypes.c_long),
            ("esterror", ctypes.c_long),
            ("status", ctypes.c_int),
            ("rest", ctypes.c_byte * 256),
        ]

    timex = Timex()  # modes 0: only read
    state = ctypes.CDLL(None).adjtimex(ctypes.byref(timex))
    return state not in (-1, _TIME_ERROR) and not timex.status & _STA_UNSYNC
