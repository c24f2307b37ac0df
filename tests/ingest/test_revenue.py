"""Expected and received, by hand: the same sums as the page of a ledger."""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

import pytest

from ingest.health import Fact
from ingest.revenue import (
    RevenueSettings,
    Tariff,
    ZoneKey,
    check_revenue,
    expected_idr,
    idr_per_hour,
    received_idr,
    revenue_lines,
    settled_zones,
)
from ingest.revenue_days import last_day
from ingest.rollup import HOUR_MS
from ingest.rollup_days import day_span
from ingest.rules.standing import Place
from ingest.stores import Bucket, Row
from ingest.stores.points import LineReader
from wire.configuration import ConfigurationError, decode_toml
from wire.messages import Inventory, InventoryDevice

JAKARTA = ZoneInfo("Asia/Jakarta")
START_MS, STOP_MS = day_span(date(2026, 11, 2), JAKARTA)
A, B = ZoneKey("pasar", "a"), ZoneKey("pasar", "b")
SETTINGS = RevenueSettings(
    tariff=(
        Tariff(idr_per_hour=1000),
        Tariff(idr_per_hour=2000, zone="a", from_hour=6, until_hour=18),
        Tariff(idr_per_hour=1500, site="pasar"),
        Tariff(idr_per_hour=9999, site="pasar"),
    ),
    judged_from_idr=10_000,
)


def hour(zone: ZoneKey, local_hour: int, bays: float) -> Row:
    """An hour in which so many bays of the zone were taken on average."""
    tags = {"site": zone.site, "zone": zone.zone}
    return Row(START_MS + local_hour * HOUR_MS, tags, {"occupied_mean": bays})


@pytest.mark.parametrize(
    ("zone", "local_hour", "idr"),
    [
        (A, 6, 2000),
        (A, 17, 2000),
        (A, 18, 1500),
        (A, 5, 1500),
        (B, 12, 1500),
        (ZoneKey("taman", "b"), 12, 1000),
        (ZoneKey("taman", "a"), 12, 2000),
    ],
)
def test_the_most_particular_tariff_of_that_hour_counts(zone, local_hour, idr):
    assert idr_per_hour(SETTINGS.tariff, zone, local_hour) == idr


def test_without_a_tariff_nothing_is_expected():
    assert expected_idr(RevenueSettings(), [hour(A, 9, 5.0)], JAKARTA) == {A: 0}


def test_expected_is_occupied_hours_by_the_tariff_of_the_local_hour():
    hours = [hour(A, 5, 2.0), hour(A, 6, 3.5), hour(B, 23, 1.0)]
    assert expected_idr(SETTINGS, hours, JAKARTA) == {A: 2 * 1500 + 3.5 * 2000, B: 1500}


def test_only_drivers_who_should_pay_are_reckoned_with():
    settings = RevenueSettings(tariff=(Tariff(idr_per_hour=1000),), paying_share=0.8)
    assert expected_idr(settings, [hour(A, 9, 10.0)], JAKARTA) == {A: pytest.approx(8000)}


def test_a_day_is_a_line_a_zone_with_every_field_each_time():
    paid = [Row(0, {"site": "pasar", "zone": "b"}, {"amount_idr": 500.0}), Row(0, {}, {})]
    lines = revenue_lines(SETTINGS, {A: 20_000.4, B: 0.0}, received_idr(paid), START_MS)
    points = [LineReader(Bucket.HOURLY).read(line) for line in lines]
    assert [(one.kind, one.time_ms) for one in points] == [("revenue", START_MS)] * 2
    assert points[0].fields == {
        "expected_idr": 20_000.0,
        "received_idr": 0,
        "share": 0.0,
        "judged": 1,
    }
    assert points[1].fields == {
        "expected_idr": 0.0,
        "received_idr": 500,
        "share": 1.0,
        "judged": 0,
    }


def test_a_zone_of_which_nothing_is_known_has_no_line():
    assert revenue_lines(SETTINGS, {A: 0.0}, {}, START_MS) == []


def test_a_day_is_judged_three_hours_after_it_is_over():
    before, after = STOP_MS + 3 * HOUR_MS - 1, STOP_MS + 3 * HOUR_MS
    assert last_day(before, JAKARTA)[1] == START_MS
    assert last_day(after, JAKARTA) == (START_MS, STOP_MS)


@pytest.mark.parametrize(
    ("facts", "zones"),
    [
        ({"gw-1": {"online": 1}, "gw-2": {"online": 1, "oldest_waiting_s": 60.0}}, {A, B}),
        ({"gw-1": {"online": 0}, "gw-2": {"online": 1}}, set()),
        ({"gw-1": {"online": 1}, "gw-2": {"online": 0}}, {B}),
        ({"gw-1": {"online": 1}}, {B}),
        ({"gw-1": {"online": 1}, "gw-2": {"online": 1, "oldest_waiting_s": 5e4}}, {B}),
    ],
)
def test_a_zone_is_settled_when_none_of_its_gateways_can_still_have_something(facts, zones):
    now_ms = STOP_MS + 4 * HOUR_MS
    bay_a, bay_b = (InventoryDevice(f"bay-{z}", "parking_spot", "x", z, 900, 1) for z in "ab")
    till = InventoryDevice("terminal-1", "payment", "x", "a", 900, 1)
    bin_c = InventoryDevice("bin-1", "waste_container", "x", "c", 900, 1)
    inventories = {
        "gw-1": Inventory("gw-1", "pasar", 60, (bay_a, bay_b, bin_c)),
        "gw-2": Inventory("gw-2", "pasar", 60, (till,)),
    }
    told = [
        Fact("gateway_health", Place(name, name, "pasar", "main"), fields)
        for name, fields in facts.items()
    ]
    assert settled_zones(inventories, told, STOP_MS, now_ms) == zones


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("paying_share = 0", "revenue.paying_share"),
        ("paying_share = 1.5", "revenue.paying_share"),
        ("judged_from_idr = 0", "revenue.judged_from_idr"),
        ("tariff = [{ idr_per_hour = -1 }]", "revenue.tariff[1].idr_per_hour"),
        ("tariff = [{ idr_per_hour = nan }]", "revenue.tariff[1].idr_per_hour"),
        (
            "tariff = [{ idr_per_hour = 1 }, { idr_per_hour = 1, from_hour = 18, until_hour = 6 }]",
            "revenue.tariff[2].from_hour",
        ),
        ("tariff = [{ idr_per_hour = 1, until_hour = 25 }]", "revenue.tariff[1].from_hour"),
        ("tariff = [{ idr_per_hour = 1, zone = 'Pasar A' }]", "revenue.tariff[1].zone"),
    ],
)
def test_a_table_that_no_day_could_be_reckoned_with_is_refused(text, key):
    settings = decode_toml(text, RevenueSettings, "ingest.toml")
    with pytest.raises(ConfigurationError) as error:
        check_revenue(settings, "ingest.toml")
    assert error.value.key == key
