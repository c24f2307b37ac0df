"""The agent's only thread: the outbox's, since an fsync on a card can outlast a serial buffer.

Each coroutine is the core's method of that name, run in turn on the thread. A call is handed over
at once: cancelling whoever waits for it doesn't cancel the commit. When `QUEUE_MAX` calls are
handed over and unanswered, the disk hangs, and another one is `OutboxFailing`.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Concatenate, ParamSpec, TypeVar

from edge.configuration import OutboxSettings
from edge.outbox import Outbox
from edge.outbox_file import Connect, OutboxFailing
from wire.clock import Clock

QUEUE_MAX = 256

_P = ParamSpec("_P")
_T = TypeVar("_T")


def _on_thread(
    method: Callable[Concatenate[Outbox, _P], _T],
) -> Callable[Concatenate[OutboxThread, _P], Coroutine[Any, Any, _T]]:
    async def call(thread: OutboxThread, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        return await thread._hand_over(partial(method, thread._outbox, *args, **kwargs))

    call.__name__, call.__doc__ = method.__name__, method.__doc__
    return call


class OutboxThread:
    """An outbox whose methods are awaited. `async with OutboxThread(factory)` opens and closes it;
    `OutboxThread.open` does the same for an agent's own outbox."""

    def __init__(self, factory: Callable[[], Outbox]) -> None:
        self._factory = factory
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="outbox")
        self._unanswered: set[Future[Any]] = set()
        self._opened: Outbox | None = None
        self._closed = False

    @classmethod
    async def open(
        cls,
        settings: OutboxSettings,
        clock: Clock,
        identity: str,
        boot_id: str = "",
        connect: Connect = sqlite3.connect,
    ) -> OutboxThread:
        """See `Outbox.open`."""
        thread = cls(partial(Outbox.open, settings, clock, identity, connect, boot_id))
        return await thread.__aenter__()

    async def __aenter__(self) -> OutboxThread:
        try:
            self._opened = await self._hand_over(self._factory)
        finally:
            if self._opened is None:
                self._executor.shutdown(wait=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def epoch(self) -> bytes:
        """The outbox's epoch."""
        return self._outbox.epoch

    @property
    def boot_id(self) -> str:
        """The outbox's boot."""
        return self._outbox.boot_id

    journal = _on_thread(Outbox.journal)
    seal = _on_thread(Outbox.seal)
    waiting = _on_thread(Outbox.waiting)
    confirm = _on_thread(Outbox.confirm)
    mark_sent = _on_thread(Outbox.mark_sent)
    set_window = _on_thread(Outbox.set_window)
    park = _on_thread(Outbox.park)
    unpark_all = _on_thread(Outbox.unpark_all)
    resend_since = _on_thread(Outbox.resend_since)
    set_boot_offset = _on_thread(Outbox.set_boot_offset)
    new_epoch = _on_thread(Outbox.new_epoch)
    ledger = _on_thread(Outbox.ledger)
    summary = _on_thread(Outbox.summary)
    states = _on_thread(Outbox.states)
    stamped = _on_thread(Outbox.stamped)

    async def close(self) -> None:
        """Commit a last time, close the file, end the thread. Again is no harm."""
        if self._closed:
            return
        self._closed = True
        try:
            await self._hand_over(self._outbox.close)
        finally:
            self._executor.shutdown()  # its last call has been answered, or the disk hangs

    @property
    def _outbox(self) -> Outbox:
        if self._opened is None:
            raise RuntimeError("the outbox isn't open")
        return self._opened

    async def _hand_over(self, call: Callable[[], _T]) -> _T:
        if len(self._unanswered) >= QUEUE_MAX:
            raise OutboxFailing("the disk hangs: too many calls unanswered", "Check the card")
        future = self._executor.submit(call)
        self._unanswered.add(future)
        future.add_done_callback(self._unanswered.discard)
        answer = asyncio.wrap_future(future)
        try:
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            answer.add_done_callback(_nobody_waits)
            raise


def _nobody_waits(answer: asyncio.Future[Any]) -> None:
    """What a call fails with whose caller has gone is no surprise to anybody."""
    if not answer.cancelled():
        answer.exception()
