"""`make bench`: every program that this machine can run, one after the other, about 25 minutes.

    python -m bench --out bench/results              all, then the tables of all results
    python -m bench --only agent_wire agent_rate     some
    python -m bench --scale 0.2                      shorter runs, for trying

A program that fails is named at the end, and the exit code is 1; the others run all the same.
"""

from __future__ import annotations

import argparse
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
    "agent_outage": 120,
    "ingest_cpu": 96,
    "ingest_rate": 60,
    "ingest_fleet": 100,
    "queries": 0,
}
"""Names of modules, and the seconds that each is given; 0 is its own default."""


def main() -> int:
    parser = argparse.ArgumentParser(description="every benchmark, one after the other")
    parser.add_argument("--out", type=Path, help="folder for the results, a JSON file each")
    parser.add_argument("--only", nargs="+", choices=list(PROGRAMS), help="these")
    parser.add_argument("--scale", type=float, default=1.0, help="times the usual seconds")
    options = parser.parse_args()
    failed = []
    for name, seconds in PROGRAMS.items():
        chosen = name in options.only if options.only else True
        if not chosen or not (ROOT / "bench" / f"{name}.py").exists():
            continue
        words = ["--out", str(options.out.absolute())] if options.out else []
        if seconds:
            words += ["--seconds", str(seconds * options.scale)]
        began = time.monotonic()
        done = subprocess.run(python(f"bench.{name}", *words), cwd=ROOT, check=False)
        print(f"{name}: {time.monotonic() - began:.0f} s, exit code {done.returncode}", flush=True)
        if done.returncode:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
