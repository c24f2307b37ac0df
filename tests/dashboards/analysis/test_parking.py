"""Bays: stays, figures, what the next hours bring; a corner's month."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from dashboards.analysis.availability import availability, reached
from dashboards.analysis.occupancy_forecast import errors, occupancy_forecast
from dashboards.analysis.parking import Stay, hourly_occupancy, longer_than, stays, usage
from ingest.stores import Row
from tests.dashboards.analysis.town import DAY_MS, HOUR_MS, Town

WIB = ZoneInfo("Asia/Jakarta")
MONDAY_MS = int(datetime(2026, 11, 16, tzinfo=WIB).timestamp() * 1000)
HOLD_MS = 2 * HOUR_MS


def at(hour: float) -> int:
    return MONDAY_MS + int(hour * HOUR_MS)


def stay(start: float, stop: float, device: str = "bay-1") -> Stay:
    return Stay(device, at(start), at(stop), True, True)


def test_a_stay_is_from_the_first_taken_to_the_first_free():
    said = [(at(0), 0.0), (at(1), 1.0), (at(2), 1.0), (at(3), 0.0)]
    assert stays("bay-1", said, at(0), at(4), HOLD_MS) == [stay(1, 3)]


def test_a_vehicle_that_was_there_before_has_no_length_and_did_not_arrive():
    said = [(at(-1), 1.0), (at(1), 0.0)]
    assert stays("bay-1", said, at(0), at(2), HOLD_MS) == [
        Stay("bay-1", at(0), at(1), whole=False, arrived=False)
    ]


def test_a_stay_that_nobody_saw_end_has_no_length():
    said = [(at(0), 0.0), (at(1), 1.0), (at(8), 1.0), (at(9), 0.0)]
    found = stays("bay-1", said, at(0), at(10), HOLD_MS)
    assert [(one.whole, one.arrived) for one in found] == [(False, True), (False, False)]


def test_unknown_time_is_neither_taken_nor_free():
    said = [(at(0), 1.0), (at(4), 0.0)]
    found = usage({"bay-1": said}, at(0), at(6), HOLD_MS, WIB, overstay_min=60)
    assert found.occupancy == 0.5
    assert found.unknown_share == pytest.approx(2 / 6)
    assert found.overstays == 1


def test_no_reading_at_all_gives_no_figure_but_unknown():
    found = usage({"bay-1": []}, at(0), at(6), HOLD_MS, WIB, overstay_min=60)
    assert (found.occupancy, found.turnover, found.unknown_share) == (None, None, 1.0)


def test_hours_of_the_week_are_local():
    said = [(at(7.5), 1.0), (at(8.5), 0.0), (at(10), 0.0)]
    found = usage({"bay-1": said}, at(7), at(9), HOLD_MS, WIB, overstay_min=60)
    assert {(cell.weekday, cell.hour): share for cell, share in found.by_hour.items()} == {
        (0, 7): 1.0,
        (0, 8): 0.5,
    }


def test_the_longest_overstays_come_first():
    found = longer_than([stay(0, 1), stay(2, 6, "bay-2"), stay(2, 5)], limit_min=90)
    assert [one.device for one in found] == ["bay-2", "bay-1"]


def test_a_week_like_the_others_is_forecast_as_it_was():
    past = [(at(hour), (hour % 24) / 24) for hour in range(21 * 24)]
    for time_ms, share in occupancy_forecast(past, 6, WIB):
        assert share == pytest.approx((time_ms - MONDAY_MS) / HOUR_MS % 24 / 24)


def test_a_busier_hour_than_usual_stays_busier_for_a_while():
    past = [(at(hour), 0.5) for hour in range(21 * 24)] + [(at(21 * 24), 0.9)]
    shares = [share for _, share in occupancy_forecast(past, 12, WIB)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.6 and shares[-1] < 0.51


def test_of_an_unknown_past_nothing_is_said():
    assert occupancy_forecast([], 6, WIB) == []
    assert errors([(at(0), 0.5)], 1, 6, WIB) is None


def test_the_forecast_beats_both_naive_ones_on_the_simulated_city(seed):
    """Four weeks of the real bays of each zone, the last three days forecast six hours ahead."""
    town = Town(seed % 1000, MONDAY_MS, days=28)
    ours = as_now = week_ago = hours = 0.0
    for zone in sorted({bay.zone.name for bay in town.city.bays}):
        bays = {
            bay.name: [
                (time_ms, float(value))
                for time_ms, value in [
                    (town.start_ms, town.world.bay(bay.name).occupied(town.start_ms)),
                    *town.world.bay(bay.name).changes(town.start_ms, town.stop_ms),
                ]
            ]
            for bay in town.city.bays
            if bay.zone.name == zone
        }
        past = hourly_occupancy(bays, town.start_ms, town.stop_ms, 28 * DAY_MS, WIB)
        found = errors(past, 3, 6, WIB)
        assert found is not None
        ours += found.ours * found.hours
        as_now += found.as_now * found.hours
        week_ago += found.as_a_week_ago * found.hours
        hours += found.hours
    print(f"seed {seed}: {ours / hours:.4f}, {as_now / hours:.4f}, {week_ago / hours:.4f}")
    assert ours < 0.8 * as_now
    assert ours < 0.95 * week_ago


def corner(time_ms: int, up: int, portal: str) -> Row:
    return Row(time_ms, {"device": "wifi-01"}, {"up": up, "portal": portal})


def test_availability_is_by_local_month_and_unknown_time_is_nobodys_outage():
    midnight = int(datetime(2026, 12, 1, tzinfo=WIB).timestamp() * 1000)
    rows = [
        corner(midnight - 2 * HOUR_MS, up=1, portal="open"),
        corner(midnight - HOUR_MS, up=1, portal="down"),
        corner(midnight, up=1, portal="open"),
    ]
    up = [(row.time_ms, float(row.fields["up"])) for row in rows]
    start_ms, stop_ms = midnight - 2 * HOUR_MS, midnight + 4 * HOUR_MS
    november, december = availability(up, reached(rows)["wifi-01"], start_ms, stop_ms, HOUR_MS, WIB)
    assert (november.month, november.access_point, november.internet) == (11, 1.0, 0.5)
    assert (december.known_h, december.unknown_h, december.internet) == (1.0, 3.0, 1.0)
    assert november.keeps(0.99) is False and december.keeps(0.99) is True
