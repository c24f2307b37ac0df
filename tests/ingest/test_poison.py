"""Batches made to harm: each is isolated, said why, seen in the points, and harms no neighbour."""

from __future__ import annotations

import asyncio
import struct
from functools import partial

import msgspec
import pytest
import zstandard

from ingest.dead_letters import DeadLetters
from ingest.guard import Limits
from ingest.ingestor import machine_name
from ingest.replay import Replayed, replay
from ingest.stores import Bucket, Query
from ingest.stores.kinds import INGESTOR_HEALTH, REJECTED_FOR
from ingest.stores.live import LiveStore
from ingest.stores.points import Reason
from tests.ingest.batches import line, lines
from tests.ingest.gateway import Gateway, configuration, eventually, ingesting
from tests.ingest.test_ingestor import letters, now_ms, stored
from wire.batch import RAW_BYTES_MAX, encode_batch
from wire.clock import SystemClock


def frame(raw: bytes) -> bytes:
    """A sound zstd frame of any bytes, without a dictionary."""
    return zstandard.ZstdCompressor().compress(raw)


def claims_to_hold(size: int) -> bytes:
    """A frame whose header promises `size` bytes and holds one (RFC 8878, 3.1.1.1)."""
    return b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", size) + b"\x09\x00\x00a"


WHOLE = {
    "bomb of 1 GiB": (frame(b"a" * 2**30), "too_large"),
    "header that promises a petabyte": (claims_to_hold(2**50), "too_large"),
    "header that lies": (claims_to_hold(5000), "truncated"),
    "frame that breaks off": (encode_batch(lines(50))[:-9], "truncated"),
    "two frames": (encode_batch(lines(2)) * 2, "truncated"),
    "not zstd": (b"\x00" * 500, "not_zstd"),
    "not UTF-8": (frame(b"parking_spot,device=\xff\xfe\n"), "text"),
    "no lines": (frame(b""), "text"),
    "a million empty lines": (frame(b"\n" * RAW_BYTES_MAX), "text"),
}
LINES = {
    "a line of 1 MiB": ("a" * (RAW_BYTES_MAX - 1), "grammar"),
    "a tag of 1 MiB": ("parking_spot,device=" + "b" * (RAW_BYTES_MAX - 99), "grammar"),
    "half a million commas": (line().replace(" occupied", " " + "," * 500_000), "grammar"),
    "NULs": ("\0" * 1000, "grammar"),
    "a carriage return": (line() + "\r", "grammar"),
    "terminal escapes": (line().replace("bay-01", "\x1b[2J"), "grammar"),
    "a second time": (line() + " 1", "grammar"),
}


@pytest.mark.parametrize("what", WHOLE)
def test_a_batch_that_can_not_be_opened_is_rejected_whole_and_its_bytes_are_kept(
    tmp_path, mosquitto, what
):
    payload, reason = WHOLE[what]

    async def main() -> None:
        async with (
            ingesting(configuration(tmp_path, mosquitto)) as (_, store),
            Gateway(mosquitto) as ill,
            Gateway(mosquitto) as well,
        ):
            ill.send(payload, 1)
            well.send(lines(3, now_ms()), 1)
            assert (await well.fate(1)).stored == 3
            assert (await ill.fate(1)).rejected == {reason: 0}
            (letter,) = letters(tmp_path)
            assert (letter["reason"], letter["index"]) == (reason, -1)
            assert len(await stored(store)) == 3

    asyncio.run(main())


@pytest.mark.parametrize("what", LINES)
def test_a_monstrous_line_is_rejected_alone(tmp_path, mosquitto, what):
    bad, reason = LINES[what]

    async def main() -> None:
        async with (
            ingesting(configuration(tmp_path, mosquitto)) as (_, store),
            Gateway(mosquitto) as gateway,
        ):
            room = RAW_BYTES_MAX - len(bad) - 2
            good = [text for text in lines(2, now_ms()) if len(text) * 2 + 2 < room]
            gateway.send([*good, bad], 1)
            fate = await gateway.fate(1)
            assert (fate.stored, fate.rejected) == (len(good), {reason: 1})
            assert letters(tmp_path)[0]["line"] == bad
            assert len(await stored(store)) == len(good)

    asyncio.run(main())


async def health(store: LiveStore) -> dict[str, object]:
    query = Query(
        kind="ingestor_health",
        fields=tuple(INGESTOR_HEALTH.fields),
        start_ms=0,
        stop_ms=2**52,
        bucket=Bucket.HEALTH,
    )
    row = (await store.read(query))[-1]
    assert row.tags == {
        "device": machine_name(), "gateway": machine_name(), "site": "cloud", "zone": "main",
    }  # fmt: skip
    return dict(row.fields)


def test_what_an_ingestor_did_and_what_it_buried_can_be_read_as_points(tmp_path, mosquitto):
    async def main() -> None:
        now = now_ms()
        bad = [line("bay-x", now).replace("=1i", "=9i"), line("bay-y", 10**12)]
        async with (
            ingesting(configuration(tmp_path, mosquitto)) as (ingestor, store),
            Gateway(mosquitto) as gateway,
        ):
            gateway.send([*lines(5, now), *bad], 1)
            gateway.send(b"not a batch", 2)
            gateway.send(b"nor a snapshot", None)
            gateway.probe()
            await gateway.fate(1)
            await gateway.fate(2)
            await eventually(lambda: ingestor.counters.noise["probe"], "all have come")
            await ingestor.report()
            fields = await health(store)
            size = (tmp_path / "dead-letters.jsonl").stat().st_size
            assert fields.pop("uptime_s")
            assert fields.pop("dead_letters_share") == pytest.approx(size / 2**26)
            assert {name: value for name, value in fields.items() if value} == {
                "received": 4,
                "stored": 5,
                "rejected": 3,
                "noise": 1,
                "rejected_range": 1,
                "rejected_time": 1,
                "rejected_not_zstd": 1,
                "dead_letters_bytes": size,
            }

    asyncio.run(main())


def test_every_reason_a_line_can_be_rejected_for_has_a_field():
    guards = {"grammar", "unknown_kind", "unknown_field", "type", "range", "duplicate_field"}
    wholes = {"not_zstd", "truncated", "too_large", "digest", "text"}
    others = {"time", "claim", "too_many_new", "server_error"}
    assert set(REJECTED_FOR) == {*map(str, Reason), *guards, *wholes, *others}


def test_a_full_dead_letter_file_keeps_batches_until_a_replay_has_made_room(tmp_path, mosquitto):
    async def main() -> None:
        settings = configuration(tmp_path, mosquitto)
        small = msgspec.structs.replace(settings.dead_letters, bytes_max=65_536, gateway_share=1.0)
        settings = msgspec.structs.replace(settings, dead_letters=small)
        ahead = lines(120, now_ms() + 30 * 3_600_000)
        async with ingesting(settings) as (ingestor, store), Gateway(mosquitto) as gateway:
            sequence = 0
            while not any(gateway.held(n) for n in range(1, sequence + 1)):
                sequence += 1
                gateway.send(ahead, sequence)
                await eventually(partial(gateway.fates.get, sequence), "it is answered")
            assert ingestor.counters.held == {"dead_letters_full": 1}
            gateway.send(lines(3, now_ms()), 500)
            assert (await gateway.fate(500)).stored == 3
            await ingestor.report()
            share = (await health(store))["dead_letters_share"]
            assert isinstance(share, float)
            assert 0.5 < share <= 1

            wider = Limits(future_ms=48 * 3_600_000)  # the fix
            buried = DeadLetters.of(settings.dead_letters)
            done = await replay(buried, store, SystemClock(), wider)
            assert done == Replayed(120 * (sequence - 1), {})
            await ingestor.report()  # the alert ends: nothing waits, though the file is there
            assert (await health(store))["dead_letters_bytes"] == 0
            gateway.send(ahead, sequence)
            assert (await gateway.fate(sequence)).rejected == {"time": 120}

    asyncio.run(main())
