"""`gampong edge pin [FILE]`: the PIN of the gateway's own page.

In: nothing, or digits on stdin: never an argument, which every user of the machine could read. Out:
the file that `[page] pin_file` names, with the PIN's hash; a drawn PIN on stdout, once. Whoever is
logged in on the page has to log in again. Exit code: 0, or 2 when it can't be written.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

UNUSABLE = 2


def configure(words: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `pin` to the words of `edge`."""
    from edge.configuration import PageSettings

    parser = words.add_parser(
        "pin",
        help="make the PIN of the gateway's own page",
        description="Draws a PIN of six digits, or takes one of your own with --stdin; writes its "
        "hash. The agent takes it at once. Example: sudo gampong edge pin",
    )
    default = PageSettings().pin_file
    parser.add_argument(
        "file",
        type=Path,
        nargs="?",
        default=Path(default),
        metavar="FILE",
        help=f"[page] pin_file (default {default})",
    )
    parser.add_argument("--stdin", action="store_true", help="a PIN of your own, on a line")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """`gampong edge pin`."""
    from edge.page.pin import DIGITS_MAX, DIGITS_MIN, draw, is_guessable, is_pin, write
    from gampong.spoken import reason, spoken
    from wire.sentence import told

    digits = sys.stdin.readline().strip() if arguments.stdin else draw()
    if not is_pin(digits):
        problem = told("not {low} to {high} digits", low=DIGITS_MIN, high=DIGITS_MAX)
    elif is_guessable(digits):
        problem = told("anybody would try that first")
    else:
        try:
            write(arguments.file, digits)
        except OSError as error:
            print(f"gampong edge pin: {arguments.file}: {reason(error)}", file=sys.stderr)
            return UNUSABLE
        if not arguments.stdin:
            print(digits)
        print(spoken(told("{file} is written", file=arguments.file)), file=sys.stderr)
        return 0
    said = told("{why}. Nothing is changed", why=problem)
    print(f"gampong edge pin: {spoken(said)}", file=sys.stderr)
    return UNUSABLE
