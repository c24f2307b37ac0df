"""A link that gives its port up for a while: to whoever scans, calibrates, or wants it begun anew.

In: a link. Out: the same link, which stops on request, so that its port is free, and begins again
whatever happens: when the borrower is done, fails, is cancelled, or has had it for too long. Only
one borrows at a time. Nothing is lost by it that a cable pulled out for a minute wouldn't lose.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import msgspec

from edge.links import Link
from wire.messages import LinkStatus

STOP_S = 5.0
"""How long a link may take to let go of its port."""

AGAIN_S = 1.0

log = logging.getLogger(__name__)


class NotLent(Exception):
    """The link can't be had now; the text says why."""


async def ended(tasks: Iterable[asyncio.Task[object]]) -> None:
    """Cancel them until they are done: one that loses its cancellation on the way (Python 3.11's
    TaskGroup, vendors' code) would be waited for without end."""
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=AGAIN_S)


class Lending:
    """A `Link` around another one."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._lent_for = ""
        self._stop, self._stopped = asyncio.Event(), asyncio.Event()
        self._back = asyncio.Event()
        self._stopped.set()
        self._back.set()

    @property
    def name(self) -> str:
        return self._link.name

    @property
    def inner(self) -> Link:
        """The link itself."""
        return self._link

    def status(self) -> LinkStatus:
        """The link's own; while it is lent its state is the last one, and `detail` says for what:
        a minute's work of the technician is no alarm."""
        status = self._link.status()
        if self._lent_for:
            status = msgspec.structs.replace(status, detail=f"paused: {self._lent_for}")
        return status

    async def run(self) -> None:
        """Serve until cancelled."""
        while True:
            while not self._back.is_set():  # lent again before this task could go on
                await self._back.wait()
            self._stop.clear()
            self._stopped.clear()
            try:
                async with asyncio.TaskGroup() as group:
                    serving = group.create_task(self._link.run())
                    try:
                        await self._stop.wait()
                    finally:
                        await ended([serving])
            finally:
                self._stopped.set()

    def restart(self) -> None:
        """Let go of the port and open it again."""
        if not self._lent_for:
            log.info("event=link_restart link=%s", self.name)
            self._stop.set()

    @asynccontextmanager
    async def lent(self, why: str, within_s: float) -> AsyncIterator[None]:
        """The port is free inside; after `within_s` wall seconds what is inside is cancelled.

        Raises:
            NotLent: somebody has it already, or the link doesn't let go.
            TimeoutError: it took longer than `within_s`.
        """
        if self._lent_for:
            raise NotLent(f"{self.name} is paused already: {self._lent_for}")
        self._lent_for = why
        self._back.clear()
        self._stop.set()
        log.info("event=link_lent link=%s why=%r", self.name, why)
        try:
            try:
                async with asyncio.timeout(STOP_S):
                    await self._stopped.wait()
            except TimeoutError as error:
                raise NotLent(f"{self.name} doesn't let go of its port") from error
            async with asyncio.timeout(within_s):
                yield
        finally:
            self._lent_for = ""
            self._back.set()
            log.info("event=link_back link=%s", self.name)
