"""Processes of a benchmark: started in a folder, their output in a log, ended by their own id."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

ROOT = Path(__file__).resolve().parents[1]
STOP_S = 30.0
LOOK_S = 0.005


class DidNotWork(Exception):
    """A process that a benchmark needs ended or didn't come up; with the end of its log."""


class Running:
    """One process; `with` starts and ends it. `pinned` is the core it may use."""

    def __init__(
        self,
        name: str,
        folder: Path,
        command: Sequence[str],
        pinned: int | None = None,
        fed: bool = False,
    ) -> None:
        self.name, self.log = name, folder / f"{name}.log"
        self._folder, self._fed = folder, fed
        prefix = [] if pinned is None else ["taskset", "-c", str(pinned)]
        self._command = [*prefix, *command]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                stdin=subprocess.PIPE if self._fed else subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
                start_new_session=True,
            )
        return self

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The running process.

        Raises:
            DidNotWork: it was never started, or has been stopped.
        """
        if self._process is None:
            raise DidNotWork(f"{self.name} isn't running")
        return self._process

    @property
    def pid(self) -> int:
        return self.process.pid

    def feed(self, line: bytes) -> None:
        """One line to its standard input."""
        assert self.process.stdin, "not fed"
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def hang_up(self) -> None:
        """Close its standard input: there won't be more."""
        assert self.process.stdin, "not fed"
        self.process.stdin.close()

    def runs_for(self, seconds: float) -> bool:
        """Wait that long; whether it still runs then."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return True
        return False

    def said(self, text: str, within_s: float = 30.0) -> float:
        """Wait until its log has `text` in it; the monotonic time at which it was seen.

        Raises:
            DidNotWork: it ended, or the time is up.
        """
        deadline = time.monotonic() + within_s
        while text not in self.log.read_text(errors="replace"):
            if not self.runs_for(LOOK_S) or time.monotonic() > deadline:
                raise DidNotWork(f"{self.name} didn't say {text!r}:\n{self.tail()}")
        return time.monotonic()

    def stop(self) -> int:
        """SIGTERM, and SIGKILL for one that doesn't end; the exit code."""
        process, self._process = self.process, None
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()
        finally:
            if process.stdin:
                process.stdin.close()

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]

    def __enter__(self) -> Self:
        return self if self._process is not None else self.start()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._process is not None:
            self.stop()
        if kind is not None:
            print(f"--- end of {self.log}\n{self.tail()}", flush=True)


def gampong(*words: str) -> list[str]:
    """The command line of one of ours, in this environment."""
    return python("gampong", *words)


def python(module: str, *words: str) -> list[str]:
    """The command line of a module of this tree."""
    return [sys.executable, "-m", module, *words]
