"""What the demo starts, in which order and with which files: decided before anything runs.

In: the options of `gampong demo`. Out: command lines and the configuration files they read, in one
folder. Every process gets the same city time.
"""

from __future__ import annotations

import argparse
import socket
from datetime import datetime, timedelta, timezone
from pathlib import Path

import msgspec

from dashboards.configuration import is_loopback
from gampong.broker import BrokerChoice
from gampong.children import gampong
from wire.clock import CityTime, SystemClock

WESTERN_INDONESIA = timezone(timedelta(hours=7))
DAYBREAK_HOUR = 6
PORT_TRIES = 10
SPEAK_FILE = "agents-listen"
"""Made when the agents have subscribed: not every broker keeps what nobody listens to."""

SPEED_MAX = 3600


class DemoOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options of `gampong demo`, checked."""

    seed: int = 1
    speed: float = 1.0
    seconds: float | None = None
    port: int = 8080
    host: str = "127.0.0.1"
    start: datetime | None = None
    report: Path | None = None
    truth: Path | None = None
    faults: bool = False
    headless: bool = False
    directory: Path | None = None
    fallback_broker: bool = False

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> DemoOptions:
        """From the command line.

        Raises:
            SystemExit: a value out of bounds, with the remedy.
        """
        options = cls(**{name: getattr(arguments, name) for name in cls.__struct_fields__})
        if not 0.1 <= options.speed <= SPEED_MAX:
            raise SystemExit(f"gampong demo: --speed must be 0.1 to {SPEED_MAX}")
        if options.seconds is not None and options.seconds <= 0:
            raise SystemExit("gampong demo: --seconds must be above 0")
        if not 0 <= options.port <= 65535:
            raise SystemExit("gampong demo: --port must be 0 to 65535")
        if not is_loopback(options.host):
            remedy = "nobody logs in to a demo: 127.0.0.1, and a tunnel (ssh -L) from elsewhere"
            raise SystemExit(f"gampong demo: --host must be of this machine: {remedy}")
        return options


def city_time(options: DemoOptions) -> CityTime:
    """City time for all processes: now at speed 1, otherwise the morning of today in Banda Aceh,
    since a city at full speed is worth watching from daybreak on."""
    now_ms = SystemClock().now_ms()
    start = options.start
    if start is None:
        if options.speed == 1:
            return CityTime(now_ms, now_ms)
        today = datetime.fromtimestamp(now_ms / 1000, WESTERN_INDONESIA)
        start = today.replace(hour=DAYBREAK_HOUR, minute=0, second=0, microsecond=0)
    elif start.tzinfo is None:
        start = start.replace(tzinfo=WESTERN_INDONESIA)
    return CityTime(now_ms, int(start.timestamp() * 1000), options.speed)


def free_port(host: str, wanted: int = 0) -> int:
    """`wanted` when it is free, the next free one above it when not, any when it is 0.

    Raises:
        OSError: none of the ports tried is free.
    """
    for port in range(wanted, wanted + PORT_TRIES) if wanted else (0,):
        with socket.socket() as probe:
            try:
                probe.bind((host, port))
            except OSError:
                continue
            bound: int = probe.getsockname()[1]
            return bound
    raise OSError(f"no free port on {host} from {wanted} on; choose another with --port")


class Plan(msgspec.Struct, frozen=True):
    """Command lines by process name, in the order they start, and where the files are."""

    folder: Path
    city: CityTime
    truth: Path
    database: Path
    broker_port: int
    page_port: int
    world: list[str]
    ingestor: list[str]
    watch: list[str]
    page: list[str]

    def agent(self, configuration: Path) -> list[str]:
        """The command line of one gateway's agent."""
        return gampong(
            *("edge", "run", str(configuration), "--city-time", self.city.argument),
            *("--drain-seconds", "20", "--ledger", str(self.ledger(configuration.stem))),
        )

    def ledger(self, gateway: str) -> Path:
        """Where that gateway's agent writes its ledger when it ends."""
        return self.folder / f"{gateway}.ledger.json"


def make_plan(options: DemoOptions, folder: Path, broker: BrokerChoice, broker_port: int) -> Plan:
    """The plan, and the ingestor's configuration written into the folder."""
    city = city_time(options)
    truth = (options.truth or folder / "truth.jsonl").absolute()
    database = folder / "city.db"
    page_port = 0 if options.headless else free_port(options.host, options.port)
    configuration = folder / "ingest.toml"
    configuration.write_text(
        f'[broker]\nport = {broker_port}\n\n[store]\ntype = "sqlite"\npath = "{database}"\n\n'
        f'[dead_letters]\npath = "{folder / "dead-letters.jsonl"}"\n\n'
        f'[watch]\nregistry_path = "{folder / "registry.json"}"\n\n'
        "[[revenue.tariff]]\nidr_per_hour = 2000\n"
    )
    timed = ("--city-time", city.argument)
    world = ["simulate", "--directory", str(folder), "--mqtt", f"127.0.0.1:{broker_port}"]
    world += ["--seed", str(options.seed), "--truth", str(truth), *timed]
    world += ["--speak-when", str(folder / SPEAK_FILE)]
    world += [] if broker.speaks_311 else ["--no-terminals"]
    note = f"simulated city, seed {options.seed}, speed {options.speed:g}, {broker.label}"
    page = ["page", "--config", str(_page_toml(folder, database)), "--host", options.host]
    page += ["--port", str(page_port), "--note", note, *timed]
    return Plan(
        folder=folder,
        city=city,
        truth=truth,
        database=database,
        broker_port=broker_port,
        page_port=page_port,
        world=gampong(*world, *(["--faults"] if options.faults else [])),
        ingestor=gampong("ingest", "run", str(configuration), *timed),
        watch=gampong("watch", str(configuration), *timed),
        page=gampong(*page),
    )


def _page_toml(folder: Path, database: Path) -> Path:
    """The page's configuration: nobody logs in, alerts are acknowledged at the watch's desk, and
    two trucks stand at a depot a kilometre from the market."""
    store = f'[store]\ntype = "sqlite"\npath = "{database}"\n\n'
    round_ = folder / "round.toml"
    round_.write_text(
        f'{store}[depot]\nlatitude = 5.5600\nlongitude = 95.3250\nlabel = "Depo DLHK3"\n\n'
        '[[truck]]\nname = "BL 8123 AH"\ncapacity_litres = 6000\ntrips = 2\n\n'
        '[[truck]]\nname = "BL 8456 AJ"\ncapacity_litres = 4000\ntrips = 2\n\n'
        '[round]\nsite = "pasar-mahirah"\n'
    )
    page = folder / "page.toml"
    page.write_text(
        f'round_file = "{round_}"\n\n{store}[alerts]\ndesk_file = "{folder / "alerts.json"}"\n'
    )
    return page
