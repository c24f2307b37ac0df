"""The gateway's own page around the agent's runs, imported only where `[page]` names an address."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge.configuration import EdgeConfiguration, PageSettings
    from edge.configuration_file import ConfigurationFile
    from edge.onlooker import Onlooker
    from wire.clock import Clock


class OwnPage:
    """The page while its settings stand, and another one when they have changed. It is served over
    the agent's new starts, in a group that outlives them."""

    def __init__(self, group: asyncio.TaskGroup, file: ConfigurationFile, clock: Clock) -> None:
        self._group, self._file, self._clock = group, file, clock
        self._settings: PageSettings | None = None
        self._page: tuple[Onlooker, ...] = ()
        self._serving: asyncio.Task[None] | None = None

    def onlookers(self, configuration: EdgeConfiguration) -> tuple[Onlooker, ...]:
        """The page as an onlooker of the next run; none where it is switched off."""
        if configuration.page != self._settings:
            self.end()
            self._settings, self._page = configuration.page, ()
            if configuration.page.host:
                from edge.page.page import GatewayPage

                page = GatewayPage(configuration.page, self._file, self._clock)
                self._page = (page,)
                self._serving = self._group.create_task(page.serve())
        return self._page

    def end(self) -> None:
        """Serve no more."""
        if self._serving:
            self._serving.cancel()
            self._serving = None


@asynccontextmanager
async def own_page(file: ConfigurationFile, clock: Clock) -> AsyncIterator[OwnPage]:
    """The page until what is inside ends. A single error comes out as it is, not in a group."""
    try:
        async with asyncio.TaskGroup() as group:
            page = OwnPage(group, file, clock)
            try:
                yield page
            finally:
                page.end()
    except BaseExceptionGroup as group_of:
        if len(group_of.exceptions) == 1:
            raise group_of.exceptions[0] from None
        raise
