"""Who did what, for admins: the newest entries first, a page at a time. Text from outside (names
that were tried at the log-in) is shown as text."""

from __future__ import annotations

from datetime import datetime

from nicegui import ui

from dashboards.operators.audit import Entry
from dashboards.operators.context import Context, Section
from dashboards.operators.visitor import Role
from dashboards.texts import words

PAGE_ROWS = 100
_COLUMNS = ("when", "who", "action", "target", "note", "address")


async def build(context: Context) -> None:
    """One page of it; `?before=<number>` is an older one."""
    asked = context.client.request.query_params.get("before", "")
    before = int(asked) if asked.isdecimal() and len(asked) < 16 else None
    found = context.log.newest(PAGE_ROWS + 1, before)
    with ui.element("section").classes("panel audit"):
        if not found:
            ui.label(context.say("audit.none")).classes("empty")
        else:
            _table(context, [entry for _, entry in found[:PAGE_ROWS]])
        with ui.element("nav"):
            if before is not None:
                ui.link(context.say("audit.newest"), "/audit")
            if len(found) > PAGE_ROWS:
                older = found[PAGE_ROWS - 1][0]
                ui.link(context.say("audit.older"), f"/audit?before={older}")


def _table(context: Context, entries: list[Entry]) -> None:
    with ui.element("table"):
        with ui.element("thead"), ui.element("tr"):
            for column in _COLUMNS:
                with ui.element("th").props('scope="col"'):
                    _text(context.say(f"audit.{column}"))
        with ui.element("tbody"):
            for entry in entries:
                with ui.element("tr"):
                    for text in _cells(context, entry):
                        with ui.element("td"):
                            _text(text)


def _cells(context: Context, entry: Entry) -> tuple[str, ...]:
    moment = datetime.fromtimestamp(entry.time_ms / 1000, context.zone)
    when = moment.strftime("%Y-%m-%d %H:%M:%S")
    action, note, address = (
        _said(context, text) for text in (entry.action, entry.note, entry.address)
    )
    return when, entry.who, action, entry.target, note, address


def _said(context: Context, text: str) -> str:
    """Our own words in the viewer's language, anybody else's as they are."""
    return words(context.language).get(f"audit_word.{text.replace(' ', '_')}", text)


def _text(text: str) -> None:
    ui.label(text)


SECTION = Section("audit", "/audit", build, role=Role.ADMIN)
