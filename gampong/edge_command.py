"""`gampong edge`: the agent on the gateway, and a look at its configuration."""

from __future__ import annotations

import argparse
import gc
import logging
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge.configuration import EdgeConfiguration
    from edge.onlooker import Watch
    from wire.clock import CityTime
    from wire.messages import Ledger

GARBAGE_OBJECTS = 10_000
UNUSABLE = 2
REPEAT_S = 60.0
_REPEATS_MAX = 256


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

    _begin_log()
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
    from wire.configuration import ConfigurationError

    try:
        configuration = _load(arguments.file)
    except ConfigurationError as error:
        print(f"gampong edge check: {error}", file=sys.stderr)
        return UNUSABLE
    for line in _described(configuration):
        print(line)
    for file in _readable_by_all(configuration):
        print(f"warning: {file} is readable for everyone. Run: chmod 600 {file}", file=sys.stderr)
    if configuration.page.host:
        from edge.page.pin import PinUnusable, read

        try:
            read(Path(configuration.page.pin_file))
        except PinUnusable as error:
            print(f"warning: nobody can log in to the page: {error}", file=sys.stderr)
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


class FewerRepeats(logging.Filter):
    """A line like one before, whatever its numbers, passes once a minute, with how many didn't."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[str, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        text = re.sub(r"\d+", "0", record.getMessage())
        now = record.created
        until, kept_back = self._seen.pop(text, (0.0, 0))
        if now < until:
            self._seen[text] = until, kept_back + 1
            return False
        self._seen[text] = now + REPEAT_S, 0
        if len(self._seen) > _REPEATS_MAX:
            del self._seen[next(iter(self._seen))]
        if kept_back:
            record.msg, record.args = f"{record.getMessage()} repeated={kept_back}", None
        return True


def _begin_log() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(FewerRepeats())
    line = "time=%(asctime)s level=%(levelname)s room=%(name)s %(message)s"
    handler.setFormatter(logging.Formatter(line, "%Y-%m-%dT%H:%M:%S%z"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


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
    from gampong.secret_files import say_readable
    from wire.clock import SystemClock

    clock = SystemClock(city)
    file = ConfigurationFile(path, clock, boot_id())
    configuration = file.begin()
    say_readable(map(str, _readable_by_all(configuration)))
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


def _described(configuration: EdgeConfiguration) -> list[str]:
    """What `run` would open, for a person."""
    gateway, broker, outbox = configuration.gateway, configuration.broker, configuration.outbox
    tls = f"TLS, certificate {broker.tls.certificate_file}" if broker.tls else "plain"
    lines = [
        f"gateway {gateway.name}, site {gateway.site}",
        f"  sends to {broker.host}:{broker.port} ({tls})",
        f"  outbox {outbox.path}, at most {outbox.bytes_max // 1024**2} MiB",
    ]
    for link in configuration.link:
        kind = type(link).__struct_config__.tag
        opened = next(filter(None, (getattr(link, a, "") for a in ("port", "url", "listen"))), "")
        if not opened and (far := getattr(link, "broker", None)):
            opened = f"{far.host}:{far.port}"
        lines.append(f"link {link.name} ({kind}): {opened}")
        for device in configuration.device:
            if device.link == link.name:
                where = f", unit {device.unit}" if device.unit is not None else ""
                where += f", {device.dev_eui}" if device.dev_eui else ""
                lines.append(f"  device {device.name} in {device.zone}: {device.driver}{where}")
    return lines


def _readable_by_all(configuration: EdgeConfiguration) -> list[Path]:
    """Secrets that any user of the machine could read."""
    from edge.link_files import secret_files
    from edge.remote_check import brokers_of
    from gampong.secret_files import readable_by_all

    brokers = brokers_of(configuration)
    files = [broker.password_file for broker in brokers]
    files += [broker.tls.key_file for broker in brokers if broker.tls]
    files += [link.password_file for link in configuration.link if hasattr(link, "password_file")]
    files += secret_files(configuration)
    return readable_by_all(files)
