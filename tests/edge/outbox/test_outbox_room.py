"""Bounded in bytes, everything given up is counted, and a full disk costs nothing accepted."""

from __future__ import annotations

import random
import resource
import sqlite3
from base64 import b64encode
from contextlib import contextmanager

import pytest

from edge.outbox_file import DiskFull, OutboxFailing, OutboxFull
from edge.outbox_room import Ballast
from tests.edge.outbox.rig import DAY_MS, counts, fate

MIB = 1024 * 1024


def bulky(rig, lines=200, event=False):
    """Lines that hardly compress: about 50 bytes each."""
    draw = random.Random(rig.count)
    noises = [b64encode(draw.randbytes(48)).decode() for _ in range(lines)]
    return rig.seal_one([rig.line(event, noise=noise) for noise in noises])


def fill(rig, batches=100, **settings):
    sealed = []
    for _ in range(batches):
        sealed.append(bulky(rig, **settings))
        assert rig.outbox.summary().bytes <= rig.settings.bytes_max
    return sealed


def test_a_full_outbox_stays_within_its_bytes_and_drops_the_oldest_counted(make_rig):
    rig = make_rig(bytes_max=MIB)
    numbers = [sealed.key.sequence for sealed in fill(rig)]
    waiting = rig.waiting()
    assert 40 < len(waiting) < 90
    assert waiting == numbers[-len(waiting) :]
    assert rig.ledger().dropped == {"full": 200 * (100 - len(waiting))}
    assert rig.path.stat().st_size + rig.log.stat().st_size <= MIB


def test_keys_of_uplinks_never_keep_new_readings_out(make_rig):
    # `make faults`, seed 838: in a very small outbox the keys alone filled it, and it stayed full.
    rig = make_rig(bytes_max=412 * 1024)
    for _ in range(1500):
        assert rig.outbox.journal([rig.line()], counts(1)) == [True]
        rig.confirm(rig.seal_one(0))
    rig.flush()
    assert rig.ledger().stored == 1500
    assert rig.path.stat().st_size + rig.log.stat().st_size <= rig.settings.bytes_max


def test_a_month_without_a_link_stays_within_its_bytes_and_counts_all_that_was_given_up(make_rig):
    """The real file, its log and its index, after every seal; an agent killed now and then."""
    rig = make_rig(bytes_max=2 * MIB)
    parts = [rig.path, rig.log]
    sealed, kills = [], 0
    for hour in range(30 * 24):
        sealed.append(bulky(rig, lines=120, event=hour % 6 == 0))
        rig.clock.turn(3600)
        assert sum(part.stat().st_size for part in parts) <= rig.settings.bytes_max
        assert rig.outbox.summary().bytes <= rig.settings.bytes_max
        if hour % 240 == 239:
            rig.kill()
            kills += 1
    waiting = set(rig.waiting())
    given_up = [batch for batch in sealed if batch.key.sequence not in waiting]
    left = [batch for batch in sealed if batch.key.sequence in waiting]
    ledger = rig.ledger()
    assert ledger.accepted == 120 * len(sealed)
    assert ledger.dropped == {"full": 120 * len(given_up)}
    assert len(given_up) > len(sealed) / 2
    telemetry = [batch.key.sequence for batch in left if not batch.event]
    oldest_kept = min(telemetry)
    assert all(b.key.sequence < oldest_kept for b in given_up if not b.event)
    assert [b for b in given_up if b.event] == []
    assert ledger.gaps == kills


def test_confirmed_batches_go_before_any_that_wait(make_rig):
    rig = make_rig(bytes_max=MIB)
    old, newer = bulky(rig), [bulky(rig) for _ in range(40)]
    rig.confirm(*newer)
    fill(rig, 45)
    assert rig.ledger().dropped == {}
    assert old.key.sequence in rig.waiting()


def test_what_was_confirmed_since_the_last_commit_goes_first_too(make_rig):
    rig = make_rig(bytes_max=MIB)
    batches = fill(rig, 45)
    for _ in range(60):
        rig.confirm(batches.pop(0))
        dropped = rig.ledger().dropped
        batches.extend(fill(rig, 1))
        assert rig.ledger().dropped == dropped


def test_events_go_last(make_rig):
    rig = make_rig(bytes_max=MIB)
    events = fill(rig, 5, event=True)
    fill(rig)
    assert [s.key.sequence for s in rig.outbox.waiting(0, 5)] == [s.key.sequence for s in events]
    fill(rig, event=True)
    assert all(sealed.event for sealed in rig.outbox.waiting(0, 1000))
    assert events[0].key.sequence not in rig.waiting()
    assert rig.ledger().waiting > 0


def test_the_window_is_not_given_up(make_rig):
    rig = make_rig(bytes_max=MIB)
    window = fill(rig, 4)
    rig.outbox.set_window(frozenset(sealed.key.sequence for sealed in window))
    fill(rig)
    assert rig.outbox.waiting(0, 4) == window


def test_a_late_confirm_moves_a_dropped_batch_that_was_sent_to_stored(make_rig):
    rig = make_rig(bytes_max=MIB)
    sent, unsent = fill(rig, 2)
    rig.outbox.mark_sent(sent.key.sequence)
    fill(rig)
    before = rig.ledger().dropped["full"]
    rig.kill()
    assert rig.outbox.confirm(rig.outbox.epoch, [fate(sent), fate(unsent)]) == [1]
    assert rig.ledger().dropped == {"full": before - 200}
    rig.flush()
    assert (rig.ledger().dropped, rig.ledger().stored) == ({"full": before - 200}, 200)
    assert rig.confirm(sent) == []
    waiting = rig.waiting()
    assert rig.outbox.resend_since(0) == 0  # there is nothing left of it to send
    assert rig.waiting() == waiting


def test_nothing_is_accepted_when_all_there_is_stands_in_the_window(make_rig):
    rig = make_rig(bytes_max=MIB)
    fill(rig)
    rig.outbox.set_window(frozenset(rig.waiting()))
    before = rig.ledger()
    with pytest.raises(OutboxFull, match="bytes_max"):
        fill(rig)
    after = rig.ledger()
    assert after.dropped == before.dropped
    assert after.waiting >= before.waiting
    assert rig.outbox.summary().alarms == ("disk_full",)


def test_space_is_given_back_once_the_backlog_is_gone(make_rig):
    rig = make_rig(bytes_max=64 * MIB)
    batches = [bulky(rig, 1000) for _ in range(100)]
    full = rig.outbox.summary().bytes
    rig.confirm(*batches)
    rig.seal()
    rig.clock.turn(8 * DAY_MS / 1000)
    for _ in range(10):
        rig.seal()
    rig.restart()
    assert rig.path.stat().st_size < full / 4
    assert rig.waiting() == list(range(101, 112))


def test_the_ballast_is_written_and_not_sparse(make_rig):
    rig = make_rig(ballast_bytes=MIB)
    ballast = rig.path.with_name("outbox.db.ballast")
    assert ballast.stat().st_size == MIB
    assert ballast.stat().st_blocks * 512 >= MIB
    assert len(set(ballast.read_bytes()[:4096])) > 100


def test_a_ballast_that_finds_no_room_leaves_nothing_behind(tmp_path):
    ballast = Ballast(tmp_path / "ballast", 2**62)
    assert not ballast.make()
    assert list(tmp_path.iterdir()) == []


def test_a_ballast_that_a_failing_card_does_not_give_back_ends_nothing(tmp_path):
    (tmp_path / "ballast" / "x").mkdir(parents=True)  # can't be unlinked, as on EROFS or EIO
    ballast = Ballast(tmp_path / "ballast", 8191)
    ballast.release()
    assert not ballast.made
    assert not ballast.make()


class SmallDisk:
    """Connections to a disk of so many pages; growing beyond it is SQLITE_FULL, as ENOSPC is."""

    def __init__(self) -> None:
        self.pages = 2**30
        self.connections: list[sqlite3.Connection] = []

    def connect(self, *args, **kwargs) -> sqlite3.Connection:
        connection: sqlite3.Connection = sqlite3.connect(*args, **kwargs)
        self.connections.append(connection)
        self.resize(self.pages)
        return connection

    def resize(self, pages: int) -> None:
        self.pages = pages
        for connection in self.connections[-1:]:
            connection.execute(f"PRAGMA max_page_count={pages}").fetchall()

    def fill(self) -> None:
        """Nothing more fits than what is there."""
        self.resize(1)  # SQLite takes the pages there are when asked for fewer


def test_a_full_disk_refuses_new_readings_and_gives_up_no_old_ones(make_rig):
    disk = SmallDisk()
    rig = make_rig(connect=disk.connect, ballast_bytes=MIB)
    batches = fill(rig, 20)
    disk.fill()
    before = rig.ledger()
    with pytest.raises(OutboxFull, match="Free space"):
        fill(rig, 20)
    assert rig.ledger() == before
    with pytest.raises(OutboxFull):
        rig.outbox.journal(rig.lines(100), {("taken", ""): 100})
    assert rig.ledger() == before
    assert [s.key for s in rig.outbox.waiting(0, 99)] == [s.key for s in batches]
    assert rig.outbox.summary().alarms == ("disk_full",)


def test_confirming_goes_on_while_the_disk_is_full_and_makes_room(make_rig):
    disk = SmallDisk()
    rig = make_rig(connect=disk.connect, ballast_bytes=MIB)
    batches = fill(rig, 20)
    disk.fill()
    with pytest.raises(OutboxFailing):
        fill(rig, 20)
    assert not rig.path.with_name("outbox.db.ballast").exists()
    rig.confirm(*batches[:10])
    rig.flush()
    rig.kill()
    assert rig.ledger().stored == 2000
    fill(rig, 5)  # in the place of confirmed ones
    assert rig.ledger().dropped == {}
    assert rig.ledger().waiting == 3000


def test_confirmations_are_kept_though_the_lines_beside_them_find_no_room(make_rig):
    disk = SmallDisk()
    rig = make_rig(connect=disk.connect)
    sealed = fill(rig, 2)[0]
    disk.fill()
    rig.confirm(sealed)
    with pytest.raises(OutboxFull):
        bulky(rig, 1000)
    rig.cut_power()
    disk.pages = 2**30
    rig.outbox = rig.open()
    assert (rig.ledger().stored, rig.ledger().waiting) == (200, 200)


def test_the_ballast_comes_back_with_the_room(make_rig):
    disk = SmallDisk()
    rig = make_rig(connect=disk.connect, ballast_bytes=MIB)
    fill(rig, 5)
    disk.fill()
    with pytest.raises(OutboxFailing):
        fill(rig, 20)
    disk.resize(2**30)
    rig.clock.turn(11)
    rig.outbox.park(1, "makes a commit")
    assert rig.path.with_name("outbox.db.ballast").stat().st_size == MIB
    assert rig.outbox.summary().alarms == ()
    fill(rig, 5)


def test_readings_are_taken_again_once_the_disk_has_room_though_nothing_was_confirmed(make_rig):
    """Found by the sealing tests: only a commit that worked looked for room, and none could."""
    disk = SmallDisk()
    rig = make_rig(connect=disk.connect, ballast_bytes=MIB)
    fill(rig, 5)
    disk.fill()
    with pytest.raises(OutboxFailing):
        fill(rig, 20)
    disk.resize(2**30)
    rig.clock.turn(11)
    with pytest.raises(OutboxFull):
        bulky(rig, 1000)
    bulky(rig, 1000)
    assert rig.outbox.summary().alarms == ()


def test_a_ballast_that_was_made_in_vain_is_not_made_again_at_once(make_rig):
    """A disk that is full by a quota says that it has room, and each ballast is 4 MiB of wear."""
    disk = SmallDisk()
    rig = make_rig(connect=disk.connect, ballast_bytes=MIB)
    ballast = rig.path.with_name("outbox.db.ballast")
    fill(rig, 5)
    disk.fill()
    made = 0
    for _ in range(60):
        with pytest.raises(OutboxFailing):
            bulky(rig, 1000)
        made += ballast.exists()
        rig.clock.turn(11)
    assert made <= 3


@contextmanager
def no_file_grows_beyond(size):
    """Writes beyond it fail as on a broken disk (EFBIG); Python ignores the signal."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_failing_disk_counts_nothing_by_half_and_recovers(rig):
    sealed = rig.seal_one(3)
    rig.confirm(sealed)
    before = rig.ledger()
    with no_file_grows_beyond(rig.log.stat().st_size):
        for _ in range(3):
            with pytest.raises(OutboxFailing, match="dmesg") as failed:
                rig.seal(5, {"bay": b"1"})
            assert not isinstance(failed.value, DiskFull)
        with pytest.raises(OutboxFailing):
            rig.outbox.journal(rig.lines(2), {("taken", ""): 2})
        assert rig.ledger() == before
        assert rig.outbox.states() == {}
        assert rig.outbox.summary().alarms == ("disk_failing",)
    rig.seal(5, {"bay": b"1"})
    assert (rig.ledger().waiting, rig.ledger().stored) == (5, 3)
    assert rig.outbox.states() == {"bay": b"1"}
    assert rig.outbox.summary().alarms == ()
    rig.kill()
    assert (rig.ledger().waiting, rig.ledger().stored) == (5, 3)
