"""The folder of a backup: what is in it, and how it is written, so that a power cut leaves either
the old file or the new one. `ingest.backup` says what stands where.
"""

from __future__ import annotations

import fcntl
import hashlib
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path

import msgspec
import zstandard

from ingest.stores import Bucket
from ingest.stores.points import kinds_of
from ingest.whole_file import settle, write_whole
from wire.malformed import MALFORMED

FORMAT = 1
LINE_BYTES_MAX = 64 * 1024
_SQLITE = b"SQLite format 3\0"


class BackupError(Exception):
    """The folder can't be used; the text names the file and the remedy."""


class Day(msgspec.Struct, frozen=True):
    """One file, and what the store said of that day: how often each field occurs (`#name`), and its
    sum."""

    signature: dict[str, float]
    points: int
    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """`backup.json`. `days` by `bucket/kind/day`, `files` by their path, to their SHA-256."""

    format: int = FORMAT
    made_ms: int = 0
    days: dict[str, Day] = {}
    files: dict[str, str] = {}


def read_manifest(folder: Path) -> Manifest:
    """What is in the folder; nothing when it is new.

    Raises:
        BackupError: it can't be read, or a newer version made it.
    """
    path = folder / "backup.json"
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError:
        return Manifest()
    except (OSError, *MALFORMED) as error:
        raise BackupError(f"{path}: {error}. Name a folder that `backup make` made") from error
    if manifest.format != FORMAT:
        raise BackupError(f"{path}: format {manifest.format}. Update gampong")
    for name in manifest.days:
        bucket, kind, day = (*name.split("/"), "", "")[:3]
        if bucket not in [*Bucket] or kind not in kinds_of(Bucket(bucket)) or not _is_date(day):
            raise BackupError(f"{path}: {name!r} is no kind's day. Update gampong")
    for inside in manifest.files:
        if inside.startswith("/") or ".." in Path(inside).parts:
            raise BackupError(f"{path}: {inside!r} leads out of the folder")
    return manifest


def manifest_of(folder: Path) -> Manifest:
    """The same of a folder that is a backup already."""
    if not (folder / "backup.json").is_file():
        raise BackupError(f"{folder}: no backup.json. Name a folder that `backup make` made")
    return read_manifest(folder)


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def copy_files(folder: Path, paths: Iterable[Path]) -> int:
    """Copy files, and folders with what is in them; a SQLite database as one moment of it.

    Raises:
        BackupError: one can't be read.
    """
    with use(folder):
        manifest = read_manifest(folder)
        files = dict(manifest.files)
        count = 0
        for path in _all_files(paths):
            inside = str(path.absolute()).lstrip("/")
            target = folder / "files" / inside
            try:
                target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                _copy_file(path, target)
                files[inside] = sha256(target)
            except (OSError, sqlite3.Error) as error:
                raise BackupError(f"{path}: {error}. Let this user read it") from error
            count += 1
        write_manifest(folder, msgspec.structs.replace(manifest, files=files))
        return count


def lines_of(path: Path) -> Iterator[str]:
    """The lines of a day's file.

    Raises:
        BackupError: it isn't one.
    """
    rest = b""
    try:
        with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as opened:
            while some := opened.read(1 << 20):
                *lines, rest = (rest + some).split(b"\n")
                if len(rest) > LINE_BYTES_MAX:
                    raise BackupError(f"a line of more than {LINE_BYTES_MAX} bytes")
                yield from (line.decode("ascii") for line in lines)
    except (zstandard.ZstdError, UnicodeDecodeError) as error:
        raise BackupError(f"{path}: {error}") from error
    if rest:
        raise BackupError(f"{path}: ends within a line")


def _all_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Plain files; of folders, those in them. Links aren't followed out of a folder."""
    for path in paths:
        if path.is_dir():
            yield from sorted(
                each for each in path.rglob("*") if each.is_file() and not each.is_symlink()
            )
        elif path.is_file():
            yield path
        else:
            raise BackupError(f"{path}: no such file. Name what exists")


def _copy_file(path: Path, target: Path) -> None:
    part = target.with_name(target.name + ".part")
    with path.open("rb") as file:
        is_database = file.read(len(_SQLITE)) == _SQLITE
    part.unlink(missing_ok=True)
    part.touch(mode=0o600)
    if is_database:
        with (
            closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(part)) as copy,
        ):
            source.backup(copy)
    else:
        part.write_bytes(path.read_bytes())
    settle(part, target)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace `backup.json`."""
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
    write_whole(folder / "backup.json", text)


@contextmanager
def use(folder: Path) -> Iterator[None]:
    """The folder, made if need be, for this process alone."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
    except BlockingIOError as error:
        raise BackupError(f"{folder}: another `backup make` is at work there") from error
    except OSError as error:
        raise BackupError(f"{folder}: {error}. Name a folder on a disk with room") from error


def day_path(folder: Path, name: str, digest: str) -> Path:
    """Where a kind's day stands. Its bytes are in its name, so that a new one never takes the place
    of the one that the manifest names."""
    return folder / "points" / f"{name}.{digest[:16]}.lines.zst"


def forget_others(path: Path) -> None:
    """Remove what the same day was before, once the manifest names this one."""
    day = path.name.partition(".")[0]
    for other in path.parent.glob(f"{day}.*"):
        if other != path:
            other.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """Of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
