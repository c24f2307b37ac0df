"""A simulated day from bays and terminals to the alert: stored equals truth, a collector shows."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from devices.kinds import KINDS
from devices.payments import settled_ms
from devices.reading import Value
from ingest.health import Fact, point
from ingest.revenue import RevenueSettings, Tariff
from ingest.revenue_days import Revenue
from ingest.rollup import HOUR_MS, roll_up
from ingest.rollup_days import day_span, local_day
from ingest.stores import Bucket, Written
from ingest.stores.live import LiveStore
from simulators.city import City, Gateway
from simulators.faults import Faults
from simulators.payments import IDR_PER_HOUR, Till
from simulators.seeds import generator
from simulators.world import World
from tests.ingest.alerts.rounds import alerts, hourly, look, place
from tests.ingest.stores import databases
from tests.ingest.stores.databases import NOW_MS, HandClock
from wire.messages import Inventory, InventoryDevice

JAKARTA = ZoneInfo("Asia/Jakarta")
START_MS, STOP_MS = day_span(local_day(NOW_MS, JAKARTA) - timedelta(days=3), JAKARTA)
JUDGED_MS = STOP_MS + 4 * HOUR_MS
SETTINGS = RevenueSettings(tariff=(Tariff(idr_per_hour=IDR_PER_HOUR),), judged_from_idr=20_000)


async def live_through(
    store: LiveStore, gateway: Gateway, world: World, faults: Faults
) -> tuple[Counter[str], Counter[str]]:
    """The day's points into the store; the truth's occupied milliseconds and rupiah, by zone."""
    occupied_ms, paid = Counter[str](), Counter[str]()
    lines = []
    for bay in gateway.bays:
        parked, zone = world.bay(bay.name), bay.zone.name
        tags = (bay.name, gateway.name, gateway.site.name, zone)
        times = [START_MS + hour * HOUR_MS for hour in range(24)]
        times += [at_ms for at_ms, _ in parked.changes(START_MS, STOP_MS - 1)]
        for at_ms, until_ms in zip(sorted(times), [*sorted(times)[1:], STOP_MS], strict=True):
            occupied = parked.occupied(at_ms)
            occupied_ms[zone] += occupied * (until_ms - at_ms)
            lines.append(point(KINDS["parking_spot"], tags, {"occupied": occupied}, at_ms))
    for one in gateway.terminals:
        bays = [world.bay(name) for name in one.bays]
        till = Till(1, one, bays, faults, generator(1, one.name))
        tags = (one.name, gateway.name, gateway.site.name, one.zone.name)
        for payment in till.payments(START_MS, STOP_MS - 1):
            if not payment.kept:
                paid[one.zone.name] += payment.amount_idr
                at_ms = settled_ms(payment.time_ms, payment.transaction)
                amount = payment.amount_idr
                fields: dict[str, Value] = {"amount_idr": amount}
                fields["transaction"] = payment.transaction
                lines.append(point(KINDS["payment"], tags, fields, at_ms))
    assert await store.write(Bucket.CITY, lines) == Written()
    return occupied_ms, paid


def day_of(tmp_path: Path, faults: Faults) -> tuple[dict[str, float], set[str]]:
    """Share received by zone, and the zones that fire, of the demo's market in Banda Aceh."""
    city = City.demo(1)
    gateway, world = city.gateways[0], World(city, START_MS)
    devices = tuple(
        InventoryDevice(one.name, kind, "x", one.zone.name, 900, 2400)
        for kind, placed in (("parking_spot", gateway.bays), ("payment", gateway.terminals))
        for one in placed
    )
    known = [Inventory(gateway.name, gateway.site.name, 60, devices)]
    tmp_path.mkdir(exist_ok=True)

    async def play(store: LiveStore) -> tuple[dict[str, float], set[str]]:
        occupied_ms, paid = await live_through(store, gateway, world, faults)
        revenue = Revenue(store, SETTINGS, JAKARTA)
        for at_ms in range(START_MS, STOP_MS, HOUR_MS):
            assert await roll_up(store, at_ms) is None
            revenue.touch(at_ms)
        await revenue.round(JUDGED_MS)
        rows = await hourly(store, "revenue", ("expected_idr", "received_idr", "share"), NOW_MS)
        rows = [row for row in rows if row.time_ms == START_MS]
        assert {row.tags["zone"]: row.fields["received_idr"] for row in rows} == paid
        for row in rows:
            due = occupied_ms[row.tags["zone"]] / HOUR_MS * IDR_PER_HOUR
            assert abs(float(row.fields["expected_idr"]) - due) <= 0.5
        own = alerts(store, tmp_path)
        here = place(gateway.name, gateway.name, gateway.site.name)
        online = Fact("gateway_health", here, {"online": 1})
        await own.round(look(JUDGED_MS, facts=[online], inventories=known))
        fires = {one.place.zone for one in own.newsroom.boxes["all"].due}
        return {row.tags["zone"]: float(row.fields["share"]) for row in rows}, fires

    return databases.sqlite(tmp_path).run(play, HandClock())


def test_a_days_revenue_is_what_the_truth_says_and_only_the_collectors_zone_fires(tmp_path):
    shares, fires = day_of(tmp_path / "well", Faults())
    assert len(shares) == 3
    assert fires == {zone for zone, share in shares.items() if share < 0.70}
    assert "pelataran" not in fires
    kept, fires_then = day_of(tmp_path / "kept", Faults(collector_keeps=("pelataran",)))
    assert kept["pelataran"] < 0.5 < shares["pelataran"]
    assert fires_then == fires | {"pelataran"}
