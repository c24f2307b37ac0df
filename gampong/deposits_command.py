"""`gampong deposits`: a waste bank's book, sent to the city signed, and what was brought.

In: a CSV file as a spreadsheet saves it, or a store. Out: one signed event a deposit to a gateway's
`webhook` link, which commits it before it answers; a table. Sent again, a file changes nothing.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gampong.deposit_book import Book

AWAY, UNUSABLE = 1, 2


def configure(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command `deposits`."""
    parser = subparsers.add_parser("deposits", help="a waste bank's deposits")
    inner = parser.add_subparsers(metavar="WORD", required=True)
    send = inner.add_parser(
        "send",
        help="send a CSV file",
        description="Sends each deposit of a CSV file, signed. Exit code 0: the city has all of "
        "them; 1: it can't be reached now, run it again; 2: lines that can't be taken, listed.",
    )
    send.add_argument("file", type=Path, help="CSV with a header line")
    send.add_argument("--to", metavar="URL", help="the gateway's webhook, https://…/deposits")
    send.add_argument("--secret-file", type=Path, help="the secret that signs")
    send.add_argument("--bank", default="", help="for lines without a column `bank`")
    send.add_argument("--time-zone", default="Asia/Jakarta", help="of times without an offset")
    send.add_argument("--dry-run", action="store_true", help="only look at the file")
    send.set_defaults(run=send_file)
    table = inner.add_parser("list", help="what was brought, by bank and kind of waste")
    table.add_argument("--config", metavar="FILE", required=True, help="figures.toml")
    table.add_argument("--days", type=int, default=30, help="so many days back, 1 to 90")
    table.set_defaults(run=list_deposits)


def send_file(arguments: argparse.Namespace) -> int:
    """`gampong deposits send`."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    from edge.link_files import sender_secrets
    from gampong.deposit_book import BookError, read_book
    from gampong.deposit_post import send as send_all
    from wire.configuration import ConfigurationError

    try:
        zone = ZoneInfo(arguments.time_zone)
        book = read_book(arguments.file.read_bytes(), zone, arguments.bank)
        if not arguments.dry_run:
            if not arguments.to or not arguments.secret_file:
                return _refuse("--to URL and --secret-file FILE are needed")
            if not arguments.to.startswith(("https://", "http://")):
                return _refuse(f"{arguments.to}: give an https:// address")
            (secret,) = sender_secrets([str(arguments.secret_file)])
    except (OSError, BookError, ConfigurationError, ZoneInfoNotFoundError, ValueError) as error:
        return _refuse(f"{arguments.file}: {error}")
    _say_book(book)
    if arguments.dry_run:
        return UNUSABLE if book.refused else 0
    sent = send_all(book.deposits, arguments.to, secret)
    for line, why in sent.refused:
        print(f"line {line}: {why}", file=sys.stderr)
    print(f"stored {sent.stored}, known already {sent.repeats}, refused {len(sent.refused)}")
    if sent.away:
        print(f"gampong deposits: {sent.away}; run it again", file=sys.stderr)
        return AWAY
    return UNUSABLE if sent.refused or book.refused else 0


def _say_book(book: Book) -> None:
    for line, why in book.refused:
        print(f"line {line}: {why}", file=sys.stderr)
    if book.left_out:
        print(f"not sent: the columns {', '.join(book.left_out)}", file=sys.stderr)
    weight_kg = sum(one.weight_kg for one in book.deposits)
    points = sum(one.points for one in book.deposits)
    print(f"{len(book.deposits)} deposits, {weight_kg:.1f} kg, {points} points")


def list_deposits(arguments: argparse.Namespace) -> int:
    """`gampong deposits list`."""
    import asyncio
    from zoneinfo import ZoneInfo

    from dashboards.deposits import Deposits, deposits
    from dashboards.figures_configuration import FiguresConfiguration, check_figures
    from dashboards.store_file import open_source
    from ingest.stores import StoreError
    from wire.clock import SystemClock
    from wire.configuration import ConfigurationError, decode_toml

    if not 1 <= arguments.days <= 90:
        return _refuse("--days: choose 1 to 90")
    source = arguments.config
    try:
        text = Path(source).read_text(encoding="utf-8")
        settings = check_figures(decode_toml(text, FiguresConfiguration, source), source)
    except (ConfigurationError, OSError, UnicodeDecodeError) as error:
        return _refuse(str(error))
    clock, zone = SystemClock(), ZoneInfo(settings.time_zone)

    async def read() -> Deposits:
        async with open_source(settings.store, clock) as source:
            now_ms = clock.now_ms()
            return await deposits(source, now_ms - arguments.days * 86_400_000, now_ms, zone)

    try:
        found = asyncio.run(read())
    except StoreError as error:
        print(f"gampong deposits: {error}", file=sys.stderr)
        return AWAY
    for one in found.brought:
        what = f"{one.sum.weight_kg:10.1f} kg {one.sum.deposits:6d} deposits {one.sum.points:8d}"
        print(f"{one.bank:24} {one.waste_kind:12} {what} points")
    total = found.total
    print(f"{total.deposits} deposits, {total.weight_kg:.1f} kg, {total.points} points")
    return 0


def _refuse(why: str) -> int:
    print(f"gampong deposits: {why}", file=sys.stderr)
    return UNUSABLE
