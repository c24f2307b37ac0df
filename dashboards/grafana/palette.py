"""Names and colours of states, and units of fields, as Grafana wants them: from the page's tables
and the kinds, so that both show a thing alike. Pure.
"""

from __future__ import annotations

from dashboards.grafana.panel import Step, Words
from dashboards.states import FILLING_FROM, FULL_ABOVE, LOOKS, State
from dashboards.texts import Language, words
from devices.kinds import Field, FieldType
from ingest.stores import Bucket
from ingest.stores.points import kinds_of

GOOD, POOR, BAD, GREY = "#009e73", "#e69f00", "#d55e00", "#9a9a9a"
BLUE, SKY, PINK = "#0072b2", "#56b4e9", "#cc79a7"
SLATE = "#6b7a90"
"""For `closed`: the page's dark grey can't be seen on Grafana's dark ground."""

HEALTH: dict[str, tuple[Words, str]] = {
    "silent": (Words("silent", "diam"), BAD),
    "delayed": (Words("delayed", "tertunda"), POOR),
    "gateway_offline": (Words("gateway offline", "gateway terputus"), PINK),
    "maintenance": (Words("maintenance", "perawatan"), SLATE),
}
"""What `device_health` says beside the states of the page (`ok` is one of these)."""

_UNITS = {
    "V": "volt",
    "°C": "celsius",
    "°": "degree",
    "dBm": "dBm",
    "dB": "dB",
    "mm": "lengthmm",
    "s": "s",
    "ms": "ms",
    "B": "decbytes",
    "W": "watt",
    "Wh": "watth",
    "A": "amp",
    "Hz": "hertz",
    "hPa": "pressurehpa",
    "lx": "lux",
    "ppm": "ppm",
    "": "short",
}
"""The kinds' units → Grafana's ids of them."""

FILLING_STEPS = (Step(None, GOOD), Step(FILLING_FROM, POOR), Step(FULL_ABOVE, BAD))
NONE_IS_GOOD = (Step(None, GOOD), Step(1, BAD))
UNKNOWN_STEPS = (Step(None, GOOD), Step(1, GREY))
FULLNESS_STEPS = (Step(None, GOOD), Step(0.8, POOR), Step(0.95, BAD))


def unit(bucket: Bucket, kind: str, field: str) -> str:
    """Grafana's unit of a field; a share, 0 to 1, is shown in per cent.

    Raises:
        KeyError: the kinds don't define it.
    """
    return _unit(kinds_of(bucket)[kind].fields[field])


def _unit(field: Field) -> str:
    share = field.type is FieldType.FLOAT and (field.low, field.high) == (0, 1)
    return "percentunit" if share and not field.unit else _UNITS.get(field.unit, "short")


def state_words(language: Language) -> dict[str, tuple[str, str]]:
    """Every state that a value can be → its name and colour."""
    page = words(language)
    named = {state.value: (page[f"state.{state}"], state_colour(state)) for state in State}
    named |= {state: (name.of(language), colour) for state, (name, colour) in HEALTH.items()}
    return named


def state_colour(state: str) -> str:
    """The colour of one state."""
    return SLATE if state == State.CLOSED else LOOKS[State(state)].fill


def state_names(*states: str) -> dict[str, Words]:
    """States as names of series or columns."""
    english, indonesian = words(Language.ENGLISH), words(Language.INDONESIAN)
    return {s: Words(english[f"state.{s}"], indonesian[f"state.{s}"]) for s in states}


def state_colours(*states: str) -> dict[str, str]:
    """States as series, each in its colour."""
    return {state: state_colour(state) for state in states}
