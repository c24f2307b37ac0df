"""A power cut after each single write and each single sync of a working day."""

from __future__ import annotations

import random
from base64 import b64encode
from pathlib import Path

import pytest

from tests.edge.disk.history import Contents, Cuts, History, Told
from tests.edge.disk.platter import FATES, Image
from tests.edge.outbox.rig import DAY_MS, START_MS, counts


def a_working_day(history: History) -> None:
    """Journal, seals with states and counts, confirmations, parking, a resend, a new epoch."""
    rig = history.rig
    history.journal(rig.lines(2))
    history.seal(3, {"bay-3": b"taken"})
    repeated = rig.line()
    history.journal([repeated])
    history.journal([repeated, rig.line()])
    history.seal(rig.lines(1, event=True), {"bay-3": b"free"})
    first, second = rig.outbox.waiting(0, 2)
    rig.outbox.mark_sent(first.key.sequence)
    rig.confirm(first, rejected={"type_conflict": 1})
    history.seal(2)
    rig.outbox.park(second.key.sequence, "packet_too_large")
    rig.outbox.unpark_all()
    rig.outbox.new_epoch("behind")
    rig.clock.turn(-7200)
    history.seal(1)
    rig.outbox.resend_since(0)
    history.close()


def a_week_later(history: History) -> None:
    """All of it confirmed, kept long enough, deleted; then one more, and a restart."""
    rig = history.rig
    for _ in range(3):
        history.seal(4)
    rig.confirm(*rig.outbox.waiting(0, 99))
    history.seal([])
    rig.clock.turn(8 * DAY_MS / 1000)
    rig.confirm(*rig.outbox.waiting(0, 99))
    rig.outbox.seal([], {"bay": b"a commit without a batch"}, counts(0))
    history.seal(1)
    history.restart()
    history.seal(1)
    history.close()


def a_boot_without_time(history: History) -> None:
    """Sealed by uptime, placed once the time is known."""
    rig = history.rig
    for _ in range(3):
        history.seal([rig.line(time_ms=round(rig.clock.up * 1000) + n) for n in range(3)])
    history.journal([rig.line(time_ms=round(rig.clock.up * 1000))])
    rig.outbox.set_boot_offset(START_MS, "")
    rig.outbox.waiting(0, 2)
    history.seal([rig.line(time_ms=round(rig.clock.up * 1000))])
    rig.outbox.waiting(0, 99)
    history.close()


def a_full_outbox(history: History) -> None:
    """More than fits: the oldest are given up."""
    draw = random.Random(1)
    for number in range(9):
        noises = [b64encode(draw.randbytes(60)).decode() for _ in range(110)]
        history.seal([history.rig.line(noise=noise) for noise in noises])
        if number == 1:
            for sealed in history.rig.outbox.waiting(0, 1):
                history.rig.outbox.mark_sent(sealed.key.sequence)
    assert history.rig.ledger().dropped["full"] >= 110


FATES_OF = {a_full_outbox: FATES[:1] + FATES[2:3] + FATES[-1:]}  # it writes a lot
DAYS = [a_working_day, a_week_later, a_boot_without_time, a_full_outbox]


def made(folder: Path) -> tuple[Image, Contents]:
    """A new outbox, closed."""
    history = History(folder, {}, Contents(), Told())
    history.close()
    image = history.image()
    history.power_goes()
    return image, history.disk.commits[-1].contents


@pytest.mark.parametrize("day", DAYS, ids=lambda day: day.__name__)
def test_a_power_cut_after_any_write_or_sync_loses_nothing_accepted(tmp_path, seed, day):
    history = History(tmp_path / "disk", *made(tmp_path / "made"), Told())
    day(history)
    history.power_goes()
    cuts = Cuts(history, tmp_path, seed)
    cuts.every(FATES_OF.get(day, FATES))
    print(f"{day.__name__}: {cuts.points} crash points, {cuts.tried} cuts, {cuts.starts} starts")


def test_a_power_cut_while_the_file_is_first_made_leaves_nothing_to_repair(tmp_path, seed):
    history = History(tmp_path / "disk", {}, Contents(), Told())
    history.seal(1)
    history.power_goes()
    cuts = Cuts(history, tmp_path, seed)
    cuts.every(FATES)
    print(f"{cuts.points} crash points, {cuts.tried} cuts, {cuts.starts} starts")
