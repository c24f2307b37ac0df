"""`gampong edge log gateway.toml`: what was done at this gateway, by whom, when; a note into it.

In: the site's log (`edge/site_log.py`), beside the outbox. Out: a line an entry, oldest first. Exit
code: 0, or 2 when the log or the configuration can't be read, or the note couldn't be written.
"""

from __future__ import annotations

import argparse
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from gampong.spoken import complain, spoken
from wire.clock import SystemClock
from wire.configuration import ConfigurationError
from wire.sentence import told

if TYPE_CHECKING:
    from edge.site_log import Entry

UNUSABLE = 2


def configure(words: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `log` to the words of `edge`."""
    parser = words.add_parser(
        "log",
        help="what was done at this gateway, by whom, when",
        description='Example: gampong edge log gateway.toml --note "antenna moved to the roof"',
    )
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="gateway.toml, or its outbox's folder"
    )
    parser.add_argument("--note", metavar="TEXT", help="write this into it")
    parser.add_argument(
        "--device", default="", metavar="NAME", help="only of that one; for --note, too"
    )
    parser.add_argument("--json", action="store_true", help="a JSON line an entry")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """`gampong edge log`."""
    import msgspec

    from edge.site_log import What, note_here, read_log

    try:
        folder = _folder(args.file)
        if args.note is not None:
            now_ms = SystemClock().now_ms()
            if note_here(folder, What.NOTE, now_ms, device=args.device, text=args.note):
                return 0
            why = told("{folder}: the log can't be written. Run it with sudo", folder=folder)
            print(spoken(why), file=sys.stderr)
            return UNUSABLE
        for entry in read_log(folder):
            if args.device in ("", entry.device):
                print(msgspec.json.encode(entry).decode() if args.json else said(entry))
    except (ConfigurationError, OSError, UnicodeDecodeError) as error:
        complain("edge log", error)
        return UNUSABLE
    return 0


def said(entry: Entry) -> str:
    """An entry for a person, in the machine's time zone."""
    at = datetime.fromtimestamp(entry.time_ms / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S %z")
    doubt = "" if entry.time_trusted else spoken(told(" (clock not trusted)"))
    device = f" {entry.device}" if entry.device else ""
    text = f": {entry.text}" if entry.text else ""
    return f"{at}{doubt} {entry.who}: {entry.what}{device}{text}"


def _folder(file: Path) -> Path:
    from edge.configuration import load_configuration
    from edge.site_log import folder_of

    if file.is_dir():
        return file
    return folder_of(load_configuration(file.read_text(encoding="utf-8"), str(file)))
