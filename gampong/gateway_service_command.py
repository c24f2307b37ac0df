"""`gampong gateway renew|crl`: what goes on by itself on the authority's machine.

`renew` answers gateways that ask for their next certificate; `crl` takes in other authorities'
revocation lists. In: `authority.toml`. Out: logs, an exit code (`authority_files.py`).
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from gampong import service
from gampong.authority_files import (
    broker_as,
    guarded,
    load,
    now,
    opened,
    reload,
    serve_lists,
    tell,
)
from gampong.log import begin_log

if TYPE_CHECKING:
    from ingest.broker import Door
    from ingest.trust.renewals import Renewals
    from ingest.trust.settings import TrustConfiguration

EVERY_S_MIN = 60.0

Word = Callable[[str, str], argparse.ArgumentParser]


def configure(word: Word) -> None:
    """Add the words."""
    renew = word("renew", "serve gateways that ask for their next certificate; until SIGTERM")
    renew.set_defaults(run=run_renew)

    crl = word("crl", "take in other authorities' revocation lists, and cut off whom they name")
    crl.add_argument(
        "--every", type=float, default=0.0, metavar="S", help="again and again, until SIGTERM"
    )
    crl.set_defaults(run=run_crl)


def run_renew(args: argparse.Namespace) -> int:
    """Holds the authority's key for as long as it runs."""

    def serve() -> int:
        from ingest.broker import open_door
        from ingest.trust.renewals import Renewals

        begin_log()
        configuration = load(args.file)
        authority = opened(configuration)
        door = open_door(broker_as(configuration, "signer"), str(args.file))
        renewals = Renewals(authority, configuration.authority.gateway_days)
        asyncio.run(_serve(renewals, door))
        return 0

    return guarded(serve)


async def _serve(renewals: Renewals, door: Door) -> None:
    from ingest.trust.signer import Signer
    from wire.clock import SystemClock

    stop = service.stop_on_signals()
    print("ready", flush=True)
    signer = Signer(renewals, SystemClock(), now)
    name = f"gampong-signer-{secrets.token_hex(4)}"  # a known one could be taken over
    await service.run_until(stop, signer.run(door, name))


def run_crl(args: argparse.Namespace) -> int:
    """Once; or every so many seconds, where a failure is only said."""
    if not args.every:
        return guarded(lambda: _refresh(load(args.file)))
    begin_log()
    while True:
        guarded(lambda: _refresh(load(args.file)))
        time.sleep(max(args.every, EVERY_S_MIN))


def _refresh(configuration: TrustConfiguration) -> int:
    from ingest.trust.access import Role, commands_to_cut
    from ingest.trust.issued import read_issued
    from ingest.trust.others import note_revoked, read_others
    from ingest.trust.revocations import refresh

    settings = configuration.authority
    folder = Path(settings.folder)
    believed, listed = read_others(settings.others_file), read_issued(folder)
    done = refresh(folder, settings.others_crls, believed, listed, now())
    for problem in done.problems:
        print(problem, file=sys.stderr)
    if done.changed:
        serve_lists(configuration)
    note_revoked(folder, done.revoked, now())
    good = {one.name for one in read_issued(folder) if not one.revoked_ms}
    gone = sorted({one.name for one in done.revoked} - good)
    print(f"{done.changed} lists are new, {len(gone)} gateways cut off {' '.join(gone)}".rstrip())
    commands = [each for name in gone for each in commands_to_cut(name, Role.GATEWAY)]
    told = tell(configuration, commands) if commands else 0
    code = told or (reload(configuration) if done.changed else 0)
    return code or int(bool(done.problems))
