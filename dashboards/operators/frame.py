"""What stands around every page: title, navigation, what fires, banner, footer.

with frame(context, setting, shell):
    await section.build(context)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from nicegui import ui

from dashboards.board import Patch
from dashboards.feed import HEARTBEAT_S
from dashboards.operators.context import Context, Section
from dashboards.operators.styles import add_style
from dashboards.page import style
from dashboards.panels import AlarmStrip, Banner, Footer, Header, LiveCity, Setting
from dashboards.texts import Language
from ingest.alerts.current import Alert
from ingest.rules import RULES, Level

STRIP_MAX = 3
"""Alerts named in the strip, the worst; the others are counted."""

_HEAD = (
    '<link rel="manifest" href="/manifest.webmanifest">'
    '<link rel="apple-touch-icon" href="/assets/icon-192.png">'
    '<meta name="theme-color" content="#0072b2">'
)
STYLE = Path(__file__).with_name("assets") / "frame.css"


class Way(msgspec.Struct, frozen=True):
    """One entry of the navigation."""

    path: str
    title: str
    here: bool


class Shell(msgspec.Struct, frozen=True):
    """What the header is told once. Without `form` nobody is logged in, so nobody logs out."""

    ways: list[Way]
    who: str
    role: str
    form: str


class Line(msgspec.Struct, frozen=True):
    """One alert of the strip."""

    severity: str
    title: str
    device: str
    since_ms: int


class Strip(msgspec.Struct, frozen=True):
    """What fires and is told, by severity; `silent` fires and isn't told. `away`: nobody knows.
    `stale`: the watch is silent."""

    critical: int
    warning: int
    info: int
    silent: int
    worst: list[Line]
    away: bool
    stale: bool


def shell_of(context: Context, section: Section, sections: tuple[Section, ...], form: str) -> Shell:
    """The header of that section, with the sections that this visitor may see."""
    ways = [
        Way(each.path, context.say(f"section.{each.name}"), each.path == section.path)
        for each in sections
        if context.visitor.may(each.role)
    ]
    visitor = context.visitor
    return Shell(ways, visitor.name, context.say(f"role.{visitor.role}"), form)


def strip_of(context: Context) -> Strip:
    """What the strip says now."""
    firing = context.alarms.firing
    told = [alert for alert in firing if alert.level is Level.TOLD and not alert.who]
    by_severity = [RULES[alert.rule].severity.value for alert in told]
    return Strip(
        critical=by_severity.count("critical"),
        warning=by_severity.count("warning"),
        info=by_severity.count("info"),
        silent=len(firing) - len(told),
        worst=[_line(alert, context.language) for alert in told[:STRIP_MAX]],
        away=bool(context.alarms.away) or not context.alarms.read_ms,
        stale=context.alarms.stale,
    )


@contextmanager
def frame(context: Context, name: str, setting: Setting, shell: Shell) -> Iterator[None]:
    """The frame of one viewer's page of that section; what the block makes stands in its middle."""
    ui.add_head_html(_HEAD)
    add_style(style())
    add_style(STYLE.read_text(encoding="utf-8"))
    ui.query(".nicegui-content").classes("bare")
    _feed(context, live=setting.live)
    LiveCity(msgspec.json.encode(setting).decode())
    with ui.element("div").classes("city"):
        Header(msgspec.json.encode(shell).decode())
        strip = AlarmStrip(_text(context))
        context.follow_alarms(lambda: strip.show(_text(context)))
        Banner()
        with ui.element("main").classes(f"at-{name}").props('id="content" tabindex="-1"'):
            yield
        Footer()


def _text(context: Context) -> str:
    return msgspec.json.encode(strip_of(context)).decode()


def _line(alert: Alert, language: Language) -> Line:
    rule = RULES[alert.rule]
    return Line(rule.severity.value, rule.title.of(language), alert.place.device, alert.since_ms)


def _feed(context: Context, *, live: bool) -> None:
    """Patches for the browser: all that changes, or only that the city is heard."""
    client, feed = context.client, context.feed

    def tell(patch: str) -> None:
        client.run_javascript(f"gampong.apply({patch})")

    told_at, told_away = 0.0, False

    def beat() -> None:
        nonlocal told_at, told_away
        board, now = feed.board, feed.clock.monotonic()
        if now - told_at >= HEARTBEAT_S or board.away != told_away:
            told_at, told_away = now, board.away
            patch = Patch(feed.clock.now_ms(), board.read_ms, away=board.away)
            tell(msgspec.json.encode(patch).decode())

    if live:
        feed.listeners.add(tell)
        client.on_delete(lambda: feed.listeners.discard(tell))
    else:
        feed.followers.add(beat)
        client.on_delete(lambda: feed.followers.discard(beat))
