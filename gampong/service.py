"""What a process tells systemd: that it is up, and that its loop still turns (sd_notify(3)).

In: `NOTIFY_SOCKET` and `WATCHDOG_USEC` of the environment. Without them nothing is said.
"""

from __future__ import annotations

import asyncio
import os
import socket


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
