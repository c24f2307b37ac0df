"""`gampong device claims|accept FILE …`: which device belongs to which gateway, as operators say.

Runs where the watch runs, as its user. In: `ingest.toml`. Out: results on stdout, an exit code: 0,
1 when there is no such claim or no watch took it up, 2 for a configuration or a folder that can't
be used.
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from gampong.taken_up import taken_up_or_said
from wire.clock import REAL_TIME, CityTime, SystemClock
from wire.configuration import ConfigurationError

UNUSABLE = 2
NOT_DONE = 1


def configure(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command with its words."""
    from gampong import device_change_command

    device = subparsers.add_parser("device", help="whose it is, a new sensor, work at it")
    words = device.add_subparsers(dest="device_command", required=True, metavar="WORD")

    claims = words.add_parser("claims", help="gateways that announce another one's device")
    claims.add_argument("file", type=Path, metavar="FILE", help="ingest.toml")
    claims.set_defaults(run=run_claims)

    accept = words.add_parser("accept", help="a claim is right: the device has moved")
    accept.add_argument("file", type=Path, metavar="FILE", help="ingest.toml")
    accept.add_argument("device", metavar="DEVICE")
    accept.add_argument("gateway", metavar="GATEWAY", help="where it is now")
    accept.add_argument(
        "--city-time", type=CityTime.parse, default=REAL_TIME, help="WALL_MS:CITY_MS:RATE"
    )
    accept.set_defaults(run=run_accept)
    device_change_command.configure(words)


def run_claims(args: argparse.Namespace) -> int:
    """One line a claim: device, owner, who claims it, since when."""
    from ingest.registry_file import load_registry

    try:
        file = load_registry(_registry_path(args.file))
    except (ConfigurationError, OSError) as error:
        return _fail(error)
    for claim in sorted(file.claims, key=lambda claim: (claim.device, claim.since_ms)):
        owner = file.owners[claim.device][-1].gateway
        print(f"{claim.device} of {owner} claimed by {claim.gateway} since {_date(claim.since_ms)}")
    return 0


def run_accept(args: argparse.Namespace) -> int:
    """Ask the watch to accept a claim, and wait until it has."""
    from ingest.moves import Move, leave_word
    from ingest.registry_file import load_registry

    move, clock = Move(args.device, args.gateway), SystemClock(args.city_time)
    try:
        registry = _registry_path(args.file)
        claims = load_registry(registry).claims
        claim = next(
            (c for c in claims if (c.device, c.gateway) == (move.device, move.gateway)), None
        )
        if claim is None:
            print(f"{move.gateway} doesn't claim {move.device}: see gampong device claims")
            return NOT_DONE
        request = leave_word(registry, move, clock.now_ms())
        if not taken_up_or_said(request, clock):
            return NOT_DONE
    except (ConfigurationError, OSError) as error:
        return _fail(error)
    print(f"{move.device} belongs to {move.gateway} since {_date(claim.since_ms)}")
    print("its dead letters: gampong ingest replay, where each ingestor runs")
    return 0


def _registry_path(file: Path) -> Path:
    from ingest.configuration import read_configuration

    return Path(read_configuration(file).watch.registry_path)


def _date(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _fail(error: Exception) -> int:
    print(error, file=sys.stderr)
    return UNUSABLE
