"""What every page of the Command Center tells the browser once, and its style.

Texts of devices, sites and the command line reach the browser as JSON and are written as text
nodes there, never as markup.
"""

from __future__ import annotations

import msgspec

from dashboards.panels import STYLE, Setting
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


def setting(about: About, language: Language, *, live: bool) -> Setting:
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
        live=live,
    )


def style() -> str:
    """The style sheet, with a rule for each state's colours."""
    rules = [
        f'[data-state="{state}"] {{ --fill: {look.fill}; --on: {look.ink}; }}'
        for state, look in LOOKS.items()
    ]
    return STYLE.read_text(encoding="utf-8") + "\n".join(rules)
