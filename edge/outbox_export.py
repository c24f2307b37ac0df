"""An outbox file seen from beside its agent: its figures, its lines, and sending them again.

`show` and `export` read what is committed and change nothing; what the agent has in memory (open
readings, confirmations of the last minute) isn't in it. They read the card of a burnt gateway too:
mounted read-only, or damaged. `resend` needs the file for itself.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import cast

from edge.configuration import OutboxSettings
from edge.outbox_file import OutboxFile, OutboxUnusable, disk_errors, read_only, take_lock
from edge.outbox_packing import UPTIME_BELOW_MS
from edge.outbox_reader import OutboxReader
from edge.outbox_repair import rescued
from edge.outbox_rows import get_meta, read_counts, read_journal, read_payload, resend
from wire.batch import BadBatch, UnknownDictionary, decode_batch, digest


@contextmanager
def look_at(path: Path, tell: Callable[[str], None] = lambda why: None) -> Iterator[OutboxReader]:
    """An outbox to ask, beside its agent. `tell` hears why a copy of it is asked (`rescued`).

    Raises:
        OutboxError: there is none, or it can't be read.
    """
    _exists(path)
    with (
        rescued(path) as (readable, why),
        disk_errors(path),
        closing(read_only(readable)) as connection,
    ):
        bytes_max = cast(int, get_meta(connection, "bytes_max") or 0)
        tell(why)
        yield OutboxReader(OutboxFile(readable, connection, None), bytes_max)


def resend_file(path: Path, since_ms: int) -> int:
    """Let confirmed batches with readings since then wait again; how many.

    Raises:
        OutboxError: there is none, its agent runs, or it can't be written.
    """
    _exists(path)
    with closing(take_lock(path)) as lock:
        file = OutboxFile.open(path, OutboxSettings().bytes_max, sqlite3.connect, lock)
        with closing(file), file.transaction():
            return resend(file.connection, since_ms)


class Export:
    """Lines of an outbox file, oldest batch first. `left_out` counts, by reason, readings that
    can't be written: `no_time` (of a boot that doesn't know its time yet), `damaged`. `why` says
    why a copy was read (`rescued`)."""

    def __init__(self, path: Path, since_ms: int, confirmed: bool, gateway: str = "") -> None:
        self._path, self._since_ms, self._gateway = path, since_ms, gateway
        self._states = (0, 1) if confirmed else (0,)
        self.left_out: Counter[str] = Counter()
        self.why = ""

    def lines(self) -> Iterator[str]:
        """Line protocol, times in milliseconds, with the gateway's tag when it was given.

        Raises:
            OutboxError: there is no outbox, or it can't be read.
        """
        _exists(self._path)
        with (
            rescued(self._path, self._path.stat().st_size) as (readable, self.why),
            disk_errors(self._path),
            closing(read_only(readable)) as connection,
        ):
            if self.why == "damaged":
                self.left_out["damaged"] += read_counts(connection)["dropped", "damaged"]
            for line in self._all(connection):
                time_ms = int(line.rpartition(" ")[2])
                if time_ms < UPTIME_BELOW_MS:
                    self.left_out["no_time"] += 1
                elif time_ms >= self._since_ms:
                    yield _with_gateway(line, self._gateway)

    def _all(self, connection: sqlite3.Connection) -> Iterator[str]:
        connection.execute("BEGIN")  # one moment, however long the export takes
        heads = connection.execute("SELECT sequence, state, readings, digest FROM batches")
        for sequence, state, readings, known in heads:
            if state not in self._states:
                continue
            payload = read_payload(connection, sequence)
            try:
                if payload is None or digest(payload) != known:
                    raise BadBatch("digest")
                yield from decode_batch(payload)
            except (BadBatch, UnknownDictionary):
                self.left_out["damaged"] += readings
        journalled, broken = read_journal(connection)
        self.left_out["damaged"] += broken
        yield from (entry.text for entry in journalled)


def _with_gateway(line: str, gateway: str) -> str:
    """Tags in InfluxDB's order: device, gateway, site, zone."""
    if not gateway:
        return line
    before, site, after = line.partition(",site=")
    return f"{before},gateway={gateway}{site}{after}"


def _exists(path: Path) -> None:
    if not path.is_file():
        raise OutboxUnusable(f"no outbox at {path}", "Name the outbox file, or the gateway's TOML")
