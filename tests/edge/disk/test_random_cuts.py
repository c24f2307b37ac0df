"""Random work, and the power goes again and again, in the middle of a start too.

`GAMPONG_CUTS` says how many histories; a failure names the seed of its own.
"""

from __future__ import annotations

import os
import random
import shutil
from base64 import b64encode

from edge.outbox_file import OutboxFull
from tests.edge.disk.history import Contents, Cuts, History, Told
from tests.edge.disk.platter import FATES, Image
from tests.edge.disk.test_every_write import made
from tests.edge.outbox.rig import DAY_MS, START_MS, counts

HISTORIES = int(os.environ.get("GAMPONG_CUTS", "60"))
LIVES = 5
STEPS = 14
CUTS = 4
ONCE_FAILED = ("2948660999-22",)  # refused: all that waited was on its way, in a file too small


class Life:
    """One run of an agent until the power goes; `step` does something that an agent does."""

    def __init__(self, history: History, draw: random.Random) -> None:
        self.history, self.draw = history, draw
        self.knows_time = draw.random() < 0.7

    def step(self) -> None:
        kinds = {
            self.seal: 6,
            self.seal_much: 1,
            self.journal: 3,
            self.confirm: 4,
            self.send: 2,
            self.time_passes: 2,
            self.all_is_forgotten: 1,
            self.learn_time: 1,
            self.park: 1,
            self.resend: 1,
            self.new_epoch: 1,
            self.history.restart: 1,
        }
        (kind,) = self.draw.choices(list(kinds), list(kinds.values()))
        try:
            kind()
        except OutboxFull:  # right only when all that waits is on its way
            outbox = self.history.rig.outbox
            assert {batch.key.sequence for batch in outbox.waiting(0, 999)} <= outbox._window

    def seal(self, count: int = 0, noise: bool = False) -> None:
        rig, draw = self.history.rig, self.draw
        time_ms = None if self.knows_time else round(rig.clock.up * 1000)
        noises = [b64encode(draw.randbytes(60)).decode() if noise else "" for _ in range(count)]
        noises = noises or [""] * draw.randrange(5)
        event = draw.random() < 0.3
        lines = [rig.line(event, time_ms, noise) for noise in noises]
        self.history.seal(lines, {f"bay-{draw.randrange(9)}": draw.randbytes(40)})

    def seal_much(self) -> None:
        self.seal(self.draw.randrange(60, 140), noise=True)

    def journal(self) -> None:
        lines = self.history.rig.lines(self.draw.randrange(1, 4))
        for _ in range(self.draw.choice((1, 1, 2))):  # twice: delivered again
            self.history.journal(lines)

    def confirm(self) -> None:
        known = list(self.history.known.values()) + self.history.rig.outbox.waiting(0, 8)
        for sealed in self.draw.sample(known, min(len(known), self.draw.randrange(4))):
            rejected = {"type_conflict": 1} if self.draw.random() < 0.3 else None
            self.history.rig.confirm(sealed, rejected=rejected)

    def send(self) -> None:
        batches = self.history.rig.outbox.waiting(0, 4)
        for sealed in batches:
            self.history.rig.outbox.mark_sent(sealed.key.sequence)
        self.history.rig.outbox.set_window(frozenset(b.key.sequence for b in batches))

    def time_passes(self) -> None:
        days = self.draw.choice((-0.1, 0.01, 1, 8))
        self.history.rig.clock.turn(max(days * DAY_MS / 1000, 1 - self.history.rig.clock.up))

    def all_is_forgotten(self) -> None:
        """Confirmed, and kept long enough."""
        rig = self.history.rig
        rig.confirm(*rig.outbox.waiting(0, 99))
        self.history.seal([])
        rig.clock.turn(8 * DAY_MS / 1000)
        rig.outbox.seal([], {"bay": self.draw.randbytes(8)}, counts(0))

    def learn_time(self) -> None:
        if not self.knows_time:
            self.history.rig.outbox.set_boot_offset(START_MS, "")
            self.knows_time = True

    def park(self) -> None:
        for sealed in self.history.rig.outbox.waiting(0, 1):
            self.history.rig.outbox.park(sealed.key.sequence, "packet_too_large")
        if self.draw.random() < 0.5:
            self.history.rig.outbox.unpark_all()

    def resend(self) -> None:
        self.history.rig.outbox.resend_since(START_MS)

    def new_epoch(self) -> None:
        self.history.rig.outbox.new_epoch("behind")


def test_whatever_happens_and_whenever_the_power_goes_nothing_accepted_is_lost(tmp_path, seed):
    points = starts = 0
    begun = made(tmp_path / "made")
    for own_seed in (*ONCE_FAILED, *(f"{seed}-{number}" for number in range(HISTORIES))):
        draw, left, told = random.Random(own_seed), begun, Told()
        for life in range(LIVES):
            folder = tmp_path / f"{own_seed}-{life}"
            history, cuts = live(folder, left, told, draw, f"{own_seed}-{life}")
            for _ in range(CUTS):
                cut = draw.randrange(history.operations + 1)
                image, contents, told = cuts.at(cut, draw.choice(FATES))
                left = image, contents
            points, starts = points + cuts.points, starts + cuts.starts
            shutil.rmtree(folder)
    print(f"{HISTORIES} histories, {points} power cuts, {starts} starts")


def live(
    folder, left: tuple[Image, Contents], told: Told, draw: random.Random, seed: str
) -> tuple[History, Cuts]:
    """One life, and its cuts."""
    history = History(folder / "disk", *left, told)
    life = Life(history, draw)
    try:
        for _ in range(draw.randrange(STEPS)):
            life.step()
    except Exception as error:
        error.add_note(f"seed {seed}")
        raise
    history.power_goes()
    return history, Cuts(history, folder, seed)
