"""`gampong ingest run|setup|replay FILE`: the cloud side's process and its two tools.

In: parsed arguments. Out: logs on stderr, results on stdout, an exit code: 0, or 2 for a
configuration or a command that can't be carried out, with the file, the key and the remedy.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gampong import service
from gampong.log import begin_log
from wire.clock import REAL_TIME, CityTime, SystemClock
from wire.configuration import ConfigurationError

if TYPE_CHECKING:
    from ingest.broker import Door
    from ingest.configuration import IngestConfiguration
    from ingest.ingestor import Ingestor

GARBAGE_OBJECTS = 50_000
UNUSABLE = 2
KEPT = 1
REGISTRY_S = 10.0
"""Wall seconds for the broker to say which device belongs to which gateway."""


def configure(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command with its three words."""
    ingest = subparsers.add_parser("ingest", help="batches from the broker into the database")
    words = ingest.add_subparsers(dest="ingest_command", required=True, metavar="WORD")

    run = words.add_parser("run", help="the ingestor process")
    run.add_argument("file", type=Path, metavar="FILE", help="ingest.toml")
    _add_city_time(run)
    run.set_defaults(run=run_ingestor)

    setup = words.add_parser("setup", help="make the database ready, again and again without harm")
    setup.add_argument("file", type=Path, metavar="FILE", help="ingest.toml")
    setup.add_argument("--admin-token-file", type=Path, metavar="FILE", help="may make buckets")
    setup.add_argument("--read-token-file", type=Path, metavar="FILE", help="written, for pages")
    setup.add_argument("--onboard", default="", metavar="USER", help="first user of a fresh one")
    setup.add_argument("--onboard-password-file", type=Path, metavar="FILE")
    setup.set_defaults(run=run_setup)

    replay = words.add_parser("replay", help="store the dead letters that are good now")
    replay.add_argument("file", type=Path, metavar="FILE", help="ingest.toml")
    _add_city_time(replay)
    replay.set_defaults(run=run_replay)


def run_ingestor(args: argparse.Namespace) -> int:
    """Ingest until SIGTERM or SIGINT."""
    from ingest.broker import open_door
    from ingest.configuration import read_configuration
    from ingest.stores import StoreError

    begin_log()
    try:
        configuration = read_configuration(args.file)
        door = open_door(configuration.broker, str(args.file))
        asyncio.run(_ingest(configuration, door, SystemClock(args.city_time)))
    except (ConfigurationError, StoreError) as error:
        return _fail(error)
    return 0


def run_setup(args: argparse.Namespace) -> int:
    """Make buckets, mappings and tokens, or the embedded store's file."""
    from ingest.configuration import read_configuration
    from ingest.stores import StoreError
    from ingest.stores.configuration import InfluxSettings
    from ingest.stores.onboarding import SetupRequest
    from ingest.stores.open import setup

    given = {
        name: value
        for name in ("admin_token_file", "read_token_file", "onboard", "onboard_password_file")
        if (value := getattr(args, name))
    }
    try:
        settings = read_configuration(args.file, before_setup=True).store
        if isinstance(settings, InfluxSettings):
            given["write_token_file"] = Path(settings.token_file)
        steps = asyncio.run(setup(settings, SetupRequest(**given), SystemClock()))
    except (ConfigurationError, StoreError) as error:
        return _fail(error)
    for step in steps:
        print(f"{step.outcome:8}{step.what} {step.detail}".rstrip())
    return 0


def run_replay(args: argparse.Namespace) -> int:
    """Judge dead letters again; 1 when the store kept some for later."""
    from ingest.broker import open_door
    from ingest.configuration import read_configuration
    from ingest.stores import StoreError

    try:
        configuration = read_configuration(args.file)
        door = open_door(configuration.broker, str(args.file))
        kept = asyncio.run(_replay(configuration, door, SystemClock(args.city_time)))
    except (ConfigurationError, StoreError, OSError) as error:
        return _fail(error)
    return KEPT if kept else 0


async def _ingest(configuration: IngestConfiguration, door: Door, clock: SystemClock) -> None:
    from ingest.ingestor import Ingestor
    from ingest.stores.open import open_store

    stop = service.stop_on_signals()
    async with open_store(configuration.store, clock) as store:
        _collect_seldom()
        service.notify("READY=1")
        service.stay_alive(asyncio.get_running_loop())
        ingestor = Ingestor(configuration, door, store, clock)
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(_be_watched(configuration, ingestor))
            await ingestor.run(stop)
            watching.cancel()


async def _be_watched(configuration: IngestConfiguration, ingestor: Ingestor) -> None:
    if configuration.metrics.listen:
        from gampong.ingest_metrics import ingest_pages
        from gampong.metrics import serve

        letters = Path(configuration.dead_letters.path)
        await serve(configuration.metrics, ingest_pages(ingestor, letters))


def _collect_seldom() -> None:
    """Batches make thousands of small objects that die without a collector's help; looking at all
    of them each time took a tenth of the CPU."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_OBJECTS)


async def _replay(configuration: IngestConfiguration, door: Door, clock: SystemClock) -> str:
    from ingest.dead_letters import DeadLetters
    from ingest.ownership import ask_registry
    from ingest.replay import replay
    from ingest.stores.open import open_store

    letters = DeadLetters.of(configuration.dead_letters)
    owner_of = newcomers = None
    if configuration.ingest.registry == "needed":
        ownership = await ask_registry(door, clock, REGISTRY_S, configuration.ingest.new_a_day_max)
        if ownership is None:
            problem, remedy = "no registry at the broker", "Start gampong watch"
            raise ConfigurationError("replay", "ingest.registry", problem, remedy)
        owner_of, newcomers = ownership.owner_of, ownership.newcomers
    async with open_store(configuration.store, clock) as store:
        limits = configuration.ingest.limits
        done = await replay(letters, store, clock, limits, owner_of, newcomers)
    print(f"stored {done.stored}")
    for reason, count in sorted(done.still_bad.items()):
        print(f"still {reason} {count}")
    if done.kept:
        print(f"the store takes nothing now ({done.kept}): run it again later", file=sys.stderr)
    return done.kept


def _add_city_time(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--city-time",
        type=CityTime.parse,
        default=REAL_TIME,
        metavar="W:C:R",
        help="at wall time W (ms) it was city time C (ms), which runs R times as fast",
    )


def _fail(error: Exception) -> int:
    print(error, file=sys.stderr)
    return UNUSABLE
