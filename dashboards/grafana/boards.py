"""The six dashboards, whole: variables, links, annotations and the panels in their places. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard

from dashboards.grafana import city, gateways, parking, radio, waste, wifi
from dashboards.grafana.ask import RANGE, SITE, SOURCES
from dashboards.grafana.draw import SOURCE_TYPE, draw, source_of
from dashboards.grafana.palette import BAD, GOOD
from dashboards.grafana.panel import Board, Panel, Place, Row, Words, laid_out
from dashboards.grafana.setting import Setting
from ingest.stores import Bucket

BOARDS: tuple[Board, ...] = (
    city.BOARD,
    parking.BOARD,
    waste.BOARD,
    wifi.BOARD,
    gateways.BOARD,
    radio.BOARD,
)
TAG = "gampong"
"""Every dashboard of ours has it, and push takes only these for its own."""

ALERTS = (
    'SELECT "rule"::field AS "rule", "became"::field AS "became", "device"::tag AS "device"'
    f' FROM "rule_change" WHERE {RANGE} AND {SITE}'
)
BACK = (
    'SELECT "became"::field AS "became", "device"::tag AS "device" FROM "rule_change"'
    f" WHERE {RANGE} AND {SITE} AND \"rule\"::field = 'gateway_offline'"
    " AND \"became\"::field = 'clears'"
)
_SITES = 'SHOW TAG VALUES FROM "device_registry" WITH KEY = "site"'
_ZONES = (
    'SHOW TAG VALUES FROM "device_registry" WITH KEY = "zone" WHERE "site" =~ /^${site:regex}$/'
)


class Marks(dashboard.AnnotationQuery):
    """An annotation's query, as Grafana's InfluxQL editor saves it beside the SDK's fields."""

    def __init__(self, name: str, bucket: Bucket, colour: str, query: str, columns: Words) -> None:
        super().__init__(name=name, datasource=source_of(bucket), enable=True, icon_color=colour)
        self._query, self._columns = query, columns

    def to_json(self) -> dict[str, object]:
        text, tags = self._columns
        target: dict[str, object] = {
            **{"limit": 200, "matchAny": False, "tags": [], "type": "tags"},
            **{"refId": "Anno", "query": self._query, "queryType": "tags"},
            **{"fromAnnotations": True, "textColumn": text, "tagsColumn": tags},
        }
        return super().to_json() | {"target": target}


def numbered(board: Board) -> Iterator[tuple[int, Row | Panel, Place]]:
    """Every row and panel with its id, which follows its place in the file."""
    for number, (part, place) in enumerate(laid_out(board), 1):
        yield number, part, place


def built(board: Board, setting: Setting) -> dict[str, object]:
    """The dashboard as JSON's types."""
    made = (
        builders.Dashboard(board.title.of(setting.language))
        .uid(board.uid)
        .description(board.about.of(setting.language))
        .tags([TAG])
        .timezone(setting.timezone)
        .time(board.since, "now")
        .refresh("1m")
        .readonly()
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
    )
    for variable in _variables(setting, board.zones):
        made.with_variable(variable)
    for link in _links(setting):
        made.link(link)
    for number, part, place in numbered(board):
        grid = dashboard.GridPos(h=place.height, w=place.width, x=place.x, y=place.y)
        if isinstance(part, Row):
            title = part.title.of(setting.language)
            made.with_row(builders.Row(title).id(number).grid_pos(grid).collapsed(False))
        else:
            made.with_panel(draw(part, number, place, setting))
    whole = made.build()
    whole.annotations = dashboard.AnnotationContainer([_alerts(setting), _back(setting)])
    flat: dict[str, Any] = json.loads(JSONEncoder(sort_keys=True).encode(whole))
    # Defaults that the SDK writes out and that some Grafana from 11 on doesn't know.
    for variable in flat["templating"]["list"]:
        for key in ("allowCustomValue", "auto", "auto_count", "auto_min"):
            variable.pop(key, None)
    for panel in flat["panels"]:
        panel.get("options", {}).pop("footer", None)
    return flat


def _variables(setting: Setting, zones: bool) -> Iterator[builders.QueryVariable]:
    yield _variable("site", Words("Site", "Lokasi").of(setting.language), _SITES)
    zone = _variable("zone", Words("Zone", "Zona").of(setting.language), _ZONES)
    yield zone if zones else zone.hide(dashboard.VariableHide.HIDE_VARIABLE)


def _variable(name: str, label: str, query: str) -> builders.QueryVariable:
    return (
        builders.QueryVariable(name)
        .label(label)
        .datasource(source_of(Bucket.HEALTH))
        .query(query)
        .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(dashboard.VariableOption(selected=True, text=["All"], value=["$__all"]))
    )


def _links(setting: Setting) -> Iterator[builders.DashboardLink]:
    yield (
        builders.DashboardLink(Words("Dashboards", "Dasbor").of(setting.language))
        .type(dashboard.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .as_dropdown(False)
        .include_vars(True)
        .keep_time(True)
    )
    yield (
        builders.DashboardLink("Runbook")
        .type(dashboard.DashboardLinkType.LINK)
        .url(setting.runbook_url)
        .icon("doc")
        .target_blank(True)
    )


def _alerts(setting: Setting) -> Marks:
    name = Words("Alerts", "Peringatan").of(setting.language)
    return Marks(name, Bucket.HOURLY, BAD, ALERTS, Words("rule", "device,became"))


def _back(setting: Setting) -> Marks:
    name = Words("Gateway is back", "Gateway kembali").of(setting.language)
    return Marks(name, Bucket.HOURLY, GOOD, BACK, Words("device", "became"))


def titles(setting: Setting) -> dict[str, str]:
    """Uid → title."""
    return {board.uid: board.title.of(setting.language) for board in BOARDS}


__all__ = [
    "ALERTS",
    "BACK",
    "BOARDS",
    "SOURCES",
    "SOURCE_TYPE",
    "TAG",
    "built",
    "numbered",
    "titles",
]
