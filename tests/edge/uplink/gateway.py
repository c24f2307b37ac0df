"""A gateway without sensors, for tests: a real outbox, sealing and uplink, in this process."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from edge.agent import boot_id
from edge.configuration import (
    CloudBroker,
    EdgeConfiguration,
    Gateway,
    OutboxSettings,
    TimeSettings,
    UplinkSettings,
)
from edge.intake import Intake
from edge.outbox_thread import OutboxThread
from edge.records import Line, Sealed, Tally
from edge.sealing import Sealing
from edge.status import Report
from edge.timekeeping import Timekeeping
from edge.uplink import Uplink
from edge.uplink_snapshot import LastReadings
from tests.edge.uplink.far_side import WAIT_S, FarSide, until
from tests.servers import Server
from wire.clock import SystemClock
from wire.messages import Ledger

NAME = "gateway-1"
IDENTITY = "a machine and its card"


class Running:
    """What a test holds of a gateway."""

    def __init__(
        self, outbox: OutboxThread, sealing: Sealing, uplink: Uplink, timekeeping: Timekeeping
    ) -> None:
        self.outbox, self.sealing, self.uplink = outbox, sealing, uplink
        self.timekeeping = timekeeping
        self.last = LastReadings()
        self.made = 0

    async def seal(self, devices: int = 3, noise: str = "") -> list[Sealed]:
        """One batch with a new reading of each device, announced as sealing does."""
        clock, lines = self.timekeeping.clock, []
        for number in range(devices):
            self.made += 1
            now_ms = clock.now_ms() if self.timekeeping.trusted else int(1000 * clock.uptime_s())
            device = f"bin-{number}"
            text = f"waste_container,device={device},site=s,zone=z distance_mm={self.made} {now_ms}"
            lines.append(Line(text + noise, device, "waste_container", now_ms))
        sealed = await self.outbox.seal(lines, {}, Counter({("taken", ""): devices}))
        self.last.take(lines)
        self.uplink.announce(sealed)
        return sealed

    async def settled(self) -> Ledger:
        """The ledger once nothing waits any more; it must balance at every look."""
        async with asyncio.timeout(WAIT_S):
            while True:
                ledger = await self.sealing.ledger()
                assert ledger.balanced
                if not ledger.waiting:
                    return ledger
                await asyncio.sleep(0.02)


def configuration(folder: Path, broker: Server, **uplink: Any) -> EdgeConfiguration:
    """Short times, so that a test sees time-outs."""
    sending = {"confirm_timeout_s": 1.0, "nobody_listens_probe_s": 0.2, "retry_s_max": 2.0} | uplink
    return EdgeConfiguration(
        gateway=Gateway(name=NAME, site="s"),
        broker=CloudBroker(host=broker.host, port=broker.port),
        outbox=OutboxSettings(path=str(folder / "outbox.db"), ballast_bytes=0),
        uplink=UplinkSettings(**sending),
        time=TimeSettings(trust="system"),
    )


@asynccontextmanager
async def running(
    settings: EdgeConfiguration, identity: str = IDENTITY, trusted: bool = True
) -> AsyncIterator[Running]:
    """A gateway with its outbox open; `drained` connects it."""
    clock = SystemClock()
    if trusted:
        timekeeping = Timekeeping(settings.time, clock)
    else:
        timekeeping = Timekeeping(TimeSettings(trust="ntp"), clock, lambda: False)
    outbox = await OutboxThread.open(settings.outbox, timekeeping.clock, identity, boot_id())
    try:
        tally, last = Tally(), LastReadings()
        intake = Intake(settings, timekeeping.clock, tally, timekeeping.time_trusted, {})
        sealing = Sealing(settings.outbox, outbox, intake, tally, timekeeping.clock, last)
        report = Report(settings, timekeeping.clock, outbox, sealing, [], "test")
        uplink = Uplink(settings, outbox, timekeeping, last, report)
        gateway = Running(outbox, sealing, uplink, timekeeping)
        gateway.last = last
        yield gateway
    finally:
        await outbox.close()


@asynccontextmanager
async def drained(gateway: Running) -> AsyncIterator[None]:
    """While the uplink runs; it says goodbye at the end."""
    async with asyncio.TaskGroup() as group:
        keeping = group.create_task(
            gateway.timekeeping.run(gateway.outbox, gateway.uplink.look_again)
        )
        draining = group.create_task(gateway.uplink.drain())
        yield
        keeping.cancel()
        gateway.uplink.leave()
        async with asyncio.timeout(WAIT_S):
            await draining


@asynccontextmanager
async def heard(gateway: Running, cloud: FarSide) -> AsyncIterator[None]:
    """The same, from the gateway's first status on."""
    async with drained(gateway):
        await until(lambda: cloud.statuses)
        yield
