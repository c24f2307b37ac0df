"""One run: faults begin and end at their moments, who ends by itself is started again.

Everything happens in one thread, in the order of its time.
"""

from __future__ import annotations

import heapq
import random
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from gampong.truth import uplinks_due
from tests.chaos.faults import Fault, Faults
from tests.chaos.line import DRAIN_S, ChaosLine
from tests.servers import STOP_S

BETWEEN_FAULTS_S = (0.5, 4.0)
START_AGAIN_S = 1.0  # as a service manager waits
ARRIVE_S, CALM_S = 180.0, 240.0
LOOK_S = 0.25
FINAL_S = 30.0


class Run:
    """A line, what was done to it, and what it did by itself."""

    def __init__(self, folder: Path, seed: int, seconds: float, stack: ExitStack) -> None:
        self._draw = random.Random(seed)
        self._seconds = seconds
        self.line = ChaosLine(folder, seed, seconds, stack)
        self._faults = Faults(self.line, self._draw)
        self._held: set[str] = set()
        self._ends: list[tuple[float, int, Fault]] = []
        self._again: dict[str, float] = {}
        self._began = time.monotonic()
        self.kinds: Counter[str] = Counter()
        self.ended_by_themselves: Counter[str] = Counter()
        self.backlog = 0
        self.drain_s: dict[str, float] = {}
        self.problems: list[str] = []

    def break_things(self) -> None:
        """Faults at random moments, until the time is over; then all of them are mended."""
        self._began = time.monotonic()
        next_s = 0.0
        while (now_s := self._now_s()) < self._seconds:
            if now_s >= next_s:
                self._begin(self._faults.next())
                next_s = now_s + self._draw.uniform(*BETWEEN_FAULTS_S)
            self._turn(min(next_s, self._seconds))
        while self._ends:
            self._end(heapq.heappop(self._ends)[2])
        self._say("everything is mended")

    def settle(self) -> None:
        """Let what is on its way arrive and drain, then end everything that has a ledger."""
        mended_s = self._now_s()
        if self.line.world.stop(STOP_S):
            self.problems.append(f"the city ended badly: {self.line.world.tail()}")
        due = uplinks_due(self.line.truth)
        while self.line.uplinks() < due and self._now_s() < mended_s + ARRIVE_S:
            self._turn(self._now_s() + LOOK_S)
        self._drain(mended_s)
        for agent in self.line.agents:
            if agent.process.stop(DRAIN_S + STOP_S):
                self.problems.append(f"{agent.name} ended badly: {agent.process.tail()}")
        for process in (*self.line.ingestors, self.line.watch):
            if process.stop(FINAL_S):
                self.problems.append(f"{process.name} ended badly: {process.tail()}")

    def _drain(self, mended_s: float) -> None:
        self.backlog = sum(s.waiting_batches for a in self.line.agents if (s := a.summary()))
        waiting = {agent.name: agent for agent in self.line.agents}
        while waiting and self._now_s() < mended_s + CALM_S:
            for name, agent in list(waiting.items()):
                summary = agent.summary()
                if summary and summary.waiting_batches == 0 and summary.ledger.waiting == 0:
                    self.drain_s[name] = self._now_s() - mended_s
                    del waiting[name]
            self._turn(self._now_s() + LOOK_S)
        self.problems += [f"{name} didn't drain within {CALM_S:.0f} s" for name in waiting]

    def _begin(self, fault: Fault) -> None:
        process = self.line.processes.get(fault.victim)
        if fault.holds & self._held or (process and not self._runs(fault.victim)):
            return
        self._say(f"{fault.kind} {fault.victim} for {fault.seconds:.1f} s {fault.detail}".rstrip())
        self._held |= fault.holds
        self.kinds[fault.kind] += 1
        fault.begin()
        heapq.heappush(self._ends, (self._now_s() + fault.seconds, sum(self.kinds.values()), fault))

    def _end(self, fault: Fault) -> None:
        self._held -= fault.holds
        if fault.victim not in self._again:  # ended by itself meanwhile: it is started anyway
            fault.end()

    def _turn(self, until_s: float) -> None:
        """Wait until then, ending what is due and starting again what ended by itself."""
        while (now_s := self._now_s()) < until_s:
            if self._ends and self._ends[0][0] <= now_s:
                self._end(heapq.heappop(self._ends)[2])
            self._look_after(now_s)
            self.line.proxy.runs_for(0.05)

    def _look_after(self, now_s: float) -> None:
        for name, process in self.line.processes.items():
            if name in self._faults.down:
                continue
            if self._again.get(name, now_s + 1) <= now_s:
                del self._again[name]
                process.start()
            elif name not in self._again and not self._runs(name):
                code = process.exit_code
                self._say(f"{name} ended by itself with {code}")
                self.ended_by_themselves[f"{name} with {code}"] += 1
                if code == 1:
                    self.problems.append(f"{name} ended by itself: {process.tail()}")
                process.kill()  # it has ended: only forgotten
                self._again[name] = now_s + START_AGAIN_S

    def _runs(self, name: str) -> bool:
        return name not in self._again and self.line.processes[name].runs_for(0)

    def _now_s(self) -> float:
        return time.monotonic() - self._began

    def _say(self, text: str) -> None:
        print(f"{self._now_s():7.1f} s  {text}", flush=True)
