"""The Parking and Waste pages in real Chromium, over a simulated week: phone and wall, live."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import Browser, sync_playwright

from dashboards.operators.account_file import open_file
from dashboards.operators.accounts import Accounts
from dashboards.operators.parking_days import ParkingDays
from dashboards.operators.visitor import Role
from ingest.stores import Row
from ingest.stores.live import Change
from simulators.city import City
from tests.dashboards.analysis.town import DAY_MS, Town
from tests.dashboards.operators.entrance_rig import PASSWORD
from tests.dashboards.page_process import COMMAND, ROOT, Page
from tests.dashboards.small_city import store_now
from tests.dashboards.test_page_browser import ARGUMENTS, PHONE, WALL, opened
from tests.dashboards.week_read import OVERSTAY_MIN, Week, midnight
from tests.ingest.stores import databases
from wire.clock import CityTime, SystemClock

pytestmark = pytest.mark.browser

MORNING_MS = (10 * 60 + 20) * 60_000
HOSTILE = "<img src=x onerror=document.title='owned'>${document.title='owned'}"
ROUND = """
[store]
type = "sqlite"
path = "{store}"

[depot]
latitude = 5.5601
longitude = 95.3250
label = "Depo & <b>DLHK3</b>"

[[truck]]
name = "BL 8123 AH"
capacity_litres = 1500
trips = 3

[[truck]]
name = "BL 8456 AJ"
capacity_litres = 900
trips = 2
"""
WATCH_BAY = """([bay, wanted]) => new Promise((resolve) => {
  const mark = document.querySelector(`[data-bay="${bay}"]`);
  const look = () => mark.dataset.state === wanted && resolve(Date.now());
  new MutationObserver(look).observe(mark, { attributes: true });
  look();
})"""
"""Resolves with the browser's time of day at which the bay shows the state."""


class Town10(msgspec.Struct):
    """A week of a small city in one file, and its city time: it is twenty past ten."""

    store: Path
    time: CityTime
    week: Week

    @property
    def now_ms(self) -> int:
        return SystemClock(self.time).now_ms()


@pytest.fixture(scope="module")
def city(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Town10:
    folder = tmp_path_factory.mktemp("town")
    wall_ms = SystemClock().now_ms()
    now_ms = midnight(wall_ms) + MORNING_MS
    seed = request.config.option.seed % 1000
    town = Town(seed, now_ms, days=7, city=City.of(seed, bays=12, bins=12, corners=0))
    with ThreadPoolExecutor(1) as thread:  # Playwright has a loop in this one
        week = thread.submit(Week, town, databases.sqlite(folder)).result()
    return Town10(folder / "store.db", CityTime(wall_ms, now_ms), week)


@contextmanager
def centre(store: Path, time: CityTime, *, trucks: bool = True, more: str = "") -> Iterator[Page]:
    """`gampong page --config`, with a depot and trucks, until the end of the block."""
    (store.parent / "round.toml").write_text(ROUND.format(store=store))
    given = f'round_file = "{store.parent / "round.toml"}"\n' if trucks else ""
    (store.parent / "page.toml").write_text(
        f'{given}overstay_min = {OVERSTAY_MIN}\n[store]\ntype = "sqlite"\npath = "{store}"\n{more}'
    )
    command = [*COMMAND, "--config", str(store.parent / "page.toml"), "--port", "0"]
    command += ["--city-time", time.argument]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout
        try:
            words = process.stdout.readline().split()
            assert words[:1] == ["page"]
            yield Page(process, words[1])
        finally:
            process.kill()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    assert chromium, "install chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def running(city: Town10) -> Iterator[Page]:
    with centre(city.store, city.time) as page:
        yield page


def copy_of(city: Town10, folder: Path) -> Path:
    """The same store in another file, for a test that spoils it."""
    folder.mkdir(exist_ok=True)
    with sqlite3.connect(city.store) as source, sqlite3.connect(folder / "city.db") as copy:
        source.backup(copy)
    return folder / "city.db"


def zones_of(city: Town10) -> set[tuple[str, str]]:
    """Site and zone of those with revenue."""
    return {(one.site, one.zone) for one in city.week.parking_page.takings}


def fits(tab) -> bool:
    wide = tab.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    return bool(wide <= 0)


@pytest.mark.parametrize(("language", "free"), [("id", "kosong"), ("en", "free")])
def test_parking_shows_the_weeks_numbers_in_both_languages_and_sizes(
    browser, running, city, language, free
):
    told: ParkingDays = city.week.parking_page
    everywhere = told.zones[0]
    with opened(browser, running.address, WALL, f"parking?lang={language}") as tab:
        row = tab.locator('[data-usage=""]')
        row.wait_for()
        comma = "," if language == "id" else "."
        assert everywhere.week.occupancy is not None
        taken = f"{100 * everywhere.week.occupancy:.1f} %".replace(".", comma)
        assert abs_of(row.locator('[data-cell="occupancy"]').inner_text()) == pytest.approx(
            abs_of(taken), abs=0.3
        )
        vehicles = abs_of(row.locator('[data-cell="vehicles"]').inner_text())
        assert vehicles == pytest.approx(everywhere.week.vehicles, abs=2)
        assert tab.locator("[data-zone]").count() == len(told.zones) - 1
        assert tab.locator("[data-bay]").count() == everywhere.bays
        assert tab.locator(".week td").count() == 7 * 24
        assert tab.locator("[data-ahead]").count() == 6
        assert free in tab.inner_text(".parking-now")
        assert tab.locator(".parking-ahead svg path").count() > 3  # the forecast is drawn
        assert fits(tab)
        tab.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
        assert tab.locator("[data-bay]").first.is_visible()
        assert row.locator('[data-cell="occupancy"]').is_visible()
        assert fits(tab)


def test_expected_and_received_stand_by_zone_and_day(browser, running, city):
    today_ms = midnight(city.now_ms)
    sums = {"expected": 0.0, "received": 0.0}
    for one in city.week.parking_page.takings:
        if one.day_ms >= city.now_ms - 7 * DAY_MS:
            sums["expected"] += one.expected_idr
            sums["received"] += one.received_idr
    with opened(browser, running.address, WALL, "parking?lang=en") as tab:
        row = tab.locator('[data-money=""]')
        row.wait_for()
        for name, value in sums.items():
            shown = row.locator(f'[data-cell="{name}"]').inner_text()
            assert float(shown.replace(",", "")) == value
        assert row.locator(f'[data-day="{today_ms}"]').count() == 1
        assert tab.locator(".parking-money .chart svg").count() == 1


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("id", ("rupiah", "ribu rupiah", "juta rupiah")),
        ("en", ("rupiah", "thousand rupiah", "million rupiah")),
    ],
)
def test_no_two_labels_of_the_revenues_axis_are_alike_however_small_the_sums(
    browser, city, tmp_path, language, words
):
    sums = {place: 300 * 300**nth for nth, place in enumerate(sorted(zones_of(city))[:3])}
    store = copy_of(city, tmp_path / "sums")
    with sqlite3.connect(store) as database:
        for (site, zone), idr in sums.items():
            database.execute(
                "UPDATE city_hourly__revenue SET expected_idr = ?, received_idr = ? WHERE series "
                "IN (SELECT id FROM series WHERE site = ? AND zone = ?)",
                [float(idr), idr // 2, site, zone],
            )
    with (
        centre(store, city.time) as page,
        opened(browser, page.address, WALL, f"parking?lang={language}") as tab,
    ):
        tab.wait_for_selector('[data-money=""]')
        for (site, zone), name in zip(sums, words, strict=True):
            tab.select_option(".parking-hours select", f"{site}/{zone}")
            tab.wait_for_selector(f'.parking-money .chart text:text-is("{name}")')
            drawn = tab.locator(".parking-money .chart text").all_text_contents()
            axis = [text for text in drawn if text.replace(",", "").replace(".", "").isdigit()]
            assert len(axis) > 2
            assert len(set(axis)) == len(axis), axis


def test_a_bay_changes_within_a_second_of_its_reading(browser, running, city):
    bay = city.week.town.city.bays[0]
    tags = city.week.town.tags(bay)
    with opened(browser, running.address, WALL, "parking") as tab:
        mark = tab.locator(f'[data-bay="{bay.name}"]')
        mark.wait_for()
        before = mark.get_attribute("data-state")
        wanted, occupied = ("occupied", 1) if before == "free" else ("free", 0)
        tab.evaluate(f"window.seen = ({WATCH_BAY})(['{bay.name}', '{wanted}']); undefined")
        counted = f'[data-count="{wanted}"] .figure b'
        count = int(tab.inner_text(counted))
        stored_ms = SystemClock().now_ms()
        row = Row(city.now_ms, tags, {"occupied": occupied})
        store_now(city.store, [Change("parking_spot", row)])
        assert tab.evaluate("window.seen") - stored_ms < 1000
        tab.wait_for_selector(f'{counted}:text-is("{count + 1}")')


def test_a_payment_arrives_before_ones_eyes(browser, running, city):
    with opened(browser, running.address, WALL, "parking?lang=en") as tab:
        tab.wait_for_selector('[data-count="payments"] .figure b:has-text("Rp")')
        before = money(tab.inner_text('[data-count="payments"] .figure b'))
        zone = city.week.parking_page.zones[1]
        tags = {"device": "pay-new", "gateway": "pay", "site": zone.site, "zone": zone.zone}
        fields: dict[str, int | float | str] = {"amount_idr": 123_000, "method": "qris"}
        fields["transaction"] = "QRIS-42"
        store_now(city.store, [Change("payment", Row(city.now_ms, tags, fields))])
        arrived = tab.locator('[data-payment="QRIS-42"]')
        arrived.wait_for()
        assert "Rp 123,000" in arrived.inner_text()
        assert "QRIS" in arrived.inner_text()
        assert money(tab.inner_text('[data-count="payments"] .figure b')) == before + 123_000


@pytest.mark.parametrize(
    ("language", "due"), [("id", "Harus dikosongkan"), ("en", "To be emptied")]
)
def test_waste_shows_every_bin_and_draws_the_round(browser, running, city, language, due):
    with opened(browser, running.address, WALL, f"waste?lang={language}") as tab:
        tab.wait_for_selector(".route", state="attached")
        sheet = msgspec.json.decode(city.week.round.sheet)
        stops = {stop["device"] for route in sheet["routes"] for stop in route["stops"]}
        listed = tab.locator("[data-stop]").evaluate_all("all => all.map(e => e.dataset.stop)")
        drawn = tab.locator("[data-map-stop]").evaluate_all(
            "all => all.map(e => e.dataset.mapStop)"
        )
        assert set(listed) == stops  # which the week's test holds against the truth
        assert sorted(drawn) == sorted(listed)
        assert tab.locator(".route").count() == tab.locator("[data-route]").count() >= 1
        tab.wait_for_selector('[data-bin] [data-cell="due"] .due')
        assert tab.locator("[data-bin]").count() == len(city.week.town.city.bins)
        assert tab.locator('[data-bin] [data-cell="due"] .due').count() == len(stops)
        assert int(tab.inner_text('[data-count="due"] .figure b')) == len(stops)
        assert due in tab.inner_text(".bins-now")
        assert fits(tab)
        tab.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
        assert tab.locator("[data-map-stop]").first.is_visible()
        assert tab.locator('[data-bin] [data-cell="full_in"]').first.is_visible()
        assert fits(tab)


def test_the_round_is_printed_without_the_page_and_taken_along_as_gpx(browser, running, city):
    with opened(browser, running.address, WALL, "waste?lang=en") as tab:
        tab.wait_for_selector(".route", state="attached")
        with tab.expect_download() as waiting:
            tab.click("button.gpx")
        gpx = Path(waiting.value.path()).read_text()
        stops = tab.locator("[data-stop]").count()
        assert gpx.count("<rtept") == stops + 2 * tab.locator("[data-route]").count()
        assert "&lt;b&gt;DLHK3" in gpx  # the depot's label
        tab.emulate_media(media="print")
        assert tab.locator("[data-stop]").first.is_visible()
        assert tab.locator(".tick").first.is_visible()
        for hidden in (".bins-now", ".emptied", "header", ".round .leaf", "button.plan"):
            assert not tab.locator(hidden).first.is_visible(), hidden


def test_a_round_for_fewer_trucks_is_planned_when_an_operator_says_so(browser, running, city):
    with opened(browser, running.address, WALL, "waste?lang=en") as tab:
        tab.wait_for_selector(".route", state="attached")
        first = tab.locator("[data-route] h3").first.inner_text()
        there = next(name for name in ("BL 8123 AH", "BL 8456 AJ") if name in first)
        tab.uncheck(f'input[value="{there}"]')
        tab.click("button.plan")
        tab.wait_for_function(
            """gone => { const heads = [...document.querySelectorAll("[data-route] h3")];
            return heads.length && heads.every(head => !head.innerText.includes(gone)); }""",
            arg=there,
        )
        drawn = tab.locator("[data-map-stop]").count()
        assert drawn == tab.locator("[data-stop]").count() >= 1


def test_a_viewer_sees_the_round_and_the_server_lets_no_other_be_planned(browser, city, tmp_path):
    store, accounts = copy_of(city, tmp_path / "town"), tmp_path / "town" / "accounts.db"
    file = open_file(str(accounts), make=True)
    Accounts(file).add("tamu", Role.VIEWER, PASSWORD, SystemClock().now_ms())
    file.close()
    with centre(store, city.time, more=f'[accounts]\nfile = "{accounts}"\n') as page:
        tab = browser.new_page()
        tab.goto(f"{page.address}waste?lang=en")
        tab.fill("#name", "tamu")
        tab.fill("#password", PASSWORD)
        tab.press("#password", "Enter")
        tab.wait_for_selector(".route", state="attached")
        assert tab.locator("button.plan").is_disabled()
        assert "Only operators plan" in tab.inner_text(".round")
        tab.evaluate("document.querySelector('button.plan').disabled = false")
        tab.click("button.plan")
        with tab.expect_download():  # comes after it: what was asked before has been answered
            tab.click("button.gpx")
        tab.close()
    with sqlite3.connect(accounts) as database:
        done = [action for (action,) in database.execute("SELECT action FROM audit")]
    assert "log-in" in done and "round planned" not in done


def test_a_store_that_goes_away_leaves_the_numbers_with_their_age_until_it_is_back(
    browser, city, tmp_path
):
    store = copy_of(city, tmp_path / "here")
    aside = tmp_path / "aside"
    with (
        centre(store, city.time) as page,
        opened(browser, page.address, WALL, "parking?lang=en") as tab,
    ):
        tab.wait_for_selector('[data-usage=""]')
        taken = tab.inner_text('[data-usage=""] [data-cell="occupancy"]')
        store.parent.rename(aside)
        tab.wait_for_selector('[data-banner="store-away"]')
        note = tab.locator(".parking-hours h2 small").first
        tab.wait_for_selector('.parking-hours h2 small:has-text("The database can\'t be reached")')
        assert "reckoned" in note.inner_text()
        assert tab.inner_text('[data-usage=""] [data-cell="occupancy"]') == taken
        aside.rename(store.parent)
        tab.wait_for_selector('[data-banner="store-away"]', state="detached")
        tab.wait_for_selector(
            '.parking-hours h2 small:has-text("The database can\'t be reached")', state="detached"
        )


def test_an_empty_store_says_so_on_both_pages(browser, city, tmp_path):
    store_now(tmp_path / "city.db", [])
    with centre(tmp_path / "city.db", city.time, trucks=False) as page:
        for path, words in (
            ("parking?lang=en", ["No data yet", "No day is reckoned yet", "No payment yet today"]),
            ("waste?lang=en", ["No data yet", "No trucks yet", "No emptying has been recognised"]),
        ):
            with opened(browser, page.address, PHONE, path) as tab:
                for text in words:
                    tab.wait_for_selector(f'main :text("{text}")')
                assert fits(tab)


def test_text_of_a_device_is_shown_as_text_everywhere(browser, city, tmp_path):
    store = copy_of(city, tmp_path / "hostile")
    with sqlite3.connect(store) as database:  # past the guard, which lets no such label through
        database.execute("UPDATE city_health__device_registry SET label = ?", [HOSTILE])
    with centre(store, city.time) as page:
        with opened(browser, page.address, WALL, "waste?lang=en") as tab:
            tab.wait_for_selector(".route", state="attached")
            assert HOSTILE in tab.locator("[data-stop]").first.inner_text()
            assert HOSTILE in tab.locator("[data-bin]").first.inner_text()
            tab.locator("[data-map-stop]").first.hover(force=True)
            assert HOSTILE in tab.locator(".tip").first.inner_text()
            assert "Command Center" in tab.title()
        with opened(browser, page.address, WALL, "parking?lang=en") as tab:
            tab.wait_for_selector('[data-usage=""]')
            tab.locator("[data-bay]").first.hover()
            assert HOSTILE in tab.inner_text(".looked")
            assert "Command Center" in tab.title()


def abs_of(text: str) -> float:
    """The number in `61,5 %` or `1.234`, whatever the language."""
    digits = text.removesuffix("%").strip()
    whole, _, part = digits.replace(",", ".").rpartition(".")
    return (
        float(f"{whole.replace('.', '')}.{part}")
        if whole and len(part) < 3
        else float(digits.replace(".", "").replace(",", ""))
    )


def money(text: str) -> int:
    """The number in `Rp 1,234`."""
    return int("".join(char for char in text if char.isdigit()))
