"""Waste: bins as they are, when they will be full, today's round, what the rounds did."""

from __future__ import annotations

from typing import Any

import msgspec
from nicegui import ui
from nicegui.events import GenericEventArguments

from dashboards.operators.context import Context, Section
from dashboards.operators.days_panels import (
    STYLE,
    BinsNow,
    Days,
    Emptied,
    RoundMap,
    WasteBank,
)
from dashboards.operators.reckoning import Round, RoundQuestion, WasteQuestion
from dashboards.operators.styles import add_style
from dashboards.operators.visitor import Role
from dashboards.operators.workshop import Workshop, workshop_of
from dashboards.panels import STREETS
from dashboards.round_configuration import RoundConfiguration, RoundSettings

LOOK_S = 1.0
ROUND = "round"


async def build(context: Context) -> None:
    """What is now moves in the browser; what was is reckoned in a process of its own."""
    add_style(STYLE.read_text(encoding="utf-8"))
    days = Days("waste")
    with ui.element("div").classes("days-page waste-page"):
        BinsNow()
        workshop = await workshop_of(context)
        dispatch = _Dispatch(context, workshop)
        Emptied()
        WasteBank()
    settings, litres = RoundSettings(), dict[str, float]()
    if context.round is not None:
        # The trucks' site bounds the round; a full bin elsewhere is full all the same.
        settings = msgspec.structs.replace(context.round.round, site="")
        litres = context.round.litres

    def question() -> WasteQuestion:
        now_ms = context.clock.now_ms()
        return WasteQuestion(now_ms, context.configuration.time_zone, settings, litres)

    async def look() -> None:
        away = context.feed.board.away
        days.show(await workshop.look("waste", question, away=away))
        await dispatch.look()

    days.show(workshop.told("waste"))
    ui.timer(LOOK_S, look)


class _Dispatch:
    """The round: one for the city, the same for everybody who looks. Planned when somebody looks
    first, and again only when an operator says so: a crew is already on its way with the last."""

    def __init__(self, context: Context, workshop: Workshop) -> None:
        self._context, self._workshop = context, workshop
        self._panel = Days(ROUND)
        trucks = context.round.truck if context.round is not None else ()
        may = context.visitor.may(Role.OPERATOR)
        self._map = RoundMap(trucks, may=may, streets=STREETS.read_text(encoding="utf-8"))
        self._map.on("plan", self._plan)
        self._map.on("gpx", self._download)
        self._panel.show(workshop.told(ROUND))

    async def look(self) -> None:
        """Show the newest; plan where there is none yet."""
        told = self._workshop.told(ROUND)
        configuration = self._context.round
        if configuration is not None and not told.text:
            away = self._context.feed.board.away
            told = await self._workshop.look(
                ROUND, lambda: self._question(configuration), away=away
            )
        self._panel.show(told)

    async def _plan(self, event: GenericEventArguments) -> None:
        context, configuration = self._context, self._context.round
        chosen = _names(event.args)
        if configuration is None or not context.visitor.may(Role.OPERATOR):
            return
        trucks = tuple(truck for truck in configuration.truck if truck.name in chosen)
        if not trucks:
            return
        asked = msgspec.structs.replace(configuration, truck=trucks)
        context.audit("round planned", ", ".join(truck.name for truck in trucks)[:200])
        self._map.set_busy(True)
        try:
            self._panel.show(await self._workshop.again(ROUND, lambda: self._question(asked)))
        finally:
            self._map.set_busy(False)  # whoever left meanwhile isn't told

    def _question(self, configuration: RoundConfiguration) -> RoundQuestion:
        return RoundQuestion(self._context.clock.now_ms(), configuration)

    def _download(self) -> None:
        told = self._workshop.told(ROUND)
        if told.text:
            gpx = msgspec.json.decode(told.text, type=Round).gpx
            self._context.client.download(gpx.encode(), "round.gpx", "application/gpx+xml")


def _names(args: Any) -> set[str]:
    """The trucks' names in what a browser sent; whatever else is in it is left out."""
    return {name for name in args if isinstance(name, str)} if isinstance(args, list) else set()


SECTION = Section("waste", "/waste", build, live=True)
