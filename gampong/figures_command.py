"""`gampong figures parking|waste|wifi --config figures.toml`: what the last days were like.

In: the store. Out: tables on stdout, or JSON with everything. Exit codes: 0, 2 for a configuration
or a store that can't be used.
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
    from dashboards.figures_configuration import FiguresConfiguration

UNUSABLE = 2
DAY_MS = 86_400_000
DAYS_MAX = 90.0


def configure(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command with its words."""
    figures = subparsers.add_parser("figures", help="what the last days were like")
    words = figures.add_subparsers(dest="figures_command", required=True, metavar="WORD")
    for name, about in (
        ("parking", "occupancy, turnover, stays, revenue, the next hours"),
        ("waste", "levels, time to full, emptyings, visits for little, overflow"),
        ("wifi", "availability a month against the provider's promise"),
    ):
        word = words.add_parser(name, help=about)
        word.add_argument("--config", type=Path, required=True, metavar="FILE", help="figures.toml")
        word.add_argument("--days", type=float, default=7.0, help="how far back; 7 by default")
        word.add_argument("--json", action="store_true", help="everything, for programs")
        word.add_argument(
            "--city-time", type=CityTime.parse, default=REAL_TIME, help="WALL_MS:CITY_MS:RATE"
        )
        word.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Read, compute, print."""
    from ingest.stores import StoreError

    if not 0 < args.days <= DAYS_MAX:
        print(f"gampong figures: --days must be more than 0, at most {DAYS_MAX:g}", file=sys.stderr)
        return UNUSABLE
    try:
        configuration = read_figures(args.config)
        sys.stdout.write(asyncio.run(_figures(args, configuration)))
    except (ConfigurationError, StoreError, OSError) as error:
        print(f"gampong figures: {error}", file=sys.stderr)
        return UNUSABLE
    return 0


def read_figures(path: Path) -> FiguresConfiguration:
    """The configuration in that file, checked.

    Raises:
        ConfigurationError: names the file, the key and the remedy.
    """
    from dashboards.configuration import read_file
    from dashboards.figures_configuration import FiguresConfiguration, check_figures

    source = str(path)
    return check_figures(decode_toml(read_file(source), FiguresConfiguration, source), source)


async def _figures(args: argparse.Namespace, configuration: FiguresConfiguration) -> str:
    from dashboards.figures import parking, waste, wifi
    from dashboards.figures_json import as_json
    from dashboards.figures_table import parking_table, waste_table, wifi_table
    from dashboards.readings import Range
    from dashboards.round_configuration import time_zone_of
    from dashboards.store_file import open_source

    clock = SystemClock(args.city_time)
    now_ms = clock.now_ms()
    zone = time_zone_of(configuration.time_zone, str(args.config), "time_zone")
    asked = Range(max(0, now_ms - int(args.days * DAY_MS)), now_ms, zone)
    async with open_source(configuration.store, clock) as store:
        if args.figures_command == "parking":
            zones = await parking(store, asked, configuration.overstay_min)
            return as_json(zones) if args.json else parking_table(zones, zone)
        if args.figures_command == "waste":
            bins = await waste(store, asked)
            return as_json(bins) if args.json else waste_table(bins)
        corners = await wifi(store, asked)
        return as_json(corners) if args.json else wifi_table(corners, configuration.promised)
