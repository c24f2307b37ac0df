"""A database as a `Store`: it keeps points by identity, and answers as databases do.

    away       nothing is taken; refused at once, or the time-out of a request
    slow       seconds for each write
    too_many   429 with Retry-After
    torn       500 after some of the lines were written
    told_no    500 after all of them were written
    locked     401

What it does all the time: a line of a device in `conflicts` is rejected (another type than the
field has), a write with a line of a device in `poison` fails as a whole (500).
"""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from collections.abc import Callable, Sequence

from ingest.stores import Bucket, Kept, Query, Row, Written
from tests.simulation.loop import VirtualLoop
from tests.simulation.process import PROCESS

TIMEOUT_S = 10.0
_MARK = re.compile(r",device=([^,]+),.*?[ ,](?:frame_counter|distance_mm)=([0-9]+)")
_OWN = re.compile("gateway_batch,|arrival,|ingestor_probe,")  # the ingestor's own, beside readings
_POINT = re.compile(r"(\S+) (\S+) (\d+)")

Mark = tuple[str, int]
"""A device and the number of its reading: what names a reading whatever its time."""


def mark_of(line: str) -> Mark:
    """Which reading a line is of."""
    found = _MARK.search(line)
    assert found, line
    return found[1], int(found[2])


class Database:
    """The store, and what a schedule does to it."""

    def __init__(self, loop: VirtualLoop, rng: random.Random) -> None:
        self._loop, self._rng = loop, rng
        self.mode = "well"
        self.poison: set[str] = set()
        self.conflicts: set[str] = set()
        self.points: dict[tuple[str, int], str] = {}  # (series, time) → fields
        self.marks: dict[Mark, tuple[str, int]] = {}
        self.written: dict[Mark, float] = {}  # when first
        self.again = 0
        self.answers: Counter[str] = Counter()
        self.on_write: Callable[[Mark, str], None] = lambda mark, line: None
        self.on_fault: Callable[[str], None] = lambda text: None

    async def write(self, bucket: Bucket, lines: Sequence[str]) -> Written | Kept:
        process = PROCESS.get()
        assert process is not None
        if not process.trip("write"):
            await self._for_ever()
        answered: asyncio.Future[Written | Kept] = self._loop.create_future()
        mode = self.mode if bucket is Bucket.CITY or self.mode in ("away", "locked") else "well"
        self._loop.call_later(self._takes_s(mode), self._serve, bucket, mode, lines, answered)
        answer = await answered
        if not process.trip("written"):
            await self._for_ever()
        return answer

    async def read(self, query: Query) -> list[Row]:
        raise NotImplementedError("nobody reads in the simulation")

    async def probe(self) -> Kept | None:
        await asyncio.sleep(self._rng.uniform(0.002, 0.03))
        return None if self.mode in ("well", "slow", "torn", "told_no") else Kept(self.mode)

    async def close(self) -> None:
        """Nothing is open."""

    async def _for_ever(self) -> None:
        await self._loop.create_future()

    def _takes_s(self, mode: str) -> float:
        if mode == "slow":
            return self._rng.uniform(1.0, TIMEOUT_S * 1.2)
        if mode == "away" and self._rng.random() < 0.5:
            return TIMEOUT_S
        return self._rng.uniform(0.002, 0.05)

    def _serve(
        self,
        bucket: Bucket,
        mode: str,
        lines: Sequence[str],
        answered: asyncio.Future[Written | Kept],
    ) -> None:
        answer = self._answer(bucket, mode, lines)
        self.answers[answer.reason if isinstance(answer, Kept) else "written"] += 1
        if not answered.done():
            answered.set_result(answer)

    def _answer(self, bucket: Bucket, mode: str, lines: Sequence[str]) -> Written | Kept:
        if mode == "away":
            return Kept("away")
        if mode == "locked":
            return Kept("unauthorized")
        if mode == "too_many":
            return Kept("too_many_requests", retry_after_s=self._rng.choice([0.0, 1.0, 3.0, 20.0]))
        if bucket is not Bucket.CITY:
            return Written()
        lines = [line for line in lines if not _OWN.match(line)]
        if self.poison and any(mark_of(line)[0] in self.poison for line in lines):
            return Kept("server_error", bisect=True)
        if mode == "torn":
            self._take([line for line in lines if self._rng.random() < 0.5])
            return Kept("server_error", bisect=True)
        rejected = {
            index: "type_conflict"
            for index, line in enumerate(lines)
            if self.conflicts and mark_of(line)[0] in self.conflicts
        }
        self._take([line for index, line in enumerate(lines) if index not in rejected])
        if mode == "told_no":
            return Kept("server_error", bisect=self._rng.random() < 0.5)
        if mode == "slow" and self._rng.random() < 0.3:
            return Kept("timeout")
        return Written(rejected)

    def _take(self, lines: Sequence[str]) -> None:
        for line in lines:
            found = _POINT.fullmatch(line)
            if found is None:
                self.on_fault(f"not a line: {line}")
                continue
            mark, point = mark_of(line), (found[1], int(found[3]))
            known = self.marks.get(mark)
            if known is None:
                self.on_write(mark, line)
                if point in self.points:
                    self.on_fault(f"overwritten: {line} over {self.points[point]}")
                self.marks[mark] = point
                self.points[point] = found[2]
                self.written[mark] = self._loop.time()
            elif known != point:
                self.on_fault(f"twice: {mark} at {known} and {point}")
            elif self.points[point] != found[2]:
                self.on_fault(f"changed: {line} was {self.points[point]}")
            else:
                self.again += 1
