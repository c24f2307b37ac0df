"""`gampong gateway list`: every gateway, its certificate, and when it was last heard.

In: the authority's list; the statuses that the broker keeps, read as `viewer`. Out: a line a name
on stdout, or JSON. A broker that can't be reached costs the last columns, and is said on stderr.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from gampong.authority_files import broker_as, guarded, load, now
from wire.configuration import ConfigurationError
from wire.messages import Status

if TYPE_CHECKING:
    from ingest.broker import Door
    from ingest.trust.issued import Issued

DAY_MS = 24 * 3600 * 1000
ANSWER_S = 10.0
QUIET_S = 0.3

Word = Callable[[str, str], argparse.ArgumentParser]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One name. `state` is good, ending (less than a third is left), expired or revoked; times are
    UTC milliseconds. `online` is None where the broker keeps no status of it, or wasn't asked;
    `seen_ms` is by the gateway's own clock."""

    name: str
    role: str
    site: str
    serial: str
    issuer: str
    from_ms: int
    until_ms: int
    age_days: int
    left_days: int
    state: str
    online: bool | None = None
    seen_ms: int = 0
    version: str = ""


def configure(word: Word) -> None:
    """Add `list`."""
    listed = word("list", "every name: age and end of its certificate, last seen, version")
    listed.add_argument("--json", action="store_true", help="for programs")
    listed.add_argument("--offline", action="store_true", help="don't ask the broker")
    listed.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print it."""

    def show() -> int:
        from ingest.trust.issued import read_issued

        configuration = load(args.file)
        listed = read_issued(Path(configuration.authority.folder))
        statuses: Mapping[str, Status] = {}
        if not args.offline:
            try:
                from ingest.broker import open_door

                statuses = heard(open_door(broker_as(configuration, "viewer"), str(args.file)))
            except (ConfigurationError, ConnectionError) as error:
                print(f"the broker doesn't tell who is there: {error}", file=sys.stderr)
        now_ms = int(now().timestamp() * 1000)
        entries = entries_of(listed, statuses, now_ms)
        if args.json:
            print(msgspec.json.format(msgspec.json.encode(entries), indent=2).decode())
            return 0
        for entry in entries:
            print(_line(entry, now_ms))
        return 0

    return guarded(show)


def entries_of(listed: list[Issued], statuses: Mapping[str, Status], now_ms: int) -> list[Entry]:
    """The newest certificate of each name, by name."""
    newest = {one.name: one for one in listed}
    return [_entry(one, statuses.get(name), now_ms) for name, one in sorted(newest.items())]


def _entry(one: Issued, status: Status | None, now_ms: int) -> Entry:
    left_ms = one.until_ms - now_ms
    state = "good" if 3 * left_ms >= one.until_ms - one.from_ms else "ending"
    if left_ms < 0:
        state = "expired"
    if one.revoked_ms:
        state = "revoked"
    return Entry(
        name=one.name,
        role=str(one.role),
        site=one.site,
        serial=one.serial,
        issuer=one.issuer,
        from_ms=one.from_ms,
        until_ms=one.until_ms,
        age_days=(now_ms - one.from_ms) // DAY_MS,
        left_days=left_ms // DAY_MS,
        state=state,
        online=status.online if status else None,
        seen_ms=status.time_ms if status else 0,
        version=status.version if status else "",
    )


def _line(entry: Entry, now_ms: int) -> str:
    site = f", {entry.site}" if entry.site else ""
    left = entry.state
    if left in ("good", "ending"):
        left = f"{entry.left_days} days left" + (", ending" if left == "ending" else "")
    said = f"{entry.name} ({entry.role}{site}): {entry.age_days} days old, {left}"
    said += f", {entry.serial[:8]}" + (f" of {entry.issuer}" if entry.issuer else "")
    if entry.online is None:
        return said
    seen = "online" if entry.online else "offline"
    if entry.seen_ms:
        seen += f", last said {_ago(now_ms - entry.seen_ms)} ago"
    return f"{said}; {seen}" + (f", version {entry.version}" if entry.version else "")


def _ago(age_ms: int) -> str:
    for unit_ms, unit in ((DAY_MS, "d"), (3_600_000, "h"), (60_000, "min")):
        if age_ms >= unit_ms:
            return f"{age_ms // unit_ms} {unit}"
    return f"{max(0, age_ms // 1000)} s"


def heard(door: Door) -> dict[str, Status]:
    """The statuses that the broker keeps.

    Raises:
        ConnectionError: it can't be reached, or refuses.
    """
    from ingest.broker import Lost

    why = ""
    try:
        return asyncio.run(_heard(door))
    except* (Lost, TimeoutError) as lost:
        why = str(lost.exceptions[0]) or f"no answer within {ANSWER_S:g} s"
    raise ConnectionError(why)


async def _heard(door: Door) -> dict[str, Status]:
    """Until nothing comes any more: a broker sends what it kept at once."""
    from ingest.broker import Connection, connected
    from wire.messages import BadMessage, decode_message
    from wire.topics import Leaf, every, gateway_of

    statuses: dict[str, Status] = {}

    async def listen(connection: Connection) -> None:
        async for received in connection.messages():
            await connection.acknowledge(received)
            message = received.envelope
            gateway = gateway_of(message.topic, Leaf.STATUS)
            if gateway and message.payload:
                try:
                    statuses[gateway] = decode_message(message.payload, Status)
                except BadMessage as error:
                    print(f"{message.topic}: {error}", file=sys.stderr)

    async with (
        asyncio.timeout(ANSWER_S),
        connected(door, f"gampong-list-{secrets.token_hex(4)}") as connection,
        asyncio.TaskGroup() as group,
    ):
        listening = group.create_task(listen(connection))
        await connection.subscribe(every(Leaf.STATUS))
        known = -1
        while known != len(statuses):
            known = len(statuses)
            await asyncio.sleep(QUIET_S)
        listening.cancel()
    return statuses
