"""What the WiFi page shows of a simulated week is what happened, in both stores."""

from __future__ import annotations

import pytest

from dashboards.board import Board
from dashboards.operators.corner_book import CornerBook, Picture
from dashboards.operators.spoken import Spoken
from dashboards.operators.wifi_shown import (
    corners_of,
    last_hours,
    people_at,
    shown,
    typical_at,
)
from dashboards.store_file import Source
from dashboards.texts import Language, words
from ingest.stores.live import Change, LiveStore
from tests.dashboards.analysis.town import BEFORE_MS, DAY_MS, HOUR_MS, WIFI
from tests.dashboards.week_read import WIB, Week

MOMENT_MS = 20_000


class Reading:
    """A store that counts what it is asked."""

    def __init__(self, store: LiveStore) -> None:
        self.source, self.asked = Source(store), 0

    async def read(self, query):
        self.asked += 1
        return await self.source.read(query)


@pytest.fixture(scope="session")
def picture(week: Week) -> Picture:
    """All that the page keeps of the corners, as one look after the other has read it."""
    holds = {one.name: week.town.hold_ms(WIFI) for one in week.town.city.corners}

    async def read(store: LiveStore) -> Picture:
        book, reading = CornerBook(WIB), Reading(store)
        for _ in range(70):
            before = reading.asked
            found = await book.look(reading, holds, week.town.stop_ms)
            assert reading.asked - before <= 5  # a look reads one day
            if found.whole:
                break
        assert reading.asked == before + 5
        await book.look(reading, holds, week.town.stop_ms + 1)
        assert reading.asked == before + 5  # nothing is due again so soon
        return found

    return week.database.run(read)


def test_people_online_in_each_hour_are_those_who_were_there(week: Week, picture: Picture) -> None:
    off = []
    for start_ms in last_hours(week.town.stop_ms, WIB)[:-1]:
        moments = range(start_ms, start_ms + HOUR_MS, MOMENT_MS)
        there = sum(
            week.town.world.corner(one.name).clients(time_ms)
            for one in week.town.city.corners
            for time_ms in moments
        ) / len(moments)
        said = people_at(picture.hours, start_ms)
        assert said is not None
        off.append(abs(said - there))
    assert max(off) < 1.5  # one look a minute
    assert sum(off) / len(off) < 0.4


def test_the_usual_of_an_hour_is_the_mean_of_the_days_before(week: Week, picture: Picture) -> None:
    start_ms = last_hours(week.town.stop_ms, WIB)[0]
    days = [start_ms - day * DAY_MS for day in range(1, 7)]  # a seventh is before the week
    known = [people_at(picture.hours, day) for day in days]
    assert None not in known
    usual = typical_at(picture.hours, start_ms)
    assert usual == pytest.approx(sum(one or 0 for one in known) / len(known), rel=0.2)


def test_availability_of_the_months_is_what_visitors_had(week: Week, picture: Picture) -> None:
    town = week.town
    for corner in town.city.corners:
        real = town.world.corner(corner.name)
        moments = range(town.start_ms - BEFORE_MS + 60_000, town.stop_ms, MOMENT_MS)
        good = sum(real.is_up(t) and real.portal(t) == "open" for t in moments) / len(moments)
        up = sum(real.is_up(t) for t in moments) / len(moments)
        months = picture.months[corner.name]
        known_h = sum(month.known_h for month in months)
        assert known_h == pytest.approx(len(moments) * MOMENT_MS / HOUR_MS, abs=0.1)
        told = sum((month.internet or 0) * month.known_h for month in months) / known_h
        assert told == pytest.approx(good, abs=0.003)
        told_up = sum((month.access_point or 0) * month.known_h for month in months) / known_h
        assert told_up == pytest.approx(up, abs=0.003)


def test_the_pages_numbers_are_the_truths_of_that_moment(week: Week, picture: Picture) -> None:
    town, board = week.town, Board()
    rows = {name: said[-1] for name, said in town.rows[WIFI].items()}
    board.apply([Change(WIFI, row) for row in rows.values()], town.stop_ms)
    devices = corners_of(board.devices.values())
    spoken = Spoken(Language.ENGLISH, words(Language.ENGLISH), WIB)
    page = shown(devices, picture, town.stop_ms, 0.99, spoken, WIB)
    online = sum(
        town.world.corner(name).clients(row.time_ms)
        for name, row in rows.items()
        if town.world.corner(name).is_up(row.time_ms)
    )
    assert page.numbers[0].figure == spoken.number(online)
    assert page.numbers[0].age == max(row.time_ms for row in rows.values())
    assert len(page.corners) == len(rows)
    assert page.people.series[0].data[-2] is not None
    kept = {row.key.split()[0]: row.cells[-1] for row in page.promise}
    assert kept.keys() == rows.keys()
