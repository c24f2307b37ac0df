"""`gampong page`: the live page over a store."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gampong.log import begin_log

if TYPE_CHECKING:
    from dashboards.configuration import PageConfiguration
    from dashboards.server import Given

UNUSABLE = 2


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
    store.add_argument("--config", metavar="FILE", help="page.toml")
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on; another needs accounts"
    )
    parser.add_argument("--port", type=int, default=8080, help="0 picks a free one")
    parser.add_argument("--city-time", metavar="WALL:CITY:RATE", help="a simulated city's clock")
    parser.add_argument("--note", default="", help="what the footer says of city and broker")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve; 0 after a signal, 2 when the arguments can't be used."""
    import asyncio

    from dashboards.server import serve
    from wire.configuration import ConfigurationError

    begin_log()
    try:
        given = _given(arguments)
        _warn(given, arguments.host)
        asyncio.run(serve(given, host=arguments.host, port=arguments.port, ready=_say_ready))
    except ConfigurationError as error:
        print(f"gampong page: {error}", file=sys.stderr)
        return UNUSABLE
    except OSError as error:
        print(f"gampong page: {arguments.host}:{arguments.port}: {error}", file=sys.stderr)
        return UNUSABLE
    return 0


def _say_ready(address: str) -> None:
    print(f"page {address}", flush=True)


def _warn(given: Given, host: str) -> None:
    """Of what works, and shouldn't be left so."""
    import logging

    from dashboards.configuration import is_loopback

    if not is_loopback(host) and not given.configuration.accounts.https:
        remedy = "put a proxy that ends TLS before the page and set accounts.https"
        logging.getLogger(__name__).warning("event=passwords_in_clear remedy=%r", remedy)


def _given(arguments: argparse.Namespace) -> Given:
    """Everything that is served, checked before anything starts.

    Raises:
        ConfigurationError: names the file or argument, the key and the remedy.
    """
    from dashboards.configuration import check_listening, round_of
    from dashboards.page import About
    from dashboards.server import Given
    from wire.clock import REAL_TIME, CityTime, SystemClock
    from wire.configuration import ConfigurationError

    if not 0 <= arguments.port <= 65535:
        raise ConfigurationError("--port", "", str(arguments.port), "--port must be 0 to 65535")
    try:
        city = CityTime.parse(arguments.city_time) if arguments.city_time else REAL_TIME
    except ValueError as error:
        raise ConfigurationError("--city-time", "", str(error)) from error
    configuration = _configuration(arguments)
    check_listening(configuration, arguments.host)
    return Given(
        configuration=configuration,
        round=round_of(configuration),
        about=About(store=_label(configuration), note=arguments.note, rate=city.rate),
        clock=SystemClock(city),
        wall=SystemClock(),
    )


def _configuration(arguments: argparse.Namespace) -> PageConfiguration:
    from dashboards.configuration import PageConfiguration, read
    from ingest.stores.configuration import SqliteSettings
    from wire.configuration import ConfigurationError

    if arguments.config:
        return read(arguments.config)
    type_, _, path = arguments.store.partition(":")
    if type_ != "sqlite" or not path:
        raise ConfigurationError("--store", "", arguments.store, "Write it as sqlite:PATH")
    return PageConfiguration(store=SqliteSettings(path=path))


def _label(configuration: PageConfiguration) -> str:
    """What the footer calls the store."""
    from ingest.stores.configuration import SqliteSettings

    store = configuration.store
    if isinstance(store, SqliteSettings):
        return f"SQLite {Path(store.path).name}"
    return f"InfluxDB {store.url}"
