"""The whole of this side on a real broker and a real store: what a gateway is told is true."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sqlite3
import time
from pathlib import Path

import pytest
import zstandard

from ingest.guard import HOUR_MS
from ingest.stores import Bucket, Query
from ingest.stores.live import LiveStore
from tests.ingest.batches import line, lines
from tests.ingest.gateway import Gateway, child, configuration, eventually, ingesting
from tests.servers import Mosquitto
from wire.batch import COMPRESSED_BYTES_MAX, encode_batch
from wire.messages import Fate
from wire.topics import Leaf


def now_ms() -> int:
    return int(time.time() * 1000)


async def stored(store: LiveStore, kind: str = "parking_spot", bucket: Bucket = Bucket.CITY):
    """Every point of a kind, of all gateways, as tags and fields."""
    field = {"parking_spot": "occupied", "gateway_batch": "sequence", "rollup_due": "hour_ms"}[kind]
    start = now_ms() - 80 * 24 * HOUR_MS if bucket is Bucket.CITY else now_ms() - 24 * HOUR_MS
    query = Query(
        kind=kind,
        fields=(field,),
        start_ms=start,
        stop_ms=now_ms() + HOUR_MS,
        group=("device", "gateway"),
        bucket=bucket,
    )
    return await store.read(query)


def letters(folder: Path) -> list[dict[str, object]]:
    file = folder / "dead-letters.jsonl"
    return [json.loads(text) for text in file.read_bytes().splitlines()] if file.exists() else []


def test_a_batch_is_confirmed_when_it_is_in_the_store_and_not_before(tmp_path, mosquitto):
    async def main() -> None:
        async with (
            ingesting(configuration(tmp_path, mosquitto)) as (_, store),
            Gateway(mosquitto) as gateway,
        ):
            gateway.send(lines(60, now_ms()), 1)
            fate = await gateway.fate(1)
            rows = await stored(store)
            assert (fate.stored, fate.rejected) == (60, {})
            assert len(rows) == 60
            assert {row.tags["gateway"] for row in rows} == {gateway.name}

    asyncio.run(main())


def test_live_and_backfill_are_both_taken_and_noted(tmp_path, mosquitto):
    async def main() -> None:
        old, seal = now_ms() - 5 * HOUR_MS, now_ms()
        async with (
            ingesting(configuration(tmp_path, mosquitto)) as (ingestor, store),
            Gateway(mosquitto) as gateway,
        ):
            gateway.send(lines(10, now_ms()), 1, seal_ms=seal)
            gateway.send(lines(10, old), 2, Leaf.BACKFILL, seal_ms=seal + 1)
            assert (await gateway.fate(1)).stored == (await gateway.fate(2)).stored == 10
            assert ingestor.counters.notes_dropped == 0
            noted = await stored(store, "gateway_batch")
            assert {(row.time_ms, row.fields["sequence"]) for row in noted} == {
                (seal, 1),
                (seal + 1, 2),
            }
            due = await stored(store, "rollup_due", Bucket.HEALTH)
            assert [row.fields["hour_ms"] for row in due] == [old - old % HOUR_MS]
            assert {row.tags["gateway"] for row in [*noted, *due]} == {gateway.name}

    asyncio.run(main())


def test_a_bad_line_is_dead_lettered_and_the_others_are_stored(tmp_path, mosquitto):
    async def main() -> None:
        good, time_ms = lines(5, now_ms()), now_ms()
        bad = [
            line("odd-1", time_ms).replace("=1i", "=2i"),
            line("odd-2", time_ms).replace("=1i", "=1.5"),
            line("odd-3", time_ms).replace(",site", ",gateway=gw-other,site"),
            line("odd-4", 10**12),
        ]
        async with (
            ingesting(configuration(tmp_path, mosquitto)) as (ingestor, store),
            Gateway(mosquitto) as gateway,
        ):
            gateway.send([*good[:2], *bad, *good[2:]], 1)
            fate = await gateway.fate(1)
            assert fate.stored == 5
            assert fate.rejected == {"range": 1, "type": 1, "grammar": 1, "time": 1}
            assert len(await stored(store)) == 5
            written = letters(tmp_path)
            assert [each["line"] for each in written] == bad
            assert [each["index"] for each in written] == [2, 3, 4, 5]
            assert {each["gateway"] for each in written} == {gateway.name}
            assert ingestor.counters.rejected == fate.rejected

    asyncio.run(main())


def test_the_same_batch_again_is_stored_once_dead_lettered_once_confirmed_twice(
    tmp_path, mosquitto
):
    async def main() -> None:
        content = [*lines(5, now_ms()), line("odd").replace("=1i", "=2i")]
        async with (
            ingesting(configuration(tmp_path, mosquitto)) as (_, store),
            Gateway(mosquitto) as gateway,
        ):
            for _ in range(2):
                gateway.send(content, 1)
            await eventually(lambda: len(gateway.fates.get(1, ())) == 2)
            assert {(fate.stored, tuple(fate.rejected)) for fate in gateway.fates[1]} == {
                (5, ("range",))
            }
            assert len(await stored(store)) == 5
            assert len(letters(tmp_path)) == 1

    asyncio.run(main())


def test_a_snapshot_is_stored_and_never_confirmed(tmp_path, mosquitto):
    async def main() -> None:
        async with (
            ingesting(configuration(tmp_path, mosquitto)) as (ingestor, store),
            Gateway(mosquitto) as gateway,
        ):
            gateway.send(lines(8, now_ms()), None)
            await eventually(lambda: ingestor.counters.stored == 8)
            gateway.send(lines(1, now_ms(), "after"), 1)
            await gateway.fate(1)
            assert len(await stored(store)) == 9
            assert list(gateway.fates) == [1]

    asyncio.run(main())


GARBAGE = {
    "not_zstd": b"this is not a batch",
    "truncated": encode_batch(lines(50))[:-9],
    "too_large": zstandard.ZstdCompressor().compress(b"a" * 2**30),
    "text": zstandard.ZstdCompressor().compress(b"no newline"),
}


def test_what_can_not_be_read_is_rejected_whole_and_delays_nobody(tmp_path, mosquitto):
    async def main() -> None:
        async with (
            ingesting(configuration(tmp_path, mosquitto)) as (ingestor, _),
            Gateway(mosquitto) as gateway,
        ):
            for sequence, payload in enumerate(GARBAGE.values(), 1):
                gateway.send(payload, sequence)
            gateway.send(b"\0" * 10 * 1024 * 1024, 10)
            gateway.send(b"garbage without a key", None)
            gateway.send(lines(3, now_ms()), 11)
            assert (await gateway.fate(11)).stored == 3
            for sequence, reason in enumerate(GARBAGE, 1):
                assert (await gateway.fate(sequence)).rejected == {reason: 0}
            assert (await gateway.fate(10)).rejected == {"too_large": 0}
            assert ingestor.counters.noise["not_zstd"] == 1
            assert ingestor.counters.refused == dict.fromkeys(GARBAGE, 1) | {"too_large": 2}
            kept = {each["sequence"]: len(str(each["payload"])) for each in letters(tmp_path)}
            assert set(kept) == {1, 2, 3, 4, 10}
            assert max(kept.values()) <= COMPRESSED_BYTES_MAX * 4 // 3 + 4

    asyncio.run(main())


def test_a_format_of_a_newer_version_is_held(tmp_path, mosquitto):
    async def main() -> None:
        async with (
            ingesting(configuration(tmp_path, mosquitto)),
            Gateway(mosquitto) as gateway,
        ):
            gateway.send(lines(1), 1, content_type="gampong-lines-9+zstd")
            await eventually(lambda: gateway.held(1))
            assert gateway.held(1)[0].hold_s >= 300
            assert gateway.final(1) is None

    asyncio.run(main())


def test_one_gateways_full_room_for_dead_letters_holds_only_its_own(tmp_path, mosquitto):
    async def main() -> None:
        settings = configuration(tmp_path, mosquitto)
        bad = [text.replace("=1i", "=9i") for text in lines(2000, now_ms())]
        (tmp_path / "dead-letters.jsonl").touch()
        small = settings.dead_letters.__class__(settings.dead_letters.path, 65_536, 0.5)
        settings = settings.__class__(settings.store, settings.broker, settings.ingest, small)
        async with (
            ingesting(settings) as (ingestor, _),
            Gateway(mosquitto) as loud,
            Gateway(mosquitto) as quiet,
        ):
            loud.send(bad, 1)
            await eventually(lambda: loud.held(1))
            quiet.send(bad[:1], 1)
            assert (await quiet.fate(1)).rejected == {"range": 1}
            assert loud.final(1) is None
            assert ingestor.counters.held == {"dead_letters_full": 1}

    asyncio.run(main())


def lock(path: Path) -> sqlite3.Connection:
    """Another process's long transaction: the store can't write until it is closed."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    return connection


def test_while_the_store_is_away_nobody_listens_and_afterwards_all_is_stored(tmp_path, mosquitto):
    async def main() -> None:
        async with (
            ingesting(configuration(tmp_path, mosquitto)) as (ingestor, store),
            Gateway(mosquitto) as gateway,
        ):
            locked = lock(tmp_path / "store.db")
            content = {n: lines(20, now_ms(), f"bay{n}") for n in range(1, 6)}
            for sequence, batch in content.items():
                gateway.send(batch, sequence)
            await eventually(lambda: ingestor.counters.store_away, "it gives up on the store")
            await gateway.nobody_listens()
            await eventually(lambda: all(gateway.held(n) for n in content), "each is held")
            assert not any(gateway.final(n) for n in content)
            locked.close()
            await eventually(lambda: ingestor.listening, "it subscribes again")
            for sequence, batch in content.items():
                gateway.send(batch, sequence)
            for sequence in content:
                assert (await gateway.fate(sequence)).stored == 20
            assert len(await stored(store)) == 100
            assert ingestor.counters.store_away == 1

    asyncio.run(main())


def test_many_gateways_are_told_together_and_each_hears_its_own(tmp_path, mosquitto):
    async def main() -> None:
        settings = configuration(tmp_path, mosquitto)
        async with contextlib.AsyncExitStack() as stack:
            gateways = [await stack.enter_async_context(Gateway(mosquitto)) for _ in range(5)]
            ingestor, _ = await stack.enter_async_context(ingesting(settings))
            for sequence in range(1, 21):
                for place, gateway in enumerate(gateways):
                    gateway.send(lines(1 + place, now_ms(), f"bay{sequence}"), sequence)
            for place, gateway in enumerate(gateways):
                for sequence in range(1, 21):
                    assert (await gateway.fate(sequence)).stored == 1 + place
            assert ingestor.counters.writes < 100
            assert ingestor.counters.confirmed == 100

    asyncio.run(main())


def test_a_broker_that_lets_nobody_confirm_is_noticed(tmp_path):
    async def main() -> None:
        (tmp_path / "acl").write_text("topic read #\ntopic write gampong/v1/+/batch\n")
        with Mosquitto(tmp_path, config=f"acl_file {tmp_path}/acl") as broker:
            async with (
                ingesting(configuration(tmp_path, broker)) as (ingestor, _),
                Gateway(broker) as gateway,
            ):
                gateway.send(lines(1, now_ms()), 1)
                await eventually(lambda: ingestor.counters.confirm_refused["0x87"])

    asyncio.run(main())


def test_a_short_lock_is_waited_for_and_nothing_is_held(tmp_path, mosquitto):
    async def main() -> None:
        async with (
            ingesting(configuration(tmp_path, mosquitto)) as (ingestor, _),
            Gateway(mosquitto) as gateway,
        ):
            locked = lock(tmp_path / "store.db")
            gateway.send(lines(20, now_ms()), 1)
            await eventually(lambda: ingestor.counters.kept, "a write is kept")
            locked.close()
            assert (await gateway.fate(1)).stored == 20
            assert gateway.held(1) == []
            assert ingestor.listening

    asyncio.run(main())


def test_two_ingestors_of_a_group_share_the_work(tmp_path, mosquitto):
    async def main() -> None:
        settings = configuration(tmp_path, mosquitto)
        async with (
            ingesting(settings) as (one, store),
            ingesting(settings) as (other, _),
            Gateway(mosquitto) as gateway,
        ):
            for sequence in range(1, 41):
                gateway.send(lines(5, now_ms(), f"bay{sequence}"), sequence)
            for sequence in range(1, 41):
                assert (await gateway.fate(sequence)).stored == 5
            assert len(await stored(store)) == 200
            assert one.counters.stored + other.counters.stored == 200
            assert min(one.counters.stored, other.counters.stored) > 0
            assert all(len(fates) == 1 for fates in gateway.fates.values())

    asyncio.run(main())


def test_a_broker_that_is_killed_and_starts_empty_is_found_again(tmp_path):
    async def main(broker: Mosquitto) -> None:
        async with ingesting(configuration(tmp_path, broker)) as (ingestor, _):
            broker.kill()
            await eventually(lambda: not ingestor.listening)
            broker.start()
            await eventually(lambda: ingestor.listening)
            async with Gateway(broker) as gateway:
                gateway.send(lines(5, now_ms()), 1)
                assert (await gateway.fate(1)).stored == 5

    with Mosquitto(tmp_path / "broker") as broker:
        asyncio.run(main(broker))


async def settle_all(gateway: Gateway, content: dict[int, list[str]]) -> dict[int, Fate]:
    """Send what isn't confirmed again and again, as a gateway does."""
    sent: dict[int, float] = {}

    def done() -> bool:
        for sequence, batch in content.items():
            if not gateway.final(sequence) and time.monotonic() - sent.get(sequence, 0) > 1:
                gateway.send(batch, sequence)
                sent[sequence] = time.monotonic()
        return all(gateway.final(sequence) for sequence in content)

    await eventually(done, "every batch is confirmed")
    return {sequence: await gateway.fate(sequence) for sequence in content}


@pytest.mark.parametrize("moment", range(4))
def test_an_ingestor_killed_at_any_moment_loses_and_doubles_nothing(
    tmp_path, mosquitto, moment, seed
):
    async def main() -> None:
        settings = configuration(tmp_path, mosquitto)
        content = {n: lines(30, now_ms(), f"bay{n}") for n in range(1, 61)}
        content[61] = [*lines(3, now_ms(), "good"), line("odd").replace("=1i", "=7i")]
        async with Gateway(mosquitto) as gateway:
            with child(tmp_path, settings) as first:
                await first.listens()
                for sequence, batch in content.items():
                    gateway.send(batch, sequence)
                enough = 1 + (seed + moment * 17) % 40
                await eventually(lambda: len(gateway.fates) >= enough, "some are confirmed")
                first.send_signal(signal.SIGKILL)
                await first.ended()
            with child(tmp_path, settings) as second:
                await second.listens()
                fates = await settle_all(gateway, content)
                second.send_signal(signal.SIGTERM)
                assert await second.ended() == 0
        assert sum(fate.stored for fate in fates.values()) == 60 * 30 + 3
        assert len(letters(tmp_path)) == 1
        async with ingesting(settings) as (_, store):
            rows = await stored(store)
            assert len(rows) == 60 * 30 + 3
            assert len({row.tags["device"] for row in rows}) == len(rows)

    asyncio.run(main())


def count(path: Path) -> int:
    """Points of bays in the store, read beside the process that writes it."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return sum(
            connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]
            for (name,) in connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'city%park%'"
                " AND name NOT LIKE '%hourly%'"
            ).fetchall()
        )


def test_killed_after_the_write_and_before_the_confirmation_nothing_doubles(tmp_path):
    async def main(broker: Mosquitto) -> None:
        settings, store = configuration(tmp_path, broker), tmp_path / "store.db"
        content = {1: lines(30, now_ms())}
        with child(tmp_path, settings) as first:
            await first.listens()
            locked = lock(store)
            async with Gateway(broker) as gateway:
                sent = broker.log.read_text().count("Sending PUBLISH to gampong-ingest-batch")
                gateway.send(content[1], 1)
                await eventually(
                    lambda: (
                        broker.log.read_text().count("Sending PUBLISH to gampong-ingest-batch")
                        > sent
                    ),
                    "the broker has handed it over",
                )
            broker.kill()  # nobody can be told any more
            locked.close()
            await eventually(lambda: count(store) == 30, "the batch is stored")
            first.send_signal(signal.SIGKILL)
            await first.ended()
        broker.start()
        with child(tmp_path, settings) as second:
            await second.listens()
            async with Gateway(broker, gateway.name) as again:
                assert (await settle_all(again, content))[1].stored == 30
        assert count(store) == 30

    with Mosquitto(tmp_path / "broker") as broker:
        asyncio.run(main(broker))


def test_on_sigterm_what_is_in_hand_is_stored_and_confirmed(tmp_path, mosquitto):
    async def main() -> None:
        content = {n: lines(50, now_ms(), f"bay{n}") for n in range(1, 31)}
        async with Gateway(mosquitto) as gateway:
            with child(tmp_path, configuration(tmp_path, mosquitto)) as process:
                await process.listens()
                mids = [gateway.send(batch, sequence) for sequence, batch in content.items()]
                await eventually(lambda: gateway.fates)
                process.send_signal(signal.SIGTERM)
                assert await process.ended() == 0
            await gateway.nobody_listens()
            text = process.log.read_text()
            assert "event=unfinished" not in text
            last = text.rpartition("event=ended")[2]
            received = int(last.partition("received=")[2].partition(" ")[0])
            await eventually(lambda: len(gateway.fates) == received, "each taken one is confirmed")
            assert set(mids) <= set(gateway.pubacks)

    asyncio.run(main())
