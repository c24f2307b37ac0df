"""`gampong bus gateway.toml [LINK]`: the doctor of an RS-485 bus.

In: the gateway's configuration. Out: a histogram of answer times a slave and findings with
remedies on stdout (`--json`: the record and the findings). Only reads. Exit code: 0 when nothing
fails, 1 when something does, 2 when the port or the configuration can't be used. The agent must
not hold the port.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gampong.spoken import complain, spoken
from wire.sentence import told

if TYPE_CHECKING:
    from edge.configuration import EdgeConfiguration
    from edge.doctor import Finding
    from edge.doctor.bus import BusRecord
    from edge.link_settings import ModbusPort

FAILED, UNUSABLE = 1, 2


def configure(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    bus = subparsers.add_parser(
        "bus",
        help="the doctor of an RS-485 bus: who answers how, and what it suffers from",
        description="Asks every slave of a link some dozen times, only reading. Stop the agent "
        "first: one program a port. Example: gampong bus gateway.toml bus-1",
    )
    bus.add_argument("file", type=Path, metavar="FILE", help="gateway.toml")
    bus.add_argument("link", nargs="?", metavar="LINK", help="its name (default: the only one)")
    bus.add_argument("--rounds", type=int, default=20, help="questions to each (default 20)")
    bus.add_argument("--json", action="store_true", help="the record and the findings, as JSON")
    bus.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """`gampong bus`."""
    from edge.configuration import load_configuration
    from edge.doctor.bus_advice import advise
    from edge.links.serial_port import PortDown
    from wire.configuration import ConfigurationError

    try:
        text = arguments.file.read_text(encoding="utf-8")
        configuration = load_configuration(text, str(arguments.file))
        settings = _settings(configuration, arguments.link, str(arguments.file))
        if arguments.rounds < 1:
            raise ConfigurationError("--rounds", "", told("below 1"), told("Give 20"))
        record = asyncio.run(_examine(configuration, settings, arguments.rounds))
    except (ConfigurationError, PortDown, OSError, UnicodeDecodeError) as error:
        complain("bus", error)
        return UNUSABLE
    findings = list(advise(record))
    if arguments.json:
        _print_json(record, findings)
    else:
        _show(record, findings)
    return FAILED if any(finding.verdict == "fail" for finding in findings) else 0


def _settings(configuration: EdgeConfiguration, name: str | None, source: str) -> ModbusPort:
    """The link of that name, or the only one with slaves.

    Raises:
        ConfigurationError: none, or several.
    """
    from edge.link_settings import ModbusPort
    from wire.configuration import ConfigurationError

    used = {device.link for device in configuration.device}
    buses = {one.name: one for one in configuration.link if isinstance(one, ModbusPort)}
    buses = {one: settings for one, settings in buses.items() if one in used}
    if name is None and len(buses) == 1:
        return next(iter(buses.values()))
    if name not in buses:
        none = told("none: gampong scan finds slaves")
        remedy = told("Take one of: {names}", names=", ".join(buses) or none)
        problem = (
            told("no bus {name!r} with slaves", name=name)
            if name
            else told("{count} of them", count=len(buses))
        )
        raise ConfigurationError(source, "link", problem, remedy)
    return buses[name]


async def _examine(
    configuration: EdgeConfiguration, settings: ModbusPort, rounds: int
) -> BusRecord:
    from edge.doctor.bus import examine
    from wire.clock import SystemClock

    def tell(done: int, whole: int) -> None:
        if sys.stderr.isatty():
            print(f"\r{100 * done // whole:3} %", end="", file=sys.stderr, flush=True)

    try:
        return await examine(configuration, settings, SystemClock(), rounds, tell)
    finally:
        if sys.stderr.isatty():
            print("\r     \r", end="", file=sys.stderr, flush=True)


def _show(record: BusRecord, findings: list[Finding]) -> None:
    from edge.doctor.bus_advice import histogram
    from gampong.doctor_command import say

    for slave in record.slaves:
        asked = told(
            "address {unit} ({devices}), asked {asked} times",
            unit=slave.unit,
            devices=", ".join(slave.devices),
            asked=slave.asked,
        )
        print(spoken(asked))
        for row in histogram(slave, spoken):
            print(row)
    for finding in findings:
        say(finding)


def _print_json(record: BusRecord, findings: list[Finding]) -> None:
    from edge.doctor import as_json

    print(as_json({"bus": record, "findings": findings}).decode())
