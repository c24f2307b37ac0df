"""A copy of what is stored, that any store can be filled from again.

    DIR/backup.json                                    what is in it: points, bytes, SHA-256
    DIR/points/city/parking_spot/2026-11-22.<digest>.lines.zst    a kind's day (UTC)
    DIR/files/etc/gampong/ingest.toml                  files that were named

A day is line protocol, compressed by plain zstd: `zstd -d` makes it readable anywhere, and it goes
into the other database as well as into its own. A point's identity is in it, so that filling a
store twice changes nothing. A day whose counts and sums are what they were isn't read again. One
that has fewer points than its copy is left as it is and named: that database has lost something,
and is to be filled first. The health bucket, 7 days of what can be computed again, is left out.
What gateways still keep (`gampong outbox resend --since`) fills in what came after the last copy.

The folder is its owner's alone: named files may hold secrets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import zstandard

from devices.kinds import FieldType, Kind
from ingest.backup_folder import (
    FORMAT,
    BackupError,
    Day,
    Manifest,
    day_path,
    forget_others,
    lines_of,
    manifest_of,
    read_manifest,
    sha256,
    use,
    write_manifest,
)
from ingest.stores import Aggregate, Bucket, Kept, Query, Row, Store, StoreError
from ingest.stores.points import TAGS, BadLine, LineReader, kinds_of
from ingest.stores.query import ROWS_MAX
from ingest.whole_file import settle
from wire.clock import Clock
from wire.line import format_fields

DAY_MS = 86_400_000
BUCKETS = (Bucket.CITY, Bucket.HOURLY)
ROWS_A_READ = 50_000
LINES_A_WRITE = 5_000
PATIENCE_S = 120.0
"""How long a restore waits for a store that takes nothing."""

_PAUSE_S = 2.0
_LEVEL = 10


class Made(msgspec.Struct, frozen=True):
    """What one run did."""

    days: int
    days_unchanged: int
    points: int
    fewer: list[str]
    """Days of which the store has less than the copy, which is kept."""


class Restored(msgspec.Struct, frozen=True):
    """What a restore wrote, and what the store refused, by reason."""

    points: int
    rejected: dict[str, int]


Told = Callable[[str], None]
"""Gets a line of progress."""


async def make(
    store: Store, folder: Path, retention_days: Callable[[Bucket], int], clock: Clock, told: Told
) -> Made:
    """Bring the folder up to what is stored.

    Raises:
        BackupError: the folder can't be written, holds something else, or is in use.
        StoreError: the store is away. What was copied stays, and the next run goes on.
    """
    with use(folder):
        manifest = read_manifest(folder)
        days, copied, unchanged, points = dict(manifest.days), 0, 0, 0
        fewer: list[str] = []
        for bucket in BUCKETS:
            # Not the day that is being removed: its copy is whole.
            start_ms = max(0, clock.now_ms() - (retention_days(bucket) - 1) * DAY_MS)
            for kind in kinds_of(bucket).values():
                found = await _days(store, bucket, kind, start_ms, clock)
                for day_ms, said in sorted((_copied(days, bucket, kind, start_ms) | found).items()):
                    name = f"{bucket}/{kind.name}/{_date(day_ms)}"
                    known = days[name].signature if name in days else {}
                    if known == said:
                        unchanged += 1
                        continue
                    if any(said.get(each, 0) < known[each] for each in known if each[0] == "#"):
                        fewer.append(name)
                        continue
                    days[name] = await _copy_day(store, folder, bucket, kind, day_ms, said)
                    copied += 1
                    points += days[name].points
                    told(f"{name}: {days[name].points} points")
                    now = Manifest(FORMAT, clock.now_ms(), days, manifest.files)
                    write_manifest(folder, now)
                    forget_others(day_path(folder, name, days[name].sha256))
        write_manifest(folder, Manifest(FORMAT, clock.now_ms(), days, manifest.files))
        return Made(copied, unchanged, points, fewer)


def check(folder: Path) -> list[str]:
    """What is wrong with a copy, file by file; nothing when all of it can be restored.

    Raises:
        BackupError: it isn't one.
    """
    manifest = manifest_of(folder)
    wrong = []
    readers = {bucket: LineReader(bucket) for bucket in BUCKETS}
    for name, day in manifest.days.items():
        path = day_path(folder, name, day.sha256)
        bucket = Bucket(name.partition("/")[0])
        try:
            if sha256(path) != day.sha256:
                wrong.append(f"{path}: not the bytes that were written")
                continue
            points = 0
            for line in lines_of(path):
                readers[bucket].read(line)
                points += 1
            if points != day.points:
                wrong.append(f"{path}: {points} points, {day.points} were written")
        except (OSError, BackupError, BadLine) as error:
            wrong.append(f"{path}: {error}")
    for inside, digest in manifest.files.items():
        path = folder / "files" / inside
        if not path.is_file() or sha256(path) != digest:
            wrong.append(f"{path}: not the bytes that were written")
    return wrong


async def restore(
    store: Store, folder: Path, clock: Clock, told: Told, since: str = "", until: str = "9999"
) -> Restored:
    """Write the points of a copy, of the days from `since` to `until` (both included). Damaged
    days are left out by an error before anything is written.

    Raises:
        BackupError: it isn't a copy, or a file of it is damaged.
        StoreError: the store takes nothing; run it again, what is written stays.
    """
    manifest = manifest_of(folder)
    names = [name for name in manifest.days if since <= name.rpartition("/")[2] <= until]
    for name in names:
        path = day_path(folder, name, manifest.days[name].sha256)
        if not path.is_file() or sha256(path) != manifest.days[name].sha256:
            remedy = "Leave its day out with --since and --until, or take another copy"
            raise BackupError(f"{path}: not the bytes that were written. {remedy}")
    points, rejected = 0, Counter[str]()
    for name in names:
        bucket = Bucket(name.partition("/")[0])
        block: list[str] = []
        for line in lines_of(day_path(folder, name, manifest.days[name].sha256)):
            block.append(line)
            if len(block) == LINES_A_WRITE:
                rejected += await _write(store, bucket, block, clock)
                block = []
        if block:
            rejected += await _write(store, bucket, block, clock)
        points += manifest.days[name].points
        told(f"{name}: {manifest.days[name].points} points")
    return Restored(points - rejected.total(), dict(rejected))


async def _days(
    store: Store, bucket: Bucket, kind: Kind, start_ms: int, clock: Clock
) -> dict[int, dict[str, float]]:
    """The days that have points, with how often each field occurs, and its sum: what comes late
    changes the counts, an hour that is rolled up again the sums."""
    numbers = [name for name, field in kind.fields.items() if field.type is not FieldType.TEXT]
    said: dict[int, dict[str, float]] = {}
    for aggregate, names, mark in (
        (Aggregate.COUNT, tuple(kind.fields), "#"),
        (Aggregate.SUM, tuple(numbers), ""),
    ):
        if not names:
            continue
        query = Query(
            kind=kind.name,
            fields=names,
            start_ms=start_ms - start_ms % DAY_MS,
            stop_ms=clock.now_ms() + 2 * DAY_MS,
            aggregate=aggregate,
            group=(),
            step_s=DAY_MS // 1000,
            bucket=bucket,
        )
        for row in await store.read(query):
            day = said.setdefault(row.time_ms, {})
            day |= {f"{mark}{name}": float(value) for name, value in sorted(row.fields.items())}
    return said


def _copied(
    days: Mapping[str, Day], bucket: Bucket, kind: Kind, start_ms: int
) -> dict[int, dict[str, float]]:
    """The copy's days that the store should still have, as if it had nothing of them."""
    place, first = f"{bucket}/{kind.name}/", _date(start_ms)
    dates = (name.removeprefix(place) for name in days if name.startswith(place))
    return {_day_ms(each): {} for each in dates if each >= first}


async def _copy_day(
    store: Store, folder: Path, bucket: Bucket, kind: Kind, day_ms: int, said: dict[str, float]
) -> Day:
    name = f"{bucket}/{kind.name}/{_date(day_ms)}"
    part = day_path(folder, name, "part").with_suffix(".part")
    part.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    points = 0
    with (
        part.open("wb") as file,
        zstandard.ZstdCompressor(level=_LEVEL).stream_writer(file, closefd=False) as packed,
    ):
        async for rows in _rows(store, bucket, kind, day_ms, day_ms + DAY_MS):
            packed.write("".join([_line(kind, row) + "\n" for row in rows]).encode())
            points += len(rows)
    day = Day(said, points, part.stat().st_size, sha256(part))
    settle(part, day_path(folder, name, day.sha256))
    return day


async def _rows(
    store: Store, bucket: Bucket, kind: Kind, start_ms: int, stop_ms: int
) -> AsyncIterator[list[Row]]:
    """All points of a range, oldest first: halves of it while one answer can't hold it."""
    ranges = [(start_ms, stop_ms)]
    while ranges:
        first_ms, last_ms = ranges.pop()
        query = Query(
            kind=kind.name,
            fields=tuple(kind.fields),
            start_ms=first_ms,
            stop_ms=last_ms,
            bucket=bucket,
            limit=ROWS_A_READ,
        )
        rows = await store.read(query)
        if len(rows) >= ROWS_A_READ and last_ms - first_ms < 2:  # a whole city's hour
            rows = await store.read(msgspec.structs.replace(query, limit=ROWS_MAX))
            if len(rows) >= ROWS_MAX:
                raise StoreError(f"{kind.name}: more than {ROWS_MAX} points of one moment")
        elif len(rows) >= ROWS_A_READ:
            middle_ms = (first_ms + last_ms) // 2
            ranges += [(middle_ms, last_ms), (first_ms, middle_ms)]
            continue
        yield rows


def _line(kind: Kind, row: Row) -> str:
    tags = ",".join([f"{tag}={row.tags[tag]}" for tag in TAGS])
    return f"{kind.name},{tags} {format_fields(kind, row.fields)} {row.time_ms}"


async def _write(store: Store, bucket: Bucket, lines: list[str], clock: Clock) -> Counter[str]:
    until_s = clock.monotonic() + PATIENCE_S
    while True:
        answer = await store.write(bucket, lines)
        if not isinstance(answer, Kept):
            return Counter(answer.rejected.values())
        if clock.monotonic() > until_s:
            raise StoreError(
                f"the store takes nothing ({answer.reason} {answer.detail}): run again"
            )
        await clock.pause(max(_PAUSE_S, answer.retry_after_s))


def _day_ms(day: str) -> int:
    return round(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() * 1000)


def _date(day_ms: int) -> str:
    return datetime.fromtimestamp(day_ms / 1000, UTC).date().isoformat()
