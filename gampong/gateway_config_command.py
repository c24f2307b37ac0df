"""`gampong gateway config get|set|diff` and `gampong gateway command`: what is asked of gateways.

Run where the watch runs, as its user: the watch speaks to the gateways. In: `ingest.toml`. Out:
texts and results on stdout, an exit code: 0, 1 when a gateway refused, didn't answer or rolled
back, or no watch took it up, 2 for what has to be changed first.
"""

from __future__ import annotations

import argparse
import asyncio
import difflib
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gampong.taken_up import WAIT_S, taken_up
from wire.clock import REAL_TIME, CityTime, SystemClock
from wire.configuration import ConfigurationError
from wire.remote import Ask, Command, CommandResult, ConfigurationState, text_digest

if TYPE_CHECKING:
    from ingest.desk import Desk, SendCommand, SetConfiguration, SetMaintenance
    from wire.remote import Applied

NOT_DONE, UNUSABLE = 1, 2
EXPIRY_S = 60.0
LOOK_S = 0.2
_WORDS = {
    "read-now": (Ask.READ_NOW, "DEVICE", "ask it at once; prints what it says"),
    "set-interval": (Ask.SET_INTERVAL, "DEVICE", "ask it so often, until the agent's next start"),
    "restart-link": (Ask.RESTART_LINK, "LINK", "close its port, and open it again"),
}


def configure(words: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `config` and `command` to the words of `gateway`."""
    config = words.add_parser("config", help="a gateway's configuration, from afar")
    verbs = config.add_subparsers(dest="config_command", required=True, metavar="get|set|diff")
    get = verbs.add_parser("get", help="print what it runs, or what it shall run")
    add_gateway(get)
    get.add_argument("--wanted", action="store_true", help="what it shall run; doesn't ask it")
    get.add_argument("--output", type=Path, metavar="TOML", help="write it here (default stdout)")
    get.set_defaults(run=run_get)

    put = verbs.add_parser(
        "set",
        help="have it try another gateway.toml",
        description="The gateway checks it, tries it, and goes back by itself when no batch is "
        "confirmed with it in time. Begin from `config get`: a gateway whose file was changed "
        "since refuses. Example: gampong gateway config set ingest.toml gw-1 gw-1.toml --wait 400",
    )
    add_gateway(put)
    put.add_argument("toml", type=Path, metavar="TOML", help="the new gateway.toml")
    put.add_argument("--over", action="store_true", help="whatever was changed there meanwhile")
    put.add_argument("--wait", type=float, default=0.0, metavar="S", help="for the trial's end")
    put.set_defaults(run=run_set)

    diff = verbs.add_parser("diff", help="what would change: against a file, or what is wanted")
    add_gateway(diff)
    diff.add_argument("toml", type=Path, nargs="?", metavar="TOML", help="default: what is wanted")
    diff.set_defaults(run=run_diff)

    command = words.add_parser("command", help="ask a gateway for something, once")
    asks = command.add_subparsers(dest="ask", required=True, metavar="COMMAND")
    for name, (_, what, text) in _WORDS.items():
        one = asks.add_parser(name, help=text, description=text)
        add_gateway(one)
        one.add_argument("target", metavar=what)
        if name == "set-interval":
            one.add_argument("seconds", type=float, metavar="SECONDS")
        one.set_defaults(run=run_command, seconds=0.0)


def add_gateway(parser: argparse.ArgumentParser) -> None:
    """Which gateway, of which watch."""
    parser.add_argument("file", type=Path, metavar="FILE", help="ingest.toml")
    parser.add_argument("name", metavar="NAME", help="the gateway's")
    parser.add_argument(
        "--city-time", type=CityTime.parse, default=REAL_TIME, help="WALL_MS:CITY_MS:RATE"
    )


def run_get(args: argparse.Namespace) -> int:
    """`gampong gateway config get`."""
    try:
        desk, clock = desk_of(args.file), SystemClock(args.city_time)
        if not args.wanted:
            result = asyncio.run(ask(desk, clock, args.name, Ask.TELL_CONFIGURATION))
            if not result.done:
                return _not_done(result)
            _give(result.text, args.output)
            return 0
        kept = desk.kept(args.name)
        if kept.desired is not None:
            _give(kept.desired.text, args.output)
    except (ConfigurationError, OSError) as error:
        return _fail(error)
    if kept.desired is None:
        print(f"nothing was ever wanted of {args.name} from here", file=sys.stderr)
        return NOT_DONE
    print(said(kept.applied, kept.desired.version), file=sys.stderr)
    return 0


def run_set(args: argparse.Namespace) -> int:
    """`gampong gateway config set`."""
    from ingest.desk import SetConfiguration

    try:
        desk, clock = desk_of(args.file), SystemClock(args.city_time)
        text = _checked(args.toml, args.name)
        base = "" if args.over else base_of(desk, args.name)
        request = SetConfiguration(args.name, text, base, who())
        version = asyncio.run(_wanted(desk, clock, request))
        if version is None:
            return _no_watch()
        print(f"{args.name}: version {version} is wanted")
        if not args.wait:
            print(
                f"what becomes of it: gampong gateway config get {args.file} {args.name} --wanted"
            )
            return 0
        return asyncio.run(wait_for_end(desk, clock, args.name, version, args.wait))
    except (ConfigurationError, OSError) as error:
        return _fail(error)


def run_diff(args: argparse.Namespace) -> int:
    """`gampong gateway config diff`: exit code 0 also when they differ."""
    try:
        desk, clock = desk_of(args.file), SystemClock(args.city_time)
        result = asyncio.run(ask(desk, clock, args.name, Ask.TELL_CONFIGURATION))
        if not result.done:
            return _not_done(result)
        kept = desk.kept(args.name)
        if args.toml is None and kept.desired is None:
            print(f"nothing was ever wanted of {args.name} from here", file=sys.stderr)
            return NOT_DONE
        wanted = kept.desired.text if kept.desired else ""
        if args.toml is not None:
            wanted = args.toml.read_text(encoding="utf-8")
    except (ConfigurationError, OSError, UnicodeDecodeError) as error:
        return _fail(error)
    names = args.name, str(args.toml or "wanted")
    lines = result.text.splitlines(), wanted.splitlines()
    for line in difflib.unified_diff(*lines, *names, lineterm=""):
        print(line)
    return 0


def run_command(args: argparse.Namespace) -> int:
    """`gampong gateway command`."""
    try:
        desk, clock = desk_of(args.file), SystemClock(args.city_time)
        kind = _WORDS[args.ask][0]
        result = asyncio.run(ask(desk, clock, args.name, kind, args.target, args.seconds))
    except (ConfigurationError, OSError) as error:
        return _fail(error)
    if not result.done:
        return _not_done(result)
    print(result.detail)
    return 0


def desk_of(file: Path) -> Desk:
    """The watch's desk, by its ingest.toml.

    Raises:
        ConfigurationError: it can't be used.
    """
    from ingest.configuration import read_configuration
    from ingest.desk import Desk

    return Desk(Path(read_configuration(file).watch.registry_path))


def base_of(desk: Desk, gateway: str) -> str:
    """The digest of the text that an operator began from: what the gateway told last, or what was
    wanted of it before; "" when neither is known."""
    kept = desk.kept(gateway)
    running = text_digest(kept.running) if kept.running else ""
    if kept.desired is None:
        return running
    wanted = text_digest(kept.desired.text)
    if kept.applied and kept.applied.digest in (running, wanted):
        return kept.applied.digest  # the gateway's own word of which of the two it has
    # A version is its second: what was told in that very second was told before.
    return running if kept.running_ms >= (kept.desired.version + 1) * 1000 else wanted


async def ask(
    desk: Desk, clock: SystemClock, gateway: str, kind: Ask, target: str = "", value: float = 0.0
) -> CommandResult:
    """Ask the gateway, by way of the watch, and wait for its answer."""
    from ingest.desk import SendCommand

    now_ms, id_ = clock.now_ms(), secrets.token_hex(8)
    until_ms = now_ms + int(1000 * EXPIRY_S)
    command = Command(id_, kind, until_ms, target, value, who())
    if not await leave(desk, clock, SendCommand(gateway, command)):
        return CommandResult(id_, False, f"no watch took it up in {WAIT_S:g} s")
    until_s = clock.monotonic() + EXPIRY_S
    while clock.monotonic() < until_s:
        result = await asyncio.to_thread(desk.result, id_)
        if result is not None:
            return result
        await clock.pause(LOOK_S)
    return CommandResult(
        id_, False, f"{gateway} didn't answer within {EXPIRY_S:g} s: is it online?"
    )


async def leave(
    desk: Desk, clock: SystemClock, request: SetConfiguration | SendCommand | SetMaintenance
) -> bool:
    """Leave a request; whether the watch takes it up."""
    return await taken_up(desk.leave(request, clock.now_ms()), clock)


async def _wanted(desk: Desk, clock: SystemClock, request: SetConfiguration) -> int | None:
    if not await leave(desk, clock, request):
        return None
    desired = desk.kept(request.gateway).desired
    return desired.version if desired is not None and desired.text == request.text else None


async def wait_for_end(
    desk: Desk, clock: SystemClock, gateway: str, version: int, within_s: float
) -> int:
    """Until that version is refused, applied or rolled back; says which."""
    until_s = clock.monotonic() + within_s
    while clock.monotonic() < until_s:
        applied = (await asyncio.to_thread(desk.kept, gateway)).applied
        ended = applied is not None and applied.state is not ConfigurationState.TRYING
        if applied is not None and ended and applied.version >= version:
            print(said(applied, version))
            return 0 if applied.state is ConfigurationState.APPLIED else NOT_DONE
        await clock.pause(LOOK_S)
    applied = desk.kept(gateway).applied
    print(f"not decided in {within_s:g} s: {said(applied, version)}", file=sys.stderr)
    return NOT_DONE


def said(applied: Applied | None, version: int) -> str:
    """What a gateway says of a version."""
    if applied is None or applied.version < version:
        return f"version {version}: the gateway hasn't looked at it yet"
    why = f": {applied.reason}" if applied.reason else ""
    return f"version {applied.version}: {applied.state}{why}"


def who() -> str:
    """The person at the terminal, also behind sudo."""
    from edge.site_log import who_is_here

    return who_is_here()


def _checked(toml: Path, gateway: str) -> str:
    """The text, once it is known to be a configuration of that gateway: what can be said here is
    said here. Files that it names are the gateway's to look at.

    Raises:
        ConfigurationError: it isn't one.
    """
    from edge.configuration import load_configuration
    from wire.remote import TEXT_BYTES_MAX

    try:
        text = toml.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(str(toml), "", str(error), "Name a gateway.toml") from error
    name = load_configuration(text, str(toml)).gateway.name
    if name != gateway:
        remedy = "Take that gateway's file"
        raise ConfigurationError(str(toml), "gateway.name", f"{name!r}, not {gateway!r}", remedy)
    if len(text.encode()) > TEXT_BYTES_MAX:
        remedy = "Change this one at the site"
        raise ConfigurationError(str(toml), "", f"over {TEXT_BYTES_MAX} bytes", remedy)
    return text


def _give(text: str, output: Path | None) -> None:
    """Byte for byte: its digest is what a change begins from."""
    if output is not None:
        output.write_text(text, encoding="utf-8", newline="")
    else:
        sys.stdout.write(text)


def _not_done(result: CommandResult) -> int:
    print(result.detail, file=sys.stderr)
    return NOT_DONE


def _no_watch() -> int:
    print(f"no watch took it up in {WAIT_S:g} s; it will at its next start", file=sys.stderr)
    return NOT_DONE


def _fail(error: Exception) -> int:
    print(error, file=sys.stderr)
    return UNUSABLE
