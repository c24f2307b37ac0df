"""An outbox with a clock that is turned by hand, and a power switch."""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import zstandard

from edge.configuration import OutboxSettings
from edge.outbox import Outbox
from edge.records import Line, Sealed
from wire.batch import DICTIONARY_ID, decode_batch, dictionary
from wire.messages import Fate, Ledger

START_MS = 1_790_000_000_000
DAY_MS = 86_400_000


class HandClock:
    """Stands still until it is turned."""

    def __init__(self, now_ms: int = START_MS, uptime_s: float = 100.0) -> None:
        self.ms, self.up = now_ms, uptime_s

    def now_ms(self) -> int:
        return self.ms

    def uptime_s(self) -> float:
        return self.up

    def monotonic(self) -> float:
        return self.up

    def turn(self, seconds: float) -> None:
        """So much later."""
        self.ms += round(seconds * 1000)
        self.up += seconds

    async def sleep(self, seconds: float) -> None:
        self.turn(seconds)

    async def pause(self, seconds: float) -> None:
        self.turn(seconds)


class Rig:
    """One outbox in a folder of its own."""

    def __init__(
        self,
        folder: Path,
        bytes_max: int = 64 * 1024 * 1024,
        keep_confirmed_days: float = 7.0,
        ballast_bytes: int = 0,
        connect: Callable[..., sqlite3.Connection] = sqlite3.connect,
    ) -> None:
        self.path = folder / "outbox.db"
        self.settings = OutboxSettings(
            path=str(self.path),
            bytes_max=bytes_max,
            keep_confirmed_days=keep_confirmed_days,
            ballast_bytes=ballast_bytes,
        )
        self.clock = HandClock()
        self.identity = "machine card"
        self.boot_id = ""
        self.connect = connect
        self.count = 0
        self.outbox = self.open()

    def open(self) -> Outbox:
        return Outbox.open(self.settings, self.clock, self.identity, self.connect, self.boot_id)

    def restart(self) -> None:
        """Stop as one should, start again."""
        self.outbox.close()
        self.outbox = self.open()

    def cut_power(self) -> None:
        """End without a word. The file and its log stay as they are at this moment."""
        files = [self.path, self.log]
        for file in files:
            shutil.copy(file, f"{file}.held")  # closing would write the log back
        self.outbox._file.close()
        for file in files:
            Path(f"{file}.held").replace(file)
        self.path.with_name(f"{self.path.name}-shm").unlink(missing_ok=True)

    def kill(self) -> None:
        """End without a word, start again."""
        self.cut_power()
        self.outbox = self.open()

    @property
    def log(self) -> Path:
        return self.path.with_name(f"{self.path.name}-wal")

    def line(self, event: bool = False, time_ms: int | None = None, noise: str = "") -> Line:
        """A line like no other before it."""
        self.count += 1
        time_ms = self.clock.ms if time_ms is None else time_ms
        device = f"bay-{self.count:06d}"
        fields = f'firmware="{noise}",occupied=1i' if noise else "occupied=1i"
        text = f"parking_spot,device={device},site=pasar,zone=a {fields} {time_ms}"
        return Line(text, device, "parking_spot", time_ms, event)

    def lines(self, count: int, event: bool = False) -> list[Line]:
        return [self.line(event) for _ in range(count)]

    def seal(
        self, lines: int | list[Line] = 1, states: Mapping[str, bytes] | None = None
    ) -> list[Sealed]:
        """Seal so many lines a second later, counted as taken."""
        self.clock.turn(1)
        taken = self.lines(lines) if isinstance(lines, int) else lines
        return self.outbox.seal(taken, states or {}, counts(len(taken)))

    def seal_one(self, lines: int | list[Line] = 1) -> Sealed:
        (sealed,) = self.seal(lines)
        return sealed

    def confirm(self, *batches: Sealed, rejected: dict[str, int] | None = None) -> list[int]:
        return self.outbox.confirm(self.outbox.epoch, [fate(b, rejected) for b in batches])

    def flush(self) -> None:
        """A seal with nothing new."""
        self.outbox.seal([], {}, Counter())

    def waiting(self) -> list[int]:
        return [sealed.key.sequence for sealed in self.outbox.waiting(0, 100_000)]

    def waiting_lines(self) -> list[str]:
        batches = self.outbox.waiting(0, 100_000)
        return [line for sealed in batches for line in decode_batch(sealed.payload)]

    def ledger(self) -> Ledger:
        ledger = self.outbox.ledger(Counter(), 0)
        assert ledger.balanced, ledger
        return ledger


def counts(taken: int) -> Counter[tuple[str, str]]:
    """What intake counted for so many readings."""
    return Counter({("taken", ""): taken}) if taken else Counter()


def fate(sealed: Sealed, rejected: dict[str, int] | None = None) -> Fate:
    """All stored but the rejected ones."""
    rejected = rejected or {}
    stored = sealed.readings - sum(rejected.values())
    return Fate(sealed.key.sequence, sealed.key.digest, stored, rejected)


def by_another_dictionary(raw: bytes) -> bytes:
    """Compressed with one that this version doesn't know."""
    ours = bytearray(dictionary(DICTIONARY_ID).as_bytes())
    ours[4:8] = (DICTIONARY_ID + 1000).to_bytes(4, "little")  # RFC 8878, 5: its number
    theirs = zstandard.ZstdCompressionDict(bytes(ours))
    return zstandard.ZstdCompressor(dict_data=theirs).compress(raw)


def by_device(texts: Iterable[str]) -> dict[str, list[str]]:
    """Each device's lines in their order, which is all of the order that a batch keeps."""
    devices: dict[str, list[str]] = {}
    for text in texts:
        devices.setdefault(text.split(",", 2)[1], []).append(text)
    return devices
