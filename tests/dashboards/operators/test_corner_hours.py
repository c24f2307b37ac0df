"""A corner's hours: their sums are the whole's, and a counter that begins anew loses nothing."""

from __future__ import annotations

import asyncio
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.analysis.availability import availability, reached
from dashboards.analysis.corner_hours import Hour, corner_hours, months, rises
from dashboards.analysis.spans import HOUR_MS, points_of
from dashboards.analysis.visitors import clients_of, online
from dashboards.operators.corner_book import DAY_MS, CornerBook
from devices.reading import Value
from ingest.stores import Query, Row, StoreError

WIB = ZoneInfo("Asia/Jakarta")
START_MS = 1_795_107_600_000  # midnight there
HOLD_MS = 180_000
TAGS = {"device": "wifi-1", "gateway": "gw-1", "site": "pasar", "zone": "a"}

readings = st.lists(
    st.tuples(
        st.integers(-2 * HOLD_MS, 30 * HOUR_MS),
        st.fixed_dictionaries(
            {},
            optional={
                "up": st.integers(0, 1),
                "portal": st.sampled_from(["open", "portal", "down"]),
                "clients": st.integers(0, 30),
            },
        ),
    ),
    max_size=60,
    unique_by=lambda one: one[0],
)


@given(readings)
def test_the_hours_together_say_what_the_whole_range_says(said):
    rows = [Row(START_MS + at, TAGS, fields) for at, fields in sorted(said, key=lambda one: one[0])]
    stop_ms = START_MS + 30 * HOUR_MS
    found = corner_hours(rows, START_MS, stop_ms, {"wifi-1": HOLD_MS}, WIB)
    hours = found.get("wifi-1", {})
    total = Hour()
    for hour in hours.values():
        total.add(hour)
    clients = clients_of(rows).get("wifi-1", [])
    whole = online(clients, START_MS, stop_ms, HOLD_MS, WIB)
    assert total.people == (None if whole.mean is None else pytest.approx(whole.mean))
    assert total.most == whole.most
    if rows:
        up, internet = points_of(rows, "up")["wifi-1"], reached(rows)["wifi-1"]
        expected = availability(up, internet, START_MS, stop_ms, HOLD_MS, WIB)
        for mine, other in zip(months(hours, WIB), expected, strict=True):
            assert (mine.year, mine.month) == (other.year, other.month)
            assert mine.known_h == pytest.approx(other.known_h)
            assert mine.unknown_h == pytest.approx(other.unknown_h)
            assert mine.internet == (
                None if other.internet is None else pytest.approx(other.internet)
            )


def test_a_counter_that_begins_anew_has_counted_what_it_says():
    assert list(rises([(1, 10.0), (2, 15.0), (3, 4.0), (4, 4.0)])) == [(2, 5.0), (3, 4.0), (4, 0.0)]


def test_traffic_and_what_a_visitor_feels_stand_in_their_hour():
    def row(minute: int, rx: int, latency: float) -> Row:
        fields: dict[str, Value] = {"rx_bytes": rx, "tx_bytes": 10 * rx, "latency_ms": latency}
        return Row(START_MS + minute * 60_000, TAGS, fields)

    rows = [row(-1, 100, 900.0), row(1, 160, 20.0), row(59, 200, 40.0), row(61, 50, 30.0)]
    hours = corner_hours(rows, START_MS, START_MS + 2 * HOUR_MS, {"wifi-1": HOLD_MS}, WIB)["wifi-1"]
    first, second = hours[START_MS], hours[START_MS + HOUR_MS]
    assert (first.rx_bytes, first.tx_bytes) == (100, 1000)
    assert (second.rx_bytes, second.tx_bytes) == (50, 500)
    assert (first.felt("latency_ms"), second.felt("latency_ms")) == (30.0, 30.0)
    assert first.felt("dns_ms") is None


class Shelf:
    """A store that may be away, with one corner that is up each minute of the days given."""

    def __init__(self, *days: int) -> None:
        self.days, self.away, self.asked = days, False, 0

    async def read(self, query: Query) -> list[Row]:
        if self.away:
            raise StoreError("away")
        self.asked += 1
        moments = range(query.start_ms + -query.start_ms % 60_000, query.stop_ms, 60_000)
        fields: dict[str, Value] = {"up": 1, "portal": "open", "clients": 3}
        return [
            Row(at, TAGS, dict(fields)) for at in moments if (at - START_MS) // DAY_MS in self.days
        ]


def test_a_store_that_goes_away_leaves_what_was_counted_and_the_next_look_goes_on():
    async def look() -> None:
        shelf, book, now_ms = Shelf(0, -1), CornerBook(WIB), START_MS + 2 * HOUR_MS
        holds = {"wifi-1": HOLD_MS}
        today = await book.look(shelf, holds, now_ms)
        assert not today.whole
        shelf.away = True
        with pytest.raises(StoreError):
            await book.look(shelf, holds, now_ms)
        shelf.away = False
        picture = today
        while not picture.whole:
            picture = await book.look(shelf, holds, now_ms)
        (month,) = [one for one in picture.months["wifi-1"] if one.known_h]
        assert month.known_h == pytest.approx(26, abs=0.1)
        assert month.internet == 1

    asyncio.run(look())


def test_a_day_without_a_word_is_unknown_and_nobodys_outage():
    async def look() -> None:
        shelf, book, now_ms = Shelf(-3, -1), CornerBook(WIB), START_MS
        picture = await book.look(shelf, {"wifi-1": HOLD_MS}, now_ms)
        while not picture.whole:
            picture = await book.look(shelf, {"wifi-1": HOLD_MS}, now_ms)
        known_h = sum(month.known_h for month in picture.months["wifi-1"])
        unknown_h = sum(month.unknown_h for month in picture.months["wifi-1"])
        assert known_h == pytest.approx(48, abs=0.2)
        assert unknown_h == pytest.approx(24, abs=0.2)
        assert all(month.internet in (None, 1) for month in picture.months["wifi-1"])

    asyncio.run(look())


def test_a_city_at_full_speed_is_counted_whole_too():
    async def look() -> None:
        shelf, book, now_ms = Shelf(0, -1), CornerBook(WIB), START_MS
        for _ in range(130):
            now_ms += 120_000  # today is due again at each look
            picture = await book.look(shelf, {"wifi-1": HOLD_MS}, now_ms)
        assert picture.whole
        assert now_ms - picture.read_ms <= 120_000

    asyncio.run(look())
