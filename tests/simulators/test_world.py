"""The world: the same seed is the same city, and its days look like the measured ones.

Ranges are those of city_patterns.md's Defaults table; its key is in each test's name or comment.
Days are drawn with a fixed seed: a range holds for a typical city, not for every one.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from itertools import chain, pairwise

import numpy as np
import pytest

from simulators import waste
from simulators.city import City
from simulators.local_time import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, day_of, day_start, weekday
from simulators.streets import Character
from simulators.world import World

WIB = timezone(timedelta(hours=7))
MONDAY = int(datetime(2026, 11, 16, tzinfo=WIB).timestamp() * 1000)
FRIDAY = MONDAY + 4 * DAY_MS
DAYS = 14
TYPICAL = 1


@pytest.fixture(scope="module")
def city():
    return City.demo(TYPICAL)


@pytest.fixture(scope="module")
def world(city):
    return World(city, MONDAY)


def everything(world, start_ms, end_ms):
    """All that happens to every bay, bin and corner between two moments."""
    city = world.city
    return (
        [world.bay(bay.name).changes(start_ms, end_ms) for bay in city.bays],
        [world.bin(one.name).levels(start_ms, end_ms) for one in city.bins],
        [world.bin(one.name).changes(start_ms, end_ms) for one in city.bins],
        [world.corner(one.name).outages(start_ms, end_ms) for one in city.corners],
        [world.corner(one.name).traffic(end_ms) for one in city.corners],
    )


def measured(world, at_ms):
    """What every sensor would measure at one moment."""
    city = world.city
    bays = [world.bay(bay.name).distance_mm(at_ms) for bay in city.bays]
    return bays + [world.bin(one.name).distance_mm(at_ms) for one in city.bins]


def occupancy(world, city, character, day_ms, hour):
    """Share of the zone's bays that are taken, on average over one hour of one day."""
    bays = [bay.name for bay in city.bays if bay.zone.character is character]
    moments = range(int(day_ms + hour * HOUR_MS), int(day_ms + (hour + 1) * HOUR_MS), 5 * MINUTE_MS)
    return float(np.mean([world.bay(name).is_taken(at) for name in bays for at in moments]))


def hourly(world, city, character, days):
    """The mean occupancy of each hour, over those days."""
    return [
        float(np.mean([occupancy(world, city, character, day, hour) for day in days]))
        for hour in range(24)
    ]


def working_days():
    days = [MONDAY + nth * DAY_MS for nth in range(DAYS)]
    return [day for day in days if weekday(day_of(day)) < 4]


def test_local_days_begin_at_midnight_in_wib():
    assert day_start(day_of(MONDAY)) == MONDAY
    assert day_of(MONDAY - 1) == day_of(MONDAY) - 1
    assert weekday(day_of(MONDAY)) == 0


def test_the_same_seed_gives_the_same_day(seed):
    one, other = (World(City.demo(seed), MONDAY) for _ in range(2))
    assert everything(one, MONDAY, MONDAY + DAY_MS) == everything(other, MONDAY, MONDAY + DAY_MS)
    assert measured(one, MONDAY + 12345678) == measured(other, MONDAY + 12345678)


def test_another_seed_gives_another_day(seed):
    one, other = World(City.demo(seed), MONDAY), World(City.demo(seed + 1), MONDAY)
    assert everything(one, MONDAY, MONDAY + DAY_MS) != everything(other, MONDAY, MONDAY + DAY_MS)


def test_how_often_anybody_looks_changes_nothing(seed):
    once, often = (World(City.demo(seed), MONDAY) for _ in range(2))
    steps = [MONDAY + nth * HOUR_MS for nth in range(25)]
    pieces = [[*often.bay("bay-20").changes(a, b)] for a, b in pairwise(steps)]
    assert [*chain(*pieces)] == once.bay("bay-20").changes(MONDAY, MONDAY + DAY_MS)


def test_a_city_that_starts_later_in_the_day_lives_through_the_same_day(seed):
    early = World(City.demo(seed), MONDAY)
    late = World(City.demo(seed), MONDAY + 20 * HOUR_MS)
    after = MONDAY + 20 * HOUR_MS
    assert everything(early, after, after + DAY_MS) == everything(late, after, after + DAY_MS)


def test_more_devices_change_nothing_for_those_that_were_there(seed):
    small, large = City.of(seed, bays=10, bins=6), City.of(seed, bays=10, bins=9)
    one, other = World(small, MONDAY), World(large, MONDAY)
    for bay in small.bays:
        changes = one.bay(bay.name).changes(MONDAY, MONDAY + DAY_MS)
        assert other.bay(bay.name).changes(MONDAY, MONDAY + DAY_MS) == changes


def test_changes_tell_the_same_as_states(world):
    bay = world.bay("bay-17")
    for moment, occupied in bay.changes(MONDAY, MONDAY + DAY_MS):
        assert bay.occupied(moment) == occupied
        assert bay.occupied(moment - 1) != occupied


def test_a_market_is_full_in_the_morning_and_empty_at_night(world, city):
    hours = hourly(world, city, Character.MARKET, working_days())
    assert min(hours[8:10]) > 0.75  # table: .95 ±.08
    assert max(hours[0:3]) < 0.15
    assert max(hours[20:24]) < 0.20
    assert hours[8] > hours[14] > hours[18]


def test_a_street_follows_the_measured_weekday(world, city):
    hours = hourly(world, city, Character.STREET, working_days())
    bham = (0.28, 0.42, 0.53, 0.60, 0.63, 0.65, 0.63, 0.57, 0.50)
    assert hours[8:17] == pytest.approx(bham, abs=0.17)
    assert float(np.mean(hours[8:17])) == pytest.approx(float(np.mean(bham)), abs=0.08)


def test_a_street_is_quieter_on_a_weekend(world, city):
    weekend = [MONDAY + 5 * DAY_MS, MONDAY + 6 * DAY_MS, MONDAY + 12 * DAY_MS]
    quiet = hourly(world, city, Character.STREET, weekend)
    busy = hourly(world, city, Character.STREET, working_days())
    assert float(np.mean(quiet[8:13])) < 0.8 * float(np.mean(busy[8:13]))


def test_friday_prayer_empties_the_streets_and_fills_the_mosque(world, city):
    fridays, others = [FRIDAY, FRIDAY + 7 * DAY_MS], working_days()
    around = [Character.MARKET, Character.STREET]
    usual = np.mean([hourly(world, city, zone, others)[12:14] for zone in around])
    prayer = np.mean([hourly(world, city, zone, fridays)[12:14] for zone in around])
    assert 0.2 < prayer / usual < 0.75  # ×0.4, range .2–.7, with those who stay
    mosque = hourly(world, city, Character.MOSQUE, fridays)[12:14]
    assert np.mean(mosque) > 1.1 * np.mean(hourly(world, city, Character.MOSQUE, others)[12:14])


@pytest.mark.parametrize("vehicle", ["car", "motorcycle"])
def test_turnover_a_bay_and_day_is_3_to_16(world, city, vehicle):
    names = [bay.name for bay in city.bays if bay.vehicle == vehicle]
    end = MONDAY + DAYS * DAY_MS
    turnover = np.mean([world.bay(name).stays(MONDAY, end) / DAYS for name in names])
    assert 3 <= turnover <= 16


def test_rain_keeps_people_away(world, city):
    demand, weather = world.demand("pasar-mahirah", "pelataran"), world.weather("pasar-mahirah")
    days = [day_of(MONDAY) + nth for nth in range(30)]
    wet = next(day for day in days if 0 < weather.rain(day).sum() < 600)
    offered, rain = demand.offered(wet, 45.0), weather.rain(wet)
    dry = offered / np.where(rain > 0, 0.5, 1.0)
    assert offered[rain > 0].sum() == pytest.approx(0.5 * dry[rain > 0].sum())
    assert offered.sum() < dry.sum()


def test_a_magnetic_sensor_misses_about_one_stay_in_twenty(world, city):
    end = MONDAY + DAYS * DAY_MS
    stays = sum(world.bay(bay.name).stays(MONDAY, end) for bay in city.bays)
    noticed = sum(
        sum(value for _, value in world.bay(bay.name).changes(MONDAY, end)) for bay in city.bays
    )
    assert 0.90 <= noticed / stays <= 0.98  # nedap


def test_an_overhead_sensor_tells_a_car_from_the_floor(world, city):
    for bay in [one for one in city.bays if one.bus][:4]:
        for moment in range(MONDAY, MONDAY + DAY_MS, 7 * MINUTE_MS):
            distances = [world.bay(bay.name).distance_mm(moment + nth) for nth in range(9)]
            assert (np.median(distances) < 1900) == world.bay(bay.name).is_taken(moment)


def test_bins_fill_and_are_emptied(world, city):
    for bin_ in city.bins:
        fills = [fill for _, fill in world.bin(bin_.name).levels(MONDAY, MONDAY + DAYS * DAY_MS)]
        steps = np.diff(fills)
        assert (steps > 0).sum() > 20
        assert (steps < 0).sum() >= 1
        assert min(fills) >= 0
        assert max(fills) <= 1


def test_bins_fill_by_32_to_174_litres_a_day_and_three_times_that_at_the_market(world, city):
    for bin_ in city.bins:
        factor = 3 if bin_.zone.character is Character.MARKET else 1
        assert 32 <= world.bin(bin_.name).litres_a_day / factor <= 174
    litres = [world.bin(one.name).litres_a_day for one in city.bins]
    assert np.std(np.log(litres)) > 0.4  # σ .65 between bins, cut at p10 and p90


def test_pickups_come_about_every_two_days(world, city):
    end = MONDAY + 60 * DAY_MS
    between = []
    for bin_ in city.bins:
        levels = world.bin(bin_.name).levels(MONDAY, end)
        pickups = [moment for moment, fill in levels if fill == waste.RESIDUE]
        between += [(b - a) / DAY_MS for a, b in pairwise(pickups)]
    assert 1.0 <= np.median(between) <= 3.0  # median 2.1 [C:philly]


def test_the_lid_is_up_while_a_bin_is_emptied(world, city):
    for bin_ in city.bins:
        one = world.bin(bin_.name)
        for moment, fill in one.levels(MONDAY, MONDAY + 3 * DAY_MS):
            if fill == waste.RESIDUE:
                assert one.status(moment) == "lid_open"
                assert one.status(moment + 2 * MINUTE_MS) == "ok"


def test_level_noise_is_15_mm_with_two_percent_outliers(world, city):
    bin_ = city.bins[0]
    one, geometry = world.bin(bin_.name), bin_.empty_mm - bin_.full_mm
    assert bin_.taper == 1
    moments = range(MONDAY, MONDAY + DAY_MS, 8 * SECOND_MS)
    errors = np.array(
        [one.distance_mm(at) - (bin_.empty_mm - one.fill(at) * geometry) for at in moments]
    )
    assert 0.005 < float(np.mean(np.abs(errors) > 75)) < 0.05
    assert float(np.std(errors[np.abs(errors) < 75])) == pytest.approx(15, abs=3)


def test_temperature_follows_the_day(world):
    weather = world.weather("pasar-mahirah")
    noon = np.mean([weather.temperature_c(MONDAY + n * DAY_MS + 13 * HOUR_MS) for n in range(DAYS)])
    night = np.mean([weather.temperature_c(MONDAY + n * DAY_MS + 3 * HOUR_MS) for n in range(DAYS)])
    assert 22 < night < noon < 36


def test_a_fire_is_hot_and_ends():
    end = MONDAY + 300 * DAY_MS
    world = World(City.demo(TYPICAL), MONDAY)
    fires = [
        (bin_.name, moment)
        for bin_ in world.city.bins
        for moment, status in world.bin(bin_.name).changes(MONDAY, end)
        if status == "burning"
    ]
    assert fires
    for name, moment in fires:
        assert world.bin(name).temperature_c(moment + MINUTE_MS) > 70
        assert world.bin(name).status(moment + 2 * HOUR_MS) == "ok"


def test_no_more_than_30_visitors_are_on_an_access_point(world, city):
    for corner in city.corners:
        one = world.corner(corner.name)
        counts = [one.clients(MONDAY + nth * 10 * MINUTE_MS) for nth in range(144 * 3)]
        assert 12 <= max(counts) <= 30
        assert min(counts) >= 0


def test_traffic_only_grows_until_the_access_point_restarts(world, city):
    one = world.corner(city.corners[0].name)
    moments = [MONDAY + nth * HOUR_MS for nth in range(24 * 60)]
    for before, after in pairwise(moments):
        restarted = one.uptime_s(after) < one.uptime_s(before)
        grew = all(b >= a for a, b in zip(one.traffic(before), one.traffic(after), strict=True))
        assert grew or restarted
    assert any(name == "up" for _, name, _ in one.outages(MONDAY, moments[-1]))


def test_latency_is_28_give_or_take_14_ms(world, city):
    one = world.corner(city.corners[0].name)
    draws = [one.latency_ms(MONDAY + nth * 977) for nth in range(20_000)]
    assert float(np.mean(draws)) == pytest.approx(28, abs=2)
    assert float(np.std(draws)) == pytest.approx(14, abs=2)


def test_a_line_is_cut_about_once_a_day_for_minutes(world, city):
    one = world.corner(city.corners[0].name)
    cuts = [
        at
        for at, name, up in one.outages(MONDAY, MONDAY + 60 * DAY_MS)
        if (name, up) == ("line", 0)
    ]
    assert 30 <= len(cuts) <= 100
    assert all(one.portal(at) == "down" and not one.is_online(at) for at in cuts)
