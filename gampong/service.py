"""What a process tells systemd: that it is up, and that its loop still turns (sd_notify(3)); and
what it is told: to end.

In: `NOTIFY_SOCKET` and `WATCHDOG_USEC` of the environment. Without them nothing is said.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Coroutine
from typing import Any


def notify(state: str) -> None:
    """`READY=1`, `STOPPING=1`, `WATCHDOG=1`. Silent when nobody listens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):  # an abstract socket
        address = f"\0{address[1:]}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
        try:
            out.sendto(state.encode(), address)
        except OSError:
            return  # systemd will notice what it has to


def stay_alive(loop: asyncio.AbstractEventLoop) -> None:
    """Say so now and each half of the watchdog's time, for as long as the loop turns; nothing
    where nobody asks."""
    interval_s = int(os.environ.get("WATCHDOG_USEC") or 0) / 2e6
    if interval_s:
        notify("WATCHDOG=1")
        loop.call_later(interval_s, stay_alive, loop)


def stop_on_signals() -> asyncio.Event:
    """Set by SIGTERM or SIGINT; a second one disturbs no ending."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def run_until(stop: asyncio.Event, *serving: Coroutine[Any, Any, None]) -> None:
    """All of these, cancelled once it is set.

    Raises:
        BaseExceptionGroup: of those that failed; of one alone, its own error.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in serving]
            await stop.wait()
            for task in tasks:
                task.cancel()
    except BaseExceptionGroup as failed:
        if len(failed.exceptions) > 1:
            raise
        raise failed.exceptions[0] from failed
