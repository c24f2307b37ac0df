"""The public page in real Chromium: live, in both languages, at a wall's and a phone's size."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright
from playwright.sync_api import Page as Tab

from tests.dashboards.opendata.public_process import public
from tests.dashboards.small_city import bay, store_now, whole_city
from wire.clock import SystemClock

pytestmark = pytest.mark.browser

ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
             "--disable-background-networking", "--disable-component-update",
             "--disable-sync"]  # fmt: skip
WALL = (1600, 900)
PHONE = (390, 844)
CLOCK = SystemClock()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    assert chromium, "install chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "here" / "city.db"
    path.parent.mkdir()
    store_now(path, whole_city(CLOCK.now_ms()))
    return path


@contextmanager
def opened(
    browser: Browser,
    address: str,
    size: tuple[int, int],
    *,
    quiet: bool = True,
    theme: str = "light",
) -> Iterator[Tab]:
    """No request may leave this machine; where it is `quiet`, no error or CSP report be logged."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if theme == "dark" else "light",
    )
    tab = context.new_page()
    requests: list[str] = []
    errors: list[str] = []
    tab.on("request", lambda request: requests.append(request.url))
    tab.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.goto(address)
    tab.wait_for_function("document.getElementById('clock').textContent !== ''")
    yield tab
    assert [url for url in requests if not url.startswith(address.split("/?")[0])] == []
    if quiet:
        assert errors == []
    context.close()


def figures(tab: Tab) -> dict[str, str]:
    """Kind → its headline number."""
    found: dict[str, str] = tab.locator("section").evaluate_all(
        "all => Object.fromEntries(all.map(e => "
        "[e.dataset.kind, e.querySelector('.headline b').textContent]))"
    )
    return found


@pytest.mark.parametrize("size", [WALL, PHONE])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_shows_the_city_and_fits(browser, store, tmp_path, size, theme):
    with (
        public(store, tmp_path) as running,
        opened(browser, f"{running.address}/", size, theme=theme) as tab,
    ):
        expected = {"parking_spot": "2", "waste_container": "1", "wifi_access_point": "1"}
        assert figures(tab) == expected
        assert "± 15 orang daring" in tab.inner_text("main")
        assert "TERBAKAR" in tab.inner_text('section[data-kind="waste_container"]')
        zone = '[data-kind="parking_spot"] [data-zone="pasar-inpres/pelataran"]'
        assert "Pasar Inpres" in tab.inner_text(zone)
        assert tab.locator("section .shape use").count() > 10
        assert "lalu" in tab.locator("time").first.inner_text()
        assert tab.inner_text("#clock").endswith("WIB")
        assert tab.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
        fill = tab.locator(".s-burning").first.evaluate(
            "e => getComputedStyle(e).getPropertyValue('--fill').trim()"
        )
        assert fill == "#f0e442"


def test_a_bay_changes_before_ones_eyes(browser, store, tmp_path):
    with public(store, tmp_path) as running, opened(browser, running.address, PHONE) as tab:
        assert figures(tab)["parking_spot"] == "2"
        store_now(store, [bay("bay-01", CLOCK.now_ms(), 0)])
        tab.wait_for_selector('[data-kind="parking_spot"] .headline b:text-is("3")')


def test_the_page_speaks_english_and_remembers_the_night(browser, store, tmp_path):
    with public(store, tmp_path) as running, opened(browser, running.address, PHONE) as tab:
        tab.click("a.button")
        tab.wait_for_selector('html[lang="en"]')
        assert "free of 4" in tab.inner_text("main")
        tab.click("#night")
        assert tab.get_attribute("html", "data-theme") == "night"
        tab.reload()
        tab.wait_for_selector('html[data-theme="night"]')
        tab.keyboard.press("Tab")
        assert tab.evaluate("document.activeElement.className") == "skip"


def test_the_store_is_taken_away_and_given_back(browser, store, tmp_path):
    gone = tmp_path / "gone"
    with public(store, tmp_path) as running, opened(browser, running.address, WALL) as tab:
        store.parent.rename(gone)
        tab.wait_for_selector("main .banner")
        assert figures(tab)["parking_spot"] == "2"
        gone.rename(store.parent)
        tab.wait_for_selector("main .banner", state="detached")


def test_a_server_that_is_gone_is_told_and_everything_is_hatched(browser, store, tmp_path):
    with (
        pytest.raises(AssertionError),
        public(store, tmp_path) as running,
        opened(browser, running.address, PHONE, quiet=False) as tab,
    ):
        running.process.kill()
        running.process.wait()
        tab.wait_for_selector("#cut:not([hidden])", timeout=60_000)
        assert tab.get_attribute("body", "class") == "cut"
