"""Who can reach the broker, how fast, and what is cut."""

from __future__ import annotations

import random

from tests.simulation.broker import Broker
from tests.simulation.loop import VirtualLoop
from tests.simulation.wire import Wire


class Network:
    """Every process's way to the broker."""

    def __init__(self, loop: VirtualLoop, broker: Broker, rng: random.Random) -> None:
        self.loop, self.broker, self._rng = loop, broker, rng
        self.slow: dict[str, float] = {}  # seconds at most, by process
        self._apart: dict[str, float] = {}  # until when
        self._wires: dict[str, list[Wire]] = {}

    def delay_s(self, name: str) -> float:
        return self._rng.uniform(0.002, 0.03) + self._rng.random() * self.slow.get(name, 0.0)

    def opened(self, name: str, wire: Wire) -> None:
        wires = [open_ for open_ in self._wires.get(name, ()) if not open_.closed]
        self._wires[name] = [*wires, wire]
        left_s = self._apart.get(name, 0.0) - self.loop.time()
        if left_s > 0:
            wire.stall(left_s)

    def cut(self, name: str) -> None:
        """Reset every connection of that process."""
        for wire in self._open(name):
            wire.reset()

    def part(self, name: str, seconds: float) -> None:
        """Nothing of that process arrives for so long, nor to it; new connections neither."""
        self._apart[name] = max(self._apart.get(name, 0.0), self.loop.time() + seconds)
        for wire in self._open(name):
            wire.stall(seconds)

    def reaches(self, name: str) -> bool:
        """Whether that process isn't apart."""
        return self._apart.get(name, 0.0) <= self.loop.time()

    def deafen(self, name: str) -> None:
        """Half-open: what is open now will carry nothing any more; a new one will."""
        for wire in self._open(name):
            wire.deaf()

    def mend(self) -> None:
        """Whoever was apart can be reached again; what is half-open stays so."""
        self._apart.clear()
        for wires in self._wires.values():
            for wire in wires:
                wire.mend()

    def _open(self, name: str) -> list[Wire]:
        return [wire for wire in self._wires.get(name, ()) if not wire.closed]
