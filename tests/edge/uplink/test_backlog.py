"""A gateway that comes back with thousands of batches: live at once, the rest in order, in time."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from edge.records import Sealed
from tests.edge.uplink.far_side import Arrived, FarSide, until
from tests.edge.uplink.gateway import Running, configuration, drained, running
from tests.servers import Mosquitto
from wire.batch import decode_batch
from wire.topics import Leaf

BACKLOG = 2000
RATE = 250.0
LIVE_WITHIN_S = 5.0
CHANGES = 4


def test_thousands_of_batches_wait_and_live_readings_flow_at_once_while_they_drain(tmp_path: Path):
    async def scenario(gateway: Running) -> None:
        waiting = [row for _ in range(BACKLOG) for row in await gateway.seal()]
        with FarSide(broker) as cloud:
            began = time.monotonic()
            async with drained(gateway):
                await until(lambda: cloud.keyed)
                new: list[Sealed] = []
                for _ in range(CHANGES):
                    new.extend(await gateway.seal())
                    await until(lambda: len(live(cloud)) == len(new), LIVE_WITHIN_S)
                    assert len(late(cloud)) < BACKLOG - 500  # much of it still waits
                assert [batch.key for batch in live(cloud)] == [row.key for row in new]
                ledger = await gateway.settled()
                took_s = time.monotonic() - began
        assert took_s >= BACKLOG / RATE
        assert [batch.key for batch in late(cloud)] == [row.key for row in waiting]
        assert [batch.lines for batch in late(cloud)] == [decode_batch(w.payload) for w in waiting]
        assert [batch.seal_ms for batch in late(cloud)] == [row.seal_ms for row in waiting]
        assert ledger.stored == 3 * (BACKLOG + CHANGES)

    async def whole() -> None:
        async with running(settings) as gateway:
            await scenario(gateway)

    with Mosquitto(tmp_path / "broker", config="set_tcp_nodelay true") as broker:
        settings = configuration(
            tmp_path, broker, backfill_batches_per_s=RATE, confirm_timeout_s=30.0
        )
        asyncio.run(whole())


def live(cloud: FarSide) -> list[Arrived]:
    return [batch for batch in cloud.keyed if batch.leaf is Leaf.BATCH]


def late(cloud: FarSide) -> list[Arrived]:
    return [batch for batch in cloud.keyed if batch.leaf is Leaf.BACKFILL]
