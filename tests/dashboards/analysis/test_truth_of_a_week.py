"""A simulated week in a store: what the figures say is what happened, within stated bounds.

On the embedded store, and on a real InfluxDB 2 (live). The bounds allow for what no sensor can
know: 1 to 2 % of noise on a level, a stay in twenty unnoticed, a poll a minute.
"""

from __future__ import annotations

import pytest

from dashboards.analysis.emptyings import Emptying
from dashboards.analysis.waste_service import OVERFLOW_ABOVE, WASTED_BELOW
from tests.dashboards.analysis.town import HOUR_MS, MINUTE_MS, Town
from tests.dashboards.week_read import OVERSTAY_MIN, Week


def test_occupancy_is_what_the_sensors_noticed_and_close_to_what_stood_there(week: Week) -> None:
    town = week.town
    for zone in week.zones:
        bays = [bay.name for bay in town.city.bays if bay.zone.name == zone.zone]
        bays = [name for name in bays if _site(town, name) == zone.site]
        noticed_ms = sum(
            min(end, town.stop_ms) - max(begin, town.start_ms)
            for name in bays
            for begin, end, _ in town.noticed(name)
        )
        noticed = noticed_ms / (town.stop_ms - town.start_ms) / len(bays)
        really = sum(town.taken_share(name) for name in bays) / len(bays)
        assert zone.usage.bays == len(bays)
        assert zone.usage.unknown_share == 0
        assert zone.usage.occupancy == pytest.approx(noticed, abs=0.001)
        assert zone.usage.occupancy == pytest.approx(really, rel=0.20)
    seen = sum((zone.usage.occupancy or 0) * zone.usage.bays for zone in week.zones)
    really = sum(town.taken_share(bay.name) for bay in town.city.bays)
    print(f"occupied: {seen / really:.3f} of what stood there")
    assert 0.88 * really <= seen <= 1.01 * really


def test_turnover_dwell_and_overstay_are_those_of_the_stays(week: Week) -> None:
    town = week.town
    for zone in week.zones:
        bays = [bay.name for bay in town.city.bays if bay.zone.name == zone.zone]
        bays = [name for name in bays if _site(town, name) == zone.site]
        stays = [stay for name in bays for stay in town.noticed(name)]
        arrived = sum(begin >= town.start_ms for begin, _, _ in stays)
        lengths = [(end - begin) / MINUTE_MS for begin, end, whole in stays if whole]
        longer = sum(
            (min(end, town.stop_ms) - max(begin, town.start_ms)) / MINUTE_MS > OVERSTAY_MIN
            for begin, end, _ in stays
        )
        assert zone.usage.stays == pytest.approx(arrived, abs=2)
        assert zone.usage.turnover == pytest.approx(arrived / len(bays) / 7, abs=0.05)
        mean = sum(lengths) / len(lengths)
        assert zone.usage.dwell_mean_min == pytest.approx(mean, rel=0.01, abs=0.5)
        assert zone.usage.overstays == pytest.approx(longer, abs=1)


def test_an_emptying_that_leaves_an_eighth_less_for_an_hour_is_found_once_and_none_is_invented(
    week: Week,
) -> None:
    town, missed, invented, total, seen = week.town, [], [], 0, 0
    for one in week.bins:
        real = town.emptied(one.device)
        found = list(one.service.emptied)
        for moment, before in real:
            near = [each for each in found if _about(each.after_ms, each.until_ms, moment)]
            if not town.start_ms + HOUR_MS < moment < town.stop_ms - HOUR_MS or before < 0.125:
                continue
            total += 1
            seen += len(near) == 1
            if _falls_for_an_hour(town, one.device, moment):
                missed += [] if len(near) == 1 else [(one.device, moment, before, near)]
        invented += [
            (one.device, each)
            for each in found
            if _begins_inside(town, each)
            and not any(_about(each.after_ms, each.until_ms, moment) for moment, _ in real)
        ]
    print(f"{seen} of {total} found, {len(invented)} invented")
    assert total > 50
    assert missed == []
    assert seen >= 0.96 * total  # the others were filled again within half an hour
    assert invented == []


def test_how_full_a_bin_was_when_it_was_emptied_is_known_to_a_few_percent(week: Week) -> None:
    for one in week.bins:
        real = week.town.emptied(one.device)
        for each in one.service.emptied:
            if not _begins_inside(week.town, each):
                continue
            ((_, before),) = [
                (moment, before)
                for moment, before in real
                if _about(each.after_ms, each.until_ms, moment)
            ]
            assert each.before == pytest.approx(before, abs=0.15)


def test_visits_for_little_and_hours_of_overflow_are_the_truths(week: Week) -> None:
    town = week.town
    little = sum(
        0.10 <= before < WASTED_BELOW
        for bin_ in town.city.bins
        for _, before in town.emptied(bin_.name)
    )
    wasted = sum(one.service.wasted for one in week.bins)
    assert wasted == pytest.approx(little, rel=0.15, abs=6)
    above_h = sum(town.hours_above(bin_.name, OVERFLOW_ABOVE) for bin_ in town.city.bins)
    overflow_h = sum(one.service.overflow_h for one in week.bins)
    print(f"for little {wasted} of {little}, overflow {overflow_h:.1f} h of {above_h:.1f} h")
    assert overflow_h == pytest.approx(above_h, rel=0.05, abs=10)
    assert sum(one.service.unknown_h for one in week.bins) == 0


def test_levels_are_the_truths(week: Week) -> None:
    for one in week.bins:
        assert one.level is not None
        real = week.town.world.bin(one.device).fill(week.town.stop_ms - 8 * MINUTE_MS)
        emptied = [moment for moment, _ in week.town.emptied(one.device)]
        if all(week.town.stop_ms - moment > HOUR_MS for moment in emptied):
            assert one.level == pytest.approx(real, abs=0.12)


def test_the_round_visits_every_bin_that_is_full_with_what_is_in_it(week: Week) -> None:
    town, due = week.town, week.due
    assert (due.bins, due.skipped) == (30, {})
    visited = {stop.name: stop for stop in due.stops}
    for one in town.city.bins:
        full = town.world.bin(one.name).fill(town.stop_ms - 40 * MINUTE_MS)
        calm = all(town.stop_ms - moment > HOUR_MS for moment, _ in town.emptied(one.name))
        assert one.name in visited or not calm or full < 0.92
        if calm and one.name in visited:
            stop = visited[one.name]
            assert stop.litres == pytest.approx(stop.level * one.litres)
            assert stop.level == pytest.approx(full, abs=0.15)
            assert (stop.at.latitude, stop.at.longitude) == (
                one.place.latitude,
                one.place.longitude,
            )
    levels = [stop.level for stop in due.stops]
    assert levels == sorted(levels, reverse=True)


def test_availability_and_people_of_a_corner_are_the_truths(week: Week) -> None:
    town = week.town
    for one in week.corners:
        corner = town.world.corner(one.device)
        moments = range(town.start_ms, town.stop_ms, 20_000)
        up = sum(corner.is_up(time_ms) for time_ms in moments) / len(moments)
        good = [corner.is_up(t) and corner.portal(t) == "open" for t in moments]
        hours = sum(month.known_h for month in one.months)
        told_up = sum((month.access_point or 0) * month.known_h for month in one.months) / hours
        told = sum((month.internet or 0) * month.known_h for month in one.months) / hours
        assert told_up == pytest.approx(up, abs=0.002)
        assert told == pytest.approx(sum(good) / len(good), abs=0.003)
        assert sum(month.unknown_h for month in one.months) == pytest.approx(0, abs=0.1)
        people = sum(corner.clients(time_ms) for time_ms in moments) / len(moments)
        assert one.online.mean == pytest.approx(people, rel=0.02)


def _site(town: Town, name: str) -> str:
    return next(
        gateway.site.name
        for gateway in town.city.gateways
        if any(one.name == name for one in gateway.devices)
    )


def _falls_for_an_hour(town: Town, name: str, moment: int) -> bool:
    fill = town.world.bin(name).fill
    before = min(fill(moment - minute * MINUTE_MS) for minute in range(1, 61))
    return before - max(fill(moment + minute * MINUTE_MS) for minute in range(61)) >= 0.125


def _begins_inside(town: Town, found: Emptying) -> bool:
    """What really happened is known from the range's first moment on."""
    return found.after_ms - 2 * 15 * MINUTE_MS >= town.start_ms


def _about(after_ms: int, until_ms: int, moment: int) -> bool:
    """The emptying lies between the two readings, or one earlier: an uplink is believed at the
    second."""
    return after_ms - 2 * 15 * MINUTE_MS <= moment <= until_ms
