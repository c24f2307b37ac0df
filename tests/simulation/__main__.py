"""`python -m tests.simulation --seeds 1000 [--first N] [--jobs N]`, or `--seed N [-v]`, or
`--mutants` (which of our own faults, put in by hand, are caught, and how soon)."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable
from functools import partial

from tests.simulation.mutants import MUTANTS, Caught, catch
from tests.simulation.process import PROCESS
from tests.simulation.schedule import simulate
from tests.simulation.world import Outcome


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many schedules")
    parser.add_argument("--first", type=int, default=0, help="the first one's seed")
    parser.add_argument("--seed", type=int, help="this one alone")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("-v", action="store_true", help="show the line's own log")
    parser.add_argument("--mutants", action="store_true", help="put our own faults in")
    asked = parser.parse_args()
    if asked.seed is not None:
        return one(asked.seed, asked.v)
    began = time.perf_counter()
    with multiprocessing.Pool(asked.jobs, quiet) as pool:
        if asked.mutants:
            look = partial(catch, first=asked.first, most=asked.seeds)
            return tell_mutants(pool.imap(look, MUTANTS))
        seeds = range(asked.first, asked.first + asked.seeds)
        return tell(pool.imap(simulate, seeds, chunksize=4), began)


class VirtualFormatter(logging.Formatter):
    """Virtual time, whose line it is, and the line."""

    def format(self, record: logging.LogRecord) -> str:
        process = PROCESS.get()
        time_s = asyncio.get_running_loop().time()
        return f"{time_s:9.3f} {process.name if process else '':9} {record.getMessage()}"


def quiet() -> None:
    """A worker: no log, and what is imported is nothing for the collector to look at."""
    gc.freeze()
    logging.disable(logging.CRITICAL)


def one(seed: int, verbose: bool) -> int:
    """Replay a seed and say all about it."""
    if verbose:
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(VirtualFormatter())
        logging.basicConfig(level=logging.INFO, handlers=[handler])
    else:
        quiet()
    outcome = simulate(seed)
    print(outcome.city)
    for fault in outcome.faults:
        print(fault)
    print(f"trace {outcome.trace}, settled {outcome.settled_s:.0f} s after the last fault")
    print(f"accepted {outcome.accepted}, written again {outcome.again}, {dict(outcome.counts)}")
    print(*outcome.problems[:20], sep="\n")
    return bool(outcome.problems)


def tell(outcomes: Iterable[Outcome], began: float) -> int:
    """Sum them up; each failure with the seed that replays it."""
    faults: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    hours, accepted, ledgers, schedules, failed = 0.0, 0, 0, 0, []
    live: list[float] = []
    settled: list[float] = []
    copies = error_ms = 0
    for outcome in outcomes:
        schedules += 1
        faults.update(fault.name for fault in outcome.faults)
        counts.update(outcome.counts)
        hours += outcome.hours
        accepted += outcome.accepted
        ledgers += outcome.ledgers
        live += outcome.live_s
        settled.append(outcome.settled_s)
        copies = max(copies, outcome.copies_max)
        error_ms = max(error_ms, outcome.offset_error_ms)
        if outcome.problems:
            failed.append(outcome.seed)
            print(f"{len(outcome.problems)} problems: {outcome.problems[0][:300]}")
            print(f"  replay: .venv/bin/python -m tests.simulation --seed {outcome.seed} -v")
    took_s = time.perf_counter() - began
    print(f"{schedules} schedules, {hours:.1f} simulated gateway-hours, {accepted} readings,")
    print(f"{ledgers} ledgers read, {took_s:.0f} s: {schedules / took_s:.1f} schedules/s")
    print(f"live readings: {len(live)}, the slowest {max(live, default=0):.2f} s;", end=" ")
    print(f"settled after {max(settled, default=0):.0f} s at most")
    print(f"copies of one gateway's batches in the broker: {copies} at most;", end=" ")
    print(f"a boot's time wrong by {error_ms} ms at most where no clock stepped")
    for name, count in sorted(faults.items()):
        print(f"  {count:6}  {name}")
    print("  " + ", ".join(f"{name} {count}" for name, count in sorted(counts.items())))
    print(f"failed: {len(failed)}: {failed}")
    return bool(failed)


def tell_mutants(caught: Iterable[Caught]) -> int:
    """A table; whether one escaped."""
    escaped = 0
    print(f"{'fault put in by hand':36} {'schedules':>9} {'seconds':>8}  found as")
    for each in caught:
        escaped += each.seed is None
        found = each.problem[:110] if each.seed is not None else "ESCAPED"
        print(f"{each.mutant:36} {each.schedules:9} {each.seconds:8.1f}  {found}", flush=True)
    return bool(escaped)


if __name__ == "__main__":
    sys.exit(main())
