"""How much of the database's raw write rate is reached through broker and ingestor, and whether
live readings suffer while a backlog drains.

Raw is batches of 5,000 lines posted straight at the database, four at a time. *Share*: the broker's
queue is filled beforehand, while the ingestor stands still, and whoever filled it is gone; then the
ingestor is let loose, until the last batch is confirmed. *Backlog*: 200 gateways with a slice of
seven days of backlog are played against the same database, through the broker and one ingestor,
while each seals a live batch every few seconds; confirmed readings count. All in turns in one run.
The database has one processor to itself each time; all else (the poster with its HTTP; or broker
and ingestor; or fleet, broker and ingestor together) shares the other: on a machine of two, the
work beside the database would otherwise take from it what is measured. So the second share pays
for the fleet too: 200 gateways that really are elsewhere.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

from bench.environment import environment
from bench.fleet_crowd import Crowd
from bench.fleet_player import Plan
from bench.ingest_line import CloudLine
from bench.ingest_queue import Queue
from bench.peers import mosquitto_version
from bench.processes import used
from bench.result import AtLeast, AtMost, Figure, Result, Row, options, publish
from edge.configuration import UplinkSettings
from simulators.fleet import FleetGateway

GATEWAYS = 200
READINGS = 60
WEEK_S = 7 * 86_400
LIVE_EVERY_S = 5.0
QUEUED_SPAN_S = 3600.0
POSTS = 4
LINES_A_POST = 5_000
ROUNDS = 2
READINGS_A_SECOND = 60_000  # for planning how much to send
WITHIN_S = 120.0


def main() -> int:
    """Measure, print, write."""
    chosen = options("Share of the database's raw write rate", seconds=60).parse_args()
    run_s = chosen.seconds / ROUNDS / 3
    backlog = max(4, round(run_s * READINGS_A_SECOND / GATEWAYS / READINGS))
    cpus = sorted(os.sched_getaffinity(0))
    alone, others = ({cpus[0]}, set(cpus[1:])) if len(cpus) > 1 else (set(cpus), set(cpus))
    os.sched_setaffinity(0, others)
    raw: list[float] = []
    queued: list[float] = []
    through, live, resident = [], [], []
    with (
        tempfile.TemporaryDirectory(prefix="gampong-bench-") as folder,
        CloudLine(Path(folder), database_cpus=alone) as line,
    ):
        for life in range(ROUNDS):
            raw.append(asyncio.run(post_straight(line, run_s, life)))
            queued.append(asyncio.run(let_loose(line, backlog, life)))
            rate, latency_s, peak = asyncio.run(drain(line, backlog, life))
            through.append(rate)
            live.append(latency_s)
            resident.append(peak)
    shares = [100 * ours / most for ours, most in zip(queued, raw, strict=True)]
    draining = [100 * ours / most for ours, most in zip(through, raw, strict=True)]
    slice_share = backlog * READINGS / (WEEK_S / 60 * READINGS)
    result = Result("ingest_rate", (__doc__ or "").strip())
    result.rows += [
        Row(
            what="share of the raw write rate, through broker and ingestor",
            unit="%",
            ours=Figure.of(shares),
            target=AtLeast(90),
            note=f"queue filled beforehand; raw {Figure.of(raw)} lines/s",
        ),
        Row(
            what="live readings while the backlog drains, seal to confirmation, p99",
            unit="s",
            ours=Figure.of(live),
            target=AtMost(2),
            note=f"{100 * slice_share:.2g} % of a week of {GATEWAYS} gateways",
        ),
        Row(
            what="backlog drains at this share of the raw write rate",
            unit="%",
            ours=Figure.of(draining),
            target=AtLeast(80),
            note="the fleet on the same processor",
        ),
        Row(
            what="ingestor's memory while it drains",
            unit="MB",
            ours=Figure.of(peak / 1e6 for peak in resident),
            target=AtMost(300),
        ),
    ]
    result.raw = {
        "raw": raw,
        "queued": queued,
        "through": through,
        "live_p99_s": live,
        "backlog_batches": backlog,
    }
    publish(result, environment(mosquitto=mosquitto_version()), chosen.out)
    return 0


async def post_straight(line: CloudLine, seconds: float, life: int) -> float:
    """Lines a second that the database takes without anything between."""
    bodies = await asyncio.to_thread(_bodies, round(seconds * READINGS_A_SECOND * 1.5), life)
    url = f"{line.database.url}/api/v2/write"
    query = {"org": line.database.org, "bucket": "city", "precision": "ms"}
    headers = {"Authorization": f"Token {line.database.token}"}
    posted, began = 0, time.monotonic()

    async def post() -> None:
        nonlocal posted
        while bodies and time.monotonic() < began + seconds:
            body = bodies.pop()
            async with session.post(url, params=query, headers=headers, data=body) as answer:
                assert answer.status == 204, await answer.text()
            posted += LINES_A_POST

    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
        for _ in range(POSTS):
            group.create_task(post())
    return posted / (time.monotonic() - began)


def _bodies(lines: int, life: int) -> list[bytes]:
    """Bodies of 5,000 lines each, of the same gateways as in `drain` in another life's hours."""
    gateways = [FleetGateway(n, READINGS, seed=9, life=life) for n in range(1, GATEWAYS + 1)]
    now_ms = int(time.time() * 1000) - (10 + 8 * life) * 86_400_000
    waiting: list[str] = []
    bodies: list[bytes] = []
    minute = 0
    while len(bodies) * LINES_A_POST < lines:
        for gateway in gateways:
            tag = f",gateway={gateway.name},site="
            fresh = gateway.lines(now_ms - minute * 60_000)
            waiting += [text.replace(",site=", tag, 1) for text in fresh]
            if len(waiting) >= LINES_A_POST:
                bodies.append("\n".join(waiting[:LINES_A_POST]).encode())
                del waiting[:LINES_A_POST]
        minute += 1
    return bodies


async def let_loose(line: CloudLine, batches: int, life: int) -> float:
    """Readings a second from a full queue, until the last is confirmed."""
    before = line.readings()
    queue = await Queue.filled(line, GATEWAYS, READINGS, batches, QUEUED_SPAN_S, life + 100)
    rate = await queue.drained()
    queue.ingestor.stop()
    if queue.held:
        print(f"{queue.held} batches were held and sent again: the database is slow today")
    assert line.readings() == before + queue.readings
    return rate


async def drain(line: CloudLine, backlog: int, life: int) -> tuple[float, float, int]:
    """Confirmed readings a second, the live ones' p99 in seconds, the ingestor's most bytes."""
    before = line.readings()
    plan = Plan(
        port=line.broker.port,
        gateways=GATEWAYS,
        readings=READINGS,
        interval_s=LIVE_EVERY_S,
        backlog=backlog,
        backlog_span_s=WEEK_S,
        life=life,
        sending=UplinkSettings(backfill_batches_per_s=100_000),
    )
    ingestor = line.start_ingestor()
    async with Crowd(plan) as crowd:
        total = GATEWAYS * backlog * READINGS
        await crowd.begin()
        assert await crowd.until(lambda tally: tally.confirmed, WITHIN_S)
        first, began = crowd.tally.confirmed_readings, time.monotonic()
        peak = 0
        while crowd.tally.confirmed_readings < 0.9 * total:
            assert time.monotonic() < began + WITHIN_S, crowd.tally.summary()
            await asyncio.sleep(0.2)
            peak = max(peak, used(ingestor.pid).resident_bytes)
        rate = (crowd.tally.confirmed_readings - first) / (time.monotonic() - began)
        latency_s = crowd.tally.live.percentile_s(99)
        await crowd.until(lambda tally: tally.waiting <= GATEWAYS, WITHIN_S)
    ingestor.stop()
    assert line.readings() >= before + crowd.tally.confirmed_readings
    return rate, latency_s, peak


if __name__ == "__main__":
    sys.exit(main())
