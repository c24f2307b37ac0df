"""What needs attention, the worst first: the City page's small list of what fires."""

from __future__ import annotations

from nicegui import ui

from dashboards.operators.alerts_shown import list_words, listed
from dashboards.operators.context import Context
from dashboards.operators.parts import STYLE, AlertList
from dashboards.operators.spoken import Spoken
from dashboards.operators.styles import add_style
from dashboards.operators.watch_word import warning
from dashboards.texts import words
from ingest.rules import Level

SHOWN_MAX = 6
LOOK_S = 2.0


def attention_panel(context: Context, limit: int = SHOWN_MAX) -> None:
    """A panel with the worst of what fires and nobody sees to yet, and a link to all of it."""
    spoken = Spoken(context.language, words(context.language), context.zone)
    add_style(STYLE.read_text(encoding="utf-8"))
    with ui.element("section").classes("panel attention"):
        with ui.element("h2"):
            ui.link(context.say("alerts.attention"), "/alerts")
        shown = AlertList(list_words(spoken), answers=False, short=True)

    def look() -> None:
        warn = warning(context, spoken)
        firing = context.alarms.firing
        told = [one for one in firing if one.level is Level.TOLD and not one.who]
        devices, now_ms = context.feed.board.devices, context.clock.now_ms()
        listing = listed(told[:limit], devices, now_ms, spoken)
        more = len(told) - len(listing)
        shown.show(listing, spoken.say("alerts.more", spoken.number(more)) if more else "", warn)

    ui.timer(LOOK_S, look, immediate=True)
