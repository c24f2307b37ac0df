"""What registry and limits cost the guard, and what hostile messages cost beside good ones.

CPU time of judging one message after the other in one process, with the registry of all gateways
and the limits on new places and on work a second, beside `registry = "none"`, in turns, so that
both have the same machine. Then each kind of hostile message, in bytes of good lines that take as
long: what `ingest.guard` charges for it has to be about that.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from bench.environment import environment
from bench.hostile import packed
from bench.result import AtMost, Figure, Result, Row, options, publish
from ingest.allowances import Allowances
from ingest.broker import Door
from ingest.counters import Counters
from ingest.guard import Limits, check, cost_of
from ingest.ownership import Ownership
from ingest.registry import Owner
from simulators.fleet import FleetGateway
from wire.batch import CONTENT_TYPE, BatchKey, digest, encode_batch
from wire.clock import SystemClock
from wire.configuration import Broker
from wire.mqtt import Message

NOW_MS = 1_795_136_400_000
GATEWAYS, BATCHES = 200, 5
SIZES = (13, 60)
ENDLESS = 1e15
"""Bytes a second that nobody reaches: what is measured is the asking."""


def message(gateway: str, payload: bytes) -> Message:
    """A batch as it comes."""
    key = BatchKey(b"epoch-epoch-epoc", 1, digest(payload)).pack()
    name, user = f"gampong/v1/{gateway}/batch", (("seal_ms", str(NOW_MS)),)
    return Message(name, payload, 1, False, CONTENT_TYPE, key, user)


def city(readings: int) -> tuple[list[Message], Ownership, int]:
    """Batches of every gateway, who owns what, and the bytes of all their lines."""
    messages: list[Message] = []
    owners: dict[str, list[Owner]] = {}
    size = 0
    for number in range(1, GATEWAYS + 1):
        gateway = FleetGateway(number, readings, seed=2)
        for batch in range(BATCHES):
            lines = gateway.lines(NOW_MS - 60_000 * batch)
            size += sum(map(len, lines)) + len(lines)
            owners |= {name_of(line): [Owner(gateway.name, 0)] for line in lines}
            messages.append(message(gateway.name, encode_batch(lines)))
    ownership = Ownership(Door(Broker(), None, None), SystemClock(), Counters())
    ownership.take(msgspec.json.encode(owners))
    return messages, ownership, size


def name_of(line: str) -> str:
    return line.partition(",device=")[2].partition(",")[0]


def judge_all(messages: Sequence[Message], ownership: Ownership, limited: bool) -> None:
    """As the ingestor does, or without registry and limits."""
    allowances, newcomers = Allowances(ENDLESS, 16.0), ownership.newcomers
    for each in messages:
        if not limited:
            check(each, NOW_MS, Limits())
        elif allowances.wait_s(each.topic, 1.0) <= 0:
            judged = check(each, NOW_MS, Limits(), ownership.owner_of, newcomers)
            allowances.charge(each.topic, cost_of(judged, each), 1.0)


def cpu_s(work: Callable[[], object]) -> float:
    """CPU time of doing it once."""
    began = time.process_time()
    work()
    return time.process_time() - began


def hostile() -> dict[str, list[Message]]:
    """Messages of which each has a price."""
    line = "parking_spot,device=x,site=s,zone=a occupied=1i"
    return {
        "a line that is rejected": [message("x", packed([f"{line} 100000000000"] * 1000))] * 5,
        "a line of an unknown kind": [message("x", packed(["tank,device=x a=1 1"] * 1000))] * 5,
        "a message that isn't a batch": [message("x", b"\x28\xb5\x2f\xfdnot")] * 5000,
    }


def good(readings: int, seconds: float) -> tuple[Row, float]:
    """Good batches of so many readings; and the seconds that a byte of them takes."""
    messages, ownership, size = city(readings)
    judge_all(messages, ownership, limited=True)
    runs: dict[bool, list[float]] = {True: [], False: []}
    until = time.monotonic() + seconds
    while len(runs[True]) < 5 or time.monotonic() < until:
        for limited in (True, False) if len(runs[True]) % 2 else (False, True):
            runs[limited].append(cpu_s(partial(judge_all, messages, ownership, limited)))
    lines = GATEWAYS * BATCHES * readings
    row = Row(
        what=f"the guard, batches of {readings}",
        unit="µs a reading",
        ours=Figure.of(1e6 * took_s / lines for took_s in runs[True]),
        peer="registry none",
        theirs=Figure.of(1e6 * took_s / lines for took_s in runs[False]),
    )
    return row, statistics.median(runs[True]) / size


def price(what: str, messages: Sequence[Message], byte_s: float) -> Row:
    """Of one line of these, or of one message."""
    each = 1000 if what.startswith("a line") else 1

    def judge() -> None:
        for one in messages:
            check(one, NOW_MS, Limits())

    took = [cpu_s(judge) / len(messages) / each / byte_s for _ in range(5)]
    return Row(what=what, unit="bytes of good lines", ours=Figure.of(took), target=AtMost(2000))


def main() -> int:
    given = options("what the guard's limits cost", seconds=30).parse_args()
    result = Result("guard_cost", (__doc__ or "").partition("\n\n")[2].strip())
    byte_s = 1.0
    for readings in SIZES:
        row, byte_s = good(readings, given.seconds / 3)
        result.rows.append(row)
    result.rows += [price(what, messages, byte_s) for what, messages in hostile().items()]
    publish(result, environment(), given.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
