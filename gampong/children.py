"""Child processes that never outlive the one that started them.

In: a command line. Out: a running child whose output is kept in a file. Each child is in a session
of its own, so that Ctrl-C reaches the parent alone, which then ends them in order; the kernel ends
them if the parent dies without a word.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


class ChildEnded(Exception):
    """A child ended that should be running; the text has the end of its output."""


def _die_with_parent(parent: int) -> None:
    """In the child, before it becomes the program. A parent that was killed in between would never
    be heard of."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


class Child:
    """One process of the demo, its output in `log`."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name, self.process, self.log = name, process, log

    @classmethod
    async def start(cls, name: str, command: Sequence[str], folder: Path) -> Child:
        """Start it in `folder`; its output goes to `<name>.log` there."""
        log = folder / f"{name}.log"
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=folder,
                start_new_session=True,
                preexec_fn=partial(_die_with_parent, os.getpid()),
            )
        return cls(name, process, log)

    @property
    def running(self) -> bool:
        return self.process.returncode is None

    def tail(self, lines: int = 15) -> str:
        """The end of its output."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def send(self, number: signal.Signals) -> None:
        """A signal, if it still runs."""
        if self.running:
            self.process.send_signal(number)

    async def stop(self, within_s: float) -> int:
        """SIGTERM, then SIGKILL after `within_s`; its exit code."""
        self.send(signal.SIGTERM)
        try:
            return await asyncio.wait_for(self.process.wait(), within_s)
        except TimeoutError:
            self.send(signal.SIGKILL)
            return await self.process.wait()

    async def said(self, text: str, within_s: float) -> str:
        """Wait until a line of its output has `text` in it; that line.

        Raises:
            ChildEnded: it ended, or the time is up.
        """
        deadline = asyncio.get_running_loop().time() + within_s
        while True:
            for line in self.log.read_text(errors="replace").splitlines():
                if text in line:
                    return line
            if not self.running or asyncio.get_running_loop().time() > deadline:
                raise ChildEnded(f"{self.name} didn't start:\n{self.tail()}")
            await asyncio.sleep(0.05)


async def watch_all(children: Sequence[Child]) -> None:
    """Until one of them ends by itself.

    Raises:
        ChildEnded: it did.
    """
    async with asyncio.TaskGroup() as group:
        tasks = {group.create_task(child.process.wait()): child for child in children}
        done, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in rest:
            task.cancel()
    child = tasks[done.pop()]
    raise ChildEnded(f"{child.name} ended by itself ({child.process.returncode}):\n{child.tail()}")


async def stop_all(children: Sequence[Child], within_s: float) -> None:
    """End all at once: SIGTERM to each, SIGKILL to those left after `within_s`."""
    for child in children:
        child.send(signal.SIGTERM)
    async with asyncio.TaskGroup() as group:
        for child in children:
            group.create_task(child.stop(within_s))


def gampong(*words: str) -> list[str]:
    """The command line that runs `gampong WORDS` with this interpreter."""
    return [sys.executable, "-m", "gampong", *words]
