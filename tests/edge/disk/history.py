"""An outbox on a simulated disk, what it promised on the way, and what a power cut leaves of it.

Two witnesses. `Contents` is all that the file held after each commit: after a cut it must hold that
of the last commit that had returned, or of the one under way, exactly. `Call` is what the outbox's
caller was told: whose call had returned must be found, once, in order, or be counted.
"""

from __future__ import annotations

import itertools
import random
import re
import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from edge.outbox_room import ballast_path
from edge.outbox_rows import get_meta, newest_sequence
from edge.records import Line, Sealed
from tests.edge.disk.platter import Fate, Image, Platter
from tests.edge.disk.simulated import Commit, Disk
from tests.edge.outbox.rig import Rig, counts
from wire.batch import decode_batch
from wire.messages import Ledger

BYTES_MAX = 432 * 1024  # its log has 320 KiB of it
_DEVICE = re.compile(r"device=bay-(\d+)")
_OF_A_START = ("gaps", "gap_ms", "commit", "trusted")


class Contents(msgspec.Struct, frozen=True):
    """Everything in an outbox's file that a start leaves as it is."""

    epoch: bytes = b""
    newest: int = 0
    tables: Mapping[str, Sequence[tuple[Any, ...]]] = {}

    @classmethod
    def of(cls, connection: sqlite3.Connection) -> Contents:
        """What that file holds."""
        tables = {name: connection.execute(sql).fetchall() for name, sql in _QUERIES.items()}
        tables["counters"] = [r for r in tables["counters"] if not set(_OF_A_START) & set(r[:2])]
        newest = newest_sequence(connection)
        epoch = get_meta(connection, "epoch")
        return cls(
            epoch if isinstance(epoch, bytes) else b"",
            newest,
            {name: rows for name, rows in tables.items() if rows},
        )

    def is_kept_by(self, other: Contents) -> bool:
        """Whether `other` is the same; a file without an epoch yet may get any."""
        return (self.newest, self.tables) == (other.newest, other.tables) and (
            self.epoch in (b"", other.epoch)
        )


_QUERIES = {
    "batches": "SELECT * FROM batches ORDER BY sequence",
    "payloads": "SELECT * FROM payloads ORDER BY sequence",
    "journal": "SELECT * FROM journal ORDER BY id",
    "keys": "SELECT * FROM keys ORDER BY time_ms, name",
    "states": "SELECT * FROM states ORDER BY device",
    "counters": "SELECT * FROM counters WHERE value <> 0 ORDER BY name, reason",
    "boots": "SELECT id, offset_ms, quality FROM boots WHERE id IN (SELECT boot FROM batches"
    " UNION SELECT boot FROM journal) ORDER BY id",
}


class Call(msgspec.Struct, frozen=True):
    """A call between two operations: the devices whose readings it would accept, the batches that
    it returned."""

    start: int
    end: int
    devices: tuple[int, ...] = ()
    sealed: tuple[Sealed, ...] = ()


class Told(msgspec.Struct, frozen=True):
    """What callers had been told before this disk: devices accepted, the newest sequence and seal
    they saw."""

    devices: tuple[int, ...] = ()
    sequence: int = 0
    seal_ms: int = 0


class Found(msgspec.Struct, frozen=True):
    """What a start found: devices of readings that wait, in order; then a fresh batch's key."""

    contents: Contents
    devices: tuple[int, ...]
    ledger: Ledger
    sequence: int
    seal_ms: int


class History:
    """One outbox until the power goes."""

    def __init__(
        self, folder: Path, image: Image, before: Contents, told: Told, **settings: Any
    ) -> None:
        self.told = told
        self.disk = Disk(folder, image, Contents.of)
        self.disk.commits.append(Commit(0, 0, before))
        self.calls: list[Call] = []
        self.known: dict[int, Sealed] = {}
        ballast_path(folder / "outbox.db").touch()  # making one is a real sync
        self.settings = {"bytes_max": BYTES_MAX, **settings}
        self.rig = Rig(folder, connect=self.disk.connect, **self.settings)
        self.rig.count = max(told.devices, default=0)

    @property
    def operations(self) -> int:
        """How many there were so far."""
        return len(self.disk.log)

    def journal(self, lines: Sequence[Line]) -> list[bool]:
        start = self.operations
        fresh = self.rig.outbox.journal(lines, counts(len(lines)))
        new = [line for line, is_new in zip(lines, fresh, strict=True) if is_new]
        self.calls.append(Call(start, self.operations, _devices(line.text for line in new)))
        return fresh

    def seal(self, lines: int | list[Line], states: Mapping[str, bytes] | None = None) -> None:
        start = self.operations
        made = self.rig.lines(lines) if isinstance(lines, int) else lines
        sealed = self.rig.seal(made, states)
        devices = _devices(line.text for line in made)
        numbers = [max(self.known, default=self.told.sequence), *(b.key.sequence for b in sealed)]
        assert numbers == sorted(set(numbers))
        self.calls.append(Call(start, self.operations, devices, tuple(sealed)))
        self.known.update((batch.key.sequence, batch) for batch in sealed)

    def restart(self) -> None:
        """Stop as one should, start again."""
        self.rig.restart()

    def close(self) -> None:
        """Stop as one should."""
        self.rig.outbox.close()

    def image(self) -> Image:
        """The database and its log as they would be found without a power cut."""
        paths = (self.rig.path, self.rig.log)
        return {path.name: path.read_bytes() for path in paths if path.exists()}

    def power_goes(self) -> None:
        """The process is gone; `disk.log` is what there was."""
        self.rig.outbox._file.close()
        self.disk.take_out()
        shutil.rmtree(self.disk.folder)

    def told_at(self, cut: int) -> Told:
        """What callers had been told when the power went."""
        returned = [call for call in self.calls if call.end <= cut]
        sealed = [batch for call in returned for batch in call.sealed]
        return Told(
            self.told.devices + tuple(d for call in returned for d in call.devices),
            max((batch.key.sequence for batch in sealed), default=self.told.sequence),
            max((batch.seal_ms for batch in sealed), default=self.told.seal_ms),
        )

    def under_way_at(self, cut: int) -> tuple[int, ...]:
        """Devices of the call that hadn't returned."""
        return tuple(d for c in self.calls if c.start <= cut < c.end for d in c.devices)

    def check(self, cut: int, found: Found) -> tuple[Contents, Told]:
        """Hold what was found after a cut against both witnesses; what they say now."""
        commits = self.disk.commits
        certain = [commit for commit in commits if commit.end <= cut][-1]
        possible = [commit for commit in commits if commit.start <= cut < commit.end]
        kept = [c.contents for c in (certain, *possible) if c.contents.is_kept_by(found.contents)]
        assert kept, difference(certain.contents, found.contents)
        told, perhaps, ledger = self.told_at(cut), set(self.under_way_at(cut)), found.ledger
        assert found.sequence > told.sequence
        assert found.seal_ms > told.seal_ms
        assert len(set(found.devices)) == len(found.devices) == ledger.waiting
        assert list(found.devices) == sorted(found.devices)
        unasked = set(found.devices) - set(told.devices)
        assert ledger.accepted in (len(told.devices), len(told.devices) + len(perhaps))
        missing = set(told.devices) - set(found.devices)
        settled = ledger.stored + sum(ledger.rejected.values()) + sum(ledger.dropped.values())
        came = perhaps if ledger.accepted > len(told.devices) else set()
        assert unasked <= came
        assert len(missing) + len(came - unasked) == settled
        devices = tuple(sorted({*told.devices, *came}))
        return kept[0], msgspec.structs.replace(told, devices=devices)


def difference(expected: Contents, found: Contents) -> str:
    """Where two contents differ, briefly."""
    lines = [f"epoch {expected.epoch.hex()} {found.epoch.hex()}"]
    lines.append(f"newest {expected.newest} {found.newest}")
    for name in _QUERIES:
        old, new = set(expected.tables.get(name, ())), set(found.tables.get(name, ()))
        lines.extend(f"- {name} {row}"[:200] for row in sorted(old - new, key=repr))
        lines.extend(f"+ {name} {row}"[:200] for row in sorted(new - old, key=repr))
    return "\n".join(lines)


def start_again(folder: Path, image: Image, told: Told, **settings: Any) -> Found:
    """A start on what is left, with a clock that has stepped back. It must not need a repair."""
    later = History(folder, image, Contents(), told, **settings)
    try:
        outbox = later.rig.outbox
        assert "damaged" not in outbox.summary().alarms
        found = later.rig.ledger()
        contents = Contents.of(outbox._connection)
        devices = waiting_devices(outbox._connection)
        later.rig.outbox.seal(later.rig.lines(1), {}, counts(1))
        (fresh,) = outbox._connection.execute("SELECT max(sequence) FROM batches").fetchone()
        (seal_ms,) = outbox._connection.execute("SELECT max(seal_ms) FROM batches").fetchone()
        assert later.rig.ledger().accepted == found.accepted + 1
    finally:
        later.power_goes()
    return Found(contents, devices, found, fresh, seal_ms)


def waiting_devices(connection: sqlite3.Connection) -> tuple[int, ...]:
    """Devices of all readings that wait, sendable or not, the journal's last."""
    payloads = connection.execute(
        "SELECT payload FROM payloads JOIN batches USING (sequence) WHERE state = 0"
        " ORDER BY sequence"
    )
    sealed = [text for (payload,) in payloads for text in decode_batch(payload)]
    journal = [text for (text,) in connection.execute("SELECT line FROM journal ORDER BY id")]
    return _devices(itertools.chain(sealed, journal))


def _devices(texts: Iterator[str] | itertools.chain[str]) -> tuple[int, ...]:
    return tuple(int(match[1]) for text in texts if (match := _DEVICE.search(text)))


class Cuts:
    """Power cuts of one history, each start on the same leftovers tried only once."""

    def __init__(self, history: History, folder: Path, seed: int | str) -> None:
        self.history = history
        self.points = self.tried = self.starts = 0
        self._folder = folder
        self._seed = seed
        self._found: dict[Any, Found] = {}

    def every(self, fates: Sequence[Fate]) -> None:
        """After each operation, each fate of what wasn't synced."""
        platter = Platter(self.history.disk.image)
        for cut in range(self.history.operations + 1):
            if cut:
                platter.follow(self.history.disk.log[cut - 1])
            self.points += 1
            for fate in fates:
                self._try(cut, fate, platter)

    def at(self, cut: int, fate: Fate) -> tuple[Image, Contents, Told]:
        """After so many operations: what is left of the disk, what is expected of it, and what
        its callers were told."""
        platter = Platter(self.history.disk.image)
        for operation in self.history.disk.log[:cut]:
            platter.follow(operation)
        self.points += 1
        return self._try(cut, fate, platter)

    def _try(self, cut: int, fate: Fate, platter: Platter) -> tuple[Image, Contents, Told]:
        self.tried += 1
        draw = random.Random(f"{self._seed} {cut} {fate.__name__}")
        image = platter.image(fate(platter.pending, draw))
        try:
            return image, *self.history.check(cut, self._start(image))
        except Exception as error:
            last = str(self.history.disk.log[cut - 1 : cut])[:80]
            done = sum(call.end <= cut for call in self.history.calls)
            error.add_note(f"cut after operation {cut} ({last}), {done} calls: {fate.__name__}")
            error.add_note(f"seed {self._seed}")
            raise

    def _start(self, image: Image) -> Found:
        key = tuple(sorted(image.items()))
        if key not in self._found:
            self.starts += 1
            told = Told((10**6 + self.starts,))
            folder = self._folder / f"start-{self.starts}"
            self._found[key] = start_again(folder, image, told, **self.history.settings)
        return self._found[key]
