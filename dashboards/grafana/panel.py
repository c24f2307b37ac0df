"""What a panel and a dashboard are, before they are Grafana's. Pure data.

A panel is small: words, what it asks, how it looks, how large it is. Everything else (units,
colours, names of states) comes from the kinds and the page's tables in `draw.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

import msgspec

from dashboards.grafana.ask import Ask
from dashboards.texts import Language

GRID_WIDTH = 24


class Words(NamedTuple):
    """A text in both languages."""

    english: str
    indonesian: str

    def of(self, language: Language) -> str:
        """The text in that language."""
        return self.english if language is Language.ENGLISH else self.indonesian


class Look(StrEnum):
    """How a panel shows its answer."""

    NUMBER = "stat"
    LINES = "timeseries"
    HOURS = "hours"  # bars, one an hour or longer
    TABLE = "table"
    MAP = "geomap"
    STATES = "state-timeline"


class Step(NamedTuple):
    """From this value on, that colour; the first has no value."""

    value: float | None
    colour: str


class Shown(NamedTuple):
    """How one value is shown."""

    name: Words
    colour: str


class Layer(NamedTuple):
    """One kind of markers on a map: the ask's position, its words, what colours and labels it."""

    ask: int
    name: Words
    colour_field: str
    label_field: str = ""
    symbol: str = "circle"


class Join(msgspec.Struct, frozen=True):
    """How tables become the one shown: joined by a column if there are several, then only these
    columns, in this order, with these names."""

    by: str
    columns: dict[str, Words]
    sort: str = ""
    descending: bool = False


class Panel(msgspec.Struct, frozen=True, kw_only=True):
    """One panel.

    Args:
        title, about: what it is, and how to read it.
        look: how it shows.
        asks: what it asks; several are several series, layers or joined tables.
        width, height: in Grafana's grid of 24 columns; a row is 30 pixels.
        unit: Grafana's name of the unit.
        steps: thresholds.
        states: the states that values can be, coloured and named as on the page.
        field_steps: column → its own thresholds.
        names: column or series → its words, for answers with several.
        colours: column or series → its colour.
        mapped: column → value → its words and colour.
        runbook: column whose value is a rule; a click leads to its section.
        empty: what stands there when there is no answer.
        link: uid of the dashboard a click leads to.
    """

    title: Words
    about: Words
    look: Look
    asks: tuple[Ask, ...]
    width: int
    height: int
    unit: str = "short"
    decimals: int | None = None
    low: float | None = None
    high: float | None = None
    steps: tuple[Step, ...] = ()
    states: tuple[str, ...] = ()
    field_steps: dict[str, tuple[Step, ...]] = {}
    names: dict[str, Words] = {}
    colours: dict[str, str] = {}
    units: dict[str, str] = {}
    stacked: bool = False
    join: Join | None = None
    layers: tuple[Layer, ...] = ()
    interval: str = ""
    mapped: dict[str, dict[str, Shown]] = {}
    runbook: str = ""
    empty: Words = Words("no word from the watch", "tidak ada kabar dari watch")
    link: str = ""


class Row(msgspec.Struct, frozen=True):
    """A heading and the panels under it, laid out from left to right."""

    title: Words
    panels: tuple[Panel, ...]


class Board(msgspec.Struct, frozen=True):
    """One dashboard."""

    uid: str
    title: Words
    about: Words
    rows: tuple[Row, ...]
    since: str = "now-24h"
    zones: bool = True
    annotations: tuple[str, ...] = ("alerts", "back")


class Place(NamedTuple):
    """Where a panel stands in the grid."""

    x: int
    y: int
    width: int
    height: int


def laid_out(board: Board) -> Iterator[tuple[Row | Panel, Place]]:
    """Every row's heading and every panel with its place, from the top."""
    y = 0
    for row in board.rows:
        yield row, Place(0, y, GRID_WIDTH, 1)
        y += 1
        x = tallest = 0
        for panel in row.panels:
            if x + panel.width > GRID_WIDTH:
                y, x, tallest = y + tallest, 0, 0
            yield panel, Place(x, y, panel.width, panel.height)
            x += panel.width
            tallest = max(tallest, panel.height)
        y += tallest
