"""WiFi corners: who is online, what a visitor feels, and whether the provider keeps its promise."""

from __future__ import annotations

from nicegui import ui

from dashboards.operators.context import Context, Section
from dashboards.operators.corner_book import CornerBook, Picture
from dashboards.operators.parts import STYLE, HoursChart, LiveTable, NumberTiles
from dashboards.operators.spoken import Spoken
from dashboards.operators.styles import add_style
from dashboards.operators.wifi_shown import Shown, corners_of, shown
from dashboards.texts import words
from ingest.stores import StoreError

LOOK_S = 2.0
FOREVER_S = 1e9
COLUMNS = ("corner", "state", "people", "portal", "dns", "latency", "loss", "channel", "heard")
MONTH_COLUMNS = ("corner", "month", "internet", "access_point", "unknown", "promise")


async def build(context: Context) -> None:
    """The page; its numbers come at once, and again each two seconds where they differ."""
    say = context.say
    add_style(STYLE.read_text(encoding="utf-8"))
    with ui.element("div").classes("wifi-page grid-page thirds"):
        numbers = NumberTiles()
        with _panel(say("wifi.people_by_hour")):
            people = HoursChart(say("wifi.people_by_hour"))
        with _panel(say("wifi.latency_by_hour")):
            latency = HoursChart(say("wifi.latency_by_hour"))
        with _panel(say("wifi.traffic_by_hour")):
            traffic = HoursChart(say("wifi.traffic_by_hour"))
        with _panel(say("wifi.now"), "wide"):
            corners = _table(context, COLUMNS, "wifi.now")
        with _panel(say("wifi.promise"), "wide"):
            counting = ui.label().classes("quiet")
            promise = _table(context, MONTH_COLUMNS, "wifi.promise")

    async def look() -> None:
        now = await _shown(context)
        numbers.show(now.numbers)
        corners.show(now.corners)
        people.show(now.people)
        latency.show(now.latency)
        traffic.show(now.traffic)
        promise.show(now.promise)
        counting.set_text(now.counting)

    ui.timer(LOOK_S, look, immediate=True)


def _panel(title: str, more: str = "") -> ui.element:
    panel = ui.element("section").classes(f"panel {more}")
    with panel, ui.element("h2"):
        ui.label(title)
    return panel


def _table(context: Context, columns: tuple[str, ...], label: str) -> LiveTable:
    say = context.say
    return LiveTable([say(f"wifi.{name}") for name in columns], say("page.no_data"), say(label))


async def _shown(context: Context) -> Shown:
    """Made once for all viewers of a language."""

    async def make() -> Shown:
        devices = corners_of(context.feed.board.devices.values())
        spoken = Spoken(context.language, words(context.language), context.zone)
        return shown(
            devices,
            await _picture(context),
            context.clock.now_ms(),
            context.configuration.promised,
            spoken,
            context.zone,
        )

    return await context.shared.get(f"wifi.shown.{context.language}", LOOK_S / 2, make)


class _Last:
    """The hours as they were last counted, for when the store is away."""

    def __init__(self, context: Context) -> None:
        self.book = CornerBook(context.zone)
        self.picture: Picture | None = None


async def _picture(context: Context) -> Picture | None:
    """The hours so far; as they were while the store is away, whose age the page shows."""

    async def begin() -> _Last:
        return _Last(context)

    async def look() -> Picture | None:
        devices = corners_of(context.feed.board.devices.values())
        holds = {one.name: int(1000 * one.expiry_s) for one in devices}
        try:
            last.picture = await last.book.look(context.source, holds, context.clock.now_ms())
        except StoreError:
            return last.picture  # the frame's banner says that the store is away
        return last.picture

    last = await context.shared.get("wifi.book", FOREVER_S, begin)
    return await context.shared.get("wifi.picture", LOOK_S, look)


SECTION = Section("wifi", "/wifi", build)
