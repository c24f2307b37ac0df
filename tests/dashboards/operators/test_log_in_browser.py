"""Coming in, looking around and leaving, in real Chromium."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, sync_playwright
from playwright.sync_api import Page as Tab

from tests.dashboards.operators.entrance_rig import PASSWORD
from tests.dashboards.page_process import account, page, page_with_accounts
from tests.dashboards.small_city import store_now, whole_city
from wire.clock import SystemClock

pytestmark = pytest.mark.browser

ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
PHONE, WALL = (390, 844), (1920, 1080)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    assert chromium, "install chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield launched
        launched.close()


@contextmanager
def window(browser: Browser, size: tuple[int, int] = PHONE) -> Iterator[Tab]:
    context = browser.new_context(viewport={"width": size[0], "height": size[1]})
    yield context.new_page()
    context.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("accounts")
    store_now(made / "city.db", whole_city(SystemClock().now_ms()))
    account(made, "add", "malam", "--role", "operator", password=PASSWORD)
    account(made, "add", "kepala", "--role", "admin", password=PASSWORD)
    return made


@pytest.fixture(scope="module")
def address(folder):
    with page_with_accounts(folder) as running:
        yield running.address


def fill_in(tab: Tab, name: str, password: str = PASSWORD) -> None:
    tab.fill("#name", name)
    tab.fill("#password", password)
    tab.press("#password", "Enter")


def live(tab: Tab) -> None:
    tab.locator('[data-device="bay-01"]').wait_for(state="attached")


@pytest.mark.parametrize("size", [PHONE, WALL])
def test_a_wrong_password_is_told_and_the_right_one_opens_the_living_page(browser, address, size):
    with window(browser, size) as tab:
        errors: list[str] = []
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.goto(address)
        assert tab.url == f"{address}login?next=%2F"
        assert tab.evaluate("document.activeElement.id") == "name"
        fill_in(tab, "malam", "bukan sandi ini")
        assert tab.inner_text('[role="alert"]') == "Nama atau kata sandi salah."
        tab.click("a[hreflang=en]")
        fill_in(tab, "malam")
        live(tab)
        assert tab.url == address
        assert tab.title() == "City · Gampong Command Center"
        assert tab.evaluate("document.cookie").count("session") == 0
        assert tab.evaluate("document.documentElement.scrollWidth - window.innerWidth") == 0
        tab.click(".who button")
        tab.wait_for_selector("#name")
        tab.goto(address)
        assert "/login" in tab.url
        assert errors == []


def test_logging_out_in_one_tab_leads_every_other_to_the_log_in(browser, address):
    with window(browser, WALL) as tab:
        tab.goto(f"{address}?lang=id")
        fill_in(tab, "malam")
        live(tab)
        other = tab.context.new_page()
        other.goto(address)
        live(other)
        tab.click(".who button")
        tab.wait_for_selector("#name")
        other.wait_for_selector("#name")


def test_a_new_role_leads_the_open_page_to_the_log_in_and_shows_what_is_new(
    browser, address, folder
):
    with window(browser, WALL) as tab:
        tab.goto(address)
        fill_in(tab, "kepala")
        live(tab)
        assert tab.locator('.ways a[data-way="/audit"]').count() == 1
        account(folder, "role", "kepala", "viewer")
        tab.wait_for_selector("#name")
        fill_in(tab, "kepala")
        live(tab)
        assert tab.locator('.ways a[data-way="/audit"]').count() == 0
        tab.goto(f"{address}audit")
        tab.wait_for_selector('[role="alert"]:has-text("admin")')
        account(folder, "role", "kepala", "admin")


def test_admins_see_who_did_what_as_text(browser, address):
    with window(browser, PHONE) as tab:
        tab.goto(f"{address}audit?lang=en")
        fill_in(tab, "<img src=x onerror=alert(1)>", "bukan sandi ini")
        fill_in(tab, "kepala")
        tab.wait_for_selector(".audit tbody tr")
        assert "<img src=x onerror=alert(1)>" in tab.inner_text(".audit")
        assert tab.locator(".audit img").count() == 0
        assert tab.evaluate("document.documentElement.scrollWidth - window.innerWidth") == 0


def test_a_script_that_is_smuggled_into_the_page_doesnt_run(browser, address):
    with window(browser) as tab:
        tab.goto(address)
        fill_in(tab, "malam")
        live(tab)
        tab.evaluate(
            """() => {
              const script = document.createElement("script");
              script.textContent = "window.owned = 1";
              document.body.append(script);
              const image = "<img src=x onerror='window.owned = 2'>";
              document.body.insertAdjacentHTML("beforeend", image);
            }"""
        )
        tab.wait_for_function("document.querySelector('img[src=x]').complete")
        assert tab.evaluate("window.owned") is None


def test_keys_alone_lead_through_the_page(browser, address):
    with window(browser, WALL) as tab:
        tab.goto(f"{address}?lang=en")
        fill_in(tab, "kepala")
        live(tab)
        tab.keyboard.press("Tab")
        assert tab.evaluate("document.activeElement.className") == "skip"
        ways = tab.locator(".ways a").count()
        seen = []
        for _ in range(ways):
            tab.keyboard.press("Tab")
            seen.append(tab.evaluate("document.activeElement.dataset.way"))
        assert seen[0] == "/"
        assert seen[-1] == "/audit"
        tab.keyboard.press("Enter")
        tab.wait_for_selector(".audit tbody tr")
        assert tab.title() == "Audit log · Gampong Command Center"


def test_a_wall_has_nothing_on_it_but_the_city_and_escape_brings_the_rest_back(browser, tmp_path):
    store_now(tmp_path / "city.db", whole_city(SystemClock().now_ms()))
    with page(tmp_path / "city.db") as running, window(browser, WALL) as tab:
        tab.goto(f"{running.address}?wall=1")
        live(tab)
        for part in (".ways", ".tools", "footer"):
            assert not tab.locator(part).is_visible()
        assert tab.locator(".alarm-strip").is_visible()
        assert tab.inner_text("header .here") == "Kota"
        tab.keyboard.press("Escape")
        assert tab.locator(".ways").is_visible()
        assert tab.url == running.address
        tab.click(".wall-button")
        assert not tab.locator(".ways").is_visible()
        assert tab.url == f"{running.address}?wall=1"


def test_a_phone_can_install_it(browser, address):
    with window(browser) as tab:
        tab.goto(f"{address}login")
        session = tab.context.new_cdp_session(tab)
        manifest = session.send("Page.getAppManifest")
        assert manifest["url"] == f"{address}manifest.webmanifest"
        assert manifest["errors"] == []
        found = session.send("Page.getInstallabilityErrors")["installabilityErrors"]
        assert {each["errorId"] for each in found} <= {"in-incognito"}  # as a test's window is
