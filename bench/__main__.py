"""`make bench`: every program that this machine can run, one after the other, under 30 minutes.

    python -m bench --out bench/results              all, then the tables of all results
    python -m bench --only agent_wire agent_rate     some
    python -m bench --scale 0.2                      shorter runs, for trying

A program that fails, or takes longer than `LONGEST_S`, is named at the end, and the exit code is 1;
the others run all the same. What a peer is missing for is said in its rows.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from bench.running import ROOT, python

PROGRAMS = {
    "agent_wire": 90,
    "agent_load": 100,
    "agent_rate": 60,
    "agent_disk": 120,
    "agent_start": 60,
    "agent_page": 60,
    "agent_outage": 120,
    "ingest_cpu": 96,
    "ingest_rate": 60,
    "ingest_fleet": 120,
    "queries": 60,
    "decode": 60,
    "watch_fleet": 60,
    "round": 30,
    "page_operators": 60,
}
"""Names of modules, and about how many seconds of measuring each is given."""

LONGEST_S = 480.0
"""A program's wall time, its preparations included, after which it counts as failed."""

_WORDS = {"ingest_fleet": ["--picture", "docs/ingest-growth.svg"]}
"""What a whole run says to a program beside that: pictures of docs/ are made by it."""


def main() -> int:
    parser = argparse.ArgumentParser(description="every benchmark, one after the other")
    parser.add_argument("--out", type=Path, help="folder for the results, a JSON file each")
    parser.add_argument("--only", nargs="+", choices=list(PROGRAMS), help="these")
    parser.add_argument("--scale", type=float, default=1.0, help="times the usual seconds")
    options = parser.parse_args()
    began = time.monotonic()
    failed = []
    for name in options.only or PROGRAMS:
        words = ["--seconds", str(PROGRAMS[name] * options.scale)]
        if options.out:
            words += ["--out", str(options.out.absolute())]
        if options.scale >= 1:
            words += _WORDS.get(name, [])
        program_began = time.monotonic()
        code = run(python(f"bench.{name}", *words), LONGEST_S * max(1.0, options.scale))
        print(f"{name}: {time.monotonic() - program_began:.0f} s, exit code {code}", flush=True)
        if code:
            failed.append(name)
    print(f"all: {(time.monotonic() - began) / 60:.1f} minutes")
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


def run(command: list[str], within_s: float) -> int | str:
    """Its exit code, or `too long`: then it is ended with all it started."""
    with subprocess.Popen(command, cwd=ROOT, start_new_session=True) as process:
        try:
            return process.wait(within_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGINT)
            try:
                process.wait(LONGEST_S / 10)  # time to end its servers
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
            return "too long"
        except KeyboardInterrupt:
            os.killpg(process.pid, signal.SIGINT)
            raise


if __name__ == "__main__":
    sys.exit(main())
