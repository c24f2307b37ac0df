"""`gampong gateway retire`: a gateway is gone for good, and nobody is to look for it any more.

Runs where the watch runs, as its user. In: `ingest.toml`. Out: results on stdout, an exit code: 0,
1 when there is no such gateway or no watch took it up, 2 for a configuration or a folder that can't
be used.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from gampong.gateway_config_command import add_gateway
from gampong.taken_up import taken_up_or_said
from wire.clock import SystemClock
from wire.configuration import ConfigurationError

NOT_DONE, UNUSABLE = 1, 2


def configure(words: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `retire` to the words of `gateway`."""
    retire = words.add_parser(
        "retire",
        help="it is gone for good: off the map, its alerts end, its devices are free",
        description="Its history stays. A device of it belongs to the gateway that names it next. "
        "It can still connect: gampong gateway revoke sees to that. Example: gampong gateway "
        "retire ingest.toml mahirah-01",
    )
    add_gateway(retire)
    retire.add_argument("--back", action="store_true", help="it isn't gone: look for it again")
    retire.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Ask the watch, and wait until it has."""
    from ingest.configuration import read_configuration
    from ingest.moves import Retire, leave_word
    from ingest.registry_file import load_registry

    word, clock = Retire(args.name, args.back), SystemClock(args.city_time)
    try:
        registry = Path(read_configuration(args.file).watch.registry_path)
        file = load_registry(registry)
        known = file.retired.keys() if word.back else file.inventories.keys()
        if word.gateway not in known:
            print(_unknown(word.gateway, word.back, retired=word.gateway in file.retired))
            return NOT_DONE
        request = leave_word(registry, word, clock.now_ms())
        if not taken_up_or_said(request, clock):
            return NOT_DONE
    except (ConfigurationError, OSError) as error:
        print(error, file=sys.stderr)
        return UNUSABLE
    if word.back:
        print(f"{word.gateway} is looked for again, with what it announced last")
        return 0
    print(f"{word.gateway} is retired; its history stays (--back undoes it)")
    print(f"it can still connect: gampong gateway revoke authority.toml {word.gateway}")
    return 0


def _unknown(gateway: str, back: bool, retired: bool) -> str:
    if back:
        return f"{gateway} isn't retired"
    if retired:
        return f"{gateway} is retired already"
    return f"no gateway {gateway} has announced itself: see gampong gateway list"
