"""The city as it is now: headline numbers, map, what needs attention, gateways, occupancy, the last
readings."""

from __future__ import annotations

from nicegui import ui

from dashboards.operators.attention import attention_panel
from dashboards.operators.context import Context, Section
from dashboards.panels import (
    STREETS,
    CityMap,
    Gateways,
    Occupancy,
    Readings,
    Tiles,
)


async def build(context: Context) -> None:
    """Everything that moves is in the browser, see `dashboards.panels`."""
    Tiles()
    with ui.element("div").classes("beside"):
        CityMap(STREETS.read_text(encoding="utf-8"))
        with ui.element("aside"):
            attention_panel(context)
            Gateways()
            Occupancy()
            Readings()


SECTION = Section("city", "/", build, live=True)
