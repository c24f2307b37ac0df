"""A disk that fails at each single write and each single sync of a working day, and gets well."""

from __future__ import annotations

from collections.abc import Callable

import apsw
import pytest

from edge.outbox_file import OutboxFailing
from tests.edge.disk.history import Contents, Cuts, History, Told, difference
from tests.edge.disk.platter import FATES, Operation, Sync, Write
from tests.edge.disk.simulated import Illness
from tests.edge.disk.test_every_write import made
from tests.edge.outbox.rig import counts

ILLNESSES: dict[str, tuple[type[Operation], int]] = {
    "a write fails": (Write, apsw.SQLITE_IOERR_WRITE),
    "a sync fails": (Sync, apsw.SQLITE_IOERR_FSYNC),
    "the disk is full": (Write, apsw.SQLITE_FULL),
}


class Patient:
    """A history whose calls may fail; each that does must have changed nothing."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.failed = 0

    def attempt(self, call: Callable[[], object]) -> bool:
        """Whether it worked."""
        outbox = self.history.rig.outbox
        before, ledger = Contents.of(outbox._connection), self.history.rig.ledger()
        try:
            call()
        except OutboxFailing:
            self.failed += 1
            assert self.history.rig.ledger() == ledger
            after = Contents.of(outbox._connection)
            assert self.allowed(before, after), difference(before, after)
            return False
        assert self.history.rig.ledger().balanced
        return True

    def allowed(self, before: Contents, after: Contents) -> bool:
        """Confirmations may have been committed alone: readings in and out are the same."""
        return before.tables.get("journal") == after.tables.get("journal") and (
            before.newest == after.newest
            and before.tables.get("payloads") == after.tables.get("payloads")
            and before.tables.get("states") == after.tables.get("states")
            and before.tables.get("keys") == after.tables.get("keys")
        )

    def work(self) -> None:
        """Seals, journal commits and confirmations, enough of them for a checkpoint."""
        history, rig = self.history, self.history.rig
        for number in range(6):
            self.attempt(lambda: history.journal(rig.lines(2)))
            state = {"bay": bytes([number])}
            self.attempt(lambda state=state: history.seal(rig.lines(3), state))  # type: ignore[misc]
            rig.confirm(*rig.outbox.waiting(0, 2)[1:])
        for sequence in rig.waiting()[:1]:
            self.attempt(lambda sequence=sequence: rig.outbox.park(sequence, "too_large"))  # type: ignore[misc]
        self.attempt(rig.outbox.unpark_all)


def sick_from(first: int, last: float, kind: type[Operation], code: int) -> Illness:
    """The disk fails from its `first` operation of a kind to the `last`."""
    seen = -1

    def illness(operation: Operation) -> int | None:
        nonlocal seen
        if isinstance(operation, kind):
            seen += 1
            if first <= seen <= last:
                return code
        return None

    return illness


@pytest.mark.parametrize("lasting", [1, 12])
@pytest.mark.parametrize("name", ILLNESSES)
def test_a_disk_that_fails_counts_nothing_by_half_and_works_when_it_is_well(
    tmp_path, seed, name, lasting
):
    begun, (kind, code) = made(tmp_path / "made"), ILLNESSES[name]
    healthy = Patient(History(tmp_path / "healthy", *begun, Told()))
    start = healthy.history.operations
    healthy.work()
    operations = sum(isinstance(o, kind) for o in healthy.history.disk.log[start:])
    failed = 0
    for first in range(0, operations, 1 if lasting == 1 else 5):
        history = History(tmp_path / f"disk-{first}", *begun, Told())
        history.disk.illness = sick_from(first, first + lasting - 1, kind, code)
        patient = Patient(history)
        try:
            patient.work()
            failed += patient.failed
            history.disk.illness = lambda operation: None
            history.rig.clock.turn(11)
            patient.attempt(lambda history=history: history.seal(2))  # type: ignore[misc]
            history.seal(2)  # that a full disk has room again is found by a call that fails
            history.rig.confirm(*history.rig.outbox.waiting(0, 99))
            history.seal(1)
            assert history.rig.outbox.summary().alarms == ()
            history.power_goes()
            cuts = Cuts(history, tmp_path / f"cuts-{first}", seed)
            for fate in FATES[:2]:
                cuts.at(history.operations, fate)
        except Exception as error:
            error.add_note(f"{name}, {lasting} times from operation {first}")
            raise
    print(f"{name}, {lasting} times: {operations} points, {failed} calls failed")
    assert failed


def test_an_outbox_on_a_disk_that_was_full_grows_again_without_a_restart(tmp_path):
    begun = made(tmp_path / "made")
    history = History(tmp_path / "disk", *begun, Told(), bytes_max=4 * 1024 * 1024)
    history.seal(3)
    history.disk.illness = sick_from(0, float("inf"), Write, apsw.SQLITE_FULL)
    for _ in range(3):
        with pytest.raises(OutboxFailing):
            history.seal(3)
    assert history.rig.outbox.summary().alarms == ("disk_full",)
    history.disk.illness = lambda operation: None
    history.rig.clock.turn(11)
    Patient(history).attempt(lambda: history.seal(1))
    for _ in range(40):
        history.rig.outbox.seal(history.rig.lines(40), {}, counts(40))
    assert history.rig.outbox.summary().alarms == ()
    assert history.rig.ledger().dropped == {}
    history.power_goes()
