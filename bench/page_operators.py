"""What the Command Center costs with a hundred operators who have it open.

    python -m bench.page_operators --seconds 60

The demo's city at its own speed, on the embedded store; the page's process alone is measured: its
CPU and memory with nobody there, with a hundred on the live map, and with a hundred spread over all
sections. Operators are followers of the page's own socket (`page_followers`), not browsers, so that
what is measured isn't a hundred Chromiums. Each must be told something at least every few seconds.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import aiohttp
import msgspec

from bench.environment import environment
from bench.page_followers import Follower, open_all
from bench.processes import used
from bench.result import AtMost, Figure, Result, Row, options, publish
from bench.running import DidNotWork, Running, gampong
from dashboards.operators.pages import SECTIONS
from dashboards.operators.visitor import Role
from gampong.demo_plan import free_port

OPERATORS = 100
SETTLE_S = 10.0
"""After the last page was opened, before counting."""

CORE_SHARE, MEMORY_MB, SILENCE_S = 0.5, 600.0, 5.0
LIVE = "The city is live at "


class Seen(msgspec.Struct):
    """A while with so many viewers."""

    core: float
    resident_mb: float
    patches_s: float = 0.0
    kilobytes_s: float = 0.0
    longest_s: float = 0.0
    opened_s: float = 0.0


def child_of(parent: int, word: str) -> int:
    """The process that `parent` has started with that argument.

    Raises:
        DidNotWork: there is none.
    """
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            ppid = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            continue  # it has ended meanwhile
        if ppid == parent and word.encode() in words:
            return int(folder.name)
    raise DidNotWork(f"no process {word} of {parent}")


async def seen(pid: int, seconds: float, followers: Sequence[Follower] = ()) -> Seen:
    """What the process used in that time, and what the followers were told."""
    for follower in followers:
        follower.begin_count()
    before, began = used(pid), time.monotonic()
    await asyncio.sleep(seconds)
    after, took = used(pid), time.monotonic() - began
    count = max(1, len(followers))
    return Seen(
        (after.cpu_s - before.cpu_s) / took,
        after.resident_bytes / 1e6,
        sum(one.patches for one in followers) / count / took,
        sum(one.received_bytes for one in followers) / count / took / 1000,
        max((one.longest_s for one in followers), default=0.0),
    )


async def followed(pid: int, address: str, paths: Sequence[str], seconds: float) -> Seen:
    """The same with an operator on each of these paths."""
    whole = aiohttp.ClientTimeout(total=None)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=whole, connector=connector) as session:
        followers = [Follower(session, address, path) for path in paths]
        result = Seen(0.0, 0.0)
        try:
            async with asyncio.TaskGroup() as group:
                began = time.monotonic()
                await open_all(followers, group)
                opened_s = (time.monotonic() - began) / len(paths)
                await asyncio.sleep(SETTLE_S)
                result = await seen(pid, seconds, followers)
                result.opened_s = opened_s
                raise _Enough
        except* _Enough:
            pass
    return result


class _Enough(Exception):
    """The followers may go."""


async def measure(folder: Path, seconds: float) -> list[tuple[str, Seen]]:
    """Nobody, all on the map, all over the sections."""
    port = free_port("127.0.0.1")
    command = gampong("demo", "--port", str(port), "--directory", str(folder / "demo"))
    with Running("demo", folder, command) as demo:
        demo.said(LIVE, 120)
        address = demo.log.read_text().partition(LIVE)[2].split()[0]
        pid = child_of(demo.pid, "page")
        await asyncio.sleep(SETTLE_S)
        open_to_all = [section.path for section in SECTIONS if section.role is not Role.ADMIN]
        spread = [open_to_all[nth % len(open_to_all)] for nth in range(OPERATORS)]
        nobody = await seen(pid, min(seconds / 3, 20))
        print(f"nobody: {nobody}", flush=True)
        city = await followed(pid, address, ["/"] * OPERATORS, seconds)
        print(f"city: {city}", flush=True)
        await asyncio.sleep(40)  # their clients are let go
        sections = await followed(pid, address, spread, seconds / 2)
        print(f"sections: {sections}", flush=True)
    return [("nobody", nobody), (f"{OPERATORS} on the map", city),
            (f"{OPERATORS} over {len(open_to_all)} sections", sections)]  # fmt: skip


def rows_of(who: str, one: Seen, with_targets: bool) -> list[Row]:
    """A row each for CPU, memory and what a follower is told."""

    def bound(value: float) -> AtMost | None:
        return AtMost(value) if with_targets else None

    rows = [
        Row(what=f"page, {who}: CPU", unit="of a core", ours=Figure.of([one.core]),
            target=bound(CORE_SHARE)),
        Row(what=f"page, {who}: resident", unit="MB", ours=Figure.of([one.resident_mb]),
            target=bound(MEMORY_MB)),
    ]  # fmt: skip
    if not with_targets:
        return rows
    told = f"{one.patches_s:.1f} patches and {one.kilobytes_s:.1f} kB a second each"
    return [
        *rows,
        Row(what=f"page, {who}: longest silence of any", unit="s",
            ours=Figure.of([one.longest_s]), target=AtMost(SILENCE_S), note=told),
        Row(what=f"page, {who}: opening one", unit="s", ours=Figure.of([one.opened_s])),
    ]  # fmt: skip


def main() -> int:
    arguments = options(__doc__ or "", 60.0).parse_args()
    result = Result("page_operators", (__doc__ or "").partition("\n\n")[2].partition("\n\n")[2])
    with tempfile.TemporaryDirectory(prefix="gampong-page-") as folder:
        found = asyncio.run(measure(Path(folder), arguments.seconds))
    for who, one in found:
        result.rows += rows_of(who, one, with_targets=who != "nobody")
        result.raw[who] = msgspec.to_builtins(one)
    publish(result, environment(), arguments.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
