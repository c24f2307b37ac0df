"""`python -m tests.chaos --minutes 20 [--seed N] [--keep]`: real faults on real parts.

Breaks the line at random for that long, mends everything, lets it drain, and compares what is in
InfluxDB with what was accepted. Exit code 0 when nothing is lost and nothing is there twice. The
seed replays the same faults in the same order, a moment earlier or later; what the kernel's
scheduler makes of them it can't. `--keep` leaves the folder; so does a failure.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.chaos.run import Run
from tests.chaos.table import table
from tests.chaos.verdict import judge


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0, help="how long faults go on")
    parser.add_argument("--seed", type=int, help="the same faults again")
    parser.add_argument("--keep", action="store_true", help="leave all logs and files")
    asked = parser.parse_args()
    seed = random.SystemRandom().randrange(2**16) if asked.seed is None else asked.seed
    folder = Path(tempfile.mkdtemp(prefix="gampong-chaos-"))
    print(f"seed {seed}, {asked.minutes:g} minutes, in {folder}", flush=True)
    began = time.monotonic()
    with ExitStack() as stack:
        run = Run(folder, seed, asked.minutes * 60, stack)
        run.break_things()
        run.settle()
        verdict = judge(run.line)
        verdict.problems += run.problems
        print(table(run, verdict, time.monotonic() - began), flush=True)
    if verdict.good and not asked.keep:
        shutil.rmtree(folder)
    else:
        print(f"logs: {folder}")
    return 0 if verdict.good else 1


if __name__ == "__main__":
    sys.exit(main())
