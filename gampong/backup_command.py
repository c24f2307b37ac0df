"""`gampong backup make|check|restore`: a copy of what is stored, and a store filled from one."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ingest.backup import Restored
    from ingest.stores.configuration import StoreSettings

FOUND = 1
UNUSABLE = 2


def configure(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command with its three words."""
    backup = subparsers.add_parser("backup", help="a copy of what is stored, and back again")
    words = backup.add_subparsers(dest="backup_command", required=True, metavar="WORD")

    make = words.add_parser(
        "make",
        help="bring a folder up to what is stored",
        description="Copies each day of each kind that isn't in the folder as it is stored, and the"
        " files named. Run it each night into the same folder.",
        epilog="gampong backup make /etc/gampong/ingest.toml --to /mnt/disk/gampong"
        " --file /etc/gampong",
    )
    make.add_argument("file", type=Path, metavar="FILE", help="ingest.toml")
    make.add_argument("--to", type=Path, required=True, metavar="DIR", help="made if need be")
    make.add_argument(
        "--file",
        dest="files",
        type=Path,
        action="append",
        default=[],
        metavar="PATH",
        help="a file or folder to copy too; again for more",
    )
    make.set_defaults(run=run_make)

    check = words.add_parser("check", help="whether all of a copy can be read")
    check.add_argument("folder", type=Path, metavar="DIR")
    check.set_defaults(run=run_check)

    restore = words.add_parser(
        "restore",
        help="fill a store from a copy, again and again without harm",
        epilog="gampong backup restore /etc/gampong/ingest.toml --from /mnt/disk/gampong"
        " --since 2026-08-01",
    )
    restore.add_argument("file", type=Path, metavar="FILE", help="ingest.toml of the store to fill")
    restore.add_argument("--from", dest="folder", type=Path, required=True, metavar="DIR")
    restore.add_argument("--since", default="", metavar="DAY", help="2026-08-01, this day included")
    restore.add_argument("--until", default="9999", metavar="DAY", help="this day included")
    restore.set_defaults(run=run_restore)


def run_make(args: argparse.Namespace) -> int:
    """0, 1 when the store has less than the copy, 2 when it can't be made."""
    from ingest.backup import make
    from ingest.backup_folder import BackupError, copy_files
    from ingest.stores import StoreError
    from ingest.stores.open import open_store
    from wire.clock import SystemClock
    from wire.configuration import ConfigurationError

    clock = SystemClock()
    try:
        settings = _store(args.file)

        async def copy() -> list[str]:
            async with open_store(settings, clock) as store:
                made = await make(store, args.to, settings.retention.days, clock, _tell)
            print(f"copied {made.points} points of {made.days} days,", end=" ")
            print(f"{made.days_unchanged} days as they were")
            return made.fewer

        fewer = asyncio.run(copy())
        if args.files:
            print(f"copied {copy_files(args.to, args.files)} files")
    except (BackupError, ConfigurationError, StoreError) as error:
        return _fail(error)
    for name in fewer:
        print(f"{name}: the store has less than the copy, which is kept", file=sys.stderr)
    if fewer:
        print("Fill the store first: gampong backup restore", file=sys.stderr)
    return FOUND if fewer else 0


def run_check(args: argparse.Namespace) -> int:
    """0, 1 when something of it is damaged, 2 when it is no copy."""
    from ingest.backup import check
    from ingest.backup_folder import BackupError, read_manifest

    try:
        wrong = check(args.folder)
        manifest = read_manifest(args.folder)
    except BackupError as error:
        return _fail(error)
    for each in wrong:
        print(each, file=sys.stderr)
    points = sum(day.points for day in manifest.days.values())
    print(f"{points} points of {len(manifest.days)} days, {len(manifest.files)} files", end=": ")
    print(f"{len(wrong)} damaged" if wrong else "all as written")
    return FOUND if wrong else 0


def run_restore(args: argparse.Namespace) -> int:
    """0, 1 when the store refused points, 2 when it can't be done."""
    from ingest.backup import restore
    from ingest.backup_folder import BackupError
    from ingest.stores import StoreError
    from ingest.stores.open import open_store
    from wire.clock import SystemClock
    from wire.configuration import ConfigurationError

    clock = SystemClock()

    async def fill(settings: StoreSettings) -> Restored:
        async with open_store(settings, clock) as store:
            return await restore(store, args.folder, clock, _tell, args.since, args.until)

    try:
        restored = asyncio.run(fill(_store(args.file)))
    except (BackupError, ConfigurationError, StoreError) as error:
        return _fail(error)
    print(f"stored {restored.points} points")
    for reason, count in sorted(restored.rejected.items()):
        print(f"{reason} {count}", file=sys.stderr)
    return FOUND if restored.rejected else 0


def _store(path: Path) -> StoreSettings:
    from ingest.configuration import read_configuration

    return read_configuration(path).store


def _tell(line: str) -> None:
    print(line, file=sys.stderr)


def _fail(error: Exception) -> int:
    print(f"gampong backup: {error}", file=sys.stderr)
    return UNUSABLE
