"""What the Parking and Waste pages show of a simulated week is what happened, in both stores."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta

import msgspec
import pytest

from dashboards.analysis.spans import hour_start
from dashboards.operators.parking_days import WEEK_DAYS
from ingest.revenue import ZoneKey
from tests.dashboards.analysis.town import DAY_MS, HOUR_MS, MINUTE_MS
from tests.dashboards.week_read import OVERSTAY_MIN, WIB, Week, midnight


def test_occupancy_by_zone_is_what_its_sensors_noticed(week: Week) -> None:
    first_ms = hour_start(week.town.stop_ms - WEEK_DAYS * DAY_MS, WIB)
    everywhere, *zones = week.parking_page.zones
    taken_ms: defaultdict[ZoneKey, int] = defaultdict(int)
    for zone, begin, end in week.stays():
        taken_ms[zone] += end - begin
    bays = [week.zone_of(bay.name) for bay in week.town.city.bays]
    assert {(one.site, one.zone) for one in zones} == set(bays)
    span_ms = week.town.stop_ms - first_ms
    for one in zones:
        zone = ZoneKey(one.site, one.zone)
        assert one.bays == bays.count(zone)
        share = taken_ms[zone] / span_ms / one.bays
        assert one.week.occupancy == pytest.approx(share, abs=0.006)
        assert one.week.unknown_share == pytest.approx(0, abs=0.001)
        assert one.month.unknown_share == pytest.approx(0.75, abs=0.02)  # a week of four is there
    whole = sum(taken_ms.values()) / span_ms / len(bays)
    assert (everywhere.site, everywhere.bays) == ("", len(bays))
    assert everywhere.week.occupancy == pytest.approx(whole, abs=0.006)


def test_each_hour_of_the_week_shows_what_stood_there_then(week: Week) -> None:
    known: defaultdict[tuple[int, int], int] = defaultdict(int)
    taken: defaultdict[tuple[int, int], int] = defaultdict(int)
    moments = range(week.town.start_ms, week.town.stop_ms, 10 * MINUTE_MS)
    bays = len(week.town.city.bays)
    stood: defaultdict[int, int] = defaultdict(int)
    for _, begin, end in week.stays():
        for moment in range(begin + (-(begin - moments.start)) % moments.step, end, moments.step):
            stood[moment] += 1
    for moment in moments:
        local = datetime.fromtimestamp(moment / 1000, WIB)
        known[local.weekday(), local.hour] += bays
        taken[local.weekday(), local.hour] += stood[moment]
    shown = {(day, hour): share for day, hour, share in week.parking_page.zones[0].week.cells}
    assert len(shown) == 7 * 24
    off = [abs(shown[cell] - taken[cell] / known[cell]) for cell in known]
    assert max(off) < 0.08  # six looks an hour
    assert sum(off) / len(off) < 0.01


def test_vehicles_stays_and_who_stands_too_long_are_those_of_the_stays(week: Week) -> None:
    stays = list(week.stays())
    everywhere = week.parking_page.zones[0]
    first_ms = hour_start(week.town.stop_ms - WEEK_DAYS * DAY_MS, WIB)
    arrived = sum(
        value == 1
        for bay in week.town.city.bays
        for _, value in week.town.world.bay(bay.name).changes(first_ms, week.town.stop_ms - 1)
    )
    assert everywhere.week.vehicles == pytest.approx(arrived, abs=2)
    longer = sum(end - begin > OVERSTAY_MIN * MINUTE_MS for _, begin, end in stays)
    assert everywhere.week.overstays == pytest.approx(longer, abs=2)
    now_ms = week.town.stop_ms
    still = {
        bay.name
        for bay in week.town.city.bays
        for begin, end, _ in week.town.noticed(bay.name)
        if end >= now_ms and now_ms - begin > OVERSTAY_MIN * MINUTE_MS
    }
    assert {one.device for one in week.parking_page.standing} == still
    assert week.parking_page.standing_count == len(still)


def test_the_next_hours_have_bounds_and_lie_between_them(week: Week) -> None:
    now_ms = week.town.stop_ms
    for zone in week.parking_page.zones:
        assert [hour.time_ms for hour in zone.ahead] == [
            hour_start(now_ms - 1, WIB) + (nth + 1) * HOUR_MS for nth in range(6)
        ]
        for hour in zone.ahead:
            assert hour.low is not None and hour.high is not None
            assert 0 <= hour.low <= hour.share <= hour.high <= 1


def test_expected_revenue_is_what_the_stays_cost_by_zone_and_hour(week: Week) -> None:
    owed, shown = week.owed(), week.parking_page.takings
    first_ms, today_ms = midnight(week.town.start_ms), midnight(week.town.stop_ms)
    for one in shown:
        if first_ms < one.day_ms < today_ms:  # days of which the town tells everything
            due = owed[one.site, one.zone, one.day_ms]
            assert one.expected_idr == pytest.approx(due, rel=0.02, abs=2000)
    whole = sum(one.expected_idr for one in shown if first_ms < one.day_ms < today_ms)
    due = sum(idr for (_, _, day), idr in owed.items() if first_ms < day < today_ms)
    assert whole == pytest.approx(due, rel=0.005)
    assert len({one.day_ms for one in shown}) >= 7


def test_received_and_the_difference_are_the_payments_to_the_rupiah(week: Week) -> None:
    received = week.received()
    shown = {(one.site, one.zone, one.day_ms): one for one in week.parking_page.takings}
    assert received.keys() <= shown.keys()
    for place, one in shown.items():
        assert one.received_idr == received.get(place, 0)


def test_todays_payments_are_all_counted_and_the_newest_stand_first(week: Week) -> None:
    today = [one for one in week.payments if one.time_ms >= midnight(week.town.stop_ms)]
    assert week.paid.count == len(today)
    assert week.paid.sum_idr == sum(one.amount_idr for one in today)
    times = sorted((one.time_ms for one in today), reverse=True)[:8]
    assert [one.time_ms for one in week.paid.newest] == times


def test_levels_and_the_bins_to_be_emptied_are_the_truths(week: Week) -> None:
    town = week.town
    assert {one.device for one in week.waste_page.bins} == {one.name for one in town.city.bins}
    for one in week.waste_page.bins:
        real = town.world.bin(one.device).fill(town.stop_ms - 8 * MINUTE_MS)
        if all(town.stop_ms - moment > HOUR_MS for moment, _ in town.emptied(one.device)):
            assert one.level == pytest.approx(real, abs=0.12)
            assert one.due or real < 0.92
    stops = {stop.name for stop in week.due.stops}
    assert {one.device for one in week.waste_page.bins if one.due} == stops
    assert week.waste_page.due == len(stops)


def test_emptyings_wasted_visits_and_overflow_are_those_of_the_figures(week: Week) -> None:
    """Which `test_truth_of_a_week` holds against the truth."""
    start_ms = week.town.stop_ms - 7 * DAY_MS
    figures = {
        (one.device, each.until_ms)
        for one in week.bins
        for each in one.service.emptied
        if each.until_ms > start_ms + HOUR_MS
    }
    shown = {(one.device, one.until_ms) for one in week.waste_page.emptied}
    assert figures <= shown
    done = week.waste_page.week
    assert done.visits == pytest.approx(sum(one.service.visits for one in week.bins), abs=3)
    assert done.wasted == pytest.approx(sum(one.service.wasted for one in week.bins), abs=3)
    overflow_h = sum(one.service.overflow_h for one in week.bins)
    assert done.overflow_h == pytest.approx(overflow_h, abs=0.5)
    assert done.unknown_h == pytest.approx(0, abs=0.1)


def test_the_round_visits_every_bin_that_is_due_once(week: Week) -> None:
    sheet = msgspec.json.decode(week.round.sheet)
    visited = [stop["device"] for route in sheet["routes"] for stop in route["stops"]]
    assert sorted(visited) == sorted(stop.name for stop in week.due.stops)
    assert week.round.gpx.count("<rtept") == len(visited) + 2 * len(sheet["routes"])
    assert week.round.bins == len(week.town.city.bins)


def test_a_day_is_local(week: Week) -> None:
    for one in week.parking_page.takings:
        local = datetime.fromtimestamp(one.day_ms / 1000, WIB)
        assert local.utcoffset() == timedelta(hours=7)
        assert (local.hour, local.minute) == (0, 0)
