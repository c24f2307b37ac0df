"""`gampong watch`: who should be heard, and who isn't."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

from gampong import service
from gampong.log import begin_log
from wire.clock import REAL_TIME, CityTime, SystemClock
from wire.configuration import ConfigurationError

if TYPE_CHECKING:
    import aiohttp

    from ingest.alerts.delivery import Delivery
    from ingest.configuration import IngestConfiguration
    from ingest.newest import See
    from ingest.stores.live import LiveStore
    from ingest.watch import Watch


def configure(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command `watch`."""
    parser = subparsers.add_parser(
        "watch",
        help="keep the registry, write health points and roll-ups, judge alerts; one for a city",
        description="Subscribes to every gateway's status and inventory. Needs the same "
        "ingest.toml as the ingestors.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="ingest.toml")
    parser.add_argument(
        "--city-time", type=CityTime.parse, default=REAL_TIME, help="WALL_MS:CITY_MS:RATE"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM; 2 when the configuration can't be used."""
    from ingest.stores import StoreError

    begin_log()
    try:
        asyncio.run(_serve(arguments.file, SystemClock(arguments.city_time)))
    except (ConfigurationError, StoreError) as error:
        print(f"gampong watch: {error}", file=sys.stderr)
        return 2
    return 0


async def _serve(path: Path, clock: SystemClock) -> None:
    import aiohttp

    from ingest.broker import open_door
    from ingest.configuration import read_configuration
    from ingest.stores.open import open_store

    configuration = read_configuration(path)
    door = open_door(configuration.broker, str(path))
    async with (
        open_store(configuration.store, clock) as store,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        watch, delivery = _compose(configuration, store, session, clock)
        stop = service.stop_on_signals()
        print("ready", flush=True)
        service.notify("READY=1")
        service.stay_alive(asyncio.get_running_loop())
        name = f"watch-{secrets.token_hex(4)}"
        await service.run_until(stop, delivery.run(), watch.run(door, name))


def _compose(
    configuration: IngestConfiguration,
    store: LiveStore,
    session: aiohttp.ClientSession,
    clock: SystemClock,
) -> tuple[Watch, Delivery]:
    """The watch, and what carries its news to people."""
    from dashboards.zones import see
    from ingest.alerts.delivery import Delivery
    from ingest.alerts.desk import desk_path
    from ingest.alerts.judge import Alerts
    from ingest.alerts.newsroom import Newsroom
    from ingest.alerts.receivers import receivers
    from ingest.watch import Watch

    settings, registry = configuration.alerts, Path(configuration.watch.registry_path)
    sendings = receivers(settings, session)
    newsroom = Newsroom(
        desk_path(registry), {name: sending.settings for name, sending in sendings.items()}
    )
    alerts = Alerts(store, settings, newsroom, configuration.ingest.late_s)
    delivery = Delivery(settings, newsroom, sendings, session, clock)
    # The page's `Timed` and the watch's are twins, each in its room.
    twin = cast("See", see)
    watch = Watch(
        store,
        clock,
        registry,
        twin,
        alerts,
        delivery.beat,
        settings.zone,
        configuration.revenue,
        configuration.ingest.retention_days,
        configuration.ingest.new_a_day_max,
    )
    return watch, delivery
