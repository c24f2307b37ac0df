"""A gateway that comes back with thousands of batches: live at once, the rest in order, in time."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from pathlib import Path

import msgspec

from edge.records import Line, Sealed
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


def test_a_batch_given_up_for_room_before_it_was_sent_is_not_sent_after_all(tmp_path: Path):
    """It had been read for sending already. Stored, though counted as dropped, it would keep the
    gateway's sums and the database's apart for ever."""

    async def bulky(gateway: Running) -> list[Sealed]:
        now_ms, lines = gateway.timekeeping.clock.now_ms(), []
        for number in range(8):
            noise = secrets.token_hex(5000)
            text = f'waste_container,device=bin-{number},site=s,zone=z firmware="{noise}" {now_ms}'
            lines.append(Line(text, f"bin-{number}", "waste_container", now_ms))
        return await gateway.outbox.seal(lines, {}, Counter({("taken", ""): len(lines)}))

    async def scenario() -> None:
        async with running(settings) as gateway:
            while not (before := (await gateway.sealing.ledger()).dropped):
                gateway.uplink.announce(await bulky(gateway))
            with FarSide(broker) as cloud:
                async with drained(gateway):
                    await until(lambda: cloud.keyed)  # and the next ones are read
                    for sealed in await asyncio.gather(*(bulky(gateway) for _ in range(5))):
                        gateway.uplink.announce(sealed)
                    ledger = await gateway.settled()
                arrived = {batch.key.sequence: batch.lines for batch in cloud.keyed if batch.key}
        assert ledger.dropped["full"] > before["full"]
        assert sum(map(len, arrived.values())) == ledger.stored

    with Mosquitto(tmp_path / "broker") as broker:
        settings = configuration(
            tmp_path, broker, backfill_batches_per_s=2.0, backfill_window=1, confirm_timeout_s=30.0
        )
        outbox = msgspec.structs.replace(settings.outbox, bytes_max=1024 * 1024)
        settings = msgspec.structs.replace(settings, outbox=outbox)
        asyncio.run(scenario())
