"""`gampong edge confirmed gateway.toml --within S`: has the cloud confirmed something since now?

For an upgrade that has to know whether the new version does its work. Looks at the outbox from
beside the agent; a confirmation reaches the card with the next seal, so give it two seal intervals
at least. Exit code: 0 yes, 1 not in that time, 2 for a file that can't be read.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

UNUSABLE = 2
NOT_CONFIRMED = 1
LOOK_S = 1.0


def configure(words: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `confirmed` to the words of `edge`."""
    parser = words.add_parser("confirmed", help="wait until a batch has been confirmed")
    parser.add_argument("file", type=Path, metavar="FILE", help="gateway.toml")
    parser.add_argument(
        "--within", type=float, default=300.0, metavar="S", help="seconds (default 300)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """`gampong edge confirmed`."""
    from edge.configuration import load_configuration
    from gampong.spoken import complain, spoken
    from wire.configuration import ConfigurationError
    from wire.sentence import told

    try:
        text = arguments.file.read_text(encoding="utf-8")
        outbox = Path(load_configuration(text, str(arguments.file)).outbox.path)
    except (ConfigurationError, OSError, UnicodeDecodeError) as error:
        complain("edge confirmed", error)
        return UNUSABLE
    until_s = time.monotonic() + arguments.within
    before = _final(outbox)
    while time.monotonic() < until_s:
        now = _final(outbox)
        if before is None:
            before = now  # the agent has only begun
        elif now is not None and now > before:
            return 0
        time.sleep(min(LOOK_S, arguments.within))
    nothing = told("nothing was confirmed in {within_s:g} s", within_s=arguments.within)
    print(spoken(nothing), file=sys.stderr)
    return NOT_CONFIRMED


def _final(outbox: Path) -> int | None:
    """How many readings have met their fate in the cloud; None while there is no outbox."""
    from edge.outbox_export import look_at
    from edge.outbox_file import OutboxError

    try:
        with look_at(outbox) as reader:
            ledger = reader.summary().ledger
    except OutboxError:
        return None
    return ledger.stored + sum(ledger.rejected.values())
