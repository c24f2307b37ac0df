"""Sensors for a running line: each a thread on a pty, told what is true and how to say it wrong."""

from __future__ import annotations

import os
import select
import threading
import tty
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

from devices.dfrobot_a02yyuw import encode
from devices.modbus import Request, RequestReader, build_response
from devices.reading import Values

FREE_MM, OCCUPIED_MM = 1800, 300
FRAME_S = 0.1
LOOK_S = 0.05

Spoil = Callable[[bytes], bytes]
"""A good answer → what is said in its place."""


class Wire:
    """A pty whose near end is a sensor's thread; `path` is what the agent opens."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ours, self._theirs = os.openpty()
        tty.setraw(self._theirs)
        os.set_blocking(self._ours, False)
        path.symlink_to(os.ttyname(self._theirs))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def say(self, data: bytes) -> None:
        """Put bytes on the line; they are lost while nobody reads, as on any line."""
        with suppress(BlockingIOError):
            os.write(self._ours, data)

    def _run(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        os.close(self._ours)
        os.close(self._theirs)


class Bus(Wire):
    """SEN0591 parking sensors on RS-485: `distances` in mm by unit. The next answers of a unit
    are spoilt by what stands in `spoils`, each once."""

    def __init__(self, path: Path, distances: dict[int, int]) -> None:
        super().__init__(path)
        self.distances = distances
        self.spoils: dict[int, list[Spoil]] = {unit: [] for unit in distances}

    def _run(self) -> None:
        reader = RequestReader()
        while not self._stop.is_set():
            if not select.select([self._ours], [], [], LOOK_S)[0]:
                continue
            for found in reader.feed(os.read(self._ours, 4096)):
                if isinstance(found, Request) and found.unit in self.distances:
                    self._answer(found)

    def _answer(self, request: Request) -> None:
        registers = self.distances[request.unit].to_bytes(2)
        frame = build_response(request.unit, request.function, registers)
        if spoils := self.spoils[request.unit]:
            frame = spoils.pop(0)(frame)
        self.say(frame)


class Ranger(Wire):
    """An A02YYUW: ten frames a second, each another distance, and `between` two of them anything
    else, once each. `distances_mm` is all that it has said."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.between: list[bytes] = []
        self.distances_mm: list[int] = []

    def _run(self) -> None:
        distance_mm = 1000
        while not self._stop.wait(FRAME_S):
            distance_mm = 1000 + (distance_mm + 37) % 2000
            self.distances_mm.append(distance_mm)
            self.say(ranger_frame(distance_mm))
            if self.between:
                self.say(self.between.pop(0))


def ranger_frame(distance_mm: int) -> bytes:
    """A good frame."""
    return encode(Values({"distance_mm": float(distance_mm)})).data
