"""A zone's days on real stores: reckoned, again when something comes late, judged when over."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from devices.kinds import KINDS
from devices.reading import Value
from ingest.health import Fact, point
from ingest.revenue import RevenueSettings, Tariff
from ingest.revenue_days import Revenue
from ingest.rollup import HOUR_MS, roll_up
from ingest.rollup_days import day_span, local_day
from ingest.rules.standing import Place
from ingest.stores import Bucket, Written
from ingest.stores.live import LiveStore
from tests.ingest.alerts.rounds import alerts, hourly, inventory, look, place
from tests.ingest.stores.databases import NOW_MS, Database, HandClock

JAKARTA = ZoneInfo("Asia/Jakarta")
DAY = local_day(NOW_MS, JAKARTA) - timedelta(days=3)
START_MS, STOP_MS = day_span(DAY, JAKARTA)
JUDGED_MS = STOP_MS + 4 * HOUR_MS
MINUTE_MS = 60_000
SETTINGS = RevenueSettings(tariff=(Tariff(idr_per_hour=2000, from_hour=6, until_hour=18),))
FIELDS = ("expected_idr", "received_idr", "share", "judged")
KNOWN = [inventory("gw-1", "bay-1", kind="parking_spot")]
ONLINE = Fact("gateway_health", place("gw-1"), {"online": 1})
PAYMENT_IDR = 10_000


async def take(
    store: LiveStore, kind: str, device: str, fields: dict[str, Value], time_ms: int
) -> None:
    tags = (device, "gw-1", "pasar", "a")
    line = point(KINDS[kind], tags, fields, time_ms)
    assert await store.write(Bucket.CITY, [line]) == Written()


async def park(store: LiveStore, bays: int, revenue: Revenue) -> None:
    """So many bays are taken from 8 to 14 o'clock, and rolled up."""
    for hour in range(8, 15):
        for bay in range(bays):
            at_ms = START_MS + hour * HOUR_MS
            await take(store, "parking_spot", f"bay-{bay}", {"occupied": int(hour < 14)}, at_ms)
        assert await roll_up(store, START_MS + hour * HOUR_MS) is None
        revenue.touch(START_MS + hour * HOUR_MS)


async def pay(store: LiveStore, count: int, first: int = 0) -> None:
    for number in range(first, first + count):
        fields: dict[str, Value] = {"amount_idr": PAYMENT_IDR, "transaction": f"trx-{number}"}
        at_ms = START_MS + 15 * HOUR_MS + number
        await take(store, "payment", "terminal-1", fields, at_ms)


async def days(store: LiveStore) -> list[tuple[int, dict[str, Value]]]:
    rows = await hourly(store, "revenue", FIELDS, NOW_MS)
    assert {(r.tags["device"], r.tags["site"], r.tags["zone"]) for r in rows} <= {
        ("a", "pasar", "a")
    }
    return [(row.time_ms, row.fields) for row in rows]


def test_a_day_is_reckoned_from_hours_and_payments_and_the_same_when_done_again(
    database: Database,
) -> None:
    async def play(store: LiveStore) -> None:
        revenue = Revenue(store, SETTINGS, JAKARTA)
        await park(store, 10, revenue)
        await pay(store, 9)
        brought = {
            "expected_idr": 120_000.0,
            "received_idr": 90_000,
            "share": 0.75,
            "judged": 1,
        }
        for _ in range(2):
            revenue.touch(START_MS + 9 * HOUR_MS)
            await revenue.round(JUDGED_MS)
            assert await days(store) == [(START_MS, brought)]
        await pay(store, 9)  # every one of them told again
        await pay(store, 3, first=9)  # and three that come late
        revenue.touch(START_MS + 15 * HOUR_MS)
        await revenue.round(JUDGED_MS)
        assert await days(store) == [(START_MS, {**brought, "received_idr": 120_000, "share": 1.0})]

    database.run(play, HandClock())


def test_after_a_restart_today_and_yesterday_are_reckoned_and_old_days_left_alone(
    sqlite: Database,
) -> None:
    async def play(store: LiveStore) -> None:
        await park(store, 10, Revenue(store, SETTINGS, JAKARTA))
        await Revenue(store, SETTINGS, JAKARTA).round(STOP_MS + HOUR_MS)
        ((_, fields),) = await days(store)
        assert (fields["expected_idr"], fields["received_idr"]) == (120_000, 0)
        await pay(store, 5)
        late = Revenue(store, SETTINGS, JAKARTA, retention_days=2)
        late.touch(START_MS + 15 * HOUR_MS)
        assert await late.round(NOW_MS) == 2
        ((_, fields),) = await days(store)
        assert fields["received_idr"] == 0

    sqlite.run(play, HandClock())


def test_a_day_under_its_expectation_fires_once_it_is_over_and_late_payments_clear_it(
    database: Database, tmp_path: Path
) -> None:
    async def play(store: LiveStore) -> None:
        own, revenue = alerts(store, tmp_path), Revenue(store, SETTINGS, JAKARTA)

        async def told(now_ms: int, facts=(ONLINE,)) -> list[str]:
            await revenue.round(now_ms)
            await own.round(look(now_ms, facts=list(facts), inventories=KNOWN))
            return [f"{one.became} {one.rule}" for one in own.newsroom.boxes["all"].due]

        await park(store, 10, revenue)
        await pay(store, 4)
        assert await told(START_MS + 23 * HOUR_MS) == []  # the day runs
        assert await told(STOP_MS + HOUR_MS) == []  # payments may still come
        assert await told(JUDGED_MS, [Fact("gateway_health", place("gw-1"), {"online": 1,
            "oldest_waiting_s": 6 * 3600.0})]) == []  # fmt: skip
        assert await told(JUDGED_MS + 10 * MINUTE_MS) == ["fires payments_low"]
        standing = own.evaluator.standings["payments_low", "a", "pasar"]
        assert standing.place == Place("a", "pasar", "pasar", "a")
        await pay(store, 7, first=4)
        revenue.touch(START_MS + 15 * HOUR_MS)
        await told(JUDGED_MS + 20 * MINUTE_MS)
        assert own.evaluator.standings["payments_low", "a", "pasar"].value > 0.85
        assert own.evaluator.standings["payments_low", "a", "pasar"].phase == 0

    database.run(play, HandClock())


def test_a_quiet_zone_rings_nobody(sqlite: Database, tmp_path: Path) -> None:
    async def play(store: LiveStore) -> None:
        own, revenue = alerts(store, tmp_path), Revenue(store, SETTINGS, JAKARTA)
        await park(store, 2, revenue)
        await revenue.round(JUDGED_MS)
        await own.round(look(JUDGED_MS, facts=[ONLINE], inventories=KNOWN))
        ((_, fields),) = await days(store)
        assert (fields["expected_idr"], fields["share"], fields["judged"]) == (24_000, 0, 0)
        assert ("payments_low", "a", "pasar") not in own.evaluator.standings

    sqlite.run(play, HandClock())
