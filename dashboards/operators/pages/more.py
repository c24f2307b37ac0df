"""More of the city: each kind of device without a page of its own, where there is any of it."""

from __future__ import annotations

from nicegui import ui

from dashboards.device import Device
from dashboards.operators.context import Context, Section
from dashboards.operators.other_kinds import (
    Day,
    chart_of,
    columns_of,
    day_of_kind,
    number_of,
    other_kinds,
    rows_of,
)
from dashboards.operators.parts import (
    STYLE,
    Chart,
    HoursChart,
    LiveTable,
    Number,
    NumberTiles,
    TableRow,
)
from dashboards.operators.spoken import Spoken
from dashboards.operators.styles import add_style
from dashboards.texts import words
from devices.kinds import Kind
from ingest.stores import StoreError

LOOK_S = 2.0
DAY_S = 60.0
FOREVER_S = 1e9


class _Panel:
    """One kind."""

    def __init__(self, context: Context, kind: Kind, spoken: Spoken) -> None:
        self.context, self.kind, self.spoken = context, kind, spoken
        title = spoken.say(f"kind.{kind.name}")
        with ui.element("section").classes("panel wide").props(f"data-kind={kind.name}"):
            with ui.element("h2"):
                ui.label(title)
            with ui.element("div").classes("kind"):
                self.numbers = NumberTiles()
                self.chart = HoursChart(title)
            columns = columns_of(kind, spoken)
            self.table = LiveTable(columns, spoken.say("page.no_data"), title)

    async def look(self) -> None:
        number, rows, chart = await _shown(self.context, self.kind, self.spoken)
        self.numbers.show([number])
        self.table.show(rows)
        self.chart.set_visibility(chart is not None)
        if chart is not None:
            self.chart.show(chart)


async def build(context: Context) -> None:
    """A panel for each kind that is there; one that comes later gets its own when it does."""
    spoken = Spoken(context.language, words(context.language), context.zone)
    add_style(STYLE.read_text(encoding="utf-8"))
    panels: dict[str, _Panel] = {}
    page = ui.element("div").classes("more-page grid-page")
    with page:
        nothing = ui.label(context.say("more.nothing")).classes("panel wide empty")

    async def look() -> None:
        for kind in other_kinds(context.feed.board.devices.values()):
            if kind.name not in panels:
                with page:
                    panels[kind.name] = _Panel(context, kind, spoken)
        nothing.set_visibility(not panels)
        for panel in panels.values():
            await panel.look()

    ui.timer(LOOK_S, look, immediate=True)


async def _shown(
    context: Context, kind: Kind, spoken: Spoken
) -> tuple[Number, list[TableRow], Chart | None]:
    """Made once for all viewers of a language."""

    async def make() -> tuple[Number, list[TableRow], Chart | None]:
        devices = [one for one in context.feed.board.devices.values() if one.kind == kind.name]
        day = await _day(context, kind, devices)
        now_ms = context.clock.now_ms()
        return (
            number_of(kind, devices, day, spoken),
            rows_of(kind, devices, day, now_ms, spoken),
            chart_of(kind, day, devices, spoken, context.zone) if day else None,
        )

    key = f"more.shown.{kind.name}.{context.language}"
    return await context.shared.get(key, LOOK_S / 2, make)


async def _day(context: Context, kind: Kind, devices: list[Device]) -> Day | None:
    """Its last day; as it was last known while the store is away."""

    async def begin() -> dict[str, Day | None]:
        return {}

    async def make() -> Day | None:
        now_ms = context.clock.now_ms()
        last[kind.name] = await day_of_kind(
            context.source, kind, len(devices), now_ms, context.zone
        )
        return last[kind.name]

    last = await context.shared.get("more.last", FOREVER_S, begin)
    try:
        return await context.shared.get(f"more.day.{kind.name}", DAY_S, make)
    except StoreError:
        return last.get(kind.name)  # the frame's banner says that the store is away


SECTION = Section("more", "/more", build)
