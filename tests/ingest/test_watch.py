"""The watch on a real broker and a real store: silence becomes a value, a registry is obeyed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from ingest.broker import Door
from ingest.configuration import IngestConfiguration
from ingest.ingestor import Ingestor
from ingest.registry import Claim, RegistryFile
from ingest.registry_file import load_registry, save_registry
from ingest.rollup import HOUR_MS, hour_of
from ingest.stores import Aggregate, Bucket, Query, Row
from ingest.stores.kinds import STORED_KINDS
from ingest.stores.live import LiveStore
from ingest.stores.open import open_store
from ingest.watch import Watch
from tests.ingest.batches import line
from tests.ingest.gateway import Gateway, configuration, eventually, ingesting
from wire.clock import SystemClock
from wire.configuration import ConfigurationError
from wire.messages import Inventory, InventoryDevice, Ledger, Place, Status, encode_message
from wire.topics import Leaf, topic

AGE_S = 1560.0


class ShiftedClock(SystemClock):
    """The machine's clock, with wall seconds that a test can let pass."""

    passed_s = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.passed_s


def inventory(gateway: str, *devices: str) -> Inventory:
    return Inventory(
        gateway,
        "pasar",
        60,
        tuple(
            InventoryDevice(name, "parking_spot", "bosch_tps110", "a", 600, AGE_S, Place(5.5, 95.3))
            for name in devices
        ),
        Place(5.5, 95.3),
        "Pasar",
    )


def announce(gateway: Gateway, *devices: str, online: bool = True) -> None:
    """Publish the retained inventory and status of a gateway."""
    for leaf, message in (
        (Leaf.INVENTORY, inventory(gateway.name, *devices)),
        (Leaf.STATUS, Status(gateway.name, online, "0.1.0", ledger=Ledger(taken=1, accepted=1,
                                                                          stored=1))),
    ):  # fmt: skip
        name = topic(gateway.name, leaf)
        gateway.client.publish(name, encode_message(message), qos=1, retain=True)


@contextlib.asynccontextmanager
async def watching(
    settings: IngestConfiguration, folder: Path, clock: SystemClock
) -> AsyncIterator[tuple[Watch, LiveStore]]:
    async with open_store(settings.store, clock) as store, asyncio.TaskGroup() as group:
        watch = Watch(store, clock, folder / "registry.json")
        task = group.create_task(watch.run(Door(settings.broker, None, None), "watch"))
        await eventually(lambda: watch.listening, "the watch listens")
        try:
            yield watch, store
        finally:
            task.cancel()


def known_of(watch: Watch) -> set[str]:
    return {device.name for each in watch.registry.inventories.values() for device in each.devices}


async def newest(store: LiveStore, kind: str, **where: str) -> dict[str, Row]:
    query = Query(
        kind=kind,
        fields=tuple(STORED_KINDS[kind].fields),
        start_ms=0,
        stop_ms=SystemClock().now_ms() + HOUR_MS,
        aggregate=Aggregate.NEWEST,
        where={tag: (value,) for tag, value in where.items()},
        bucket=Bucket.HEALTH,
    )
    return {row.tags["device"]: row for row in await store.read(query)}


def test_every_announced_device_gets_a_place_and_a_state_before_it_ever_spoke(tmp_path, broker):
    async def main() -> None:
        settings = configuration(tmp_path, broker)
        async with (
            watching(settings, tmp_path, SystemClock()) as (watch, store),
            Gateway(broker, "mahirah-01") as gateway,
        ):
            announce(gateway, "bay-1", "bay-2")
            await eventually(lambda: "mahirah-01" in watch.heard, "the status is heard")
            await watch.round(SystemClock().now_ms())
            places = await newest(store, "device_registry")
            assert set(places) == {"mahirah-01", "bay-1", "bay-2"}
            assert places["bay-1"].fields["latitude"] == 5.5
            assert places["mahirah-01"].fields["kind"] == "gateway"
            states = await newest(store, "device_health")
            assert {row.fields["state"] for row in states.values()} == {"silent"}
            health = (await newest(store, "gateway_health"))["mahirah-01"].fields
            assert (health["online"], health["balanced"], health["stored"]) == (1, 1, 1)

    asyncio.run(main())


def test_what_no_inventory_names_any_more_is_told_as_removed(tmp_path, broker):
    async def main() -> None:
        settings = configuration(tmp_path, broker)

        async def told(watch: Watch, store: LiveStore, *known: str) -> dict[str, object]:
            names = set(known)
            await eventually(lambda: known_of(watch) == names, "the inventory is taken in")
            await watch.round(SystemClock().now_ms())
            places = await newest(store, "device_registry")
            return {device: row.fields["kind"] for device, row in places.items()}

        async with (
            watching(settings, tmp_path, SystemClock()) as (watch, store),
            Gateway(broker, "mahirah-01") as gateway,
        ):
            announce(gateway, "bay-1", "bay-2", "bay-3")
            assert (await told(watch, store, "bay-1", "bay-2", "bay-3"))["bay-1"] == "parking_spot"
            announce(gateway, "bay-2", "bay-3")
            assert await told(watch, store, "bay-2", "bay-3") == {
                "mahirah-01": "gateway",
                "bay-1": "removed",
                "bay-2": "parking_spot",
                "bay-3": "parking_spot",
            }
        async with (
            watching(settings, tmp_path, SystemClock()) as (watch, store),
            Gateway(broker, "mahirah-01") as gateway,
        ):
            announce(gateway, "bay-3")
            kinds = await told(watch, store, "bay-3")
            assert (kinds["bay-2"], kinds["bay-3"]) == ("removed", "parking_spot")

    asyncio.run(main())


def test_a_bay_that_moves_to_another_zone_has_left_the_old_one(tmp_path, broker):
    async def main() -> None:
        settings = configuration(tmp_path, broker)
        async with (
            watching(settings, tmp_path, SystemClock()) as (watch, store),
            Gateway(broker, "mahirah-01") as gateway,
        ):
            announce(gateway, "bay-1")
            await eventually(lambda: known_of(watch) == {"bay-1"}, "the inventory is taken in")
            await watch.round(SystemClock().now_ms())
            first = inventory("mahirah-01", "bay-1")
            moved = msgspec.structs.replace(first.devices[0], zone="b")
            payload = encode_message(msgspec.structs.replace(first, devices=(moved,)))
            gateway.client.publish(topic("mahirah-01", Leaf.INVENTORY), payload, qos=1, retain=True)
            held = watch.registry.inventories
            await eventually(lambda: held["mahirah-01"].devices[0].zone == "b", "it has moved")
            await watch.round(SystemClock().now_ms())
            row = (await newest(store, "device_registry"))["bay-1"]
            assert (row.tags["zone"], row.fields["kind"]) == ("b", "parking_spot")
            row = (await newest(store, "device_registry", zone="a"))["bay-1"]
            assert row.fields["kind"] == "removed"

    asyncio.run(main())


def test_a_terminal_that_nobody_has_paid_at_yet_is_not_silent(tmp_path, broker):
    async def main() -> None:
        settings = configuration(tmp_path, broker)
        terminal = InventoryDevice("terminal-1", "payment", "qris", "a", 86_400, 216_060)
        async with (
            watching(settings, tmp_path, SystemClock()) as (watch, store),
            Gateway(broker, "mahirah-01") as gateway,
        ):
            announce(gateway, "bay-1")
            both = inventory("mahirah-01", "bay-1")
            both = msgspec.structs.replace(both, devices=(*both.devices, terminal))
            payload = encode_message(both)
            gateway.client.publish(topic("mahirah-01", Leaf.INVENTORY), payload, qos=1, retain=True)
            await eventually(lambda: "terminal-1" in watch.registry.file.owners, "it is registered")
            await eventually(lambda: "mahirah-01" in watch.heard, "the status is heard")
            await watch.round(SystemClock().now_ms())
            states = await newest(store, "device_health")
            told = {device: row.fields["state"] for device, row in states.items()}
            assert told == {"bay-1": "silent", "terminal-1": "ok"}

    asyncio.run(main())


def test_a_fresh_reading_makes_a_device_ok_and_a_dead_gateway_explains_a_silent_one(
    tmp_path, broker
):
    async def main() -> None:
        settings, clock = configuration(tmp_path, broker), ShiftedClock()
        async with (
            watching(settings, tmp_path, clock) as (watch, store),
            Gateway(broker, "mahirah-01") as gateway,
        ):
            announce(gateway, "bay-1", "bay-2")
            await eventually(lambda: "mahirah-01" in watch.heard, "the status is heard")
            fresh = line("bay-1", clock.now_ms()).replace(",site", ",gateway=mahirah-01,site")
            await store.write(Bucket.CITY, [fresh])
            await watch.round(clock.now_ms())
            states = await newest(store, "device_health")
            assert states["bay-1"].fields["state"] == "ok"
            assert states["bay-2"].fields["state"] == "silent"
            clock.passed_s = 181.0
            await watch.round(clock.now_ms() + 1000)
            states = await newest(store, "device_health")
            assert states["bay-2"].fields["state"] == "gateway_offline"
            assert (await newest(store, "gateway_health"))["mahirah-01"].fields["online"] == 0

    asyncio.run(main())


def test_an_ingestor_takes_nothing_before_it_knows_the_registry_and_then_refuses_a_claim(
    tmp_path, broker
):
    async def main() -> None:
        settings = configuration(tmp_path, broker, registry="needed")
        clock, stop = SystemClock(), asyncio.Event()
        async with (
            open_store(settings.store, clock) as store,
            Gateway(broker, "mahirah-01") as owner,
            Gateway(broker, "thief-01") as thief,
            asyncio.TaskGroup() as group,
        ):
            ingestor = Ingestor(settings, Door(settings.broker, None, None), store, clock)
            group.create_task(ingestor.run(stop))
            await owner.nobody_listens()
            async with watching(settings, tmp_path, clock) as (watch, _):
                announce(owner, "bay-1")
                await eventually(lambda: "bay-1" in watch.registry.file.owners, "it is announced")
                announce(thief, "bay-1", "bay-9")
                await eventually(lambda: "bay-9" in watch.registry.file.owners, "both are")
                await eventually(lambda: ingestor.listening, "the ingestor listens")
                await eventually(lambda: ingestor.owner_of("bay-9", 0) == "thief-01", "it knows")
                now_ms = clock.now_ms()
                owner.send([line("bay-1", now_ms), line("unannounced", now_ms)], 1)
                thief.send([line("bay-1", now_ms + 1), line("bay-9", now_ms)], 1)
                assert (await owner.fate(1)).stored == 2
                fate = await thief.fate(1)
                assert (fate.stored, fate.rejected) == (1, {"claim": 1})
                (claim,) = watch.registry.file.claims
                assert (claim.device, claim.gateway) == ("bay-1", "thief-01")
            stop.set()

    asyncio.run(main())


def test_a_hostile_status_or_inventory_changes_nothing_and_is_counted(tmp_path, broker):
    async def main() -> None:
        settings = configuration(tmp_path, broker)
        async with (
            watching(settings, tmp_path, SystemClock()) as (watch, _),
            Gateway(broker, "thief-01") as thief,
        ):
            for leaf, payload in (
                (Leaf.STATUS, b"not json"),
                (Leaf.STATUS, encode_message(Status("mahirah-01", True))),
                (Leaf.INVENTORY, encode_message(inventory("mahirah-01", "bay-1"))),
                (Leaf.INVENTORY, encode_message(inventory("thief-01", "<script>"))),
                (Leaf.INVENTORY, b"[" * 100_000),
            ):
                thief.client.publish(topic("thief-01", leaf), payload, qos=1)
            await eventually(lambda: watch.counts["bad_message"] == 5, "all are counted")
            assert watch.heard == {}
            assert watch.registry.file == RegistryFile()

    asyncio.run(main())


def test_late_data_has_its_hour_rolled_up_again(tmp_path, broker):
    async def main() -> None:
        settings, clock = configuration(tmp_path, broker), SystemClock()
        hour = hour_of(clock.now_ms()) - 5 * HOUR_MS
        async with (
            ingesting(settings) as (ingestor, store),
            Gateway(broker, "mahirah-01") as gateway,
        ):
            watch = Watch(store, clock, tmp_path / "registry.json")
            gateway.send([line("bay-1", hour, occupied=1)], 1, Leaf.BACKFILL)
            await gateway.fate(1)
            await eventually(lambda: ingestor.idle, "the note is written")
            await watch.round(clock.now_ms())
            assert await hourly(store, hour) == (1.0, 1)
            gateway.send([line("bay-1", hour + HOUR_MS // 2, occupied=0)], 2, Leaf.BACKFILL)
            await gateway.fate(2)
            await eventually(lambda: ingestor.idle, "the note is written")
            await watch.round(clock.now_ms())
            assert await hourly(store, hour) == (0.5, 2)

    asyncio.run(main())


async def hourly(store: LiveStore, hour: int) -> tuple[object, object]:
    query = Query(
        kind="parking_spot",
        fields=("occupied_mean", "occupied_count"),
        start_ms=hour,
        stop_ms=hour + HOUR_MS,
        bucket=Bucket.HOURLY,
    )
    (row,) = await store.read(query)
    return row.fields["occupied_mean"], row.fields["occupied_count"]


def test_the_registry_is_there_again_after_a_restart_and_a_damaged_one_is_named(tmp_path, broker):
    async def main() -> None:
        settings = configuration(tmp_path, broker)
        async with Gateway(broker, "mahirah-01") as gateway:
            async with watching(settings, tmp_path, SystemClock()) as (watch, _):
                announce(gateway, "bay-1")
                await eventually(lambda: (tmp_path / "registry.json").exists(), "it is kept")
                assert watch.registry.file.owners
            async with watching(settings, tmp_path, SystemClock()) as (again, _):
                assert again.registry.file.owners["bay-1"][0].gateway == "mahirah-01"

    asyncio.run(main())
    path = tmp_path / "registry.json"
    assert msgspec.json.decode(path.read_bytes(), type=RegistryFile).inventories
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ConfigurationError, match=r"registry\.json"):
        load_registry(path)
    for damaged in (
        RegistryFile(owners={"bay-1": []}),
        RegistryFile(claims=[Claim("bay-1", "mahirah-02", 5)]),
    ):
        save_registry(path, damaged)
        with pytest.raises(ConfigurationError, match="'bay-1' has no owner"):
            load_registry(path)
