"""What the gateway says about itself: its retained status and inventory.

In: ledger, outbox, links, clock, alarms. Out: the two messages of `wire.messages`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

from edge.card import card_life_used
from edge.commissioning import Entry, read_sheet, sheet_of
from edge.configuration import EdgeConfiguration, expiry_s, heartbeat_s
from edge.drivers import driver_of
from edge.heat import temperature_c
from edge.links import Link
from edge.month import Month
from edge.outbox_thread import OutboxThread
from wire.clock import Clock
from wire.messages import Commissioned, Inventory, InventoryDevice, Ledger, Status

NOTE_SENT_MAX = 80
"""Of a failure's note: the inventory of many devices has to stay a message."""


class Accounts(Protocol):
    """Who knows the whole ledger, and why nothing can be accepted: sealing."""

    @property
    def alarms(self) -> tuple[str, ...]: ...

    async def ledger(self) -> Ledger: ...


class Report:
    """Makes the gateway's status from those who know."""

    def __init__(
        self,
        configuration: EdgeConfiguration,
        clock: Clock,
        outbox: OutboxThread,
        accounts: Accounts,
        links: Sequence[Link],
        version: str,
        month: Month | None = None,
    ) -> None:
        self._gateway = configuration.gateway.name
        self._month = month or Month(configuration.uplink, "", clock.now_ms, lambda: True)
        self._card = Path(configuration.outbox.path).absolute()
        self._clock, self._outbox = clock, outbox
        self._accounts, self._links = accounts, links
        self._version = version

    @property
    def news(self) -> tuple[str, ...]:
        """What makes a status worth publishing at once when it changes."""
        states = (link.status() for link in self._links)
        return (*self._accounts.alarms, *(f"{state.name}:{state.state}" for state in states))

    async def status(self, online: bool, time_trusted: bool, alarms: Sequence[str]) -> Status:
        """The status now; `alarms` are those of the uplink.

        Raises:
            OutboxFailing: the outbox can't be read.
        """
        ledger, month = await self._accounts.ledger(), self._month
        summary = await self._outbox.summary()
        return Status(
            gateway=self._gateway,
            online=online,
            version=self._version,
            time_ms=self._clock.now_ms(),
            epoch=summary.epoch,
            ledger=ledger,
            oldest_sequence=summary.oldest_sequence,
            newest_sequence=summary.newest_sequence,
            oldest_waiting_ms=summary.oldest_waiting_ms,
            outbox_bytes=summary.bytes,
            outbox_bytes_max=summary.bytes_max,
            parked=summary.parked,
            clock="trusted" if time_trusted else "untrusted",
            alarms=tuple(sorted({*summary.alarms, *self._accounts.alarms, *alarms, *month.alarms})),
            links=tuple(link.status() for link in self._links),
            card_life_used=card_life_used(self._card),
            temperature_c=temperature_c(),
            uplink_bytes=month.total(),
            uplink_quota_bytes=month.quota_bytes,
        )


def inventory(configuration: EdgeConfiguration) -> Inventory:
    """What hangs on this gateway, and what its commissioning sheet says of it."""
    sheet = read_sheet(sheet_of(configuration))
    seal_s = configuration.outbox.seal_interval_s
    devices = []
    for device in configuration.device:
        driver = driver_of(configuration, device)
        entry = sheet.get(device.name)
        devices.append(
            InventoryDevice(
                name=device.name,
                kind=driver.kind,
                driver=driver.name,
                zone=device.zone,
                heartbeat_s=heartbeat_s(device, driver),
                expiry_s=expiry_s(device, driver, seal_s),
                place=device.place or (entry.place if entry else None),
                label=device.label,
                maintenance=device.maintenance,
                maintenance_until_ms=_ms(device.maintenance_until),
                commissioned=_summary(entry) if entry else None,
            )
        )
    return Inventory(
        gateway=configuration.gateway.name,
        site=configuration.gateway.site,
        seal_interval_s=seal_s,
        devices=tuple(devices),
        place=configuration.gateway.place,
        label=configuration.gateway.label,
    )


def _summary(entry: Entry) -> Commissioned:
    note = "" if entry.passed else entry.note[:NOTE_SENT_MAX]
    return Commissioned(entry.at_ms, entry.passed, entry.round_trip_ms, note)


def _ms(moment: datetime | None) -> int:
    return 0 if moment is None else int(moment.timestamp() * 1000)
