"""The gateway's page in real Chromium at a phone's size, with no name resolved and no other host
reached: what a technician does at the foot of the ladder."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Geolocation, ViewportSize, expect, sync_playwright
from playwright.sync_api import Page as Tab

from tests.edge.page.rig import PIN, Ranger, Site
from tests.edge.uplink.far_side import FarSide, confirm, ignore, until
from tests.servers import Mosquitto

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
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
PHONE: ViewportSize = {"width": 390, "height": 844}
WAIT_MS = 30_000
PLACE: Geolocation = {"latitude": 5.57031, "longitude": 95.32912}
FORBIDDEN = re.compile("status of 40[13]|status of 429|status of 503")
"""What Chromium's console says of a wrong PIN, and of an agent that begins anew."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    assert chromium, "install chromium: apt-get install chromium"
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture
def ranger(tmp_path: Path) -> Iterator[Ranger]:
    with Ranger(tmp_path / "ttyBIN") as running:
        yield running


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as server:
        yield server


@pytest.fixture
def site(tmp_path: Path, broker: Mosquitto, ranger: Ranger) -> Iterator[Site]:
    site = Site(tmp_path, broker.port, ranger.path)
    with site.agent() as agent:
        agent.said("event=page ")
        agent.said("event=started")
        yield site


@contextmanager
def phone(browser: Browser, site: Site, locale: str = "en-GB", dark: bool = False) -> Iterator[Tab]:
    """A phone on the gateway's address. No request goes elsewhere, no error is logged."""
    context = browser.new_context(
        viewport=PHONE,
        locale=locale,
        color_scheme="dark" if dark else "light",
        has_touch=True,
        is_mobile=True,
        geolocation=PLACE,
        permissions=["geolocation"],
    )
    context.set_default_timeout(WAIT_MS)
    tab = context.new_page()
    requests: list[str] = []
    errors: list[str] = []
    tab.on("request", lambda request: requests.append(request.url))
    tab.on(
        "console",
        lambda said: errors.append(said.text) if said.type in ("error", "warning") else None,
    )
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.goto(site.address)
    yield tab
    assert [url for url in requests if not url.startswith(site.address)] == []
    assert [error for error in errors if not FORBIDDEN.search(error)] == []
    context.close()


def enter(tab: Tab, pin: str = PIN) -> None:
    tab.fill("#pin", pin)
    tab.click("main button")


def wide(tab: Tab) -> bool:
    """Whether anything sticks out of the phone."""
    return bool(tab.evaluate("document.documentElement.scrollWidth > innerWidth"))


def wait(condition: Callable[[], object]) -> None:
    with ThreadPoolExecutor(1) as beside:  # Playwright's loop runs in this thread
        beside.submit(lambda: asyncio.run(until(condition, WAIT_MS / 1000))).result()


def test_a_stranger_sees_a_pin_and_is_locked_out_and_the_technician_comes_in(browser, site):
    with phone(browser, site) as tab:
        expect(tab.get_by_label("PIN")).to_be_visible()
        assert "ahirah" not in tab.content()
        for _ in range(5):
            enter(tab, "111222")
            expect(tab.locator("[role=alert]")).to_be_visible()
        expect(tab.locator("[role=alert]")).to_contain_text("Too many wrong PINs")
        enter(tab)
        expect(tab.locator("[role=alert]")).to_contain_text("Too many wrong PINs")


def test_readings_come_without_a_reload_and_a_gateway_that_is_gone_looks_gone(
    browser, site, ranger
):
    with phone(browser, site) as tab:
        enter(tab)
        bin_01 = tab.locator('[data-device="bin-01"]')
        expect(bin_01).to_contain_text("8 %")
        tab.evaluate("window.mark = 1")
        ranger.distance_mm = 600.0
        expect(bin_01).to_contain_text("50 %")
        expect(bin_01.locator("time")).to_have_text(re.compile(r"^\d+ s ago$"))
        assert tab.evaluate("window.mark") == 1
        assert not wide(tab)
        tab.click("text=Bak sampah")
        expect(tab.locator("#newest")).to_contain_text("600")
        assert not wide(tab)
        # Nothing of the page is inline, and the browser is told so.
        assert tab.evaluate("document.querySelectorAll('[style], style, [onclick]').length") == 0


def test_the_page_says_so_when_the_gateway_does_not_answer(browser, tmp_path, broker, ranger):
    site = Site(tmp_path, broker.port, ranger.path)
    with site.agent() as agent:
        agent.said("event=page ")
        agent.said("event=started")
        context = browser.new_context(viewport=PHONE, locale="en-GB")
        tab = context.new_page()
        tab.goto(site.address)
        enter(tab)
        expect(tab.locator('[data-device="bin-01"]')).to_contain_text("%")
        expect(tab.locator("#lost")).to_be_hidden()
        agent.freeze()
        agent.kill()
        expect(tab.locator("#lost")).to_be_visible()
        context.close()


def test_a_bin_is_calibrated_on_the_phone(browser, site, ranger):
    with phone(browser, site, locale="id-ID") as tab:
        enter(tab)
        tab.click("text=Bak sampah")
        ranger.distance_mm = 950.0
        tab.get_by_role("button", name="Kosong sekarang").click()
        expect(tab.locator("#work")).to_contain_text("dari 40")
        expect(tab.locator("#work")).to_contain_text("Baik, ditulis")
        assert site.device()["container"]["empty_mm"] == 950
        tab.click("text=Keadaan")
        tab.get_by_role("button", name="Mulai ulang sekarang").click()
        expect(tab.locator('[data-device="bin-01"] .value')).to_have_text(re.compile("^[01] %$"))
        expect(tab.get_by_role("button", name="Mulai ulang sekarang")).to_have_count(0)


def test_an_adapter_pulled_out_during_calibration_is_said_on_the_phone(browser, site, ranger):
    with phone(browser, site) as tab:
        enter(tab)
        tab.click("text=Bak sampah")
        expect(tab.locator("#newest")).to_contain_text("940")
        tab.get_by_role("button", name="It is full now").click()
        expect(tab.locator("#work")).to_contain_text(" of 40")
        ranger.unplug()
        expect(tab.locator("#work")).to_contain_text("Nothing is changed")
        assert site.device()["container"] == {"empty_mm": 1000, "full_mm": 200}
        ranger.distance_mm = 321.0
        ranger.plug()
        tab.get_by_role("link", name="Back").click()
        expect(tab.locator("#newest")).to_contain_text("321")


def test_a_device_is_commissioned_to_a_pass_with_its_confirmed_point(browser, site, broker):
    with FarSide(broker, ignore) as cloud, phone(browser, site, dark=True) as tab:
        enter(tab)
        expect(tab.locator("#status")).to_contain_text("connected")
        tab.click("text=Bak sampah")
        tab.get_by_role("button", name="Follow the next reading").click()
        way = tab.locator("#way")
        expect(way).to_contain_text("Kept on the gateway, will be sent")
        cloud.answer = confirm
        expect(way).to_contain_text("Stored in the city")
        expect(way).to_contain_text("gateway=a-01")
        tab.get_by_role("button", name="Use the phone's position").click()
        expect(tab.get_by_label("Position")).to_have_value("5.570310, 95.329120")
        tab.get_by_label("Note").fill("lid closes")
        assert not wide(tab)
        tab.get_by_role("button", name="Pass").click()
        sheet = tab.locator('[data-entry="bin-01"]')
        for said in ("PASS", "Stored in the city", "lid closes", "5.57031, 95.32912", "ff 03 ac"):
            expect(sheet).to_contain_text(said)
        assert not wide(tab)
        wait(lambda: cloud.inventories[-1].devices[0].commissioned)
        assert tab.get_by_role("button", name="Print").is_visible()
