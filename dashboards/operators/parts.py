"""Parts that several pages are made of: a table, cards, a chart, the list of alerts.

Each is a small Vue component beside the pages, in `assets/`, that is given plain data and writes it
as text. Ages count on in the browser, so nothing is sent while nothing is new; `show` sends only
what differs from what the browser has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import nicegui
from nicegui.element import Element

from devices.reading import Value

ASSETS = Path(__file__).with_name("assets")
STYLE = ASSETS / "parts.css"
_ECHARTS = Path(nicegui.__file__).parent / "elements" / "echart" / "dist"
_CELLS = {"gampong-cells": str(ASSETS / "cells")}

Cell = str | Mapping[str, Value | bool | None]
"""A text, or `t` with what stands beside it (`assets/cells/index.js`)."""

COLOURS = (
    ("#0072b2", "#56b4e9", "solid"),
    ("#d55e00", "#e69f00", "dashed"),
    ("#009e73", "#009e73", "dotted"),
    ("#cc79a7", "#cc79a7", "solid"),
    ("#7a6200", "#f0e442", "dashed"),
    ("#56b4e9", "#0072b2", "dotted"),
)
"""By day, by night, and the line's style, for series in order: told apart without colour too."""


class TableRow(msgspec.Struct, frozen=True):
    """`key` names the row for the browser: the same thing keeps its row."""

    key: str
    cells: Sequence[Cell]


class Fact(msgspec.Struct, frozen=True):
    """One line of a card."""

    key: str
    name: str
    cell: Cell


class Card(msgspec.Struct, frozen=True):
    """One thing with its state's name and word, and the time of what is known of it."""

    key: str
    title: str
    state: str
    said: str
    age: int
    facts: Sequence[Fact]


class Part(msgspec.Struct, frozen=True):
    """So many in that state."""

    state: str
    said: str
    n: int


class Number(msgspec.Struct, frozen=True):
    """A headline number: beside it of what, under it its parts and notes; `age` is the time of the
    newest that went in, 0 for none, when `never` is said."""

    key: str
    title: str
    figure: str
    beside: str = ""
    states: Sequence[Part] = ()
    notes: Sequence[str] = ()
    age: int = 0
    never: str = ""
    bad: bool = False


class Series(msgspec.Struct, frozen=True):
    """One line or row of bars; `type` is `line` or `bar`."""

    name: str
    data: Sequence[float | None]
    type: str = "bar"
    colour: int = 0
    stack: str = ""


class Chart(msgspec.Struct, frozen=True):
    """What stands over which label. `scale`: the axis needn't begin with zero."""

    labels: Sequence[str]
    series: Sequence[Series]
    unit: str = ""
    digits: int = 0
    max: float | None = None
    scale: bool = False


class LiveTable(Element, component=ASSETS / "live_table.js", esm=_CELLS):
    """Rows under columns' names; `empty` is said while there are none."""

    def __init__(self, columns: Sequence[str], empty: str, label: str) -> None:
        super().__init__()
        self._props.update(columns=list(columns), rows=[], empty=empty, label=label)

    def show(self, rows: Sequence[TableRow]) -> None:
        """These rows from now on."""
        _show(self, rows=msgspec.to_builtins(rows))


class FactCards(Element, component=ASSETS / "fact_cards.js", esm=_CELLS):
    """A card for each thing."""

    def __init__(self, empty: str) -> None:
        super().__init__()
        self._props.update(cards=[], empty=empty)

    def show(self, cards: Sequence[Card]) -> None:
        """These cards from now on."""
        _show(self, cards=msgspec.to_builtins(cards))


class NumberTiles(Element, component=ASSETS / "number_tiles.js"):
    """Headline numbers in a row."""

    def __init__(self) -> None:
        super().__init__()
        self._props.update(tiles=[])

    def show(self, numbers: Sequence[Number]) -> None:
        """These from now on."""
        _show(self, tiles=msgspec.to_builtins(numbers))


class HoursChart(
    Element, component=ASSETS / "hours_chart.js", esm={"nicegui-echart": str(_ECHARTS)}
):
    """A chart by hours; `label` is what it shows, for who can't see it."""

    def __init__(self, label: str) -> None:
        super().__init__()
        self._props.update(chart=_chart(Chart((), ())), label=label)

    def show(self, chart: Chart) -> None:
        """This from now on."""
        _show(self, chart=_chart(chart))


class AlertList(Element, component=ASSETS / "alert_list.js"):
    """Alerts as `alert_words` makes them. `answers`: whether the viewer may acknowledge and
    silence; then an event `answer` says what they want, which the server judges again."""

    def __init__(self, words: Mapping[str, Any], *, answers: bool, short: bool) -> None:
        super().__init__()
        self._props.update(
            alerts=[], words=dict(words), answers=answers, short=short, more="", warn=""
        )

    def show(self, alerts: Sequence[Mapping[str, Any]], more: str = "", warn: str = "") -> None:
        """These alerts from now on, a line about those that aren't listed (pressing it is an event
        `more`), and a warning that the list may be wrong."""
        _show(self, alerts=list(alerts), more=more, warn=warn)

    def told(self, key: str, text: str, bad: bool = False) -> None:
        """What became of an answer, beside its alert."""
        self.run_method("told", key, text, bad)


def _show(element: Element, **props: Any) -> None:
    if any(element._props.get(name) != value for name, value in props.items()):
        element._props.update(props)
        element.update()


def _chart(chart: Chart) -> dict[str, Any]:
    series = []
    for one in chart.series:
        day, night, dash = COLOURS[one.colour % len(COLOURS)]
        series.append(
            {
                **{"name": one.name, "type": one.type, "data": list(one.data)},
                **{"color": day, "night": night, "dash": dash, "stack": one.stack or None},
            }
        )
    return {
        **{"labels": list(chart.labels), "series": series, "unit": chart.unit},
        **{"digits": chart.digits, "max": chart.max, "scale": chart.scale},
    }
