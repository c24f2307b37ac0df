"""What the watch costs with hundreds and thousands of gateways, in one process on a real InfluxDB.

    python -m bench.watch_fleet --seconds 60              100 and 1,000 gateways
    python -m bench.watch_fleet --gateways 10000

Each gateway has 8 devices, an hour of readings every ten minutes, and an hour of notes of a batch
a minute (a whole day has 1,440, read by the same questions). Measured: taking in every inventory
once, as at a start; a usual minute's round; and the completeness of every gateway once, which is
due every ten minutes. CPU is that of the watch and, beside it, of the database.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from bench import peers
from bench.environment import environment
from bench.processes import used
from bench.queries_city import make_buckets
from bench.result import Figure, Result, Row, options, publish
from ingest.accounts import EVERY_MS
from ingest.broker import Received
from ingest.health import Heard
from ingest.stores import Bucket, Written
from ingest.stores.configuration import InfluxSettings
from ingest.stores.live import LiveStore
from ingest.stores.open import open_store
from ingest.watch import MINUTE_MS, Watch
from simulators.fleet import FleetGateway
from tests.servers import Influxd
from wire.clock import Clock, SystemClock
from wire.messages import encode_message
from wire.mqtt import Message
from wire.topics import Leaf, topic

GATEWAYS = (100, 1_000)
DEVICES = 8
MINUTES = 60
READINGS_EVERY = 10
LINES_A_WRITE = 5_000
ROUNDS = 3


class Cost(msgspec.Struct):
    """Wall seconds, the watch's CPU-seconds and the database's."""

    wall_s: float = 0.0
    watch_s: float = 0.0
    database_s: float = 0.0


@contextmanager
def measured(what: str, cost: Cost, database: Influxd) -> Iterator[None]:
    """Add what the block takes, and say so: thousands of gateways take minutes."""
    pids = [os.getpid(), database.pid]
    began, before = time.monotonic(), [used(pid).cpu_s for pid in pids]
    yield
    after = [used(pid).cpu_s for pid in pids]
    cost.wall_s += time.monotonic() - began
    cost.watch_s += after[0] - before[0]
    cost.database_s += after[1] - before[1]
    print(f"{what}: {cost}", flush=True)


async def fill(store: LiveStore, fleet: list[FleetGateway], now_ms: int) -> int:
    """An hour of every gateway; how many points."""
    waiting: list[str] = []
    written = 0
    for gateway in fleet:
        name, tags = (
            gateway.name,
            f"device={gateway.name},gateway={gateway.name},site=fleet,zone=main",
        )
        for minute in range(MINUTES, 0, -1):
            at_ms, sequence = now_ms - minute * MINUTE_MS, MINUTES - minute + 1
            waiting.append(
                f'gateway_batch,{tags} epoch="{gateway.epoch.hex()}",lag_ms=90i,readings=8i,'
                f"rejected=0i,sequence={sequence}i {at_ms}"
            )
            if minute % READINGS_EVERY == 0:
                tag = f",gateway={name},site="
                waiting += [line.replace(",site=", tag, 1) for line in gateway.lines(at_ms)]
        while len(waiting) >= LINES_A_WRITE or (gateway is fleet[-1] and waiting):
            piece, waiting = waiting[:LINES_A_WRITE], waiting[LINES_A_WRITE:]
            if await store.write(Bucket.CITY, piece) != Written():
                raise RuntimeError("the fill was not taken")
            written += len(piece)
    return written


async def watch_fleet(
    database: Influxd, settings: InfluxSettings, folder: Path, gateways: int
) -> tuple[Cost, Cost, Cost]:
    """Start, minute, completeness of all, for so many gateways."""
    clock: Clock = SystemClock()
    fleet = [FleetGateway(number, DEVICES, seed=1) for number in range(1, gateways + 1)]
    start, minute, accounts = Cost(), Cost(), Cost()
    async with open_store(settings, clock) as store:
        with measured("fill", Cost(), database):
            await fill(store, fleet, clock.now_ms())
        watch = Watch(store, clock, folder / f"registry-{gateways}.json")
        with measured("inventories", start, database):
            for gateway in fleet:
                await watch.take(said(gateway))
        now_s = clock.monotonic()
        for gateway in fleet:
            status = gateway.status(clock.now_ms(), waiting_batches=0)
            status = msgspec.structs.replace(status, newest_sequence=MINUTES)
            watch.heard[gateway.name] = Heard(status, now_s)
            watch.accounts.hear(status)
        with measured("first round", Cost(), database):
            await watch.round(minute_of(clock))  # it looks at a week
        for _ in range(ROUNDS):
            # What was counted just now isn't due: a minute without completeness.
            with measured("minutes", minute, database):
                await watch.round(minute_of(clock))
        counted = watch.accounts
        with measured("completeness", accounts, database):
            due_ms = clock.now_ms() + EVERY_MS
            while await counted.round(watch.registry.inventories, due_ms):
                pass  # a round leaves to the next one what takes too long
    return start, Cost(*(each / ROUNDS for each in msgspec.structs.astuple(minute))), accounts


def minute_of(clock: Clock) -> int:
    now_ms = clock.now_ms()
    return now_ms - now_ms % MINUTE_MS


def said(gateway: FleetGateway) -> Received:
    """Its inventory, as it comes from the broker."""
    payload = encode_message(gateway.inventory())
    return Received(Message(topic(gateway.name, Leaf.INVENTORY), payload, 1, retain=True))


def rows_of(gateways: int, start: Cost, minute: Cost, accounts: Cost) -> list[Row]:
    """A row each, with the database's CPU beside it."""
    due_s = EVERY_MS / 1000
    shown = [
        (f"watch: {gateways:,} inventories at a start", start, ""),
        (f"watch: a minute of {gateways:,} gateways, {DEVICES} devices each", minute, ""),
        (
            f"watch: completeness of {gateways:,} gateways",
            accounts,
            f"due every {due_s:.0f} s; ",
        ),
    ]
    return [
        Row(
            what=what,
            unit="CPU-s",
            ours=Figure.of([cost.watch_s]),
            note=f"{note}{cost.wall_s:.1f} s, the database's {cost.database_s:.1f} CPU-s",
        )
        for what, cost, note in shown
    ]


def main() -> int:
    """Measure, print, write."""
    parser = options(__doc__ or "", seconds=60)
    parser.add_argument("--gateways", type=int, nargs="+", default=GATEWAYS, help="how many")
    chosen = parser.parse_args()
    result = Result(
        "watch_fleet", (__doc__ or "").partition("\n\n")[2].partition("\n\n")[2].strip()
    )
    for gateways in chosen.gateways:
        with (
            tempfile.TemporaryDirectory(prefix="gampong-bench-") as name,
            Influxd(Path(name)) as database,
        ):
            folder = Path(name)
            settings = make_buckets(database, folder)
            costs = asyncio.run(watch_fleet(database, settings, folder, gateways))
        result.rows += rows_of(gateways, *costs)
        result.raw[str(gateways)] = [msgspec.to_builtins(cost) for cost in costs]
    publish(result, environment(influxdb=peers.influxd().version), chosen.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
