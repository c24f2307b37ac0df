"""What stands behind the Parking and Waste pages: questions in their own process, words, bounds."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo

import msgspec
import pytest

import dashboards.operators
from dashboards.analysis.occupancy_forecast import TRIED_MIN, bounded
from dashboards.analysis.parking import hourly_occupancy
from dashboards.analysis.spans import HOUR_MS
from dashboards.operators.parking_days import ParkingDays, parking_days
from dashboards.operators.reckoning import ParkingQuestion, RoundQuestion
from dashboards.operators.workshop import EVERY_S, Workshop
from dashboards.round_configuration import (
    Depot,
    RoundConfiguration,
    RoundSettings,
    TruckSettings,
)
from dashboards.store_file import open_source
from dashboards.texts import Language, words
from ingest.stores.configuration import SqliteSettings
from tests.dashboards.analysis.town import DAY_MS, Town
from tests.dashboards.small_city import store_lines, whole_city
from wire.clock import SystemClock

WIB = ZoneInfo("Asia/Jakarta")
MONDAY_MS = 1_795_366_800_000 - 1_795_366_800_000 % DAY_MS + 17 * HOUR_MS
ASSETS = Path(dashboards.operators.__file__).with_name("assets")
SCRIPTS = [
    *(ASSETS / "days").glob("*.js"),
    *(
        ASSETS / f"{name}.js"
        for name in ("parking_now", "parking_hours", "parking_stays", "parking_ahead")
    ),
    *(ASSETS / f"{name}.js" for name in ("parking_money", "bins_now", "round", "emptied")),
    ASSETS / "waste_bank.js",
]
_T = TypeVar("_T")


class HandClock(SystemClock):
    """A clock that a test moves."""

    def __init__(self) -> None:
        super().__init__()
        self.at_s = 1000.0

    def monotonic(self) -> float:
        return self.at_s


def with_store(folder: Path, use: Callable[[Workshop, HandClock], Awaitable[_T]]) -> _T:
    """Run it over a small city's store."""

    async def run() -> _T:
        await store_lines(folder / "city.db", whole_city(SystemClock().now_ms()))
        clock = HandClock()
        return await use(Workshop(SqliteSettings(path=str(folder / "city.db")), clock), clock)

    return asyncio.run(run())


def question() -> ParkingQuestion:
    return ParkingQuestion(SystemClock().now_ms(), "Asia/Jakarta", 240)


def test_a_question_is_answered_once_for_all_who_ask_until_the_answer_is_old(tmp_path):
    async def use(workshop: Workshop, clock: HandClock) -> None:
        both = await asyncio.gather(*(workshop.look("parking", question) for _ in range(2)))
        assert both[0] == both[1] and both[0].number == 1
        told = msgspec.json.decode(both[0].text, type=ParkingDays)
        assert {zone.zone for zone in told.zones} == {"", "pelataran"}
        assert sum(zone.bays for zone in told.zones) == 2 * 4
        clock.at_s += EVERY_S / 2
        assert (await workshop.look("parking", question)).number == 1
        clock.at_s += 600
        assert (await workshop.look("parking", question)).number == 2

    with_store(tmp_path, use)


def test_while_the_store_is_away_the_last_answer_stays_and_it_is_asked_at_once_when_it_is_back(
    tmp_path,
):
    async def use(workshop: Workshop, clock: HandClock) -> None:
        first = await workshop.look("parking", question)
        (tmp_path / "city.db").rename(tmp_path / "aside.db")
        clock.at_s += 600
        away = await workshop.look("parking", question)  # nobody has noticed yet
        assert (away.text, away.number, away.store_away) == (first.text, 1, True)
        assert str(tmp_path / "city.db") in away.why
        noticed = await workshop.look("parking", question, away=True)
        assert noticed.text == first.text and noticed.store_away
        (tmp_path / "aside.db").rename(tmp_path / "city.db")
        back = await workshop.look("parking", question)
        assert (back.number, back.why, back.store_away) == (2, "", False)

    with_store(tmp_path, use)


def test_a_round_whose_ways_cant_be_read_says_which_file(tmp_path):
    configuration = RoundConfiguration(
        store=SqliteSettings(path=""),
        depot=Depot(5.57, 95.33),
        truck=(TruckSettings("BL 1", 1000.0),),
        round=RoundSettings(matrix_file=str(tmp_path / "ways.json")),
    )

    async def use(workshop: Workshop, clock: HandClock) -> None:
        asked = RoundQuestion(SystemClock().now_ms(), configuration)
        told = await workshop.again("round", lambda: asked)
        assert str(tmp_path / "ways.json") in told.why
        assert (told.text, told.store_away) == ("", False)

    with_store(tmp_path, use)


def test_of_an_empty_store_nothing_is_said(tmp_path):
    async def run() -> ParkingDays:
        await store_lines(tmp_path / "city.db", [])
        settings = SqliteSettings(path=str(tmp_path / "city.db"))
        async with open_source(settings, SystemClock()) as store:
            return await parking_days(store, SystemClock().now_ms(), WIB, 240)

    told = asyncio.run(run())
    assert (told.zones, told.standing, told.takings) == ([], [], [])


@pytest.mark.parametrize("language", Language)
def test_every_word_that_the_pages_scripts_ask_for_exists(language):
    asked = {
        key
        for script in SCRIPTS
        for key in re.findall(r"""\bt\(["']([a-z]+\.[a-z_]+)["'][,)]""", script.read_text())
    }
    assert len(asked) > 60
    assert asked <= words(language).keys()


def test_reasons_for_not_visiting_a_bin_have_words():
    known = words(Language.ENGLISH)
    for reason in ("on_fire", "in_maintenance", "no_place", "unknown"):
        assert f"waste.not_{reason}" in known


def test_forecasts_bounds_hold_about_four_hours_in_five(seed):
    """Four weeks of the simulated bays, the last two days forecast three hours ahead."""
    town = Town(seed % 1000, MONDAY_MS, days=28)
    inside = tried = 0
    for zone in sorted({bay.zone.name for bay in town.city.bays}):
        bays = {
            bay.name: [
                (town.start_ms, float(town.world.bay(bay.name).occupied(town.start_ms))),
                *(
                    (time_ms, float(value))
                    for time_ms, value in town.world.bay(bay.name).changes(
                        town.start_ms, town.stop_ms
                    )
                ),
            ]
            for bay in town.city.bays
            if bay.zone.name == zone
        }
        past = hourly_occupancy(bays, town.start_ms, town.stop_ms, 28 * DAY_MS, WIB)
        for at in range(len(past) - 48, len(past) - 3, 3):
            for hour in bounded(past[:at], 14, 3, WIB):
                real = dict(past)[hour.time_ms]
                assert hour.low is not None and hour.high is not None
                assert 0 <= hour.low <= hour.share <= hour.high <= 1
                inside += hour.low - 1e-9 <= real <= hour.high + 1e-9
                tried += 1
    print(f"seed {seed}: {inside} of {tried} within their bounds")
    assert 0.65 <= inside / tried <= 0.95


def test_too_few_tries_give_no_bounds():
    past = [(MONDAY_MS + hour * HOUR_MS, 0.5) for hour in range(TRIED_MIN)]
    assert all(hour.low is None and hour.high is None for hour in bounded(past, 14, 6, WIB))
