"""What really happened, told by nobody whom the simulation tests, and what must hold on the way.

At every step
    after each commit the outbox's ledger balances, and its `accepted` is what was committed
    a ledger that the agent tells, open readings included, balances too
    a commit that a crash interrupted is there whole or not at all
    an uplink that the agent acknowledged was committed before
    a point that is written was accepted before, as it is written: device, fields, time
    a batch that a gateway counts as settled is in the database, or in the dead letters
    what the wire carries: see `Courier`
`judgement.py` says what must hold at the end.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from edge.outbox import Outbox
from edge.records import Line, Sealed
from tests.simulation.database import Database, Mark, mark_of
from tests.simulation.process import Process
from tests.simulation.times import Heard, Times
from wire.batch import decode_batch
from wire.messages import Fate, Ledger

MOVING = ("journal", "seal", "confirm", "park", "new_epoch", "resend_since")
"""Calls that move readings in the ledger, when they return something."""

COUNTING = {"journal": 2, "seal": 3}
"""Calls that commit counts, and which argument holds them."""

_LETTER = re.compile(r'"line":"(.*?)(?<!\\)"')


class Account(msgspec.Struct):
    """What one gateway's outbox has taken in, and what it was given."""

    heard: dict[Mark, Heard] = {}
    accepted: dict[Mark, str] = {}
    sealed: dict[Mark, float] = {}
    sealed_at: dict[bytes, float] = {}  # digest → when, for what was sealed with its time known
    sent: dict[bytes, list[Mark]] = {}  # digest → readings
    doubts: list[dict[Mark, str]] = []  # commits that failed or were cut: there or not
    deaths: list[float] = []
    failing: list[tuple[float, float]] = []  # when the disk refused
    orphans: set[Mark] = set()  # were on a card that is gone
    suppressed: int = 0  # by every card that this one has had
    ledger: Ledger = Ledger()
    told: Ledger | None = None
    """What the agent itself last told, open readings included."""


class Truth:
    """Sees every call of every outbox, every write and every acknowledgement."""

    def __init__(self, now: Callable[[], float], database: Database, letters: list[Path]) -> None:
        self._now, self._database, self.letters = now, database, letters
        self.accounts: dict[str, Account] = {}
        self.problems: list[str] = []
        self.settled = self.ledgers = 0
        self._read: dict[Path, tuple[int, int]] = {}
        self._buried: set[Mark] = set()
        self.times = Times()
        self.trace: Callable[..., None] = lambda *words: None

    def problem(self, text: str) -> None:
        """Something that must not be."""
        self.problems.append(f"{self._now():.3f} s: {text}")

    # Of the outside

    def heard(self, name: str, mark: Mark, heard: Heard) -> None:
        """A sensor said something."""
        self.accounts[name].heard[mark] = heard

    def acknowledged(self, name: str, mark: Mark) -> None:
        """The agent took an uplink from the network server."""
        if mark not in self.accounts[name].accepted:
            self.problem(f"{name}: uplink {mark} acknowledged and not committed")

    def wrote(self, mark: Mark, line: str) -> None:
        """A reading is in the database for the first time."""
        gateway = line.partition(",gateway=")[2].partition(",")[0]
        for name in (gateway, f"{gateway}-twin"):
            account = self.accounts.get(name)
            if account and (text := account.accepted.get(mark)):
                heard = account.heard[mark]
                if why := self.times.differs(name, mark, heard, text, line):
                    self.problem(f"{name}: {why}")
                return
            if account and mark in account.orphans:
                return
        self.problem(f"written and never accepted: {line}")

    def buried(self) -> set[Mark]:
        """Readings that are or were in the dead-letter files."""
        for path in self.letters:
            if not path.exists():
                continue
            state = path.stat()
            if (seen := (state.st_ino, state.st_size)) != self._read.get(path):
                self._read[path] = seen
                found = _LETTER.findall(path.read_text())
                self._buried |= {mark_of(line.replace('\\"', '"')) for line in found}
        return self._buried

    # Of outboxes

    def saw(self, process: Process, name: str, args: tuple[Any, ...], result: Any) -> None:
        """A call of an agent's outbox succeeded."""
        account = self.accounts[process.name]
        self.trace(process.name, name)
        match name:
            case "open":
                self.opened(process.name, result)
            case "journal":
                self._journalled(account, args[1], result)
            case "seal":
                self._sealed(account, args[1], result)
            case "waiting":
                self._remember(account, result)
            case "confirm":
                self._confirmed(process.name, account, args[2], result)
            case "ledger":
                self._ledger(process.name, account, result)
                account.told = result
            case "set_boot_offset":
                machine = process.machine
                self.times.learnt(process.name, machine.boot, args[1])
                if why := self.times.wrong_offset(machine.clock, machine.stepped, args[1]):
                    self.problem(f"{process.name}: {why}")
        if name in COUNTING:
            account.suppressed += args[COUNTING[name]]["suppressed", ""]
        if name in MOVING and result and process.executor is not None:
            outbox: Outbox = process.executor.opened
            self._ledger(process.name, account, outbox.ledger(Counter(), 0))

    def failed(self, process: Process, name: str, args: tuple[Any, ...]) -> None:
        """A call didn't succeed: what it would have committed is in doubt until the next start."""
        account = self.accounts[process.name]
        if name in ("journal", "seal"):
            doubt = {mark_of(line.text): line.text for line in args[1]}
            if doubt:
                account.doubts.append(doubt)

    def opened(self, name: str, outbox: Outbox) -> None:
        """A start: a commit that was in doubt is there whole or not at all."""
        account = self.accounts[name]
        if account.doubts:
            there = self._marks_in(account, outbox)
            for doubt in account.doubts:
                fresh = {m: text for m, text in doubt.items() if m not in account.accepted}
                found = {m: text for m, text in fresh.items() if m in there}
                if len(found) not in (0, len(fresh)):
                    self.problem(f"{name}: a part of a commit: {len(found)} of {len(fresh)}")
                account.accepted |= found
            account.doubts = []
        # An agent killed in the commit of an offset never said that it had learnt it.
        sql = "SELECT boot_id, offset_ms FROM boots WHERE offset_ms IS NOT NULL AND quality = ''"
        for boot, offset_ms in outbox._connection.execute(sql):
            self.times.learnt(name, boot, offset_ms)
        self._ledger(name, account, outbox.ledger(Counter(), 0))

    def closed(self, name: str, ledger: Ledger) -> None:
        """An agent has ended and told its last ledger."""
        self._ledger(name, self.accounts[name], ledger)

    def died(self, name: str) -> None:
        """An agent is no more."""
        self.accounts[name].deaths.append(self._now())

    def untimed(self, name: str) -> bool:
        """Whether a reading may still wait for its time there."""
        account = self.accounts[name]
        return any(
            account.heard[mark].stamp_ms is None and mark not in self._database.marks
            for mark in account.accepted
        ) or bool(account.doubts)

    def copy(self, name: str) -> Account:
        """All that a copy of the card holds now."""
        account = self.accounts[name]
        return msgspec.structs.replace(
            account,
            heard={mark: account.heard[mark] for mark in account.accepted},
            accepted=dict(account.accepted),
            sent=dict(account.sent),
            sealed={},
            sealed_at={},
            suppressed=0,
            deaths=list(account.deaths),
            failing=list(account.failing),
        )

    def restored(self, name: str, copy: Account) -> None:
        """The card is another one now: what only the former had is out of anybody's hands."""
        account = self.accounts[name]
        account.orphans |= account.accepted.keys() - copy.accepted.keys()
        account.accepted = dict(copy.accepted)
        account.ledger = copy.ledger
        account.doubts = []
        self.died(name)

    def _journalled(self, account: Account, lines: Sequence[Line], fresh: Sequence[bool]) -> None:
        for line, new in zip(lines, fresh, strict=True):
            mark = mark_of(line.text)
            if new:
                if mark in account.accepted:
                    self.problem(f"accepted twice: {mark}")
                account.accepted[mark] = line.text

    def _sealed(self, account: Account, lines: Sequence[Line], batches: Iterable[Sealed]) -> None:
        for line in lines:
            account.accepted[mark_of(line.text)] = line.text
        for batch in batches:
            self._remember(account, (batch,))
            account.sealed_at[batch.key.digest] = self._now()
            for mark in account.sent[batch.key.digest]:
                account.sealed[mark] = self._now()

    def _remember(self, account: Account, batches: Iterable[Sealed]) -> None:
        for batch in batches:
            if batch.key.digest not in account.sent:
                marks = [mark_of(text) for text in decode_batch(batch.payload)]
                account.sent[batch.key.digest] = marks

    def _marks_in(self, account: Account, outbox: Outbox) -> set[Mark]:
        """Readings that wait in an outbox that was just opened."""
        connection = outbox._file.connection
        marks = {mark_of(text) for (text,) in connection.execute("SELECT line FROM journal")}
        sql = (
            "SELECT payload FROM payloads JOIN batches USING (sequence) WHERE state = 0"
            " ORDER BY sequence DESC LIMIT 100"
        )
        for (payload,) in connection.execute(sql):
            marks.update(mark_of(text) for text in decode_batch(payload))
        return marks

    def _confirmed(
        self, name: str, account: Account, fates: Sequence[Fate], settled: Sequence[int]
    ) -> None:
        for fate in fates:
            if fate.sequence not in settled or not fate.final:
                continue
            self.settled += 1
            marks = account.sent.get(fate.digest, [])
            gone = [mark for mark in marks if mark not in self._database.marks]
            if gone and (gone := [mark for mark in gone if mark not in self.buried()]):
                self.problem(f"{name}: batch {fate.sequence} confirmed without {gone[:3]}")

    def _ledger(self, name: str, account: Account, ledger: Ledger) -> None:
        self.ledgers += 1
        account.ledger = ledger
        if not ledger.balanced:
            self.problem(f"{name}: unbalanced {ledger}")
        if ledger.accepted != len(account.accepted):
            self.problem(f"{name}: {ledger.accepted} accepted, not {len(account.accepted)}")
