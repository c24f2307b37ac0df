"""Virtual time: an event loop that never waits.

`VirtualLoop` has what asyncio's tasks, time-outs and groups ask of a loop, and no more: a queue of
what is ready, and a heap of timers to whose first it moves its clock when nothing is ready. Tasks
hash by the order of their making, so that sets of tasks are walked the same way in every run.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextvars import Context, copy_context
from heapq import heappop, heappush
from typing import Any, TypeVar

from tests.simulation.process import PROCESS, Process

TURNS_MAX = 200_000
"""Turns of the loop without the time moving: something spins."""

TURN_S = 1e-6
"""What a turn of the loop takes at least: code that waits for time to pass must see it pass."""

TIME_MAX_S = 40_000.0
"""Far beyond any schedule and its settling."""

_T = TypeVar("_T")


class Stuck(Exception):
    """Nothing will ever happen any more, or everything happens at once."""


class NumberedTask(asyncio.Task[Any]):
    """A task whose hash is its number, not its address; it knows whose it is."""

    made = 0

    def __init__(self, coro: Any, **kwargs: Any) -> None:
        NumberedTask.made += 1
        self.number = NumberedTask.made
        context = kwargs.get("context")
        self.process = PROCESS.get() if context is None else context.get(PROCESS)
        super().__init__(coro, **kwargs)

    def __hash__(self) -> int:
        return self.number


class Call:
    """A callback that is ready or has its time."""

    __slots__ = ("args", "callback", "context", "gone", "time_s")

    def __init__(self, callback: Any, args: Any, context: Context | None, time_s: float) -> None:
        self.callback, self.args, self.time_s = callback, args, time_s
        self.context = copy_context() if context is None else context
        self.gone = False

    def cancel(self) -> None:
        self.gone = True
        self.callback = self.args = None

    def cancelled(self) -> bool:
        return self.gone

    def when(self) -> float:
        return self.time_s


class VirtualLoop(asyncio.BaseEventLoop):
    """Its clock starts at 0 and moves only when nothing else can be done.

    `doom` kills a process after so many of its steps, which is at any of its awaits.
    """

    def __init__(self) -> None:
        self._running = self._closed = False
        super().__init__()
        self._now, self._turns, self._timers = 0.0, 0, 0
        self._ready: deque[Call] = deque()
        self._later: list[tuple[float, int, Call]] = []
        self._doomed: dict[Process, int] = {}
        self._on_exception: Any = None
        self.time_max_s = TIME_MAX_S
        NumberedTask.made = 0

    def doom(self, process: Process, steps: int) -> None:
        """Let it die before its step of that number from now."""
        self._doomed[process] = steps

    def spare(self, process: Process) -> None:
        """Let it live."""
        self._doomed.pop(process, None)

    # What tasks, futures and time-outs ask for

    def time(self) -> float:
        return self._now

    def call_soon(  # type: ignore[override]
        self, callback: Any, *args: Any, context: Context | None = None
    ) -> Call:
        call = Call(callback, args, context, 0.0)
        self._ready.append(call)
        return call

    def call_at(  # type: ignore[override]
        self, when: float, callback: Any, *args: Any, context: Context | None = None
    ) -> Call:
        call = Call(callback, args, context, when)
        self._timers += 1
        heappush(self._later, (when, self._timers, call))
        return call

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Any, *args: Any, context: Context | None = None
    ) -> Call:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, **kwargs: Any) -> Any:
        return NumberedTask(coro, loop=self, **kwargs)

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """A thread's work, after the disk's delay: where the ingestor writes dead letters."""
        process = PROCESS.get()
        future = self.create_future()

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

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return self._running

    def is_closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        self._closed = True

    def set_exception_handler(self, handler: Any) -> None:
        self._on_exception = handler

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if self._on_exception is not None:
            self._on_exception(self, context)

    # How it runs

    def run_until_complete(self, future: Any) -> Any:
        """The result of a coroutine or a future.

        Raises:
            Stuck: it will never come.
        """
        waited = asyncio.ensure_future(future, loop=self)
        before = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(finalizer=self._finalize)
        asyncio._set_running_loop(self)
        self._running = True
        try:
            while not waited.done():
                self._turn()
        finally:
            self._running = False
            asyncio._set_running_loop(None)
            sys.set_asyncgen_hooks(*before)
        return waited.result()

    def _turn(self) -> None:
        """All that is ready now, once; when nothing is, the time moves first."""
        ready, later = self._ready, self._later
        if ready:
            self._turns += 1
            self._now += TURN_S
            if self._turns > TURNS_MAX:
                raise Stuck(f"spins at {self._now:.3f}")
        else:
            while later and later[0][2].gone:
                heappop(later)
            if not later:
                raise Stuck("nothing is scheduled")
            self._turns = 0
            self._now = max(self._now + TURN_S, later[0][0])
            if self._now > self.time_max_s:
                raise Stuck(f"still busy at {self._now:.0f}")
        now = self._now
        while later and later[0][0] <= now:
            call = heappop(later)[2]
            if not call.gone:
                ready.append(call)
        for _ in range(len(ready)):
            call = ready.popleft()
            if self._doomed:
                self._count_down(call)
            if not call.gone:
                self._run(call)

    def _run(self, call: Call) -> None:
        try:
            call.context.run(call.callback, *call.args)
        except Exception as error:  # noqa: BLE001 - as every event loop does
            words = {"message": f"exception in {call.callback!r}", "exception": error}
            self.call_exception_handler(words)

    def _count_down(self, call: Call) -> None:
        """Whether the step's owner dies before it; the step itself meets its cancellation."""
        process = None if call.gone else call.context.get(PROCESS)
        if process is None or process not in self._doomed:
            return
        self._doomed[process] -= 1
        if self._doomed[process] <= 0:
            del self._doomed[process]
            process.kill()

    def _finalize(self, generator: AsyncGenerator[Any, None]) -> None:
        if not self._closed:
            self.create_task(generator.aclose())
