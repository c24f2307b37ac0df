"""A million hostile inputs into everything that takes bytes from outside: `make fuzz`.

    python -m bench.fuzz --count 1000000 --seed 7 --only drivers wire
    python -m bench.fuzz --again "batches/lines" 00ff…      one input once more

What may not happen stands in `bench.fuzzing`. The seed is printed: the same one gives the same
inputs. Counts are told by group, or by taker (`--each`); the exit code is 1 when something broke.
Whatever broke once is a line of tests/bench/hostile_inputs.txt, which every test run throws again.
"""

from __future__ import annotations

import argparse
import logging
import random
import sys
import time

from bench import (
    fuzz_answers,
    fuzz_batches,
    fuzz_configurations,
    fuzz_devices,
    fuzz_far,
    fuzz_files,
    fuzz_http,
    fuzz_operators,
    fuzz_site,
    fuzz_wire,
)
from bench.fuzz_scratch import Scratch
from bench.fuzzing import Taker, again, bound_memory, throw, told

COUNT = 1_000_000


def takers(scratch: Scratch) -> list[Taker]:
    """Every one there is."""
    return [
        *fuzz_devices.takers(),
        *fuzz_batches.takers(),
        *fuzz_wire.takers(),
        *fuzz_http.takers(),
        *fuzz_configurations.takers(scratch),
        *fuzz_operators.takers(),
        *fuzz_far.takers(scratch),
        *fuzz_answers.takers(),
        *fuzz_files.takers(scratch),
        *fuzz_site.takers(scratch),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description="any bytes into everything that takes bytes")
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--only", nargs="+", metavar="GROUP", help="drivers, batches, http, …")
    parser.add_argument("--each", action="store_true", help="counts of every taker")
    parser.add_argument("--again", nargs=2, metavar=("GROUP/NAME", "HEX"), help="one input")
    given = parser.parse_args()
    bound_memory()
    logging.disable(logging.CRITICAL)  # a line for each refusal would be a hundred thousand
    scratch = Scratch()
    everyone = takers(scratch)
    if given.again:
        name, data = given.again
        (taker,) = [one for one in everyone if f"{one.group}/{one.name}" == name]
        print(again(taker, bytes.fromhex(data)))
        return 0
    chosen = [one for one in everyone if not given.only or one.group in given.only]
    print(f"seed {given.seed}: {given.count} inputs into {len(chosen)} takers", flush=True)
    began = time.monotonic()
    findings = throw(chosen, given.count, given.seed)
    print(told(chosen, findings, given.each))
    print(f"{time.monotonic() - began:.0f} s")
    return 1 if findings.broken_count else 0


if __name__ == "__main__":
    sys.exit(main())
