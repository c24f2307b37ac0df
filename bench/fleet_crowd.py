"""A fleet in several processes: `python -m bench.fleet_crowd` for people, `Crowd` for benchmarks.

    async with Crowd(plan, processes=2, clock=city_time) as crowd:   # the backlog is sealed
        await crowd.begin()                                          # connections are made
        ... crowd.tally ...                                          # a second old at most
        await crowd.until(lambda tally: tally.waiting == 0, within_s=60)

Each process plays its share of the plan. It says a line of JSON (a `Tally`) when it is ready and
then each second, and ends when its standard input does.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import reduce
from operator import add
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from bench.fleet import Fleet
from bench.fleet_player import Plan
from bench.fleet_tally import Tally
from wire.clock import REAL_TIME, CityTime, SystemClock

REPORT_S = 1.0
GO, REST = b"go\n", b"rest\n"
_LINE_BYTES_MAX = 1024 * 1024
_ROOT = Path(__file__).resolve().parents[1]


class Crowd:
    """The processes that play a plan's gateways."""

    def __init__(self, plan: Plan, processes: int = 1, city: CityTime = REAL_TIME) -> None:
        self._plans = shares(plan, processes)
        self._city = city
        self._processes: list[Process] = []
        self._tallies = [Tally() for _ in self._plans]
        self._ready = asyncio.Semaphore(0)
        self._told = asyncio.Event()
        self._stack = AsyncExitStack()

    @property
    def tally(self) -> Tally:
        """All processes' together, as they last said."""
        return reduce(add, self._tallies)

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._processes]

    async def __aenter__(self) -> Self:
        """Start the processes and wait until their backlogs are sealed."""
        async with AsyncExitStack() as stack:
            group = await stack.enter_async_context(asyncio.TaskGroup())
            for place, plan in enumerate(self._plans):
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "bench.fleet_crowd", "--play"),
                    *(json.dumps(msgspec.to_builtins(plan)), self._city.argument),
                    stdin=PIPE,
                    stdout=PIPE,
                    cwd=_ROOT,
                    limit=_LINE_BYTES_MAX,
                )
                stack.callback(_hang_up, process)
                self._processes.append(process)
                group.create_task(self._listen(place, process))
            for _ in self._plans:
                await self._ready.acquire()
            self._stack = stack.pop_all()
        return self

    async def begin(self) -> None:
        """Let them connect and send."""
        for process in self._processes:
            assert process.stdin
            process.stdin.write(GO)

    async def rest(self, within_s: float) -> bool:
        """Seal nothing more; whether all that was sealed has its confirmation within that time."""
        for process in self._processes:
            assert process.stdin
            process.stdin.write(REST)
        everyone = len(self._processes)
        return await self.until(
            lambda tally: tally.resting == everyone and not tally.waiting, within_s
        )

    async def until(self, condition: Callable[[Tally], object], within_s: float) -> bool:
        """Wait until it holds of the tally; whether it did within that time."""
        try:
            async with asyncio.timeout(within_s):
                while not condition(self.tally):
                    self._told.clear()
                    await self._told.wait()
        except TimeoutError:
            return False
        return True

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End them; each says its last tally."""
        await self._stack.__aexit__(kind, error, trace)

    async def _listen(self, place: int, process: Process) -> None:
        assert process.stdout
        first = True
        async for line in process.stdout:
            self._tallies[place] = msgspec.json.decode(line, type=Tally)
            self._told.set()
            if first:
                self._ready.release()
                first = False
        if code := await process.wait():
            raise ChildProcessError(f"a process of the fleet ended with {code}")


def shares(plan: Plan, processes: int) -> list[Plan]:
    """The plan of each process: gateways and links are dealt out."""
    processes = max(1, min(processes, plan.gateways))
    plans, first = [], plan.first
    for place in range(processes):
        count = plan.gateways // processes + (place < plan.gateways % processes)
        links = -(-plan.links // processes) if plan.links else 0
        plans.append(msgspec.structs.replace(plan, first=first, gateways=count, links=links))
        first += count
    return plans


def _hang_up(process: Process) -> None:
    if process.stdin and not process.stdin.is_closing():
        process.stdin.close()


async def _play(plan: Plan, city: CityTime) -> None:
    """A process's share, until its standard input ends."""
    fleet, stop = Fleet(plan, SystemClock(city)), asyncio.Event()
    fleet.prepare()
    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    _say(fleet.tally)
    if await orders.readline() != GO:
        return
    async with asyncio.TaskGroup() as group:
        group.create_task(fleet.run(stop))
        while not stop.is_set():
            try:
                async with asyncio.timeout(REPORT_S):
                    order = await orders.readline()
                if order == REST:
                    fleet.sealing, fleet.tally.resting = False, 1
                elif not order:
                    stop.set()
            except TimeoutError:
                _say(fleet.tally)
    _say(fleet.tally)


def _say(tally: Tally) -> None:
    sys.stdout.write(msgspec.json.encode(tally).decode() + "\n")
    sys.stdout.flush()


async def _watch(plan: Plan, processes: int, seconds: float, drain: bool) -> None:
    """Play and print the tally each second, for so long or until nothing waits."""
    async with Crowd(plan, processes) as crowd:
        await crowd.begin()
        loop = asyncio.get_running_loop()
        ends = loop.time() + seconds
        while loop.time() < ends and not (drain and crowd.tally.connected and not waits(crowd)):
            await asyncio.sleep(REPORT_S)
            print(json.dumps(crowd.tally.summary()), flush=True)
    print(json.dumps(crowd.tally.summary()), flush=True)


def waits(crowd: Crowd) -> int:
    """Batches that wait for their confirmation."""
    return crowd.tally.waiting


def main() -> int:
    """Play a fleet against a broker; 0 at the end."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    if sys.argv[1:2] == ["--play"]:
        plan = msgspec.json.decode(sys.argv[2], type=Plan)
        asyncio.run(_play(plan, CityTime.parse(sys.argv[3])))
        return 0
    parser = argparse.ArgumentParser(
        prog="python -m bench.fleet_crowd", description="Many gateways, few processes."
    )
    add_option = parser.add_argument
    add_option("--broker", default="127.0.0.1:1883", metavar="HOST:PORT")
    add_option("--gateways", type=int, default=100)
    add_option("--readings", type=int, default=60, help="a batch, and devices a gateway (60)")
    add_option("--interval-s", type=float, default=60.0, help="between two seals; 0 for none")
    add_option("--backlog", type=int, default=0, help="batches a gateway that wait at the start")
    add_option("--backlog-span-s", type=float, default=3600.0, help="over which they were sealed")
    add_option("--links", type=int, default=0, help="connections for all; 0 is one a gateway")
    add_option("--processes", type=int, default=1)
    add_option("--seconds", type=float, default=30.0)
    add_option("--drain", action="store_true", help="end as soon as nothing waits")
    add_option("--seed", type=int, default=1)
    add_option("--life", type=int, default=0, help="another number is another epoch")
    options = parser.parse_args()
    host, _, port = options.broker.rpartition(":")
    plan = Plan(
        host=host,
        port=int(port),
        gateways=options.gateways,
        readings=options.readings,
        interval_s=options.interval_s,
        backlog=options.backlog,
        backlog_span_s=options.backlog_span_s,
        links=options.links,
        seed=options.seed,
        life=options.life,
    )
    asyncio.run(_watch(plan, options.processes, options.seconds, options.drain))
    return 0


if __name__ == "__main__":
    sys.exit(main())
