"""Bytes over the SIM this month, as the provider counts them: all that the interface carried.

In: the kernel's counters of the interface that `[uplink]` names, a clock. Out: bytes since the
month began, and its state for the outbox, which is committed with a seal that happens anyway. So no
byte is estimated (TLS, TCP, retransmissions, NTP, updates: all are in it), nothing is synced for
it, and a power cut costs the count of one seal interval.

The counters begin at 0 with each boot, and when a modem is plugged in again; then all they show is
new. What went by while the agent didn't run is counted, within one boot. Months are the machine's
time zone's; while the time isn't known, the month that was goes on.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from edge.configuration import UplinkSettings
from wire.malformed import MALFORMED

STATE = "~uplink"
"""Its name among the devices' states; no device can have it."""

WARN_SHARE = 0.8
ALARM = "sim_quota"
SYS = Path("/sys/class/net")
INTERFACE = re.compile(r"[A-Za-z0-9._:@-]{1,15}")
_MB = 1_000_000


class Counted(msgspec.Struct, frozen=True):
    """What is kept. `seen` are the interface's counters, both directions, in that boot."""

    month: str
    total: int
    boot_id: str
    seen: int


class Month:
    """The count of one interface.

    Args:
        settings: `[uplink]`.
        boot_id: this boot's.
        now_ms, time_trusted: the agent's clock.
        kept: what `state` gave before a restart, or None.
        root: where the kernel shows interfaces.
    """

    def __init__(
        self,
        settings: UplinkSettings,
        boot_id: str,
        now_ms: Callable[[], int],
        time_trusted: Callable[[], bool],
        kept: bytes | None = None,
        root: Path = SYS,
    ) -> None:
        self._settings, self._boot_id = settings, boot_id
        self._now_ms, self._time_trusted, self._root = now_ms, time_trusted, root
        self._counted = kept_month(kept)

    @property
    def quota_bytes(self) -> int:
        """0: none."""
        return self._settings.quota_mb * _MB

    def total(self) -> int | None:
        """Bytes since the month began; None where no interface is named, or none was ever seen."""
        if self._settings.interface:
            self._look()
        return self._counted.total if self._counted else None

    def state(self) -> dict[str, bytes]:
        """To be committed with the devices' states."""
        if self._settings.interface:
            self._look()
        return {STATE: msgspec.msgpack.encode(self._counted)} if self._counted else {}

    @property
    def alarms(self) -> tuple[str, ...]:
        """`sim_quota` from 80 % on."""
        quota, total = self.quota_bytes, self.total()
        return (ALARM,) if quota and total is not None and total >= WARN_SHARE * quota else ()

    def _look(self) -> None:
        seen = interface_bytes(self._settings.interface, self._root)
        if seen is None:  # unplugged: as it was
            return
        before = self._counted
        month = before.month if before else ""
        if self._time_trusted() or not month:
            month = month_of(self._now_ms(), self._settings.quota_day)
        if before is None:  # the first time: what was before isn't known to be this month's
            fresh, total = 0, 0
        else:
            goes_on = before.boot_id == self._boot_id and seen >= before.seen
            fresh, total = seen - before.seen if goes_on else seen, before.total
            if month != before.month:
                total = 0
        self._counted = Counted(month, total + fresh, self._boot_id, seen)


def interface_bytes(interface: str, root: Path = SYS) -> int | None:
    """Received and sent by it since its counters began, None where there is no such interface."""
    if INTERFACE.fullmatch(interface) is None:
        return None
    folder = root / interface / "statistics"
    try:
        return sum(int((folder / name).read_text()) for name in ("rx_bytes", "tx_bytes"))
    except (OSError, ValueError):
        return None


def month_of(now_ms: int, day: int) -> str:
    """The date on which the SIM's month of that moment began: the last `day` of a month, or the
    last day of a month that has no such day, in the machine's time zone."""
    today = datetime.fromtimestamp(now_ms / 1000).astimezone().date()
    first = today.replace(day=1)
    last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    begins = first.replace(day=min(day, last.day))
    if today < begins:
        before = first - timedelta(days=1)
        begins = before.replace(day=min(day, before.day))
    return begins.isoformat()


def kept_month(kept: bytes | None) -> Counted | None:
    """The inverse of `Month.state`, None for nothing that can be read."""
    if kept is None:
        return None
    try:
        return msgspec.msgpack.decode(kept, type=Counted)
    except MALFORMED:
        return None
