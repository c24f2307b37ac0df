"""The dead-letter file: every line that was rejected, with its reason, before anybody is told.

One JSON object a line, appended and synced to disk before a gateway hears `rejected`; a reading
that is confirmed as rejected can therefore always be read here, and replayed after a fix.

    {"time_ms":…,"gateway":"gw-1","epoch":"…","sequence":7,"digest":"…","index":3,
     "reason":"range","line":"parking_spot,device=…"}

`index` is the line's place in its batch; -1 is a whole batch that can't be read, with its `payload`
in base64. A line of a batch is written once, however often the batch comes: the newest
`BATCHES_REMEMBERED` are remembered, and after a restart read from the file. `done_ms` says that a
replay has stored it; done ones go when room is needed.

The file is bounded in bytes, and so is each gateway's part of it: a gateway that sends nonsense
fills its own room and no other's. Each append opens the file, locks it and looks whether somebody
else has written or replaced it, so that a replay or an operator's `mv` can run beside an ingestor;
what a crash has cut off is taken away. A lost lock on a file is never waited for longer than it
takes to rewrite it.
"""

from __future__ import annotations

import fcntl
import os
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from ingest.configuration import DeadLetterSettings
from wire.malformed import MALFORMED

BATCHES_REMEMBERED = 20_000
_MODE = 0o640
FULL, DISK = "dead_letters_full", "dead_letters_disk"
_DONE = b'"done_ms":'  # left out of a letter that waits; in a text its quotes have a backslash


BatchId = tuple[str, str, int, str]
"""Gateway, epoch, sequence, digest: what names a batch for ever."""
LetterId = tuple[BatchId, int]
"""A batch and the line's place in it."""


class Letter(msgspec.Struct, frozen=True, omit_defaults=True):
    """One rejected line, or with `index` -1 a whole batch."""

    time_ms: int
    gateway: str
    epoch: str
    sequence: int
    digest: str
    index: int
    reason: str
    line: str = ""
    payload: bytes = b""
    done_ms: int = 0

    @property
    def batch(self) -> BatchId:
        return self.gateway, self.epoch, self.sequence, self.digest

    @property
    def id(self) -> LetterId:
        return self.batch, self.index


_Change = Callable[[Letter], Letter | None]


class DeadLetters:
    """The file. Blocking: the ingestor calls it from one worker thread, one call at a time."""

    def __init__(self, path: Path, bytes_max: int, gateway_bytes_max: int) -> None:
        self._path, self._bytes_max, self._gateway_bytes_max = path, bytes_max, gateway_bytes_max
        self._known: OrderedDict[BatchId, set[int]] = OrderedDict()
        self._bytes_by_gateway: Counter[str] = Counter()
        self._done = 0
        self._seen = (0, 0)  # inode and size as we left them
        self._looked_at, self._waiting_bytes = (0, 0, 0), 0
        self.problem = ""

    @classmethod
    def of(cls, settings: DeadLetterSettings) -> DeadLetters:
        """The file that the configuration names."""
        share = int(settings.bytes_max * settings.gateway_share)
        return cls(Path(settings.path), settings.bytes_max, share)

    def append(self, batches: Sequence[Sequence[Letter]]) -> list[str]:
        """Write the letters of each batch that aren't there yet, all of a batch or none.

        Returns one word a batch: "" when all its letters are on disk, else `dead_letters_full` or
        `dead_letters_disk` (`problem` says why), and then the batch must be kept.
        """
        try:
            answers = self._append(batches)
            if FULL in answers and self._done:
                self._rewrite(lambda letter: None if letter.done_ms else letter)
                answers = self._append(batches)
        except OSError as error:
            self._seen, self.problem = (0, 0), str(error)
            return [DISK] * len(batches)
        return answers

    def size_bytes(self) -> int:
        """The file's size now; 0 when it isn't there or can't be looked at."""
        try:
            return self._path.stat().st_size
        except OSError:
            return 0

    def waiting_bytes(self) -> int:
        """How much of the file no replay has stored yet; 0 when it can't be looked at. Reads the
        file when it isn't as it was."""
        try:
            with self._path.open("rb") as file:
                state = os.fstat(file.fileno())
                now = state.st_ino, state.st_size, state.st_mtime_ns
                if now != self._looked_at:
                    self._waiting_bytes = sum(len(raw) for raw in file if _DONE not in raw)
                    self._looked_at = now
        except OSError:
            return 0
        return self._waiting_bytes

    def share(self) -> float:
        """How much of what the file may take is taken, 0 to 1."""
        return min(1.0, self.size_bytes() / self._bytes_max)

    def waiting(self) -> list[Letter]:
        """Letters that no replay has stored yet, oldest first.

        Raises:
            OSError: the file can't be read.
        """
        with self._locked() as file:
            return [letter for _, letter in _letters(file) if letter and not letter.done_ms]

    def mark_done(self, ids: Collection[LetterId], now_ms: int) -> None:
        """Note that these are stored now.

        Raises:
            OSError: the file can't be rewritten; it is as it was.
        """
        self._rewrite(
            lambda letter: (
                msgspec.structs.replace(letter, done_ms=now_ms) if letter.id in ids else letter
            )
        )

    def _append(self, batches: Sequence[Sequence[Letter]]) -> list[str]:
        with self._locked() as file:
            self._catch_up(file)
            start = os.fstat(file).st_size
            room = self._bytes_max - start
            answers, chunks = [], []
            for letters in batches:
                chunk = b"".join(_encode(letter) for letter in letters if not self._has(letter))
                gateway = letters[0].gateway
                taken = self._bytes_by_gateway[gateway] + len(chunk)
                if chunk and (len(chunk) > room or taken > self._gateway_bytes_max):
                    answers.append(FULL)
                    continue
                answers.append("")
                chunks.append(chunk)
                room -= len(chunk)
                self._bytes_by_gateway[gateway] += len(chunk)
                for letter in letters:
                    self._remember(letter)
            if any(chunks):
                _write_synced(file, b"".join(chunks), start)
            self._note_state(file)
            return answers

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """The file's descriptor with the lock held, and the file still the one at the path."""
        while True:
            file = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, _MODE)
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                if _is_at(self._path, file):
                    yield file
                    return
            finally:
                os.close(file)

    def _catch_up(self, file: int) -> None:
        """Read the file again if it isn't as we left it; cut a torn last line off."""
        state = os.fstat(file)
        if (state.st_ino, state.st_size) == self._seen:
            return
        self._known.clear()
        self._bytes_by_gateway.clear()
        self._done = end = 0
        for raw, letter in _letters(file):
            end += len(raw)
            if letter is None:
                continue
            self._bytes_by_gateway[letter.gateway] += len(raw)
            self._done += letter.done_ms > 0
            self._remember(letter)
        if end < state.st_size:
            os.ftruncate(file, end)
        _sync_folder(self._path.parent)

    def _note_state(self, file: int) -> None:
        state = os.fstat(file)
        self._seen = (state.st_ino, state.st_size)

    def _has(self, letter: Letter) -> bool:
        return letter.index in self._known.get(letter.batch, ())

    def _remember(self, letter: Letter) -> None:
        self._known.setdefault(letter.batch, set()).add(letter.index)
        self._known.move_to_end(letter.batch)
        if len(self._known) > BATCHES_REMEMBERED:
            self._known.popitem(last=False)

    def _rewrite(self, change: _Change) -> None:
        """Replace the file by one with every letter changed; None leaves it out."""
        with self._locked() as file:
            fresh = self._path.with_name(f"{self._path.name}.new")
            with fresh.open("wb") as new:
                for raw, letter in _letters(file):
                    changed = change(letter) if letter else None
                    if changed is not None and changed is not letter:
                        new.write(_encode(changed))
                    elif changed is letter or letter is None:  # what can't be read stays as it is
                        new.write(raw)
                os.fchmod(new.fileno(), _MODE)
                new.flush()
                os.fsync(new.fileno())
            fresh.replace(self._path)
            _sync_folder(self._path.parent)


def _letters(file: int) -> Iterator[tuple[bytes, Letter | None]]:
    """Each whole line with what it says; None for one that isn't a letter."""
    with os.fdopen(os.dup(file), "rb") as lines:
        lines.seek(0)
        for raw in lines:
            if not raw.endswith(b"\n"):
                return
            try:
                yield raw, _decoder.decode(raw)
            except MALFORMED:
                yield raw, None


_decoder = msgspec.json.Decoder(Letter)


def _encode(letter: Letter) -> bytes:
    return msgspec.json.encode(letter) + b"\n"


def _write_synced(file: int, data: bytes, start: int) -> None:
    """All of it, on disk, or none of it."""
    rest = memoryview(data)
    try:
        while rest:
            rest = rest[os.write(file, rest) :]
        os.fsync(file)
    except OSError:
        with suppress(OSError):
            os.ftruncate(file, start)
        raise


def _is_at(path: Path, file: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except FileNotFoundError:
        return False


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
