"""WiFi, Gateways, Alerts and More in real Chromium: both languages, phone and wall, live."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from playwright.sync_api import Page as Tab

from ingest.alerts.desk import Acknowledge, waiting_asks
from ingest.stores import Bucket
from ingest.stores.configuration import SqliteSettings
from ingest.stores.open import open_store
from tests.dashboards.operators import watched_city
from tests.dashboards.operators.entrance_rig import PASSWORD
from tests.dashboards.page_process import Page, account, page, page_with_accounts
from tests.dashboards.small_city import store_now
from tests.dashboards.test_page_browser import PHONE, WALL, browser, opened
from tests.ingest.alerts.rounds import alerts, look
from wire.clock import SystemClock

__all__ = ["browser"]
pytestmark = pytest.mark.browser

CLOCK = SystemClock()
HOSTILE = "<img src=x onerror=document.title='owned'>${document.title='owned'}"
PATHS = ("wifi", "gateways", "alerts", "more")
FORGED = """([rule, device]) => {
  const [id, one] = Object.entries(mounted_app.elements)
    .find(([, each]) => each.events?.some((event) => event.type === "answer"));
  const { listener_id } = one.events.find((event) => event.type === "answer");
  const { key } = one.props.alerts.find((each) => each.rule === rule && each.device === device);
  const said = { key, kind: "acknowledge", rule, device, site: "", why: "saya", hours: 2 };
  const [client_id, args] = [window.clientId, [JSON.stringify(said)]];
  window.socket.emit("event", { id: Number(id), client_id, listener_id, args });
}"""
"""What a viewer's browser would send if its owner wrote it by hand."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A city with a day behind it, an operator, a viewer, and the watch's desk."""
    made = tmp_path_factory.mktemp("watched")
    watched_city.store(made / "city.db", watched_city.lines(CLOCK.now_ms()))
    account(made, "add", "malam", "--role", "operator", password=PASSWORD)
    account(made, "add", "tamu", "--role", "viewer", password=PASSWORD)
    return made


@pytest.fixture(scope="module")
def running(folder: Path) -> Iterator[Page]:
    desk = f'[alerts]\ndesk_file = "{folder / "alerts.json"}"\nrunbook_url = "/runbook"\n'
    with page_with_accounts(folder, more=desk) as each:
        yield each


@contextmanager
def logged_in(browser: Browser, running: Page, name: str, path: str) -> Iterator[Tab]:
    context = browser.new_context(viewport={"width": WALL[0], "height": WALL[1]})
    tab = context.new_page()
    tab.goto(f"{running.address}login?lang=en")
    tab.fill("#name", name)
    tab.fill("#password", PASSWORD)
    tab.press("#password", "Enter")
    tab.wait_for_selector(".ways")
    tab.goto(running.address + path)
    yield tab
    context.close()


def fits(tab: Tab) -> bool:
    return bool(tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


EXPECTED = {
    "wifi": {
        "id": ('[data-number="online"] .figure b', "orang", "Janji penyedia"),
        "en": ('[data-number="online"] .figure b', "people online", "The provider's promise"),
    },
    "gateways": {
        "id": ('[data-card="mahirah-01"] [data-fact="outbox"]', "tidak bertambah", "terputus"),
        "en": ('[data-card="mahirah-01"] [data-fact="outbox"]', "not filling", "offline"),
    },
    "alerts": {
        "id": ('[data-severity="critical"] h3', "Bak sampah terbakar", "Riwayat 7 hari"),
        "en": ('[data-severity="critical"] h3', "Bin on fire", "History of 7 days"),
    },
    "more": {
        "id": ('[data-kind="water_level"] tbody tr', "Tinggi air", "Krueng Aceh"),
        "en": ('[data-kind="water_level"] tbody tr', "Water level", "Krueng Aceh"),
    },
}


@pytest.mark.parametrize("size", [WALL, PHONE], ids=["wall", "phone"])
def test_each_page_shows_the_city_in_both_languages(browser, folder, size):
    with page(folder / "city.db") as each:
        for path in PATHS:
            for language in ("id", "en"):
                selector, *texts = EXPECTED[path][language]
                with opened(browser, each.address, size, f"{path}?lang={language}") as tab:
                    tab.locator(selector).first.wait_for()
                    for text in texts:
                        tab.locator(f'.grid-page :text("{text}")').first.wait_for()
                    assert fits(tab), (path, language)
                    assert tab.evaluate("document.documentElement.lang") == language


def test_the_wifi_page_tells_people_promise_and_what_hurts_first(browser, folder):
    with (
        page(folder / "city.db") as each,
        opened(browser, each.address, WALL, "wifi?lang=en") as tab,
    ):
        tab.wait_for_selector(".live-table tbody tr")
        assert tab.inner_text('[data-number="online"] .figure b') == "9"  # 6 and 3
        first = tab.locator(".live-table tbody tr").first
        assert "portal down" in first.inner_text()
        tab.wait_for_selector('.grid-page :text("Counted since")')
        tab.wait_for_selector('.grid-page :text("broken")')
        assert tab.locator(".hours-chart svg path").count() > 24
        watched_city.store(
            folder / "city.db",
            {
                Bucket.CITY: [
                    watched_city.reading("wifi-01", CLOCK.now_ms(), up=1, clients=21, portal="open")
                ]
            },
        )
        tab.wait_for_selector('[data-number="online"] .figure b:text-is("24")')


def test_a_gateways_card_names_what_waits_what_fails_and_what_wears_out(browser, folder):
    with (
        page(folder / "city.db") as each,
        opened(browser, each.address, WALL, "gateways?lang=en") as tab,
    ):
        card = tab.locator(".fact-cards article").first
        card.wait_for()
        assert card.get_attribute("data-card") == "lhokseumawe-01"  # the offline one first
        said = card.inner_text()
        for text in ("offline", "full 12", "full in", "1 down", "85 %", "0.1.0", "lost in the air"):
            assert text in said
        tab.wait_for_selector('[data-card="mahirah-01"] [data-fact="bus"]:has-text("Lampu jalan")')


def test_an_operator_acknowledges_and_sees_that_the_watch_took_note(browser, running, folder):
    with logged_in(browser, running, "malam", "alerts?lang=en") as tab:
        alert = tab.locator('[data-alert^="bin_full bin-03"]')
        alert.wait_for()
        assert "94 %" in alert.inner_text()
        assert alert.locator("a").get_attribute("href") == "/runbook#bin_full"
        titles = tab.locator(".alert-list article h3").all_inner_texts()
        assert titles[-1].startswith("Card worn")  # muted ones come last
        alert.locator('[data-answer="acknowledge"]').press("Enter")
        tab.keyboard.type("a truck at nine")
        tab.keyboard.press("Enter")
        alert.locator('[role="status"]:has-text("Left for the watch")').wait_for()
        asks = [ask for _, ask in waiting_asks(folder / "alerts.json")]
        assert asks == [Acknowledge("bin_full", "bin-03", "malam", "a truck at nine")]
        take_asks(folder)
        alert.locator('.note:has-text("Taken by malam: a truck at nine")').wait_for()
        tab.wait_for_selector('.live-table tbody :text("malam: a truck at nine")')


def test_a_viewer_has_no_buttons_and_is_refused_what_they_send_by_hand(browser, running, folder):
    with logged_in(browser, running, "tamu", "alerts?lang=en") as tab:
        tab.wait_for_selector('[data-alert^="bin_burning"]')
        assert tab.locator("[data-answer]").count() == 0
        tab.wait_for_selector(':text("Only operators acknowledge and silence.")')
        tab.evaluate(FORGED, ["bin_burning", "bin-07"])
        tab.wait_for_selector('[role="status"]:has-text("Only operators acknowledge")')
        left = [ask.who for _, ask in waiting_asks(folder / "alerts.json") if ask]
        assert "tamu" not in left


def take_asks(folder: Path) -> None:
    """What the watch does within a second, by its own code."""

    async def take() -> None:
        async with open_store(SqliteSettings(path=str(folder / "city.db")), CLOCK) as opened_store:
            judge = alerts(opened_store, folder)
            await judge.round(look(CLOCK.now_ms()))
            await judge.take_asks(CLOCK.now_ms())

    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(take())).result()


def test_a_store_that_goes_away_leaves_the_numbers_and_comes_back_by_itself(browser, tmp_path):
    here, aside = tmp_path / "here", tmp_path / "aside"
    here.mkdir()
    watched_city.store(here / "city.db", watched_city.lines(CLOCK.now_ms()))
    with (
        page(here / "city.db") as each,
        opened(browser, each.address, WALL, "alerts?lang=en") as tab,
        opened(browser, each.address, WALL, "gateways?lang=en") as gateways,
    ):
        tab.wait_for_selector('[data-alert^="bin_full"]')
        gateways.wait_for_selector("[data-card]")
        here.rename(aside)
        tab.wait_for_selector('[data-banner="store-away"]')
        tab.wait_for_selector('.alert-list .warn:has-text("It can\'t be read")')
        assert tab.locator('[data-alert^="bin_full"]').count() == 1
        gateways.wait_for_selector('[data-banner="store-away"]')
        assert "85 %" in gateways.inner_text('[data-card="lhokseumawe-01"]')
        aside.rename(here)
        tab.wait_for_selector('[data-banner="store-away"]', state="detached")
        tab.wait_for_selector(".alert-list .warn", state="detached")


def test_an_empty_store_says_so_on_every_page_and_never_that_all_is_well(browser, tmp_path):
    store_now(tmp_path / "city.db", [])
    words = {
        "wifi": "No data yet",
        "gateways": "No data yet",
        "alerts": "The watch has never judged",
        "more": "No other devices in this city yet",
    }
    with page(tmp_path / "city.db") as each:
        for path, text in words.items():
            with opened(browser, each.address, PHONE, f"{path}?lang=en") as tab:
                tab.wait_for_selector(f'.grid-page :text("{text}")')
                assert tab.locator(".calm").count() == 0
                assert fits(tab)


def test_text_of_a_device_is_shown_as_text_on_every_page(browser, tmp_path):
    watched_city.store(tmp_path / "city.db", watched_city.lines(CLOCK.now_ms()))
    with sqlite3.connect(tmp_path / "city.db") as database:  # past the guard, which lets none by
        database.execute("UPDATE city_health__device_registry SET label = ?", [HOSTILE])
    with page(tmp_path / "city.db") as each:
        for path in PATHS:
            with opened(browser, each.address, WALL, f"{path}?lang=en") as tab:
                tab.locator(".grid-page", has_text=HOSTILE).wait_for()
                assert tab.locator(".grid-page img").count() == 0
                assert "Command Center" in tab.title()
