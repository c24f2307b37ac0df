"""The outbox against ten naive lines, through random histories of everything that can happen.

The model keeps what was accepted in a dictionary. After every step: the ledger balances and agrees
with the model, what waits is in order, and nothing accepted is gone that isn't counted as dropped.
"""

from __future__ import annotations

import random
import shutil
import tempfile
from base64 import b64encode
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edge.records import Line, Sealed
from tests.edge.outbox.rig import Rig, by_device, counts, fate
from wire.batch import decode_batch
from wire.messages import Fate


class Model:
    """What an outbox is, said naively."""

    def __init__(self) -> None:
        self.batches: dict[int, list[str]] = {}  # waiting, by sequence
        self.journal: list[str] = []
        self.keys: set[tuple[str, int]] = set()
        self.accepted = self.stored = self.repeats = self.taken = self.gaps = 0
        self.settled: dict[int, int] = {}  # readings stored, by sequence
        self.pending: set[int] = set()  # of those, confirmed since the last commit
        self.dropped: dict[int, int] = {}  # readings given up, by sequence


class OutboxAgainstModel(RuleBasedStateMachine):
    """One history."""

    @initialize(small=st.booleans())
    def begin(self, small: bool) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="gampong-outbox-"))
        self.rig = Rig(self.folder, bytes_max=1024 * 1024 if small else 64 * 1024 * 1024)
        self.model = Model()
        self.known: dict[int, Sealed] = {}
        self.lines: list[Line] = []
        self.in_window: frozenset[int] = frozenset()
        self.draw = random.Random(small)

    def teardown(self) -> None:
        if hasattr(self, "rig"):
            self.rig.outbox._file.close()
            shutil.rmtree(self.folder)

    def new_lines(self, count: int, big: bool, event: bool) -> list[Line]:
        noises = [b64encode(self.draw.randbytes(48)).decode() if big else "" for _ in range(count)]
        return [self.rig.line(event, noise=noise) for noise in noises]

    def committed(self) -> None:
        self.model.pending.clear()

    @rule(count=st.integers(0, 5), event=st.booleans(), state=st.integers(0, 3))
    def seal(self, count: int, event: bool, state: int) -> None:
        self.seal_lines(self.new_lines(count, False, event), {"bay": bytes([state])})

    @rule(event=st.booleans(), count=st.integers(800, 1200))
    def seal_much(self, event: bool, count: int) -> None:
        for _ in range(12 if self.rig.settings.bytes_max < 2**21 else 1):
            self.seal_lines(self.new_lines(count, True, event), {})

    def seal_lines(self, lines: list[Line], states: dict[str, bytes]) -> None:
        model = self.model
        before = self.rig.outbox._connection.total_changes
        batches = self.rig.seal(lines, states)
        texts = [*model.journal, *(line.text for line in lines)]
        packed = [t for sealed in batches for t in decode_batch(sealed.payload)]
        assert by_device(packed) == by_device(texts)
        for sealed in batches:
            assert sealed.key.sequence > max(self.known, default=0)
            self.known[sealed.key.sequence] = sealed
            model.batches[sealed.key.sequence] = decode_batch(sealed.payload)
        model.journal = []
        model.accepted += len(lines)
        model.taken += len(lines)
        if self.rig.outbox._connection.total_changes != before:
            self.committed()
        self.notice_dropped({sealed.key.sequence for sealed in batches})

    def notice_dropped(self, new: set[int]) -> None:
        """Only the outbox knows how much room it has: take its word, and check that it's counted
        and in order: never the window, telemetry before events, the oldest first, and all of them
        before what is `new`."""
        waiting = set(self.rig.waiting())
        gone = sorted(set(self.model.batches) - waiting)
        for sequence in gone:
            self.model.dropped[sequence] = len(self.model.batches.pop(sequence))
        assert self.in_window.isdisjoint(gone)
        left = [self.known[sequence] for sequence in waiting - self.in_window - new]
        if any(self.known[sequence].event for sequence in gone):
            assert all(sealed.event for sealed in left)
        for event in (False, True):
            same = [s for s in gone if self.known[s].event is event]
            rest = [sealed.key.sequence for sealed in left if sealed.event is event]
            assert max(same, default=0) < min(rest, default=2**63)

    @rule(count=st.integers(1, 4), again=st.booleans())
    def journal(self, count: int, again: bool) -> None:
        lines = self.new_lines(count, False, False)
        if again and self.lines:
            lines.append(self.draw.choice(self.lines))
        fresh = self.rig.outbox.journal(lines, counts(len(lines)))
        keys = [(line.device, line.time_ms) for line in lines]
        assert fresh == [key not in self.model.keys for key in keys]
        self.model.keys.update(keys)
        self.lines.extend(lines)
        self.model.journal += [line.text for line, new in zip(lines, fresh, strict=True) if new]
        self.model.accepted += sum(fresh)
        self.model.repeats += len(fresh) - sum(fresh)
        self.model.taken += len(lines)
        self.committed()
        self.notice_dropped(set())

    @precondition(lambda self: self.known)
    @rule(
        data=st.data(),
        how=st.sampled_from(["right", "right", "wrong digest", "wrong epoch", "hold"]),
    )
    def confirm(self, data: st.DataObject, how: str) -> None:
        """Any batch there ever was: waiting, confirmed before, or dropped long ago."""
        sealed = data.draw(st.sampled_from(list(self.known.values())))
        sequence, right = sealed.key.sequence, fate(sealed)
        said = {
            "right": right,
            "wrong digest": Fate(sequence, bytes(8), sealed.readings),
            "wrong epoch": right,
            "hold": Fate(sequence, sealed.key.digest, hold_s=5.0),
        }[how]
        epoch = bytes(16) if how == "wrong epoch" else self.rig.outbox.epoch
        settled = self.rig.outbox.confirm(epoch, [said])
        model = self.model
        if how == "right" and sequence in model.batches:
            assert settled == [sequence]
            model.settled[sequence] = len(model.batches.pop(sequence))
            self.in_window -= {sequence}
            model.pending.add(sequence)
        elif settled:  # a late one, for a dropped batch that had been sent
            assert how == "right"
            assert settled == [sequence]
            model.settled[sequence] = model.dropped.pop(sequence)
            model.pending.add(sequence)

    @rule()
    def send(self) -> None:
        for sealed in self.rig.outbox.waiting(0, 4):
            self.rig.outbox.mark_sent(sealed.key.sequence)

    @rule(size=st.integers(0, 8))
    def window(self, size: int) -> None:
        self.in_window = frozenset(self.rig.waiting()[:size])
        self.rig.outbox.set_window(self.in_window)

    @rule()
    def resend(self) -> None:
        self.rig.outbox.resend_since(0)
        self.committed()
        waiting = set(self.rig.waiting())
        for sequence in waiting - set(self.model.batches):
            self.model.settled.pop(sequence)
            self.model.batches[sequence] = decode_batch(self.known[sequence].payload)
        self.notice_dropped(set())

    @rule()
    def restart(self) -> None:
        self.rig.restart()
        self.committed()
        self.in_window = frozenset()

    @rule()
    def kill(self) -> None:
        self.rig.kill()
        self.model.gaps += 1
        for sequence in self.model.pending:  # said, but not yet on disk
            readings = self.model.settled.pop(sequence)
            if sequence in self.rig.waiting():
                self.model.batches[sequence] = decode_batch(self.known[sequence].payload)
            else:
                self.model.dropped[sequence] = readings
        self.model.pending.clear()
        self.in_window = frozenset()

    @rule(days=st.floats(0, 8))
    def time_passes(self, days: float) -> None:
        self.rig.clock.turn(days * 86_400)

    @invariant()
    def nothing_is_lost_uncounted(self) -> None:
        if not hasattr(self, "rig"):
            return
        model, ledger = self.model, self.rig.ledger()
        assert self.rig.waiting() == sorted(model.batches)
        for sealed in self.rig.outbox.waiting(0, 3):
            assert decode_batch(sealed.payload) == model.batches[sealed.key.sequence]
        assert ledger.accepted == model.accepted
        assert ledger.taken == model.taken
        assert ledger.waiting == len(model.journal) + sum(map(len, model.batches.values()))
        assert ledger.stored == sum(model.settled.values())
        assert sum(ledger.dropped.values()) == sum(model.dropped.values())
        assert ledger.refused == ({"repeat": model.repeats} if model.repeats else {})
        assert ledger.gaps == model.gaps
        assert self.rig.outbox.summary().bytes <= self.rig.settings.bytes_max


assert settings.default
OutboxAgainstModel.TestCase.settings = settings(
    deadline=None,
    max_examples=settings.default.max_examples // 4,
    stateful_step_count=30,
    suppress_health_check=list(HealthCheck),
)
TestOutboxAgainstModel = OutboxAgainstModel.TestCase
