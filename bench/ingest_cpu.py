"""Readings a CPU-second of the ingestor alone, MQTT to InfluxDB 2, beside Telegraf.

Both take the same readings from the same broker at QoS 1 and write them to the same database, in
turns, as fast as it goes. Ours takes what gateways send (zstd, checked line by line, the gateway's
tag put in, each batch confirmed); Telegraf takes plain line protocol that has the tag already, in
messages of as many lines, and confirms to nobody but the broker. CPU time is the process's own,
user and system, all threads, from the first message to the last reading in the database.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from bench.environment import environment
from bench.fleet_crowd import Crowd
from bench.fleet_player import Plan
from bench.ingest_line import CloudLine
from bench.ingest_queue import LINKS
from bench.ingest_queue import publish as publish_all
from bench.peers import Peer, mosquitto_version, telegraf
from bench.processes import used
from bench.result import Figure, Result, Row, options, publish
from edge.configuration import UplinkSettings
from simulators.fleet import FleetGateway
from simulators.fleet_link import Packet

GATEWAYS = 200
SIZES = (60, 13)
ROUNDS = 3
READINGS_A_SECOND = 40_000  # about what two cores take, for planning how much to send
WITHIN_S = 120.0
FAST = UplinkSettings(backfill_batches_per_s=100_000)


def main() -> int:
    """Measure, print, write; 1 when something was lost on the way."""
    parser = options("Readings a CPU-second of the ingestor, beside Telegraf", seconds=96)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    chosen = parser.parse_args()
    peer = telegraf()
    result = Result("ingest_cpu", (__doc__ or "").strip())
    run_s = chosen.seconds / (len(SIZES) * chosen.rounds * 2)
    for size in SIZES:
        backlog = max(2, round(run_s * READINGS_A_SECOND / GATEWAYS / size))
        ours, theirs, memory = [], [], []
        with (
            tempfile.TemporaryDirectory(prefix="gampong-bench-") as folder,
            CloudLine(Path(folder)) as line,
        ):
            for life in range(chosen.rounds):
                rate, resident = asyncio.run(take_ours(line, size, backlog, life))
                ours.append(rate)
                memory.append(resident / 1e6)
                if not peer.missing:
                    theirs.append(asyncio.run(take_theirs(line, peer, size, backlog, life)))
        result.rows.append(
            Row(
                what=f"ingestor, batches of {size}",
                unit="readings a CPU-second",
                ours=Figure.of(ours),
                peer="Telegraf",
                theirs=Figure.of(theirs) if theirs else None,
                missing=peer.missing,
                ratio_target=3,
                less_is_better=False,
                note=f"{GATEWAYS * backlog * size:,} readings a run",
            )
        )
        result.raw[f"runs_{size}"] = {"ours": ours, "telegraf": theirs, "our_resident_mb": memory}
    where = environment(mosquitto=mosquitto_version(), telegraf=peer.version or "not installed")
    publish(result, where, chosen.out)
    return 0


async def take_ours(line: CloudLine, size: int, backlog: int, life: int) -> tuple[float, int]:
    """Readings a CPU-second, and the ingestor's resident bytes at the end."""
    before = line.readings()
    plan = Plan(
        port=line.broker.port,
        gateways=GATEWAYS,
        readings=size,
        interval_s=0,
        backlog=backlog,
        life=life,
        sending=FAST,
        links=LINKS,
    )
    ingestor = line.start_ingestor()
    async with Crowd(plan) as crowd:
        start = used(ingestor.pid)
        await crowd.begin()
        drained = await crowd.until(lambda tally: tally.connected and not tally.waiting, WITHIN_S)
        assert drained, crowd.tally.summary()
        end = used(ingestor.pid)
    ingestor.stop()
    assert line.readings() - before == crowd.tally.sealed_readings
    return crowd.tally.sealed_readings / (end.cpu_s - start.cpu_s), end.resident_bytes


async def take_theirs(line: CloudLine, peer: Peer, size: int, backlog: int, life: int) -> float:
    """Telegraf's readings a CPU-second."""
    before, messages = line.readings(), plain(size, backlog, life)
    readings = size * len(messages)
    process = line.start_telegraf(peer.program, size)
    start = used(process.pid)
    await publish_all(line, messages)
    assert line.until_readings(before + readings, WITHIN_S), "Telegraf lost readings"
    end = used(process.pid)
    process.stop()
    return readings / (end.cpu_s - start.cpu_s)


def plain(size: int, backlog: int, life: int) -> list[Packet]:
    """The same gateways' readings as line protocol, in the order in which a fleet sends them."""
    gateways = [FleetGateway(number, size, seed=2, life=life) for number in range(1, GATEWAYS + 1)]
    now_ms = int(time.time() * 1000)
    packets = []
    for place in range(backlog, 0, -1):
        for gateway in gateways:
            lines = gateway.lines(now_ms - place * 3_600_000 // backlog)
            tagged = [text.replace(",site=", f",gateway={gateway.name},site=", 1) for text in lines]
            packets.append(Packet(f"telegraf/{gateway.name}/batch", "\n".join(tagged).encode()))
    return packets


if __name__ == "__main__":
    sys.exit(main())
