"""A gateway whose key somebody else has does its worst, on a real broker, ingestor and watch: what
another one reads is all stored meanwhile, memory is bounded, and everything is counted.

`bench.hostile` is the one, `bench.hostile_gateway` measures latencies. Here nothing depends on how
fast this machine is: the good gateway sends until the flood has gone round once.
"""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3

import pytest

from bench.hostile_gateway import BAYS, GOOD, HOSTILE, Neighbour, cloud, flooding
from bench.processes import used
from ingest.configuration import DeadLetterSettings
from ingest.registry import DAY_MS, DEVICES_PER_GATEWAY_MAX, NEW_A_DAY
from tests.processes import Gampong

GROWTH_BYTES = 150 * 1024 * 1024
"""A bomb is 256 MB; what waits for room on its way is bounded by less."""


ROWS = """SELECT s.device, s.gateway, s.zone, r.time_ms
          FROM city__parking_spot r JOIN series s ON s.id = r.series"""


@pytest.fixture(scope="module")
def aftermath(tmp_path_factory):
    """What is left after one round, and the good gateway's last word."""
    folder = tmp_path_factory.mktemp("hostile")
    with cloud(folder) as (broker, ingestor, watch):
        good, growth = asyncio.run(_through_a_flood(folder, broker, ingestor, watch))
        assert ingestor.stop() == 0
        ended = next(
            line for line in ingestor.log.read_text().splitlines() if "event=ended" in line
        )
        counts = {name: int(n) for name, n in re.findall(r"([\w.]+)=(\d+)\b", ended)}
        registry = json.loads((folder / "registry.json").read_bytes())
        with sqlite3.connect(folder / "store.db") as store:
            rows = store.execute(ROWS).fetchall()
        yield good, growth, counts, registry, rows, folder


async def _through_a_flood(folder, broker, ingestor: Gampong, watch: Gampong):
    async with Neighbour(broker) as good:
        await good.announce()
        ingestor.said("event=subscribed leaf=backfill")
        await good.send()
        before = [used(process.pid).resident_bytes for process in (ingestor, watch)]
        most = [*before]
        with flooding(folder, broker, "--victim", f"{GOOD}-bay") as flood:
            while "round 1" not in flood.log.read_text():
                assert flood.runs_for(0), flood.tail()
                await good.send()
                now = [used(process.pid).resident_bytes for process in (ingestor, watch)]
                most = [max(pair) for pair in zip(most, now, strict=True)]
            await good.announce("good-01-late")
            await good.send()
            flood.hang_up()
            flood.said("over")
        print(flood.tail().splitlines()[-1], f"good batches: {len(good.latencies_s)}")
        print(f"slowest {max(good.latencies_s):.2f} s, sent again {good.again}, memory {most}")
        return good, [end - start for start, end in zip(before, most, strict=True)]


def test_every_reading_of_the_good_gateway_is_stored_while_the_other_floods(aftermath):
    good, _, _, _, rows, _ = aftermath
    stored = [row for row in rows if row[1] == GOOD]
    assert len(stored) == len(good.latencies_s) * BAYS
    assert {row[0] for row in stored} == {*good.bays()}


def test_a_bomb_does_not_grow_the_ingestor_nor_the_watch(aftermath):
    assert max(aftermath[1]) < GROWTH_BYTES


def test_a_million_new_names_make_no_million_series(aftermath):
    series = {row[:3] for row in aftermath[4] if row[1] == HOSTILE}
    # What it announced first is its own; beyond that it has so many new places a day.
    assert 0 < len(series) <= NEW_A_DAY + DEVICES_PER_GATEWAY_MAX


def test_the_registry_takes_what_a_day_may_bring_and_the_good_ones_new_device_at_once(aftermath):
    registry = aftermath[3]
    owned = [name for name, held in registry["owners"].items() if held[0][0] == HOSTILE]
    assert len(owned) <= 2 * DEVICES_PER_GATEWAY_MAX
    assert registry["owners"]["good-01-late"] == [[GOOD, 0]]


def test_no_line_says_that_it_comes_from_another_gateway_or_from_another_time(aftermath):
    rows = aftermath[4]
    assert {row[0] for row in rows if row[1] == HOSTILE}.isdisjoint(aftermath[0].bays())
    assert {row[1] for row in rows} <= {GOOD, HOSTILE}
    assert max(row[3] for row in rows) - min(row[3] for row in rows) < DAY_MS


def test_everything_refused_is_counted_by_its_reason(aftermath):
    counts = aftermath[2]
    assert counts["refused.too_large"]
    assert counts["held.rate"]
    assert counts["noise.correlation"]
    assert counts["noise.probe"] or counts["noise.rate"]
    assert sum(count for name, count in counts.items() if name.startswith("rejected.")) > 0


def test_dead_letters_of_the_hostile_gateway_keep_to_its_share_of_the_file(aftermath):
    folder = aftermath[5]
    settings = DeadLetterSettings()
    size = (folder / "dead-letters.jsonl").stat().st_size
    assert size <= settings.bytes_max * settings.gateway_share
