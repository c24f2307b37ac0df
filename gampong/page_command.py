"""`gampong page`: the live page over a store."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ingest.stores.configuration import StoreSettings


def configure(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command `page`."""
    parser = subparsers.add_parser(
        "page",
        help="the live page of the city",
        description="Serves the live page over a store until SIGTERM or Ctrl-C. Prints "
        "`page ADDRESS` when it answers.",
    )
    store = parser.add_mutually_exclusive_group(required=True)
    store.add_argument("--store", metavar="sqlite:PATH", help="the embedded store's file")
    store.add_argument("--config", metavar="FILE", help="a TOML with a [store] table")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8080, help="0 picks a free one")
    parser.add_argument("--city-time", metavar="WALL:CITY:RATE", help="a simulated city's clock")
    parser.add_argument("--note", default="", help="what the footer says of city and broker")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve; 0 after a signal, 2 when the arguments can't be used."""
    import asyncio
    import logging
    from functools import partial

    from dashboards.feed import Feed
    from dashboards.page import About
    from dashboards.server import serve
    from dashboards.store_file import open_source
    from wire.clock import REAL_TIME, CityTime, SystemClock
    from wire.configuration import ConfigurationError

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    if not 0 <= arguments.port <= 65535:
        print("gampong page: --port must be 0 to 65535", file=sys.stderr)
        return 2
    try:
        settings, label = _store(arguments)
        city = CityTime.parse(arguments.city_time) if arguments.city_time else REAL_TIME
    except (ConfigurationError, ValueError) as error:
        print(f"gampong page: {error}", file=sys.stderr)
        return 2
    clock = SystemClock(city)
    feed = Feed(partial(open_source, settings, clock), clock)
    about = About(store=label, note=arguments.note, rate=city.rate)
    try:
        asyncio.run(serve(feed, about, host=arguments.host, port=arguments.port, ready=_say_ready))
    except OSError as error:
        print(f"gampong page: {arguments.host}:{arguments.port}: {error}", file=sys.stderr)
        return 2
    return 0


def _say_ready(address: str) -> None:
    print(f"page {address}", flush=True)


def _store(arguments: argparse.Namespace) -> tuple[StoreSettings, str]:
    """Which store, and what the footer calls it.

    Raises:
        ConfigurationError: names the file or argument, the key and the remedy.
    """
    from dashboards.configuration import PageConfiguration
    from ingest.stores.configuration import SqliteSettings, check_settings
    from wire.configuration import ConfigurationError, decode_toml

    if arguments.config:
        source = arguments.config
        try:
            text = Path(source).read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(source, "", str(error), "Name a TOML file") from error
        settings = decode_toml(text, PageConfiguration, source).store
        check_settings(settings, source)
    else:
        type_, _, path = arguments.store.partition(":")
        if type_ != "sqlite" or not path:
            raise ConfigurationError("--store", "", arguments.store, "Write it as sqlite:PATH")
        settings = SqliteSettings(path=path)
    if isinstance(settings, SqliteSettings):
        return settings, f"SQLite {Path(settings.path).name}"
    return settings, f"InfluxDB {settings.url}"
