"""`gampong edge`: the agent on the gateway, and a look at its configuration."""

from __future__ import annotations

import argparse
import gc
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gampong.log import begin_log

if TYPE_CHECKING:
    from edge.configuration import Device, EdgeConfiguration
    from edge.onlooker import Watch
    from wire.clock import CityTime
    from wire.messages import Ledger
    from wire.sentence import Told

GARBAGE_OBJECTS = 10_000
UNUSABLE = 2


def configure(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command `edge` with its words."""
    from gampong import confirmed_command, enrol_command, pin_command, site_log_command, top_command

    parser = subparsers.add_parser("edge", help="the agent on the gateway")
    words = parser.add_subparsers(dest="word", required=True, metavar="WORD")
    run_parser = words.add_parser(
        "run",
        help="read sensors, keep readings safe, send them",
        description="Runs the agent until SIGTERM or SIGINT. Exit code: 0 after a clean end, 1 "
        "after a bug or a damaged outbox (start it again), 2 when the configuration or the "
        "outbox's place has to be changed first.",
    )
    run_parser.add_argument("file", type=Path, help="gateway.toml")
    run_parser.add_argument(
        "--city-time", metavar="WALL_MS:CITY_MS:RATE", help="the simulated city's time"
    )
    run_parser.add_argument(
        "--drain-seconds", type=float, default=2.0, help="send so long at the end (default 2)"
    )
    run_parser.add_argument("--ledger", type=Path, help="write the final ledger here, as JSON")
    run_parser.set_defaults(run=run)
    check_parser = words.add_parser(
        "check",
        help="check a configuration without connecting to anything",
        description="Exit code 2 with file, key and remedy when it can't be used.",
    )
    check_parser.add_argument("file", type=Path, help="gateway.toml")
    check_parser.set_defaults(run=check)
    enrol_command.configure(words)
    confirmed_command.configure(words)
    pin_command.configure(words)
    top_command.configure(words)
    site_log_command.configure(words)


def run(arguments: argparse.Namespace) -> int:
    """`gampong edge run`."""
    import asyncio

    from edge.outbox_file import OutboxDamaged, OutboxUnusable
    from wire.configuration import ConfigurationError

    begin_log()
    log = logging.getLogger("gampong.edge")
    try:
        city = _city_time(arguments.city_time)
        ledger = asyncio.run(_run(arguments.file, city, arguments.drain_seconds))
    except (ConfigurationError, OutboxUnusable) as error:
        print(f"gampong edge run: {error}", file=sys.stderr)
        return UNUSABLE
    except (OutboxDamaged, ExceptionGroup) as error:
        if isinstance(error, ExceptionGroup) and error.split(OutboxDamaged)[1]:
            raise  # something else, too
        log.critical("event=outbox_damaged remedy=%r", "start again: it is repaired then")
        return 1
    log.info("event=ended balanced=%s waiting=%d", ledger.balanced, ledger.waiting)
    if arguments.ledger:
        _write_ledger(arguments.ledger, ledger)
    return 0


def check(arguments: argparse.Namespace) -> int:
    """`gampong edge check`."""
    from gampong.spoken import complain, spoken
    from wire.configuration import ConfigurationError
    from wire.sentence import told

    try:
        configuration = _load(arguments.file)
    except ConfigurationError as error:
        complain("edge check", error)
        return UNUSABLE
    for line in _described(configuration):
        print(spoken(line))
    if configuration.page.host:
        from edge.page.pin import PinUnusable, read

        try:
            read(Path(configuration.page.pin_file))
        except PinUnusable as error:
            why = told("warning: nobody can log in to the page: {why}", why=error.args[0])
            print(spoken(why), file=sys.stderr)
    return 0


def _load(file: Path) -> EdgeConfiguration:
    """The configuration with every file it names looked at.

    Raises:
        ConfigurationError: names file, key and remedy.
    """
    from edge.remote_check import checked
    from wire.configuration import ConfigurationError

    try:
        text = file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        remedy = "Name the gateway's TOML file"
        raise ConfigurationError(str(file), "", reason.lower(), remedy) from error
    return checked(text, str(file))


def _city_time(text: str | None) -> CityTime:
    from wire.clock import REAL_TIME, CityTime
    from wire.configuration import ConfigurationError

    try:
        return CityTime.parse(text) if text else REAL_TIME
    except ValueError as error:
        remedy = "Give WALL_MS:CITY_MS:RATE, as `gampong demo` does"
        raise ConfigurationError("--city-time", "", str(error), remedy) from error


async def _run(path: Path, city: CityTime, drain_s: float) -> Ledger:
    """Run the agent; again with another configuration where there is one, until told to stop."""
    import asyncio
    import signal

    from edge.agent import boot_id, run_agent
    from edge.configuration_file import ConfigurationFile
    from edge.remote import Remote
    from gampong import __version__, service
    from gampong.edge_page import own_page
    from wire.clock import SystemClock

    clock = SystemClock(city)
    file = ConfigurationFile(path, clock, boot_id())
    configuration = file.begin()
    stop = asyncio.Event()

    def leave() -> None:
        stop.set()
        file.again.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, leave)
    service.notify("READY=1")
    service.stay_alive(loop)
    _collect_seldom()
    async with own_page(file, clock) as page:
        while True:
            remote = Remote(file, configuration.gateway.name, configuration.remote.accept, clock)
            watch, onlookers = _watch(configuration), (remote, *page.onlookers(configuration))
            ledger = await run_agent(
                configuration, clock, file.again, drain_s, __version__, watch, onlookers
            )
            if stop.is_set():
                return ledger
            configuration = file.begin()


def _watch(configuration: EdgeConfiguration) -> Watch | None:
    """Metrics, imported only where they are wanted."""
    if not configuration.metrics.listen:
        return None
    from gampong.edge_metrics import edge_pages
    from gampong.metrics import serve

    return lambda look: serve(configuration.metrics, edge_pages(look))


def _collect_seldom() -> None:
    """Uplinks make many small objects that die without a collector's help; what was imported lives
    as long as the process, and is looked at no more."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_OBJECTS)


def _write_ledger(file: Path, ledger: Ledger) -> None:
    """Whole or not at all: whoever reads it may come at any moment."""
    from wire.messages import encode_message

    part = file.with_name(f"{file.name}.part")
    part.write_bytes(encode_message(ledger))
    part.replace(file)


def _described(configuration: EdgeConfiguration) -> list[Told]:
    """What `run` would open, for a person."""
    from wire.sentence import told

    gateway, broker, outbox = configuration.gateway, configuration.broker, configuration.outbox
    way = told("plain")
    if broker.tls:
        way = told("TLS, certificate {file}", file=broker.tls.certificate_file)
    where, size_mib = f"{broker.host}:{broker.port}", outbox.bytes_max // 1024**2
    lines = [
        told("gateway {name}, site {site}", name=gateway.name, site=gateway.site),
        told("  sends to {where} ({way})", where=where, way=way),
        told("  outbox {path}, at most {size_mib} MiB", path=outbox.path, size_mib=size_mib),
    ]
    for link in configuration.link:
        kind = type(link).__struct_config__.tag
        opened = next(filter(None, (getattr(link, a, "") for a in ("port", "url", "listen"))), "")
        if not opened and (far := getattr(link, "broker", None)):
            opened = f"{far.host}:{far.port}"
        lines.append(
            told("link {link} ({kind}): {opened}", link=link.name, kind=kind, opened=opened)
        )
        hung = [device for device in configuration.device if device.link == link.name]
        lines += map(_described_device, hung)
    return lines


def _described_device(device: Device) -> Told:
    from wire.sentence import told

    line = told(
        "  device {device} in {zone}: {driver}",
        device=device.name,
        zone=device.zone,
        driver=device.driver,
    )
    if device.unit is not None:
        line = told("{line}, unit {unit}", line=line, unit=device.unit)
    return told("{line}, {dev_eui}", line=line, dev_eui=device.dev_eui) if device.dev_eui else line
