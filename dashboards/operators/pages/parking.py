"""Parking: bays as they are, how they were used, the next hours, what was earned and paid."""

from __future__ import annotations

import msgspec
from nicegui import ui

from dashboards.operators.context import Context, Section
from dashboards.operators.days_panels import (
    STYLE,
    Days,
    ParkingAhead,
    ParkingHours,
    ParkingMoney,
    ParkingNow,
    ParkingStays,
)
from dashboards.operators.payments_today import payments_today
from dashboards.operators.reckoning import ParkingQuestion
from dashboards.operators.styles import add_style
from dashboards.operators.workshop import Told, workshop_of
from devices.kinds import PAYMENT
from ingest.stores import StoreError

LOOK_S = 1.0
PAYMENTS_OLD_S = 0.5  # a payment is shown within two seconds, however many look
PAYMENTS_EVERY = 30  # looks, for payments that came late


async def build(context: Context) -> None:
    """What is now moves in the browser; what was is reckoned in a process of its own."""
    add_style(STYLE.read_text(encoding="utf-8"))
    days, payments = Days("parking"), Days("payments")
    with ui.element("div").classes("days-page parking-page"):
        with ui.element("div").classes("days-side"):
            ParkingNow()
            ParkingHours()
        with ui.element("div").classes("days-side"):
            ParkingAhead()
            ParkingMoney()
        ParkingStays()
    looks = _Looks(context, payments)
    ui.timer(LOOK_S, looks.look)
    workshop = await workshop_of(context)
    configuration = context.configuration

    def question() -> ParkingQuestion:
        now_ms = context.clock.now_ms()
        return ParkingQuestion(now_ms, configuration.time_zone, configuration.overstay_min)

    async def look() -> None:
        away = context.feed.board.away
        days.show(await workshop.look("parking", question, away=away))

    days.show(workshop.told("parking"))
    ui.timer(LOOK_S, look)


class _Looks:
    """Asks for today's payments when one has arrived, and now and then."""

    def __init__(self, context: Context, panel: Days) -> None:
        self._context, self._panel = context, panel
        self._number, self._asked_ms = 0, -1

    async def look(self) -> None:
        """Each second; mostly nothing is asked."""
        self._number += 1
        context, shared = self._context, self._context.shared
        if context.feed.board.away:
            return
        newest_ms = await shared.get("parking.newest_payment", PAYMENTS_OLD_S, self._newest)
        if newest_ms == self._asked_ms and self._number % PAYMENTS_EVERY:
            return
        try:
            asked_ms, text = await shared.get("parking.payments", PAYMENTS_OLD_S, self._ask)
        except StoreError as error:
            self._panel.show(Told(why=str(error), store_away=True))
            self._asked_ms = -1
            return
        self._asked_ms = asked_ms
        self._panel.show(Told(text))

    async def _newest(self) -> int:
        """When the newest payment was that the live city knows."""
        devices = self._context.feed.board.devices.values()
        return max((one.time_ms for one in devices if one.kind == PAYMENT.name), default=0)

    async def _ask(self) -> tuple[int, str]:
        """The newest payment that was known when it was asked, and the day's as JSON."""
        context, newest_ms = self._context, await self._newest()
        paid = await payments_today(context.source, context.clock.now_ms(), context.zone)
        return newest_ms, msgspec.json.encode(paid).decode()


SECTION = Section("parking", "/parking", build, live=True)
