"""How cost grows: 10 to 10,000 gateways, 1 to 4 ingestors, one added and one killed while running.

Every gateway keeps a connection of its own and seals a batch of 13 readings each minute; what is
measured is the time from seal to confirmation, the ingestor's CPU a reading and its memory. Then a
fixed backlog of 200 gateways drains through 1 to 4 ingestors of one group. Last, a second ingestor
is added while a fleet sends, and the first is killed: all that was sealed must be in the database.
Broker, database, ingestors and fleet share this machine, so more ingestors than it has processors
to spare can't bring more; what is shown is that they share the work and lose nothing.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.environment import environment
from bench.fleet_crowd import Crowd
from bench.fleet_player import Plan
from bench.ingest_curves import Curve, draw
from bench.ingest_line import CloudLine
from bench.peers import mosquitto_version
from bench.processes import used
from bench.result import AtMost, Figure, Result, Row, options, publish
from edge.configuration import UplinkSettings

FLEETS = (10, 100, 1_000, 10_000)
INGESTORS = (1, 2, 3, 4)
READINGS = 13
MINUTE_S = 60.0
DRAINED_GATEWAYS = 200
READINGS_A_SECOND = 30_000  # for planning how much to send
WITHIN_S = 120.0
FAST = UplinkSettings(backfill_batches_per_s=100_000)


def main() -> int:
    """Measure, print, write, draw."""
    parser = options("How the cost of ingest grows with the city", seconds=100)
    parser.add_argument("--picture", type=Path, help="where the curves go, as SVG")
    chosen = parser.parse_args()
    result = Result("ingest_fleet", (__doc__ or "").strip())
    part_s = chosen.seconds / (len(FLEETS) + len(INGESTORS) + 1)
    fleets = []
    for gateways in FLEETS:
        with line_in_a_folder() as line:
            fleets.append(asyncio.run(live(line, gateways, part_s)))
    drains = []
    for ingestors in INGESTORS:
        with line_in_a_folder() as line:
            drains.append(asyncio.run(drain(line, ingestors, part_s)))
    with line_in_a_folder() as line:
        moved = asyncio.run(add_one_and_kill_one(line, part_s))
    for gateways, seen in zip(FLEETS, fleets, strict=True):
        at_most = AtMost(300) if gateways == FLEETS[-1] else None
        result.rows.append(
            Row(
                what=f"ingestor's memory, {gateways:,} gateways",
                unit="MB",
                ours=Figure.of([seen["resident_mb"]]),
                target=at_most,
                note=f"seal to confirmation p50 {1000 * seen['p50_s']:.0f}, "
                f"p99 {1000 * seen['p99_s']:.0f} ms",
            )
        )
    for ingestors, rate in zip(INGESTORS, drains, strict=True):
        result.rows.append(
            Row(
                what=f"backlog drained by {ingestors} ingestors",
                unit="readings/s",
                ours=Figure.of([rate]),
                less_is_better=False,
            )
        )
    result.rows.append(
        Row(
            what="lost when one ingestor is added and another killed while running",
            unit="readings",
            ours=Figure.of([moved["lost"]]),
            target=AtMost(0),
            note=f"{moved['sealed']:,.0f} sealed, {moved['resends']:.0f} batches sent again",
        )
    )
    result.raw = {"fleets": fleets, "drains": drains, "moved": moved}
    if chosen.picture:
        text = draw(
            [
                Curve("ingestor's memory, MB", FLEETS, [each["resident_mb"] for each in fleets]),
                Curve("confirmed after, p99 ms", FLEETS, [1000 * e["p99_s"] for e in fleets]),
                Curve("ingestor, CPU ms/s", FLEETS, [1000 * each["cpu"] for each in fleets]),
                Curve("drained, 1,000 readings/s", INGESTORS, [rate / 1000 for rate in drains]),
            ]
        )
        chosen.picture.write_text(text, encoding="utf-8")
    publish(result, environment(mosquitto=mosquitto_version()), chosen.out)
    return 0 if moved["lost"] == 0 else 1


@contextmanager
def line_in_a_folder() -> Iterator[CloudLine]:
    """A line whose folder goes with it."""
    with (
        tempfile.TemporaryDirectory(prefix="gampong-bench-") as folder,
        CloudLine(Path(folder)) as line,
    ):
        yield line


async def live(line: CloudLine, gateways: int, seconds: float) -> dict[str, float]:
    """A fleet in its usual minute, looked at for so long once it is connected."""
    plan = Plan(port=line.broker.port, gateways=gateways, readings=READINGS, interval_s=MINUTE_S)
    ingestor = line.start_ingestor()
    async with Crowd(plan, processes=1 + (gateways > 1000)) as crowd:
        await crowd.begin()
        assert await crowd.until(lambda tally: tally.connected == gateways, WITHIN_S)
        start, began, sealed = used(ingestor.pid), time.monotonic(), crowd.tally.sealed
        await asyncio.sleep(seconds)
        end, took_s = used(ingestor.pid), time.monotonic() - began
        tally = crowd.tally
    return {
        "gateways": gateways,
        "batches": tally.sealed - sealed,
        "p50_s": tally.live.percentile_s(50),
        "p99_s": tally.live.percentile_s(99),
        "max_s": tally.live.greatest_s,
        "cpu": (end.cpu_s - start.cpu_s) / took_s,
        "resident_mb": end.resident_bytes / 1e6,
    }


async def drain(line: CloudLine, ingestors: int, seconds: float) -> float:
    """Readings a second of a backlog through so many ingestors."""
    backlog = max(2, round(seconds * READINGS_A_SECOND / READINGS / DRAINED_GATEWAYS))
    plan = Plan(
        port=line.broker.port,
        gateways=DRAINED_GATEWAYS,
        readings=READINGS,
        interval_s=0,
        backlog=backlog,
        sending=FAST,
    )
    for _ in range(ingestors):
        line.start_ingestor()
    async with Crowd(plan) as crowd:
        await crowd.begin()
        assert await crowd.until(lambda tally: tally.confirmed, WITHIN_S)
        first, began = crowd.tally.confirmed_readings, time.monotonic()
        assert await crowd.until(lambda tally: not tally.waiting, WITHIN_S), crowd.tally.summary()
        took_s = time.monotonic() - began
    assert line.readings() == crowd.tally.sealed_readings
    return (crowd.tally.sealed_readings - first) / took_s


async def add_one_and_kill_one(line: CloudLine, seconds: float) -> dict[str, float]:
    """What is missing in the end, of what was sealed meanwhile."""
    plan = Plan(
        port=line.broker.port,
        gateways=DRAINED_GATEWAYS,
        readings=READINGS,
        interval_s=1.0,
        sending=UplinkSettings(confirm_timeout_s=5.0),
    )
    first = line.start_ingestor()
    async with Crowd(plan) as crowd:
        await crowd.begin()
        await asyncio.sleep(seconds / 3)
        line.start_ingestor()
        await asyncio.sleep(seconds / 3)
        first.kill()
        await asyncio.sleep(seconds / 3)
        # Each gateway seals each second, so a few always wait: all older ones must be through.
        settled = crowd.tally.sealed
        assert await crowd.until(lambda tally: tally.confirmed >= settled, WITHIN_S)
    tally = crowd.tally
    stored = line.readings()
    return {
        "sealed": tally.sealed_readings,
        "resends": tally.resends,
        "lost": max(0, tally.confirmed_readings - stored),
    }


if __name__ == "__main__":
    sys.exit(main())
