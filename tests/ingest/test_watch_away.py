"""The watch or a gateway was away: what happened meanwhile is made up for, and nothing counted
twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC
from pathlib import Path
from typing import cast

from dashboards.zones import see
from devices.reading import Value
from ingest.newest import See
from ingest.rollup import HOUR_MS
from ingest.rollups import RollUps
from ingest.stores import Bucket, Query, Store
from ingest.stores.configuration import SqliteSettings
from ingest.stores.open import open_store
from ingest.watch import Watch
from wire.clock import SystemClock
from wire.messages import Inventory, InventoryDevice

NOW_MS = SystemClock().now_ms() // HOUR_MS * HOUR_MS + HOUR_MS // 2


async def say(store: Store, hours: range) -> None:
    """A bay is taken in each of these hours, counted back from now."""
    lines = [
        f"parking_spot,device=bay-1,gateway=g,site=s,zone=z occupied=1i {NOW_MS - n * HOUR_MS}"
        for n in hours
    ]
    await store.write(Bucket.CITY, lines)


async def rolled(store: Store) -> set[int]:
    """The hours that are there, counted back from now."""
    query = Query(
        kind="parking_spot",
        fields=("occupied_mean",),
        start_ms=0,
        stop_ms=NOW_MS + HOUR_MS,
        bucket=Bucket.HOURLY,
    )
    return {(NOW_MS - row.time_ms) // HOUR_MS for row in await store.read(query)}


def roll_ups_of(store: Store) -> RollUps:
    return RollUps(store, SystemClock(), UTC, Counter())


def settings(folder: Path) -> SqliteSettings:
    return SqliteSettings(path=str(folder / "store.db"))


def test_hours_that_ended_while_the_watch_was_away_are_rolled_up_when_it_is_back(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        async with open_store(settings(tmp_path), SystemClock()) as store:
            await say(store, range(10))
            await roll_ups_of(store).round(NOW_MS - 6 * HOUR_MS)
            assert await rolled(store) == {7}
            await roll_ups_of(store).round(NOW_MS)
            assert await rolled(store) == {1, 2, 3, 4, 5, 6, 7}

    asyncio.run(main())


def test_hours_in_which_no_round_came_so_far_are_rolled_up_by_the_next_one(tmp_path: Path) -> None:
    async def main() -> None:
        async with open_store(settings(tmp_path), SystemClock()) as store:
            await say(store, range(10))
            roll_ups = roll_ups_of(store)
            await roll_ups.round(NOW_MS - 3 * HOUR_MS)
            await roll_ups.round(NOW_MS)
            assert await rolled(store) == {1, 2, 3, 4}

    asyncio.run(main())


def test_a_bay_that_moved_is_counted_once_and_its_silence_isnt_hidden_by_its_old_gateway(
    tmp_path: Path,
) -> None:
    """The old gateway is gone for good; its inventory, which names the bay, stays."""

    async def main() -> None:
        async with open_store(settings(tmp_path), SystemClock()) as store:
            clock = SystemClock()
            watch = Watch(store, clock, tmp_path / "registry.json", see=cast("See", see))
            bay = InventoryDevice("bay-1", "parking_spot", "x", "a", 600, 1560)
            for gateway in ("gw-old", "gw-young"):
                watch.registry.announce(Inventory(gateway, "pasar", 60, (bay,)), 1000)
            now_ms = clock.now_ms()
            assert (await counted(store, watch, now_ms)) == (["gw-old"], 1)
            assert watch.registry.accept("bay-1", "gw-young")
            assert (await counted(store, watch, now_ms + 60_000)) == (["gw-young"], 1)

    asyncio.run(main())


async def counted(store: Store, watch: Watch, minute_ms: int) -> tuple[list[str], Value]:
    """After a round: the gateways that the bay's health is told of, and the bays of its zone."""
    await watch.round(minute_ms)
    health, zone = [
        await store.read(
            Query(
                kind=kind,
                fields=(field,),
                start_ms=minute_ms,
                stop_ms=minute_ms + 1,
                bucket=Bucket.HEALTH,
            )
        )
        for kind, field in (("device_health", "state"), ("parking_spot_zone", "devices"))
    ]
    return [row.tags["gateway"] for row in health], zone[0].fields["devices"]
