"""Processes of ours for tests: started as a user starts them, killed as the world kills them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import pytest

from tests.servers import POLL_S, START_S, STOP_S

ROOT = Path(__file__).parent.parent


class Module:
    """One `python -m MODULE WORDS…` process; its output goes to `<name>.log` in `folder`.

    `environment` is added to ours.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        module: str,
        *words: str,
        environment: Mapping[str, str] = {},
    ) -> None:
        self.name, self.folder, self.module, self.words = name, folder, module, words
        self.environment = dict(environment)
        self.stdin = subprocess.DEVNULL
        self.log = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        assert self._process is None
        own = {"PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT)}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self.module, *self.words],
                stdin=self.stdin,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=os.environ | own | self.environment,
                start_new_session=True,
            )
        return self

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    def runs_for(self, seconds: float) -> bool:
        """Wait that long; whether it still runs then."""
        assert self._process
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return True
        return False

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        assert self._process
        return self._process.returncode

    def said(self, text: str, within_s: float = START_S) -> str:
        """The first line of its output that has `text` in it, waited for."""
        deadline = time.monotonic() + within_s
        while True:
            for line in self.log.read_text(errors="replace").splitlines():
                if text in line:
                    return line
            if not self.runs_for(POLL_S) or time.monotonic() > deadline:
                pytest.fail(f"{self.name} didn't say {text!r}:\n{self.tail()}")

    def freeze(self) -> None:
        """SIGSTOP: alive for whoever looks, and silent."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL, as a power cut."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self, within_s: float = STOP_S) -> int:
        """SIGTERM; its exit code."""
        assert self._process
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.kill()
            pytest.fail(f"{self.name} didn't end within {within_s} s:\n{self.tail()}")
        self._process = None
        return code

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-4000:]

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.kill()
        if kind is not None:
            print(f"--- end of {self.log}\n{self.tail()}")


class Gampong(Module):
    """One `gampong WORDS…` process."""

    def __init__(
        self, name: str, folder: Path, *words: str, environment: Mapping[str, str] = {}
    ) -> None:
        super().__init__(name, folder, "gampong", *words, environment=environment)
