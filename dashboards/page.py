"""The live page: what stands where. Everything that moves is in `panels` and the feed.

Texts of devices, sites and the command line reach the browser as JSON and are written as text
nodes there, never as markup.
"""

from __future__ import annotations

import msgspec
from nicegui import Client, ui

from dashboards.feed import Feed
from dashboards.panels import (
    STREETS,
    STYLE,
    Banner,
    CityMap,
    Footer,
    Gateways,
    Header,
    LiveCity,
    Occupancy,
    Readings,
    Setting,
    Tiles,
)
from dashboards.states import LOOKS, STATES
from dashboards.texts import Language, words
from devices.kinds import KINDS


class About(msgspec.Struct, frozen=True):
    """What the page says of itself.

    Args:
        store: which database, for people.
        note: which city and broker; empty says nothing.
        rate: city seconds a second.
    """

    store: str
    note: str = ""
    rate: float = 1.0


def build(client: Client, feed: Feed, about: About, language: Language) -> None:
    """Fill the page of one viewer, who hears of the feed from now on."""
    ui.add_css(style())
    ui.query(".nicegui-content").classes("bare")
    _listen(client, feed)
    LiveCity(msgspec.json.encode(setting(about, language)).decode())
    with ui.element("div").classes("city"):
        Header()
        Banner()
        Tiles()
        with ui.element("main"):
            CityMap(STREETS.read_text(encoding="utf-8"))
            with ui.element("aside"):
                Gateways()
                Occupancy()
                Readings()
        Footer()


def setting(about: About, language: Language) -> Setting:
    """What the browser is told once."""
    units = {field.name: field.unit for kind in KINDS.values() for field in kind.fields.values()}
    return Setting(
        language=language,
        words=words(language),
        states={kind: tuple(states) for kind, states in STATES.items()},
        glyphs={state: look.glyph for state, look in LOOKS.items()},
        units=units,
        rate=about.rate,
        notes=[note for note in (about.note, about.store) if note],
    )


def style() -> str:
    """The style sheet, with a rule for each state's colours."""
    rules = [
        f'[data-state="{state}"] {{ --fill: {look.fill}; --on: {look.ink}; }}'
        for state, look in LOOKS.items()
    ]
    return STYLE.read_text(encoding="utf-8") + "\n".join(rules)


def _listen(client: Client, feed: Feed) -> None:
    def tell(patch: str) -> None:
        client.run_javascript(f"gampong.apply({patch})")

    feed.listeners.add(tell)
    client.on_delete(lambda: feed.listeners.discard(tell))
