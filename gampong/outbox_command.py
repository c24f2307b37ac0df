"""`gampong outbox`: what waits on this gateway, its lines, and sending confirmed ones again.

In: the outbox file, or the gateway's TOML that names it. Out: figures or line protocol on stdout,
errors on stderr; exit code 0, or 2 when the file can't be used. `show` and `export` work beside a
running agent, `resend` refuses to.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import msgspec

if TYPE_CHECKING:
    from edge.outbox_reader import OutboxSummary

UNUSABLE = 2
_NO_GATEWAY = (
    "no gateway's tag: name it with --gateway before these go into the cloud's database, where they"
    " would else stand beside the points that are there"
)
_WHY = {
    "read_only": "the card is mounted read-only: a copy of the file was read",
    "damaged": "the file is damaged: this is what can be read of it",
}


def configure(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command `outbox` with `show`, `export` and `resend`."""
    parser = subparsers.add_parser("outbox", help="what waits on a gateway")
    words = parser.add_subparsers(dest="word", required=True, metavar="show|export|resend")
    show_parser = words.add_parser(
        "show", help="how much waits, since when, how long there is room"
    )
    export_parser = words.add_parser(
        "export",
        help="write what waits as line protocol",
        description="A damaged file is read as far as it goes; nothing is written to the card. To "
        "put the lines into InfluxDB: influx write --bucket city --precision ms --file FILE. With "
        "--gateway, or given a gateway.toml, they get the tag that the cloud would have put in: "
        "without it they would be points of their own beside those that are there.",
    )
    resend_parser = words.add_parser(
        "resend",
        help="send confirmed batches again, to fill a restored database",
        description="Sending again is harmless: a point that is there already doesn't change. "
        "The agent must be stopped.",
    )
    for each in (show_parser, export_parser, resend_parser):
        each.add_argument("file", type=Path, help="the outbox file, or gateway.toml")
    show_parser.add_argument("--json", action="store_true", help="every figure, as JSON")
    export_parser.add_argument("--gateway", default="", metavar="NAME", help="the tag to put in")
    export_parser.add_argument("--confirmed", action="store_true", help="confirmed ones as well")
    export_parser.add_argument(
        "--since", type=_time_ms, default=0, metavar="TIME", help="ISO 8601, with its zone"
    )
    export_parser.add_argument("--output", type=Path, metavar="FILE", help="default stdout")
    resend_parser.add_argument(
        "--since", type=_time_ms, required=True, metavar="TIME", help="ISO 8601, with its zone"
    )
    show_parser.set_defaults(run=run_show)
    export_parser.set_defaults(run=run_export)
    resend_parser.set_defaults(run=run_resend)


def run_show(arguments: argparse.Namespace) -> int:
    """`gampong outbox show`."""
    from edge.outbox_export import look_at

    with _errors("show") as failed:
        path, _ = _outbox_of(arguments.file)
        with look_at(path, _tell) as outbox:
            summary = outbox.summary()
        if arguments.json:
            print(msgspec.json.encode(summary).decode())
        else:
            _print(path, summary)
    return UNUSABLE if failed else 0


def run_export(arguments: argparse.Namespace) -> int:
    """`gampong outbox export`."""
    from edge.outbox_export import Export

    with _errors("export") as failed:
        path, gateway = _outbox_of(arguments.file)
        name = arguments.gateway or gateway
        export = Export(path, arguments.since, arguments.confirmed, name)
        written = 0
        with _writer(arguments.output) as output:
            for line in export.lines():
                print(line, file=output)
                written += 1
        _tell(export.why)
        if written and not name:
            print(_NO_GATEWAY, file=sys.stderr)
        left_out = "".join(f", {n} left out ({r})" for r, n in (+export.left_out).items())
        print(f"{written} lines{left_out}", file=sys.stderr)
    return UNUSABLE if failed else 0


def run_resend(arguments: argparse.Namespace) -> int:
    """`gampong outbox resend`."""
    from edge.outbox_export import resend_file

    with _errors("resend") as failed:
        path, _ = _outbox_of(arguments.file)
        batches = resend_file(path, arguments.since)
        print(f"{batches} batches wait again; start the agent to send them")
    return UNUSABLE if failed else 0


def _tell(why: str) -> None:
    if why:
        print(_WHY[why], file=sys.stderr)


@contextmanager
def _errors(word: str) -> Iterator[list[str]]:
    """What keeps the command from its work, on stderr; the list isn't empty then."""
    from edge.outbox_file import OutboxError
    from wire.configuration import ConfigurationError

    failed: list[str] = []
    try:
        yield failed
    except (OutboxError, ConfigurationError) as error:
        failed.append(str(error))
        print(f"gampong outbox {word}: {error}", file=sys.stderr)


@contextmanager
def _writer(path: Path | None) -> Iterator[TextIO]:
    if path is None:
        yield sys.stdout
    else:
        with path.open("w") as file:
            yield file


def _outbox_of(file: Path) -> tuple[Path, str]:
    """The outbox's path, and its gateway's name where a TOML tells it."""
    if file.suffix != ".toml":
        return file, ""
    from edge.configuration import load_configuration
    from wire.configuration import ConfigurationError

    try:
        text = file.read_text()
    except OSError as error:
        problem = (error.strerror or str(error)).lower()
        raise ConfigurationError(str(file), "", problem, "Name the gateway's TOML file") from error
    configuration = load_configuration(text, str(file))
    return Path(configuration.outbox.path), configuration.gateway.name


def _time_ms(text: str) -> int:
    """`2026-11-01T00:00:00+07:00` as Unix milliseconds; without a zone it could be two moments."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} isn't an ISO 8601 time") from error
    if time.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} needs its zone, as +07:00 or Z")
    return round(time.timestamp() * 1000)


def _print(path: Path, summary: OutboxSummary) -> None:
    ledger = summary.ledger
    since = datetime.fromtimestamp(summary.oldest_waiting_ms / 1000, UTC)
    hours = summary.hours_left
    rows = [
        ("outbox", str(path)),
        ("waiting", f"{summary.waiting_readings} readings in {summary.waiting_batches} batches"),
        ("oldest", since.isoformat(timespec="seconds") if summary.waiting_batches else "-"),
        ("bytes", f"{summary.bytes} of {summary.bytes_max}{_share(summary)}"),
        ("full in", "unknown" if hours is None else f"{hours:.0f} hours at the latest rate"),
        ("parked", str(summary.parked)),
        ("no time yet", str(summary.unplaced)),
        ("sequences", f"{summary.oldest_sequence} to {summary.newest_sequence}"),
        ("epoch", summary.epoch),
        ("accepted", str(ledger.accepted)),
        ("stored", str(ledger.stored)),
        ("rejected", _by_reason(ledger.rejected)),
        ("dropped", _by_reason(ledger.dropped)),
        ("taken", str(ledger.taken)),
        ("refused", _by_reason(ledger.refused)),
        ("suppressed", str(ledger.suppressed)),
        ("noise", _by_reason(ledger.noise)),
        ("gaps", f"{ledger.gaps}, together {ledger.gap_ms / 1000:.0f} s"),
        ("balanced", "yes" if ledger.balanced else "NO"),
    ]
    for name, value in rows:
        print(f"{name:<12} {value}")


def _share(summary: OutboxSummary) -> str:
    if not summary.bytes_max:
        return ""
    return f", {summary.bytes / summary.bytes_max:.0%}"


def _by_reason(counts: dict[str, int]) -> str:
    parts = ", ".join(f"{reason} {n}" for reason, n in sorted(counts.items()))
    return f"{sum(counts.values())} ({parts})" if parts else "0"
