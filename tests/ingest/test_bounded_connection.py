"""A store that is away costs no connection, however many messages come meanwhile.

mosquitto 2.0.11 keeps to an announced Receive Maximum only until the first acknowledgement; with
200 announced, the client hung up ("Receive Maximum exceeded") after 400 messages.
"""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

from tests.ingest.batches import lines
from tests.ingest.gateway import Gateway, configuration, eventually, ingesting
from tests.ingest.test_ingestor import now_ms
from wire.batch import encode_batch

MESSAGES = 3000


def test_thousands_of_messages_while_the_store_is_away_are_held_and_cost_no_connection(
    tmp_path: Path, mosquitto
):
    async def main() -> None:
        async with ingesting(settings) as (ingestor, _), Gateway(mosquitto) as gateway:
            lock = sqlite3.connect(tmp_path / "store.db", isolation_level=None, timeout=10)
            lock.execute("BEGIN IMMEDIATE")
            payload = encode_batch(lines(13, now_ms()))
            for sequence in range(1, MESSAGES + 1):
                gateway.send(payload, sequence)
            held = range(1, MESSAGES + 1)
            await eventually(lambda: all(map(gateway.held, held)), "every batch is held")
            lock.close()
            await eventually(lambda: ingestor.listening, "it subscribes again")
            gateway.send(lines(13, now_ms(), "after"), MESSAGES + 1)
            assert (await gateway.fate(MESSAGES + 1)).stored == 13
            assert ingestor.counters.connected == 2  # its two connections, never made anew

    settings = configuration(tmp_path, mosquitto)
    asyncio.run(main())
