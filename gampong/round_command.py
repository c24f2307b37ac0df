"""`gampong round --config round.toml`: today's collection round.

In: the store. Out: the round on stdout or in a file, as a list for paper, GPX or JSON. Exit codes:
0 every bin that is due is on it, 1 some aren't (they are named) or no bin is known, 2 for a
configuration, a store or an installation that can't be used.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from wire.clock import REAL_TIME, CityTime, SystemClock
from wire.configuration import ConfigurationError, decode_toml

if TYPE_CHECKING:
    from dashboards.analysis.round_sheet import Sheet
    from dashboards.collection import Collection
    from dashboards.round_configuration import RoundConfiguration

UNUSABLE = 2
NOT_ALL = 1


def configure(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command `round`."""
    parser = subparsers.add_parser("round", help="which truck empties which bins, in which order")
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="round.toml")
    parser.add_argument("--format", choices=("list", "gpx", "json"), default="list")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write it there (stdout)")
    parser.add_argument(
        "--city-time", type=CityTime.parse, default=REAL_TIME, help="WALL_MS:CITY_MS:RATE"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Plan and write the round."""
    from ingest.stores import StoreError

    try:
        configuration = read_round(args.config)
        clock = SystemClock(args.city_time)
        found, sheet = asyncio.run(_plan(configuration, clock))
        _write(sheet, args.format, args.out)
    except (ConfigurationError, StoreError, OSError) as error:
        print(f"gampong round: {error}", file=sys.stderr)
        return UNUSABLE
    except ModuleNotFoundError as error:
        remedy = "pip install 'gampong[round]'"
        print(f"gampong round: no {error.name}: {remedy}", file=sys.stderr)
        return UNUSABLE
    if not found.bins:
        print("gampong round: no bins are known: does gampong watch run?", file=sys.stderr)
        return NOT_ALL
    return NOT_ALL if sheet.plan.left or sheet.skipped else 0


def read_round(path: Path) -> RoundConfiguration:
    """The configuration in that file, checked.

    Raises:
        ConfigurationError: names the file, the key and the remedy.
    """
    from dashboards.configuration import read_file
    from dashboards.round_configuration import RoundConfiguration, check_round

    source = str(path)
    return check_round(decode_toml(read_file(source), RoundConfiguration, source), source)


async def _plan(configuration: RoundConfiguration, clock: SystemClock) -> tuple[Collection, Sheet]:
    from dashboards.round_plan import round_plan
    from dashboards.store_file import open_source

    async with open_source(configuration.store, clock) as store:
        return await round_plan(store, configuration, clock.now_ms())


def _write(sheet: Sheet, form: str, out: Path | None) -> None:
    from dashboards.analysis.round_sheet import as_gpx, as_json, as_list

    text = {"list": as_list, "gpx": as_gpx, "json": as_json}[form](sheet)
    if out is None:
        sys.stdout.write(text)
    else:
        out.write_text(text, encoding="utf-8")
