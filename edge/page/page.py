"""The page and the agent put together: an onlooker of each run, a server around all of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from edge.broker import Connection, Outgoing, Received
from edge.configuration import PageSettings
from edge.configuration_file import ConfigurationFile
from edge.links import Sink
from edge.onlooker import Inside
from edge.page.bench import Bench
from edge.page.desk import Desk
from edge.page.server import serve
from edge.page.sheet import Sheet
from edge.page.site import Site
from edge.records import Sealed
from edge.status import inventory
from wire.clock import Clock
from wire.messages import Fate, pack_message
from wire.topics import Leaf, topic

log = logging.getLogger(__name__)


class GatewayPage:
    """Lives longer than one run of the agent: who is logged in stays so while it begins anew."""

    def __init__(self, settings: PageSettings, file: ConfigurationFile, clock: Clock) -> None:
        self.settings = settings
        self._desk = Desk(file, clock)
        self._sheet, self._bench = Sheet(self._desk), Bench(self._desk)
        self._site = Site(settings, self._desk, self._sheet, self._bench)

    async def serve(self) -> None:
        """Answer until cancelled."""
        site = self._site
        await serve(self.settings.host, self.settings.port, site.answer, site.knows)

    def ears(self, sink: Sink) -> Sink:
        return self._sheet.hearing.before(sink)

    def sealed(self, batches: Sequence[Sealed]) -> None:
        self._sheet.sealed(batches)

    def settled(self, fates: Sequence[Fate]) -> None:
        self._sheet.settled(fates)

    async def watch(self, inside: Inside) -> None:
        """Beside one run: its work, and the sheet on disk and in the inventory."""
        guest = _Inventory(inside)
        inside.beside(guest)
        try:
            async with asyncio.TaskGroup() as group:
                self._desk.begin(inside)
                self._sheet.begin(inside)
                self._bench.begin(group)
                while True:
                    await self._sheet.news.wait()
                    try:
                        await self._sheet.write()
                    except OSError as error:
                        log.error("event=sheet_not_written why=%r", str(error))
                    guest.news.set()
        finally:
            self._bench.end()
            self._desk.end()


class _Inventory:
    """A guest of the uplink: the inventory again, once the sheet has changed."""

    def __init__(self, inside: Inside) -> None:
        self._configuration = inside.configuration
        self.news = asyncio.Event()

    @property
    def topics(self) -> Sequence[str]:
        return ()

    def hear(self, message: Received) -> None:
        """There is nothing to hear."""

    async def speak(self, connection: Connection) -> None:
        while True:
            await self.news.wait()
            self.news.clear()
            message = pack_message(inventory(self._configuration))
            name = topic(self._configuration.gateway.name, Leaf.INVENTORY)
            await connection.publish(Outgoing(name, message, retain=True))
