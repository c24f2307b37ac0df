"""`gampong edge enrol|csr`: a gateway gets its certificate.

In: a bundle (its file, or its text as a QR scanner gives it). Out: files under --folder, results on
stdout, an exit code: 0, or 2 when nothing was changed, with the reason and the remedy.
"""

from __future__ import annotations

import argparse
from pathlib import Path

UNUSABLE = 2
FOLDER = Path("/etc/gampong")


def configure(words: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `enrol` and `csr` to the words of `edge`."""
    enrol = words.add_parser("enrol", help="become the gateway that a bundle was made for")
    enrol.add_argument("bundle", metavar="BUNDLE", help="a file, or the text of its QR code")
    enrol.add_argument("--folder", type=Path, default=FOLDER, help=f"default {FOLDER}")
    enrol.add_argument("--replace", action="store_true", help="even if it is another gateway now")
    enrol.set_defaults(run=run_enrol)

    csr = words.add_parser("csr", help="ask for a certificate; the key stays here")
    csr.add_argument("name", metavar="NAME", help="this gateway's")
    csr.add_argument("--folder", type=Path, default=FOLDER, help=f"default {FOLDER}")
    csr.set_defaults(run=run_csr)


def run_enrol(args: argparse.Namespace) -> int:
    """Nothing is changed unless all of the bundle is good."""
    import time

    from edge.enrolment import NotEnrolled, enrol
    from edge.site_log import FOLDER as LOG_FOLDER
    from edge.site_log import What, note_here
    from gampong.spoken import complain, spoken
    from wire.bundle import PREFIX, TEXT_MAX, BadBundle, decode_bundle

    try:
        text = args.bundle
        if not text.startswith(PREFIX):
            with Path(text).open(encoding="utf-8") as file:
                text = file.read(TEXT_MAX + 1)
        bundle = decode_bundle(text)
        for line in enrol(bundle, args.folder, args.replace):
            print(spoken(line))
        if args.folder == FOLDER:  # a gateway's, not a trial's
            said = f"as {bundle.gateway}, site {bundle.site}"
            note_here(LOG_FOLDER, What.ENROLLED, int(time.time() * 1000), text=said)
    except (BadBundle, NotEnrolled, OSError, UnicodeDecodeError) as error:
        complain("edge enrol", error)
        return UNUSABLE
    return 0


def run_csr(args: argparse.Namespace) -> int:
    """Prints the request; the key is made once and kept."""
    from edge.enrolment import NotEnrolled, request
    from gampong.spoken import complain

    try:
        print(request(args.name, args.folder), end="")
    except (NotEnrolled, OSError) as error:
        complain("edge csr", error)
        return UNUSABLE
    return 0
