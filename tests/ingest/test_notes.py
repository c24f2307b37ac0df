"""A batch that its gateway heard of has its note, and notes never stop a confirmation."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from ingest.broker import Door
from ingest.configuration import IngestConfiguration
from ingest.ingestor import Ingestor
from ingest.notes import WAITING_MAX, Notes
from ingest.stores import Bucket, Kept, Query, Row, Store, Written
from ingest.stores.open import open_store
from tests.ingest.batches import line, lines
from tests.ingest.gateway import Gateway, child, configuration, eventually, ingesting
from tests.ingest.test_ingestor import now_ms, stored
from wire.clock import SystemClock
from wire.topics import Leaf

CLOCK = SystemClock()
HOUR_MS = 3_600_000


class Gated:
    """A real store that lets some writes wait: those that a test holds back."""

    def __init__(self, store: Store, holds: Callable[[Bucket, Sequence[str]], bool]) -> None:
        self._store, self._holds = store, holds
        self.opened = asyncio.Event()
        self.held = 0

    async def write(self, bucket: Bucket, lines: Sequence[str]) -> Written | Kept:
        if not self.opened.is_set() and self._holds(bucket, lines):
            self.held += 1
            await self.opened.wait()
        return await self._store.write(bucket, lines)

    async def read(self, query: Query) -> list[Row]:
        return await self._store.read(query)

    async def probe(self) -> Kept | None:
        return await self._store.probe()

    async def close(self) -> None:
        await self._store.close()


def notes_only(bucket: Bucket, lines: Sequence[str]) -> bool:
    return bucket is Bucket.HEALTH or any(text.startswith("gateway_batch") for text in lines)


def through(settings: IngestConfiguration, test, holds=notes_only) -> None:
    """Run `test(store, ingestor)` with an ingestor over a gated store."""

    async def main() -> None:
        stop = asyncio.Event()
        async with open_store(settings.store, CLOCK) as real, asyncio.TaskGroup() as group:
            store = Gated(real, holds)
            ingestor = Ingestor(settings, Door(settings.broker, None, None), store, CLOCK)
            group.create_task(ingestor.run(stop))
            await eventually(lambda: ingestor.listening, "the ingestor listens")
            try:
                await test(store, ingestor)
            finally:
                store.opened.set()
                stop.set()

    asyncio.run(main())


def test_a_gateway_is_told_when_its_batch_is_noted_and_not_before(tmp_path, mosquitto, monkeypatch):
    monkeypatch.setattr("ingest.notes.NOTE_S", 3600.0)

    async def test(store: Gated, ingestor: Ingestor) -> None:
        async with Gateway(mosquitto) as gateway:
            gateway.send(lines(5, now_ms()), 1, seal_ms=now_ms())
            await eventually(lambda: store.held, "its note is on its way")
            # The readings are stored; a second batch without a seal would be told by now.
            gateway.send(lines(1, now_ms(), "snapshot"), None)
            assert ingestor.counters.confirmed == 0
            assert gateway.fates == {}
            store.opened.set()
            assert (await gateway.fate(1)).stored == 5

    through(configuration(tmp_path, mosquitto), test)


def test_notes_that_nobody_takes_delay_one_confirmation_and_are_written_when_they_can_be(
    tmp_path, mosquitto
):
    async def test(store: Gated, ingestor: Ingestor) -> None:
        sealed = now_ms()
        async with Gateway(mosquitto) as gateway:
            for sequence in range(1, 6):
                content = [line(f"bay-{sequence}", now_ms() - 5 * HOUR_MS)]
                gateway.send(content, sequence, Leaf.BACKFILL, seal_ms=sealed + sequence)
                assert (await gateway.fate(sequence)).stored == 1
            assert ingestor.counters.store_away == 0
            assert not ingestor.idle
            store.opened.set()
            await eventually(lambda: ingestor.idle, "they are written")
            rows = await stored(store, "gateway_batch")  # type: ignore[arg-type]
            assert [row.fields["sequence"] for row in rows] == [1, 2, 3, 4, 5]
            assert await stored(store, "rollup_due", Bucket.HEALTH)  # type: ignore[arg-type]
            assert ingestor.counters.notes_dropped == 0
            gateway.send(lines(1, now_ms()), 9, seal_ms=sealed + 9)
            await gateway.fate(9)
            assert len(await stored(store, "gateway_batch")) == 6  # type: ignore[arg-type]

    through(configuration(tmp_path, mosquitto), test)


def test_what_waits_to_be_noted_is_bounded_and_the_rest_is_counted(tmp_path, mosquitto):
    async def test(store: Gated, ingestor: Ingestor) -> None:
        counters = ingestor.counters
        notes = Notes(store, CLOCK, counters, HOUR_MS)
        async with Gateway(mosquitto) as gateway:
            gateway.send(lines(1, now_ms()), 1, seal_ms=now_ms())
            await gateway.fate(1)
        await notes._put(Bucket.HEALTH, ["x"] * WAITING_MAX)
        await notes._put(Bucket.CITY, ["y"] * 10)
        assert notes.waiting == WAITING_MAX
        assert counters.notes_dropped == 10

    through(configuration(tmp_path, mosquitto), test, lambda bucket, lines: lines[0] in "xy")


@pytest.mark.parametrize("moment", range(3))
def test_whatever_was_confirmed_before_an_ingestor_was_killed_is_noted(
    tmp_path: Path, mosquitto, moment, seed
):
    async def main() -> None:
        settings, sealed = configuration(tmp_path, mosquitto), now_ms()
        async with Gateway(mosquitto) as gateway:
            with child(tmp_path, settings) as first:
                await first.listens()
                for n in range(1, 81):
                    content = lines(10, now_ms(), f"bay{n}")
                    if n % 7 == 0:
                        content[3] = content[3].replace("=1i", "=7i")
                    gateway.send(content, n, seal_ms=sealed + n)
                enough = 1 + (seed + moment * 29) % 60
                await eventually(lambda: len(gateway.fates) >= enough, "some are confirmed")
                first.send_signal(signal.SIGKILL)
                await first.ended()
            confirmed = {n for n in gateway.fates if gateway.final(n)}
        async with ingesting(settings) as (_, store):
            noted = {int(row.fields["sequence"]) for row in await stored(store, "gateway_batch")}
        assert confirmed
        assert confirmed <= noted

    asyncio.run(main())
