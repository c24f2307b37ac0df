"""Gateways: who is there, what waits, whether all of it arrived, and what wears out."""

from __future__ import annotations

from nicegui import ui

from dashboards.operators.context import Context, Section
from dashboards.operators.gateway_past import Past, gateways_past
from dashboards.operators.gateways_shown import Shown, gateways_of, shown
from dashboards.operators.parts import STYLE, FactCards, HoursChart, NumberTiles
from dashboards.operators.spoken import Spoken
from dashboards.operators.styles import add_style
from dashboards.texts import words
from ingest.stores import StoreError

LOOK_S = 2.0
PAST_S = 60.0
FOREVER_S = 1e9


async def build(context: Context) -> None:
    """The page; its cards come at once, and again each two seconds where they differ."""
    say = context.say
    add_style(STYLE.read_text(encoding="utf-8"))
    with ui.element("div").classes("gateways-page grid-page"):
        numbers = NumberTiles()
        cards = FactCards(say("page.no_data"))
        with ui.element("section").classes("panel wide"):
            with ui.element("h2"):
                ui.label(say("gateways.waiting_by_hour"))
            waiting = HoursChart(say("gateways.waiting_by_hour"))

    async def look() -> None:
        now = await _shown(context)
        numbers.show(now.numbers)
        cards.show(now.cards)
        waiting.show(now.waiting)

    ui.timer(LOOK_S, look, immediate=True)


async def _shown(context: Context) -> Shown:
    """Made once for all viewers of a language."""

    async def make() -> Shown:
        past = await _past(context)
        devices = context.feed.board.devices
        labels = {
            name: devices[name].label or name
            for each in past.values()
            for name, _ in each.errors
            if name in devices
        }
        spoken = Spoken(context.language, words(context.language), context.zone)
        gateways, now_ms = gateways_of(devices.values()), context.clock.now_ms()
        return shown(gateways, past, labels, now_ms, spoken, context.zone)

    return await context.shared.get(f"gateways.shown.{context.language}", LOOK_S / 2, make)


async def _past(context: Context) -> dict[str, Past]:
    """What they did; as it was last known while the store is away."""

    async def begin() -> dict[str, Past]:
        return {}

    async def make() -> dict[str, Past]:
        found = await gateways_past(context.source, context.clock.now_ms())
        last.clear()
        last.update(found)
        return found

    last = await context.shared.get("gateways.last", FOREVER_S, begin)
    try:
        return await context.shared.get("gateways.past", PAST_S, make)
    except StoreError:
        return last  # the frame's banner says that the store is away


SECTION = Section("gateways", "/gateways", build)
