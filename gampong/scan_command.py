"""`gampong scan`: what hangs on this gateway's serial ports, and a configuration for it.

In: nothing, or ports. Out: a line a sensor on stdout, progress on stderr; with --write, links and
devices in `gateway.toml`. Exit code: 0 when something was found, 1 when nothing was, 2 when a port
or the configuration can't be used. The agent must not hold the port.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gampong.spoken import complain, spoken
from wire.sentence import Told, told

if TYPE_CHECKING:
    from edge.scan import Found

NOTHING, UNUSABLE = 1, 2
_BAR = 24


def configure(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    scan = subparsers.add_parser(
        "scan",
        help="find sensors on serial ports",
        description="Listens on each port for sensors of its own, then asks Modbus addresses. Only "
        "reads. Stop the agent first: one program a port.",
    )
    scan.add_argument("--port", action="append", default=[], help="this one only; may be repeated")
    scan.add_argument("--addresses", default="1-247", help="of slaves, such as 1-32 (default all)")
    scan.add_argument("--quick", action="store_true", help="end at the first speed that answers")
    scan.add_argument("--write", type=Path, metavar="GATEWAY.TOML", help="add what is found there")
    scan.add_argument("--json", action="store_true", help="what was found, as JSON")
    scan.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """`gampong scan`."""
    from edge.links.serial_port import PortDown
    from edge.scan.ports import serial_ports
    from wire.configuration import ConfigurationError

    ports = arguments.port or serial_ports()
    if not ports:
        none = told("no serial port on this machine: plug the adapter in")
        print(spoken(none), file=sys.stderr)
        return NOTHING
    found: list[Found] = []
    failed = False
    try:
        addresses = _addresses(arguments.addresses)
        for port in ports:
            try:
                found += asyncio.run(_search(port, addresses, arguments.quick))
            except PortDown as down:
                failed = True
                print(f"\n{spoken(down.why)}", file=sys.stderr)
        _clear()
        _show(found, arguments.json)
        if arguments.write:
            _write(arguments.write, found)
    except (ConfigurationError, OSError) as error:
        complain("scan", error)
        return UNUSABLE
    return UNUSABLE if failed else 0 if found else NOTHING


async def _search(port: str, addresses: range, quick: bool) -> list[Found]:
    from edge.scan.bus import search
    from edge.scan.listening import listen
    from wire.clock import SystemClock

    clock = SystemClock()
    alone = await listen(port, clock, _tell)
    if alone is not None:
        return [alone]
    return await search(port, clock, _tell, addresses, first_only=quick)


def _addresses(text: str) -> range:
    from wire.configuration import ConfigurationError

    first, _, last = text.partition("-")
    if not (first.isdecimal() and (last or first).isdecimal()):
        problem = told("{text!r} isn't 1-247", text=text)
        raise ConfigurationError("--addresses", "", problem, told("Give FIRST-LAST"))
    low, high = int(first), int(last or first)
    if not 1 <= low <= high <= 247:
        problem = told("{text} isn't within 1-247", text=text)
        raise ConfigurationError("--addresses", "", problem, told("Choose within"))
    return range(low, high + 1)


def _show(found: list[Found], as_json: bool) -> None:
    import msgspec

    if as_json:
        print(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
        return
    for one in found:
        line = f"{one.baudrate} {one.parity}"
        if one.unit is not None:
            line = spoken(told("{line}, address {unit}", line=line, unit=one.unit))
        read = ", ".join(f"{name} {value}" for name, value in one.fields.items())
        names = spoken(told(" or ")).join(one.drivers) or spoken(told("no driver reads it"))
        print(f"{one.port} ({line}): {names}")
        said = told("{read}    raw {raw}", read=read or told("answers"), raw=one.raw.hex())
        print(f"    {spoken(said)}")


def _write(path: Path, found: list[Found]) -> None:
    from edge.configuration import load_configuration
    from edge.rewriting import rewrite
    from edge.scan.proposal import propose
    from edge.site_log import What, folder_of, note_here
    from wire.clock import SystemClock

    before = path.read_text(encoding="utf-8")
    proposal = propose(before, found, str(path))
    rewrite(path, before, proposal.text)
    added = ", ".join(proposal.new) or told("nothing")
    folder = folder_of(load_configuration(proposal.text, str(path)))
    note_here(folder, What.SCANNED, SystemClock().now_ms(), text=f"added {added}")
    now = told("{path}: added {added}. Now: gampong edge check {path}", path=path, added=added)
    print(spoken(now))
    for each in proposal.left_out:
        print(f"  {spoken(told('left out: {what}', what=each))}")


def _tell(what: Told, done: int, whole: int) -> None:
    if sys.stderr.isatty():
        filled = _BAR * done // max(1, whole)
        bar = f"[{'#' * filled}{'.' * (_BAR - filled)}]"
        print(f"\r{bar} {spoken(what):<70.70}", end="", file=sys.stderr, flush=True)


def _clear() -> None:
    if sys.stderr.isatty():
        print(f"\r{' ' * (_BAR + 74)}\r", end="", file=sys.stderr, flush=True)
