"""`gampong opendata`: the public page and API, and a day's signed export."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gampong.log import begin_log

if TYPE_CHECKING:
    from dashboards.opendata.configuration import OpenDataConfiguration
    from wire.clock import CityTime


def configure(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command `opendata`."""
    parser = subparsers.add_parser(
        "opendata",
        help="the public page and open data",
        description="Serves the public page and the open data API until SIGTERM or Ctrl-C. Prints "
        "`opendata ADDRESS` when it answers.",
    )
    parser.add_argument("--config", metavar="FILE", help="opendata.toml")
    parser.add_argument("--city-time", metavar="WALL:CITY:RATE", help="a simulated city's clock")
    parser.set_defaults(run=serve)
    inner = parser.add_subparsers(metavar="WORD")
    export = inner.add_parser(
        "export",
        help="a day as CSV, signed",
        description="Writes a day's hours as CSV with a detached CMS signature beside it.",
    )
    export.add_argument("--config", metavar="FILE", required=True, help="opendata.toml")
    export.add_argument("--day", required=True, help="of the city's calendar: 2026-08-01")
    export.add_argument("--certificate", required=True, type=Path, help="the signer's, PEM")
    export.add_argument("--key", required=True, type=Path, help="its private key, PEM")
    export.add_argument("--out", type=Path, default=Path(), help="folder to write into")
    export.add_argument("--city-time", metavar="WALL:CITY:RATE", help="a simulated city's clock")
    export.set_defaults(run=write_day)
    push = inner.add_parser(
        "push",
        help="hours to a CKAN datastore",
        description="Writes what CKAN doesn't have yet, and the newest hours again. Run it each "
        "hour: what was missed is made up for.",
    )
    push.add_argument("--config", metavar="FILE", required=True, help="opendata.toml, with [ckan]")
    push.add_argument("--since", metavar="DAY", help="begin there, whatever CKAN has: 2026-08-01")
    push.add_argument("--dry-run", action="store_true", help="only say what would be written")
    push.add_argument("--city-time", metavar="WALL:CITY:RATE", help="a simulated city's clock")
    push.set_defaults(run=push_hours)


def serve(arguments: argparse.Namespace) -> int:
    """Serve; 0 after a signal, 2 when the arguments can't be used."""
    import asyncio

    from dashboards.opendata.server import serve as serve_city
    from wire.clock import SystemClock
    from wire.configuration import ConfigurationError

    begin_log()
    if not arguments.config:
        return _refuse("--config FILE is needed: opendata.toml")
    try:
        settings = _settings(arguments.config)
        clock = SystemClock(_city(arguments.city_time))
    except (ConfigurationError, ValueError) as error:
        return _refuse(str(error))
    try:
        asyncio.run(serve_city(settings, clock, ready=_say_ready))
    except OSError as error:
        return _refuse(f"{settings.host}:{settings.port}: {error}")
    return 0


def write_day(arguments: argparse.Namespace) -> int:
    """Write one day; 0 and the paths, 1 when the store is away, 2 for what can't be used."""
    import asyncio
    from datetime import date

    from ingest.stores import StoreError
    from wire.clock import SystemClock
    from wire.configuration import ConfigurationError

    try:
        from dashboards.opendata.export import ExportError, Signer, export_day
    except ImportError as error:
        return _refuse(f"{error}. Signing needs the extra `trust`: pip install 'gampong[trust]'")
    try:
        settings, day = _settings(arguments.config), date.fromisoformat(arguments.day)
        signer = Signer(arguments.certificate, arguments.key)
        clock = SystemClock(_city(arguments.city_time))
        written = asyncio.run(export_day(settings, clock, day, signer, arguments.out))
    except StoreError as error:
        print(f"gampong opendata: {error}", file=sys.stderr)
        return 1
    except (ConfigurationError, ExportError, ValueError, OSError) as error:
        return _refuse(str(error))
    for path in written:
        print(path)
    return 0


def push_hours(arguments: argparse.Namespace) -> int:
    """Push; 0, 1 when CKAN or the store is away (run it again), 2 for what needs somebody."""
    import asyncio
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from ingest.stores import StoreError
    from wire.clock import SystemClock
    from wire.configuration import ConfigurationError

    try:
        from dashboards.opendata.ckan import Ckan, CkanAway, CkanRefuses
        from dashboards.opendata.push import push
    except ImportError as error:
        return _refuse(f"{error}. CKAN needs the extra: pip install 'gampong[opendata]'")
    from dashboards.store_file import open_source

    async def run(
        settings: OpenDataConfiguration, since_ms: int | None, clock: SystemClock
    ) -> None:
        assert settings.ckan
        with Ckan(settings.ckan) as ckan:
            async with open_source(settings.store, clock) as source:
                await push(
                    settings, source, ckan, clock,
                    since_ms=since_ms, dry_run=arguments.dry_run, tell=print,
                )  # fmt: skip

    try:
        settings = _settings(arguments.config)
        if settings.ckan is None:
            return _refuse(f"{arguments.config} has no table [ckan]")
        since_ms = None
        if arguments.since:
            midnight = datetime.fromisoformat(arguments.since)
            zoned = midnight.replace(tzinfo=ZoneInfo(settings.time_zone))
            since_ms = round(zoned.timestamp() * 1000)
        asyncio.run(run(settings, since_ms, SystemClock(_city(arguments.city_time))))
    except (StoreError, CkanAway) as error:
        print(f"gampong opendata: {error}", file=sys.stderr)
        return 1
    except (ConfigurationError, CkanRefuses, ValueError) as error:
        return _refuse(str(error))
    return 0


def _settings(source: str) -> OpenDataConfiguration:
    from dashboards.opendata.configuration import load
    from wire.configuration import ConfigurationError

    try:
        text = Path(source).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(source, "", str(error), "Name a TOML file") from error
    return load(text, source)


def _city(argument: str | None) -> CityTime:
    from wire.clock import REAL_TIME, CityTime

    return CityTime.parse(argument) if argument else REAL_TIME


def _say_ready(address: str) -> None:
    print(f"opendata {address}", flush=True)


def _refuse(why: str) -> int:
    print(f"gampong opendata: {why}", file=sys.stderr)
    return 2
