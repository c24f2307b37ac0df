"""What really happened, told by nobody whom the simulation tests, and what must hold.

At every step
    a ledger that anybody reads balances, and its `accepted` is what was committed
    an uplink that the agent acknowledged was committed before
    a point that is written was accepted before
    a batch that a gateway counts as settled is in the database, or in the dead letters
At the end
    every accepted reading is in the database exactly once or in the dead letters, or counted as
    dropped; nothing waits; a polled reading is missing only if it was open when its agent died or
    while its disk refused (the count of those refused goes with an agent that ends meanwhile)
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edge.records import Line, Sealed
from tests.simulation.database import Database, Mark, mark_of
from tests.simulation.loop import Process
from wire.batch import decode_batch
from wire.messages import Fate, Ledger

LIVE_S = 5.0


class Violation(Exception):
    """Something that must not be; the text says what."""


class Card:
    """What one gateway's outbox has taken in."""

    def __init__(self) -> None:
        self.accepted: dict[Mark, float] = {}
        self.sealed: dict[Mark, float] = {}
        self.polled: dict[Mark, tuple[float, int | None]] = {}
        self.deaths: list[float] = []
        self.failing: list[tuple[float, float]] = []  # when the disk refused
        self.acknowledged: set[Mark] = set()
        self.sent: dict[bytes, list[Mark]] = {}  # digest → readings
        self.ledger = Ledger()


class Truth:
    """Sees every call of every outbox, every write and every acknowledgement."""

    def __init__(self, now: Callable[[], float], database: Database, letters: list[Path]) -> None:
        self._now, self._database, self._letters = now, database, letters
        self.cards: dict[str, Card] = {}
        self.problems: list[str] = []
        self.settled = 0
        self.ledgers = 0
        self._read: dict[Path, int] = {}
        self._buried: set[Mark] = set()
        self.trace: Callable[..., None] = lambda *words: None

    def problem(self, text: str) -> None:
        """Something that must not be."""
        self.problems.append(f"{self._now():.3f} s: {text}")

    def saw(self, process: Process, name: str, args: tuple[Any, ...], result: Any) -> None:
        """A call of an outbox succeeded."""
        card = self.cards[process.name]
        self.trace(process.name, name)
        match name:
            case "journal":
                self._journalled(card, args[1], result)
            case "seal":
                self._sealed(card, args[1], result)
            case "waiting":
                self._remember(card, result)
            case "confirm":
                self._confirmed(process.name, card, args[2], result)
            case "ledger":
                self._ledger(process.name, card, result)

    def acknowledged(self, gateway: str, mark: Mark) -> None:
        """The agent took an uplink from the network server."""
        card = self.cards[gateway]
        card.acknowledged.add(mark)
        if mark not in card.accepted:
            self.problem(f"{gateway}: uplink {mark} acknowledged and not committed")

    def wrote(self, mark: Mark, line: str) -> None:
        """A reading is in the database for the first time."""
        gateway = line.partition(",gateway=")[2].partition(",")[0]
        if mark not in self.cards[gateway].accepted:
            self.problem(f"written and never accepted: {line}")

    def buried(self) -> set[Mark]:
        """Readings in the dead-letter files."""
        for path in self._letters:
            if path.exists() and (size := path.stat().st_size) != self._read.get(path, 0):
                self._read[path] = size
                text = path.read_text()
                lines = re.findall(r'"line":"(.*?)(?<!\\)"', text)
                self._buried |= {mark_of(line.replace('\\"', '"')) for line in lines}
        return self._buried

    def _journalled(self, card: Card, lines: Sequence[Line], fresh: Sequence[bool]) -> None:
        for line, new in zip(lines, fresh, strict=True):
            mark = mark_of(line.text)
            if new:
                if mark in card.accepted:
                    self.problem(f"accepted twice: {mark}")
                card.accepted[mark] = self._now()

    def _sealed(self, card: Card, lines: Sequence[Line], batches: Sequence[Sealed]) -> None:
        for line in lines:
            card.accepted[mark_of(line.text)] = self._now()
        self._remember(card, batches)
        for batch in batches:
            for mark in card.sent[batch.key.digest]:
                card.sealed[mark] = self._now()

    def _remember(self, card: Card, batches: Sequence[Sealed]) -> None:
        for batch in batches:
            if batch.key.digest not in card.sent:
                marks = [mark_of(text) for text in decode_batch(batch.payload)]
                card.sent[batch.key.digest] = marks

    def _confirmed(
        self, gateway: str, card: Card, fates: Sequence[Fate], settled: Sequence[int]
    ) -> None:
        for fate in fates:
            if fate.sequence not in settled or not fate.final:
                continue
            self.settled += 1
            marks = card.sent.get(fate.digest, [])
            gone = [mark for mark in marks if mark not in self._database.marks]
            if gone and (gone := [mark for mark in gone if mark not in self.buried()]):
                self.problem(f"{gateway}: batch {fate.sequence} confirmed without {gone[:3]}")

    def _ledger(self, gateway: str, card: Card, ledger: Ledger) -> None:
        self.ledgers += 1
        card.ledger = ledger
        if not ledger.balanced:
            self.problem(f"{gateway}: unbalanced {ledger}")
        if ledger.accepted != len(card.accepted):
            self.problem(f"{gateway}: ledger accepted {ledger.accepted}, not {len(card.accepted)}")

    # At the end

    def judge(self, gateway: str, open_s: float) -> None:
        """All of a gateway's readings, once nothing moves any more."""
        card = self.cards[gateway]
        ledger, marks, buried = card.ledger, self._database.marks, self.buried()
        dropped = sum(ledger.dropped.values())
        rejected = sum(ledger.rejected.values())
        if ledger.waiting or ledger.open:
            self.problem(f"{gateway}: {ledger.waiting} wait, {ledger.open} open at the end")
        lost = [mark for mark in card.accepted if mark not in marks and mark not in buried]
        if len(lost) > dropped + ledger.waiting:
            self.problem(f"{gateway}: {len(lost)} accepted and nowhere, such as {lost[:3]}")
        found = sum(mark in marks for mark in card.accepted)
        if not ledger.stored <= found <= ledger.stored + dropped + rejected:
            self.problem(f"{gateway}: {found} in the database, {ledger.stored} in the ledger")
        if rejected > sum(mark in buried for mark in card.accepted):
            self.problem(f"{gateway}: {rejected} rejected, dead letters lack some")
        self._judge_open(gateway, card, ledger, open_s)

    def _judge_open(self, gateway: str, card: Card, ledger: Ledger, open_s: float) -> None:
        """What was polled and never accepted."""
        unexplained = [
            mark
            for mark, (at, _) in card.polled.items()
            if mark not in card.accepted
            and not any(0 <= death - at <= open_s for death in card.deaths)
            and not any(since - open_s <= at <= until for since, until in card.failing)
        ]
        counted = Counter(ledger.refused)["disk_failing"] + ledger.suppressed
        if len(unexplained) > counted:
            self.problem(f"{gateway}: polled and lost: {unexplained[:3]}, {counted} counted")

    def judge_live(self, gateway: str, since: float, until: float) -> list[float]:
        """How long each reading sealed in that time took to the database, once linked."""
        card, written = self.cards[gateway], self._database.written
        waits = []
        for mark, sealed_at in card.sealed.items():
            if since <= sealed_at <= until and mark not in self.buried():
                wait_s = written.get(mark, float("inf")) - sealed_at
                waits.append(wait_s)
                if wait_s > LIVE_S:
                    self.problem(f"{gateway}: {mark} sealed at {sealed_at:.1f}, {wait_s:.1f} s")
        return waits
