"""The page in real Chromium: a bay changes before one's eyes, at a wall's and a phone's size."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, sync_playwright
from playwright.sync_api import Page as Tab

from ingest.stores import Row
from ingest.stores.live import Change
from tests.dashboards.page_process import page
from tests.dashboards.small_city import bay, place, removal, store_now, whole_city
from wire.clock import SystemClock

pytestmark = pytest.mark.browser

ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WALL = (1600, 900)
PHONE = (390, 844)
BLUE, GREEN = "rgb(0, 114, 178)", "rgb(0, 158, 115)"
CLOCK = SystemClock()

WATCH_STATE = """([device, wanted]) => new Promise((resolve) => {
  const marker = document.querySelector(`[data-device="${device}"]`);
  const look = () => marker.dataset.state === wanted && resolve(Date.now());
  new MutationObserver(look).observe(marker, { attributes: true });
  look();
})"""
"""Resolves with the browser's time of day at which the marker shows the state."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    assert chromium, "install chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield launched
        launched.close()


@contextmanager
def opened(browser: Browser, address: str, size: tuple[int, int], path: str = "") -> Iterator[Tab]:
    """The page in a window of that size. No request may leave this machine, no error be logged."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]})
    tab = context.new_page()
    requests: list[str] = []
    errors: list[str] = []
    tab.on("request", lambda request: requests.append(request.url))
    tab.on("websocket", lambda socket: requests.append(socket.url))
    tab.on(
        "console",
        lambda said: errors.append(said.text) if said.type in ("error", "warning") else None,
    )
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.goto(address + path)
    tab.wait_for_selector(".city footer")
    yield tab
    own = address.removeprefix("http://")
    assert [url for url in requests if own not in url and not url.startswith("data:")] == []
    assert any(url.startswith("ws://") for url in requests)
    assert errors == []
    context.close()


def marker(tab: Tab, device: str) -> Locator:
    return tab.locator(f'[data-device="{device}"]')


def fill(tab: Tab, device: str) -> str:
    script = "element => getComputedStyle(element).fill"
    found: str = marker(tab, device).locator(".body").evaluate(script)
    return found


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "here" / "city.db"
    path.parent.mkdir()
    store_now(path, whole_city(CLOCK.now_ms()))
    return path


@pytest.mark.parametrize("size", [WALL, PHONE])
def test_a_bay_changes_colour_within_a_second_of_its_reading(browser, store, size):
    with page(store) as running, opened(browser, running.address, size) as tab:
        bay_01 = marker(tab, "bay-01")
        bay_01.wait_for(state="visible")
        assert bay_01.get_attribute("data-state") == "occupied"
        assert bay_01.get_attribute("aria-label") == "Petak parkir Label bay-01: terisi"
        assert fill(tab, "bay-01") == BLUE
        tab.evaluate(
            f"window.seen = ({WATCH_STATE})(['bay-01', 'free']); undefined"
        )  # armed before the row is stored
        store_now(store, [bay("bay-01", stored_ms := CLOCK.now_ms(), 0)])
        seen_ms = tab.evaluate("window.seen")
        assert seen_ms - stored_ms < 1000
        assert fill(tab, "bay-01") == GREEN
        assert bay_01.get_attribute("aria-label") == "Petak parkir Label bay-01: kosong"
        tab.wait_for_selector('[data-tile="parking_spot"] .figure b:text-is("3")')
        assert tab.locator("tbody tr").first.get_attribute("data-reading") == "bay-01"
        wide = tab.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert wide == 0


def test_every_device_has_a_marker_with_its_own_state(browser, store):
    expected = {
        "bay-02": "free", "bin-01": "ok", "bin-02": "full", "bin-03": "burning",
        "wifi-01": "up", "wifi-02": "portal_down", "mahirah-01": "online",
    }  # fmt: skip
    with page(store) as running, opened(browser, running.address, WALL) as tab:
        marker(tab, "bay-01").wait_for()
        script = "all => Object.fromEntries(all.map(e => [e.dataset.device, e.dataset.state]))"
        states = tab.locator("[data-device]").evaluate_all(script)
        assert len(states) == 11
        assert states.items() >= expected.items()
        places = tab.locator("[data-device]").evaluate_all(
            "all => all.map(e => e.getBoundingClientRect()).map(b => `${b.x} ${b.y}`)"
        )
        assert len(set(places)) == 11  # none hides another
        marker(tab, "bin-03").hover()
        tip = tab.locator(".tip")
        tip.wait_for()
        assert "TERBAKAR" in tip.inner_text()
        tab.click('button[data-site="pasar-inpres"]')
        marker(tab, "bay-01").wait_for(state="hidden")
        assert marker(tab, "bay-02").is_visible()


def test_a_device_that_falls_silent_becomes_unknown_before_ones_eyes(browser, store):
    now_ms = CLOCK.now_ms()
    store_now(store, [place("bay-09", "parking_spot", now_ms, expiry_s=3.0)])
    with page(store) as running, opened(browser, running.address, WALL) as tab:
        marker(tab, "bay-09").wait_for()
        store_now(store, [bay("bay-09", CLOCK.now_ms(), 1)])
        tab.evaluate(WATCH_STATE, ["bay-09", "occupied"])
        tab.evaluate(WATCH_STATE, ["bay-09", "unknown"])
        assert "tidak diketahui" in (marker(tab, "bay-09").get_attribute("aria-label") or "")
        assert tab.locator('[data-tile="parking_spot"] [data-part="unknown"]').count() == 1


def test_a_bay_that_is_taken_away_or_moved_leaves_its_place_on_the_map(browser, store):
    with page(store) as running, opened(browser, running.address, WALL) as tab:
        marker(tab, "bay-01").wait_for()
        tab.wait_for_selector('[data-tile="parking_spot"] .figure span:has-text("4")')
        store_now(store, [removal("bay-01", CLOCK.now_ms())])
        marker(tab, "bay-01").wait_for(state="detached")
        tab.wait_for_selector('[data-tile="parking_spot"] .figure span:has-text("3")')
        both = tab.locator('[data-device="bay-02"]')
        assert both.count() == 1  # it stands in Lhokseumawe
        store_now(store, [place("bay-02", "parking_spot", CLOCK.now_ms())])
        pane = tab.locator('[data-pane="pasar-mahirah"] [data-device="bay-02"]')
        pane.wait_for()
        assert both.count() == 1


def test_a_site_that_is_gone_leaves_the_map_and_is_drawn_anew_when_it_comes_back(browser, store):
    there = [each for each in whole_city(CLOCK.now_ms()) if each.row.tags["site"] == "pasar-inpres"]
    places = [each for each in there if each.kind == "device_registry"]

    def told(kind_of: Callable[[Change], str]) -> list[Change]:
        now_ms = CLOCK.now_ms()
        return [
            Change(
                each.kind, Row(now_ms, each.row.tags, {**each.row.fields, "kind": kind_of(each)})
            )
            for each in places
        ]

    def gone(each: Change) -> str:
        return "gateway_removed" if each.row.fields["kind"] == "gateway" else "removed"

    with page(store) as running, opened(browser, running.address, WALL) as tab:
        marker(tab, "bay-02").wait_for()
        tab.click('button[data-site="pasar-inpres"]')
        store_now(store, told(gone))
        tab.locator('button[data-site="pasar-inpres"]').wait_for(state="detached")
        assert marker(tab, "bay-01").is_visible()  # not a city without a site
        assert tab.locator("[data-device]").count() == 6
        store_now(store, told(lambda each: str(each.row.fields["kind"])))
        marker(tab, "bay-02").wait_for()
        assert tab.locator("[data-device]").count() == 11


def test_a_store_that_goes_away_is_told_and_the_page_recovers_by_itself(browser, store):
    aside = store.parent.with_name("aside")
    with page(store) as running, opened(browser, running.address, WALL, "?lang=en") as tab:
        marker(tab, "bay-01").wait_for()
        store.parent.rename(aside)
        banner = tab.locator('[data-banner="store-away"]')
        banner.wait_for()
        assert "The database can't be reached. What you see is the state of" in banner.inner_text()
        assert marker(tab, "bay-01").get_attribute("data-state") == "occupied"
        store_now(aside / store.name, [bay("bay-01", CLOCK.now_ms(), 0)])
        aside.rename(store.parent)
        banner.wait_for(state="detached")
        tab.evaluate(WATCH_STATE, ["bay-01", "free"])


def test_an_empty_store_says_so_and_comes_alive_with_the_first_reading(browser, tmp_path):
    path = tmp_path / "city.db"
    store_now(path, [])
    with page(path) as running, opened(browser, running.address, PHONE) as tab:
        tab.wait_for_selector('[data-banner="no-data"]')
        assert "Belum ada data" in tab.inner_text(".banner")
        store_now(path, whole_city(CLOCK.now_ms()))
        marker(tab, "bay-01").wait_for()
        tab.wait_for_selector('[data-banner="no-data"]', state="detached")


def test_a_page_that_ends_is_never_taken_for_a_quiet_city(browser, store):
    with page(store) as running:
        context = browser.new_context(viewport={"width": WALL[0], "height": WALL[1]})
        tab = context.new_page()
        tab.goto(running.address)
        marker(tab, "bay-01").wait_for()
        assert running.end() == 0
        tab.wait_for_selector('[data-banner="page-away"]')
        context.close()


def test_text_from_outside_is_shown_as_text(browser, store):
    note = "<img src=x onerror=document.title='owned'>`${document.title='owned'}`"
    with (
        page(store, "--note", note) as running,
        opened(browser, running.address, WALL) as tab,
    ):
        marker(tab, "bay-01").wait_for()
        assert note in tab.inner_text("footer")
        assert tab.title() == "Kota · Pusat Kendali Gampong"


def test_day_and_night_and_both_languages(browser, store):
    with page(store) as running, opened(browser, running.address, WALL) as tab:
        marker(tab, "bay-01").wait_for()
        day = tab.evaluate("getComputedStyle(document.body).backgroundColor")
        tab.click("header .night")
        assert tab.evaluate("getComputedStyle(document.body).backgroundColor") != day
        assert tab.evaluate("document.documentElement.lang") == "id"
        tab.click("header .language")
        tab.wait_for_selector('h1:text-is("Gampong Command Center")')
        marker(tab, "bay-01").wait_for()
        assert tab.evaluate("document.documentElement.lang") == "en"
        assert tab.evaluate("document.documentElement.dataset.theme") == "night"


def test_a_city_of_many_sites_begins_with_the_largest_and_draws_another_when_it_is_chosen(
    browser, tmp_path
):
    now_ms = CLOCK.now_ms()
    changes = [
        each
        for site in range(8)
        for bay_number in range(3 if site == 3 else 2)
        for each in bay_of_site(site, bay_number, now_ms)
    ]
    store_now(tmp_path / "city.db", changes)
    with page(tmp_path / "city.db") as running, opened(browser, running.address, WALL) as tab:
        marker(tab, "bay-3-0").wait_for()
        assert tab.locator("[data-device]").count() == 3
        tab.click('button[data-site="site-5"]')
        marker(tab, "bay-5-1").wait_for()
        assert tab.locator("[data-device]:visible").count() == 2


def bay_of_site(site: int, number: int, now_ms: int) -> list[Change]:
    """What the registry says of a bay, and its newest reading."""
    tags = {"gateway": f"gw-{site}", "site": f"site-{site}", "zone": "main"}
    tags["device"] = f"bay-{site}-{number}"
    known: dict[str, int | float | str] = {
        "kind": "parking_spot", "label": "Bay", "expiry_s": 1560.0, "maintenance": 0,
        "latitude": 5.5 + site / 100 + number / 10_000, "longitude": 95.3,
    }  # fmt: skip
    return [
        Change("device_registry", Row(now_ms - 9000, tags, known)),
        Change("parking_spot", Row(now_ms - 3000, tags, {"occupied": number % 2})),
    ]
