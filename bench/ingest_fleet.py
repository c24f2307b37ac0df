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
from collections.abc import Iterable, Iterator
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
LIVE_S_MIN = 12.0  # ten gateways seal a batch each six seconds
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
    for ingestors, drained in zip(INGESTORS, drains, strict=True):
        result.rows.append(
            Row(
                what=f"backlog drained by {ingestors} ingestor{'s' * (ingestors > 1)}",
                unit="readings/s",
                ours=Figure.of([drained["rate"]]),
                less_is_better=False,
                note=f"{drained['a_cpu_s']:,.0f} readings a CPU-second of all together; the "
                f"least took {100 * drained['least_share']:.0f} % of their CPU",
            )
        )
    result.rows.append(
        Row(
            what="lost when one ingestor is added and another killed while running",
            unit="readings",
            ours=Figure.of([moved["lost"]]),
            target=AtMost(0),
            note=f"{moved['sealed']:,.0f} sealed, {moved['resends']:.0f} batches sent again; the "
            f"one added took {100 * moved['added_share']:.0f} % of both's CPU",
        )
    )
    result.raw = {"fleets": fleets, "drains": drains, "moved": moved}
    if chosen.picture:
        chosen.picture.write_text(picture(fleets, drains), encoding="utf-8")
    publish(result, environment(mosquitto=mosquitto_version()), chosen.out)
    return 0 if moved["lost"] == 0 else 1


def picture(fleets: list[dict[str, float]], drains: list[dict[str, float]]) -> str:
    """The curves: over gateways, then over ingestors."""

    def over_fleets(title: str, name: str, factor: float = 1) -> Curve:
        return Curve(f"{title}; gateways", FLEETS, [factor * each[name] for each in fleets])

    def over_ingestors(title: str, name: str) -> Curve:
        return Curve(f"{title}; ingestors", INGESTORS, [each[name] / 1000 for each in drains])

    return draw(
        [
            over_fleets("ingestor's memory, MB", "resident_mb"),
            over_fleets("seal to confirmation, p99, ms", "p99_s", 1000),
            over_fleets("ingestor's CPU, ms a second", "cpu", 1000),
            over_fleets("broker's CPU, ms a second", "broker_cpu", 1000),
            over_ingestors("drained, 1,000 readings/s", "rate"),
            over_ingestors("1,000 readings a CPU-second", "a_cpu_s"),
        ]
    )


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
        pids = [ingestor.pid, line.broker.pid, line.database.pid]
        # What was sealed while thousands connected waited for that, and isn't counted.
        start, began, before = cpu_s(pids), time.monotonic(), crowd.tally
        await asyncio.sleep(max(seconds, LIVE_S_MIN))
        took_s = time.monotonic() - began
        cpu, broker_cpu, database_cpu = (
            (after - before) / took_s for before, after in zip(start, cpu_s(pids), strict=True)
        )
        resident = used(ingestor.pid).resident_bytes
        tally = crowd.tally
    sealed, times = tally.sealed - before.sealed, tally.live.since(before.live)
    return {
        "gateways": gateways,
        "batches": sealed,
        "p50_s": times.percentile_s(50),
        "p99_s": times.percentile_s(99),
        "batches_a_s": sealed / took_s,
        "cpu": cpu,
        "broker_cpu": broker_cpu,
        "database_cpu": database_cpu,
        "resident_mb": resident / 1e6,
    }


def cpu_s(pids: Iterable[int]) -> list[float]:
    """CPU-seconds of each so far."""
    return [used(pid).cpu_s for pid in pids]


async def drain(line: CloudLine, ingestors: int, seconds: float) -> dict[str, float]:
    """A backlog through so many ingestors: `rate` in readings a second, `a_cpu_s` readings a
    CPU-second of all ingestors together, and the share of that CPU that the least busy one took."""
    backlog = max(2, round(seconds * READINGS_A_SECOND / READINGS / DRAINED_GATEWAYS))
    plan = Plan(
        port=line.broker.port,
        gateways=DRAINED_GATEWAYS,
        readings=READINGS,
        interval_s=0,
        backlog=backlog,
        sending=FAST,
    )
    pids = [line.start_ingestor().pid for _ in range(ingestors)]
    async with Crowd(plan) as crowd:
        idle = cpu_s(pids)
        await crowd.begin()
        assert await crowd.until(lambda tally: tally.confirmed, WITHIN_S)
        first, began = crowd.tally.confirmed_readings, time.monotonic()
        assert await crowd.until(lambda tally: not tally.waiting, WITHIN_S), crowd.tally.summary()
        took_s = time.monotonic() - began
    spent = [after - before for before, after in zip(idle, cpu_s(pids), strict=True)]
    readings = crowd.tally.sealed_readings
    assert line.readings() == readings
    return {
        "rate": (readings - first) / took_s,
        "a_cpu_s": readings / max(sum(spent), 0.01),
        "least_share": min(spent) / max(sum(spent), 0.01),
    }


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
        pids = [first.pid, line.start_ingestor().pid]
        before = cpu_s(pids)
        await asyncio.sleep(seconds / 3)
        spent = [now - then for then, now in zip(before, cpu_s(pids), strict=True)]
        first.kill()
        await asyncio.sleep(seconds / 3)
        assert await crowd.rest(WITHIN_S), crowd.tally.summary()
    tally = crowd.tally
    stored = line.readings()
    return {
        "sealed": tally.sealed_readings,
        "resends": tally.resends,
        "lost": tally.sealed_readings - stored,
        "added_share": spent[1] / max(sum(spent), 0.01),
    }


if __name__ == "__main__":
    sys.exit(main())
