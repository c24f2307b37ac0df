"""Virtual time: an asyncio loop that never waits, and processes that can be killed in it.

`VirtualLoop.select` moves the clock to the next timer instead of sleeping. Tasks hash by the order
of their making, so that sets of tasks are walked the same way in every run. Threads become calls on
the loop after a virtual delay: `Executor` stands where `edge.outbox_thread` makes its
`ThreadPoolExecutor`, and `run_in_executor` where the ingestor writes dead letters.

A process is a root task with all it began. Killing one cuts what ties it to the world first (its
connections, its disk), then cancels it: what its clean-up code still does reaches nobody.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextvars import Context, ContextVar
from typing import Any

from edge.outbox_file import OutboxError, OutboxFailing

PROCESS: ContextVar[Process | None] = ContextVar("process", default=None)
TURNS_MAX = 200_000
"""Turns of the loop without the time moving: something spins."""

TURN_S = 1e-6
"""What a turn of the loop takes at least: code that waits for time to pass must see it pass."""

TIME_MAX_S = 40_000.0
"""Far beyond any schedule and its settling."""


class Stuck(Exception):
    """Nothing will ever happen any more, or everything happens at once."""


class NumberedTask(asyncio.Task[Any]):
    """A task whose hash is its number, not its address."""

    made = 0

    def __init__(self, coro: Any, **kwargs: Any) -> None:
        NumberedTask.made += 1
        self.number = NumberedTask.made
        super().__init__(coro, **kwargs)

    def __hash__(self) -> int:
        return self.number


def _make_task(loop: asyncio.AbstractEventLoop, coro: Any, **kwargs: Any) -> NumberedTask:
    task = NumberedTask(coro, loop=loop, **kwargs)
    context = kwargs.get("context")
    process = PROCESS.get() if context is None else context.get(PROCESS)
    if process is not None:
        process.tasks.add(task)
        task.add_done_callback(process.tasks.discard)
    return task


class VirtualLoop(asyncio.BaseEventLoop):
    """Its clock starts at 0 and moves only when nothing else can be done."""

    def __init__(self) -> None:
        super().__init__()
        self._now, self._turns = 0.0, 0
        self.time_max_s = TIME_MAX_S
        self._selector = self
        self.set_task_factory(_make_task)
        NumberedTask.made = 0

    def time(self) -> float:
        return self._now

    def select(self, timeout: float | None) -> list[Any]:
        self._turns += 1
        if timeout is None:
            raise Stuck("nothing is scheduled")
        self._now += max(timeout, TURN_S)
        if self._now > self.time_max_s:
            raise Stuck(f"still busy at {self._now:.0f}")
        if timeout > 0:
            self._turns = 0
        elif self._turns > TURNS_MAX:
            raise Stuck(f"spins at {self._now:.3f}")
        return []

    def _process_events(self, event_list: list[Any]) -> None:
        """There are none: no socket is open."""

    def _write_to_self(self) -> None:
        """Nobody sleeps."""

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        process = PROCESS.get()
        future: asyncio.Future[Any] = self.create_future()

        def work() -> None:
            if process is not None and not process.trip("file"):
                return
            try:
                result = func(*args)
            except OSError as error:
                if not future.done():
                    future.set_exception(error)
                return
            if (process is None or process.trip("filed")) and not future.done():
                future.set_result(result)

        self.call_later(process.disk_s() if process else 0.0, work)
        return future


class Process:
    """A process of ours that runs, until it ends or is killed.

    `trip` is called wherever it touches the world; `fuse` counts them down to a death that falls
    exactly there. `cut` is what a kill does to its connections: `reset` (the kernel closes them) or
    `silent` (the power is gone, nobody is told).
    """

    def __init__(self, name: str, disk_s: Callable[[], float], on_death: Callable[[], None]):
        self.name, self.disk_s, self._on_death = name, disk_s, on_death
        self.dead = False
        self.fuse: int | None = None
        self.trips = 0
        self.connections: list[Any] = []
        self.executor: Executor | None = None
        self.sink: Any = None
        self.root: asyncio.Task[Any] | None = None
        self.tasks: set[asyncio.Task[Any]] = set()
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
        self._on_death()
        self._reap()

    def _reap(self) -> None:
        """Cancel until all is gone: a cancellation can drown in a connection that is lost."""
        if self.root is not None and not self.root.done():
            self.root.cancel()
            for task in list(self.tasks):
                task.cancel()
            self.root.get_loop().call_later(0.5, self._reap)

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


class Executor:
    """One thread's work, in turn, each call after the disk's delay."""

    saw: Callable[[Process, str, tuple[Any, ...], Any], None]
    """Set by the world: told of each call that succeeded, at that moment."""
    refuse: Callable[[Process, str], OutboxFailing | None]
    """Set by the world: a disk that fails now."""

    def __init__(self, max_workers: int, thread_name_prefix: str = "") -> None:
        process = PROCESS.get()
        assert process is not None and max_workers == 1
        self._process, self._loop = process, asyncio.get_running_loop()
        self._waiting: deque[tuple[Any, Future[Any]]] = deque()
        process.executor = self
        self.opened: Any = None

    def submit(self, call: Any) -> Future[Any]:
        future: Future[Any] = Future()
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
        if name == "open" and error is None:
            self.opened = result
        if error is None:
            Executor.saw(self._process, name, getattr(call, "args", ()), result)
        if not self._process.trip(f"after {name}"):
            return
        self._waiting.popleft()
        if not future.cancelled():
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)
        if self._waiting:
            self._loop.call_later(self._process.disk_s(), self._next)
