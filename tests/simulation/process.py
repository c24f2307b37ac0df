"""Processes of ours in virtual time, which can be killed, and the one thread that some have.

A process is a root task with all it began. Killing one cuts what ties it to the world first (its
connections, its disk), then cancels it: what its clean-up code still does reaches nobody.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextvars import Context, ContextVar
from typing import Any

from edge.outbox_file import OutboxError, OutboxFailing

PROCESS: ContextVar[Process | None] = ContextVar("process", default=None)
REAP_S = 0.5


class Process:
    """A process of ours that runs, until it ends or is killed.

    `trip` is called wherever it touches the world; `fuse` counts them down to a death that falls
    exactly there. A kill resets its connections (the kernel closes them), or leaves them `silent`
    (the power is gone, nobody is told).
    """

    made = 0

    def __init__(self, name: str, disk_s: Callable[[], float], on_death: Callable[[bool], None]):
        Process.made += 1
        self.life = f"{name} {Process.made}"
        self.name, self.disk_s, self._on_death = name, disk_s, on_death
        self.dead = False
        self.fuse: int | None = None
        self.trips = 0
        self.connections: list[Any] = []
        self.executor: Executor | None = None
        self.machine: Any = None
        self.sink: Any = None
        self.root: asyncio.Task[Any] | None = None
        self.ended = asyncio.Event()

    def trip(self, where: str) -> bool:
        """Whether the process still lives after touching the world here."""
        if self.dead:
            return False
        self.trips += 1
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse <= 0:
                self.kill()
        return not self.dead

    def kill(self, silent: bool = False) -> None:
        """End it as `kill -9` does, or as a power cut does."""
        if self.dead:
            return
        self.dead = True
        for connection in tuple(self.connections):
            connection.process_died(silent)
        if self.executor is not None:
            self.executor.die()
        self._on_death(silent)
        self._reap()

    def _reap(self) -> None:
        """Cancel until all is gone: a cancellation can drown in a connection that is lost."""
        if self.root is None or self.root.done():
            return
        loop = self.root.get_loop()
        self.root.cancel()
        tasks = (task for task in asyncio.all_tasks(loop) if _process_of(task) is self)
        for task in sorted(tasks, key=hash):
            task.cancel()
        loop.call_later(REAP_S, self._reap)

    def start(self, group: asyncio.TaskGroup, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work` as this process."""

        async def run() -> None:
            PROCESS.set(self)
            try:
                await work()
            except asyncio.CancelledError:
                if not self.dead:
                    raise
            except BaseExceptionGroup as error:
                if not self.dead:
                    raise
                error.split(asyncio.CancelledError)
            except OutboxError:
                if not self.dead:
                    raise
            finally:
                self.ended.set()

        self.root = group.create_task(run(), context=Context())


def _process_of(task: asyncio.Task[Any]) -> Process | None:
    owner: Process | None = getattr(task, "process", None)
    return owner


class Executor:
    """One thread's work, in turn, each call after the disk's delay. It stands where
    `edge.outbox_thread` makes its `ThreadPoolExecutor`; its futures are the loop's own."""

    saw: Callable[[Process, str, tuple[Any, ...], Any], None]
    """Set by the world: told of each call that succeeded, at that moment."""
    failed: Callable[[Process, str, tuple[Any, ...]], None]
    """Set by the world: told of each call that didn't."""
    refuse: Callable[[Process, str], OutboxFailing | None]
    """Set by the world: a disk that fails now."""

    def __init__(self, max_workers: int, thread_name_prefix: str = "") -> None:
        process = PROCESS.get()
        assert process is not None and max_workers == 1
        self._process, self._loop = process, asyncio.get_running_loop()
        self._waiting: deque[tuple[Any, asyncio.Future[Any]]] = deque()
        process.executor = self
        self.opened: Any = None

    def submit(self, call: Any) -> asyncio.Future[Any]:
        future = self._loop.create_future()
        if self._process.dead:
            future.set_exception(OutboxFailing("killed", ""))
            return future
        self._waiting.append((call, future))
        if len(self._waiting) == 1:
            self._loop.call_later(self._process.disk_s(), self._next)
        return future

    def die(self) -> None:
        waiting, self._waiting = self._waiting, deque()
        for _, future in waiting:
            if not future.done():
                future.set_exception(OutboxFailing("killed", ""))
                future.exception()  # somebody has looked

    def shutdown(self, wait: bool = True) -> None:
        """Nothing to end."""

    def _next(self) -> None:
        if not self._waiting:
            return
        call, future = self._waiting[0]
        name = getattr(call, "func", call).__name__
        if not self._process.trip(f"before {name}"):
            return
        refused = Executor.refuse(self._process, name)
        error: BaseException | None = refused
        result = None
        if refused is None:
            try:
                result = call()
            except Exception as failure:  # noqa: BLE001 - handed to whoever waits, as a thread does
                error = failure
        self._tell_truth(name, call, result, error)
        if self._process.machine.card.cut:  # its power went in the middle of this call
            self._process.kill(silent=self._process.machine.card.powerless)
        if not self._process.trip(f"after {name}"):
            return
        self._waiting.popleft()
        if not future.done():
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)
        if self._waiting:
            self._loop.call_later(self._process.disk_s(), self._next)

    def _tell_truth(self, name: str, call: Any, result: Any, error: BaseException | None) -> None:
        args = getattr(call, "args", ())
        if error is not None:
            Executor.failed(self._process, name, args)
            return
        if name == "open":
            self.opened = result
        Executor.saw(self._process, name, args, result)
