"""Alerts: what fires, the worst first, what to do, who sees to it; and what has been.

Acknowledging and silencing are requests to the watch, which alone judges: it takes them up within a
second. Whatever a browser says is checked here again: the role, the alert, the span.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal

import msgspec
from nicegui import ui
from nicegui.events import GenericEventArguments

from dashboards.operators.alerts_shown import (
    SPANS_H,
    list_words,
    listed,
    past_rows,
    silence_rows,
)
from dashboards.operators.context import Context, Section
from dashboards.operators.parts import STYLE, AlertList, LiveTable, Number, NumberTiles, TableRow
from dashboards.operators.spoken import Spoken
from dashboards.operators.styles import add_style
from dashboards.operators.visitor import NotAllowedError, Role
from dashboards.operators.watch_word import warning
from dashboards.texts import words
from ingest.alerts.current import Alert, history
from ingest.rules import RULES, Level
from ingest.rules.muting import Silence
from ingest.stores import StoreError

LOOK_S = 2.0
HISTORY_S = 4.0
FOREVER_S = 1e9
HISTORY_DAYS = 7.0
HISTORY_SHOWN = 200
LISTED = 50
"""Alerts listed at first, and more with each press."""

LISTED_MAX = 1000
"""Whoever has more than that firing silences a site first."""

COLUMNS = ("found", "became", "rule", "device", "who")


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the browser sends for an operator."""

    key: str
    kind: Literal["acknowledge", "silence"]
    rule: str
    device: str
    site: str
    why: str
    hours: float = SPANS_H[0]


class _Page:
    """One viewer's page."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.spoken = Spoken(context.language, words(context.language), context.zone)
        self.limit = LISTED
        self.silences: tuple[Silence, ...] | None = None
        self.may = context.visitor.may(Role.OPERATOR) and context.alarms.can_answer
        self._draw()

    def _draw(self) -> None:
        say = self.context.say
        add_style(STYLE.read_text(encoding="utf-8"))
        with ui.element("div").classes("alerts-page grid-page"):
            self.numbers = NumberTiles()
            with _panel(say("alerts.firing")):
                if not self.may:
                    ui.label(say(self._why_not())).classes("quiet")
                self.list = AlertList(list_words(self.spoken), answers=self.may, short=False)
                self.list.on("answer", self.answer)
                self.list.on("more", self.more)
            with _panel(say("alerts.silences")) as self.silence_panel:
                self.silenced = ui.element("ul").classes("silences")
            with _panel(say("alerts.history")):
                columns = [say(f"alerts.{name}") for name in COLUMNS]
                self.past = LiveTable(columns, say("alerts.no_history"), say("alerts.history"))

    def _why_not(self) -> str:
        if not self.context.visitor.may(Role.OPERATOR):
            return "alerts.viewer"
        return "alerts.no_desk"

    async def look(self) -> None:
        """Show what is new."""
        context, now_ms = self.context, self.context.clock.now_ms()
        alarms = context.alarms
        self.numbers.show(_numbers(alarms.firing, alarms.read_ms, self.spoken))
        rows = (await _listed(context, self.spoken))[: self.limit]
        more = len(alarms.firing) - len(rows)
        text = self.spoken.say("alerts.more", self.spoken.number(more)) if more else ""
        self.list.show(rows, text, warning(context, self.spoken))
        self._show_silences(now_ms)
        self.past.show(await _history(context, self.spoken))

    async def more(self) -> None:
        """List more of them."""
        self.limit += LISTED
        await self.look()

    async def answer(self, event: GenericEventArguments) -> None:
        """Leave what an operator wants for the watch, and say what came of it."""
        try:
            said = msgspec.convert(event.args, Answer)
        except msgspec.ValidationError:
            return  # nothing that our page sends
        bad = await self._refusal(said)
        text = self.context.say(bad or "alerts.left")
        self.list.told(said.key[:200], text, bool(bad))

    async def _refusal(self, said: Answer) -> str:
        """The text's key when it can't be done; empty when it is left for the watch."""
        context = self.context
        names = {(one.rule, one.place.device) for one in context.alarms.firing}
        if (said.rule, said.device) not in names or said.hours not in SPANS_H:
            return "alerts.fires_no_more"
        try:
            if said.kind == "acknowledge":
                await context.acknowledge(said.rule, said.device, said.why)
            else:
                until_ms = context.clock.now_ms() + int(said.hours * 3_600_000)
                await context.silence(until_ms, said.why, rule=said.rule, device=said.device)
        except NotAllowedError:
            return "alerts.viewer"
        except ValueError:
            return "alerts.say_why"
        except OSError:
            return "alerts.desk_away"
        return ""

    def _show_silences(self, now_ms: int) -> None:
        held = tuple(one for one in self.context.alarms.desk.silences if one.until_ms > now_ms)
        self.silence_panel.set_visibility(bool(held))
        if held == self.silences:
            return
        self.silences = held
        self.silenced.clear()
        with self.silenced:
            for one, row in zip(held, silence_rows(held, now_ms, self.spoken), strict=True):
                with ui.element("li"):
                    ui.label(row["what"]).classes("what")
                    ui.label(row["said"]).classes("quiet")
                    if self.may:
                        self._end_button(one)

    def _end_button(self, silence: Silence) -> None:
        async def end() -> None:
            context = self.context
            now_ms, why = context.clock.now_ms(), context.say("alerts.ended_here")
            try:
                await context.silence(
                    now_ms, why, rule=silence.rule, device=silence.device, site=silence.site
                )
            except NotAllowedError:
                ui.notify(context.say("alerts.viewer"))
            except OSError:
                ui.notify(context.say("alerts.desk_away"))

        with ui.element("button").props("type=button").on("click", end):
            ui.label(self.context.say("alerts.end"))


async def build(context: Context) -> None:
    """The page; followed each two seconds."""
    page = _Page(context)
    ui.timer(LOOK_S, page.look, immediate=True)


def _panel(title: str) -> ui.element:
    panel = ui.element("section").classes("panel wide")
    with panel, ui.element("h2"):
        ui.label(title)
    return panel


def _numbers(firing: tuple[Alert, ...], read_ms: int, spoken: Spoken) -> list[Number]:
    told = [one for one in firing if one.level is Level.TOLD and not one.who]
    counts = Counter(RULES[one.rule].severity.value for one in told)
    counts["seen_to"] = len(firing) - len(told)
    return [
        Number(
            name,
            spoken.say(f"severity.{name}"),
            spoken.number(counts[name]) if read_ms else "–",
            age=read_ms,
            never=spoken.say("alerts.not_read"),
            bad=name == "critical" and counts[name] > 0,
        )
        for name in ("critical", "warning", "info", "seen_to")
    ]


async def _listed(context: Context, spoken: Spoken) -> list[dict[str, Any]]:
    """The worst of what fires, in words made once for all viewers of a language."""

    async def make() -> list[dict[str, Any]]:
        devices, now_ms = context.feed.board.devices, context.clock.now_ms()
        url = context.configuration.alerts.runbook_url
        return listed(context.alarms.firing[:LISTED_MAX], devices, now_ms, spoken, url)

    return await context.shared.get(f"alerts.listed.{context.language}", LOOK_S / 2, make)


async def _history(context: Context, spoken: Spoken) -> list[TableRow]:
    """The newest lines, made once for all viewers of a language; the last ones while the store is
    away."""

    async def begin() -> list[TableRow]:
        return []

    async def make() -> list[TableRow]:
        now_ms, devices = context.clock.now_ms(), context.feed.board.devices
        past = await history(context.source, now_ms, HISTORY_DAYS)
        last[:] = past_rows(past[-HISTORY_SHOWN:], devices, now_ms, spoken)
        return list(last)

    key = f"alerts.history.{context.language}"
    last = await context.shared.get(f"{key}.last", FOREVER_S, begin)
    try:
        return await context.shared.get(key, HISTORY_S, make)
    except StoreError:
        return last  # the list's warning says so


SECTION = Section("alerts", "/alerts", build)
