"""A panel as Grafana's own types, through grafana-foundation-sdk. Pure."""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.builders import geomap, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.cog import builder as cog
from grafana_foundation_sdk.cog import variants
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models import geomap as geomap_models

from dashboards.grafana.ask import SOURCES, Ask
from dashboards.grafana.look import map_layers, overrides, steps_of, value_mappings
from dashboards.grafana.panel import Look, Panel, Place
from dashboards.grafana.setting import Setting
from ingest.stores import Bucket

SOURCE_TYPE = "influxdb"
REFS = "ABCDEFGHIJ"


class Statement(variants.Dataquery, cog.Builder[variants.Dataquery]):
    """One InfluxQL target; the SDK has no type for the InfluxDB data source."""

    def __init__(self, ask: Ask, ref: str) -> None:
        self._ask, self._ref = ask, ref

    def build(self) -> variants.Dataquery:
        return self

    def to_json(self) -> dict[str, object]:
        """As Grafana's InfluxQL editor saves it in raw mode."""
        target: dict[str, object] = {
            "refId": self._ref,
            "datasource": source_of(self._ask.bucket),
            "rawQuery": True,
            "query": self._ask.text,
            "resultFormat": "table" if self._ask.table else "time_series",
        }
        return target if self._ask.table else target | {"alias": self._ask.legend}


def source_of(bucket: Bucket) -> dashboard.DataSourceRef:
    """The data source of a bucket."""
    return dashboard.DataSourceRef(type_val=SOURCE_TYPE, uid=SOURCES[bucket])


def draw(panel: Panel, number: int, place: Place, setting: Setting) -> cog.Builder[dashboard.Panel]:
    """The panel with that id at that place."""
    drawn = _DRAWN[panel.look](panel, setting)
    (
        drawn.id(number)
        .title(panel.title.of(setting.language))
        .description(panel.about.of(setting.language))
        .grid_pos(dashboard.GridPos(h=place.height, w=place.width, x=place.x, y=place.y))
        .datasource(source_of(panel.asks[0].bucket))
        .targets([Statement(ask, ref) for ask, ref in zip(panel.asks, REFS, strict=False)])
        .no_value(panel.empty.of(setting.language))
        .unit(panel.unit)
    )
    if panel.steps:
        drawn.thresholds(steps_of(panel.steps))
    drawn.mappings(value_mappings(panel, setting.language))
    if panel.interval:
        drawn.interval(panel.interval)
    if panel.decimals is not None:
        drawn.decimals(panel.decimals)
    for limit, set_limit in ((panel.low, drawn.min), (panel.high, drawn.max)):
        if limit is not None:
            set_limit(limit)
    for transformation in _transformations(panel):
        drawn.with_transformation(transformation)
    for name, properties in overrides(panel, setting):
        drawn.override_by_name(name, properties)
    if panel.link:
        link = (
            builders.DashboardLink(setting.titles.get(panel.link, panel.link))
            .type(dashboard.DashboardLinkType.LINK)
            .url(f"/d/{panel.link}?${{site:queryparam}}&${{zone:queryparam}}")
        )
        drawn.links([link])
    built: cog.Builder[dashboard.Panel] = drawn
    return built


def _transformations(panel: Panel) -> list[dashboard.DataTransformerConfig]:
    """Several tables into one, and of its columns only those that are shown, in order."""
    if panel.join is None:
        return []
    found = []
    if panel.join.by:
        options: dict[str, object] = {"byField": panel.join.by, "mode": "outer"}
        found.append(dashboard.DataTransformerConfig(id_val="joinByField", options=options))
    names = list(panel.join.columns)
    shown = {"include": {"names": names}}
    found.append(dashboard.DataTransformerConfig(id_val="filterFieldsByName", options=shown))
    order = {
        "excludeByName": {},
        "renameByName": {},
        "indexByName": {name: place for place, name in enumerate(names)},
    }
    found.append(dashboard.DataTransformerConfig(id_val="organize", options=order))
    if panel.join.sort:
        by = {"fields": {}, "sort": [{"field": panel.join.sort, "desc": panel.join.descending}]}
        found.append(dashboard.DataTransformerConfig(id_val="sortBy", options=by))
    return found


def _number(panel: Panel, setting: Setting) -> Any:
    many = len(panel.names) > 1
    mode = common.BigValueTextMode.VALUE_AND_NAME if many else common.BigValueTextMode.VALUE
    reduce = common_builders.ReduceDataOptions().calcs(["lastNotNull"]).fields("").values(False)
    return (
        stat.Panel()
        .reduce_options(reduce)
        .text_mode(mode)
        .graph_mode(common.BigValueGraphMode.NONE)
        .color_mode(common.BigValueColorMode.VALUE)
        .justify_mode(common.BigValueJustifyMode.CENTER)
        .orientation(common.VizOrientation.AUTO)
    )


def _lines(panel: Panel, setting: Setting) -> Any:
    mode = common.StackingMode.NORMAL if panel.stacked else common.StackingMode.NONE
    drawn = (
        _series(panel)
        .draw_style(common.GraphDrawStyle.LINE)
        .line_width(1)
        .fill_opacity(40 if panel.stacked else 8)
        .span_nulls(False)
        .stacking(common_builders.StackingConfig().mode(mode).group("A"))
    )
    # A silence of some minutes is a gap in the line, never a straight one across it.
    return drawn.insert_nulls(300_000) if panel.interval == "1m" else drawn


def _hours(panel: Panel, setting: Setting) -> Any:
    return (
        _series(panel)
        .draw_style(common.GraphDrawStyle.BARS)
        .bar_alignment(common.BarAlignment.AFTER)
        .fill_opacity(60)
        .line_width(0)
    )


def _series(panel: Panel) -> Any:
    dashed = common.GraphThresholdsStyleMode.DASHED if panel.steps else None
    drawn = (
        timeseries.Panel()
        .show_points(common.VisibilityMode.AUTO)
        .legend(
            common_builders.VizLegendOptions()
            .show_legend(True)
            .display_mode(common.LegendDisplayMode.LIST)
            .placement(common.LegendPlacement.BOTTOM)
        )
        .tooltip(
            common_builders.VizTooltipOptions()
            .mode(common.TooltipDisplayMode.MULTI)
            .sort(common.SortOrder.DESCENDING)
        )
        .color_scheme(builders.FieldColor().mode(dashboard.FieldColorModeId.PALETTE_CLASSIC))
    )
    if dashed:
        style = common_builders.GraphThresholdsStyleConfig().mode(dashed)
        drawn = drawn.thresholds_style(style)
    return drawn


def _table(panel: Panel, setting: Setting) -> Any:
    return table.Panel().show_header(True).cell_height(common.TableCellHeight.SM).filterable(True)


def _map(panel: Panel, setting: Setting) -> Any:
    view = geomap.MapViewConfig().id("fit").all_layers(True).zoom(15).lat(0).lon(0).padding(10)
    controls = (
        geomap.ControlsOptions()
        .show_zoom(True)
        .mouse_wheel_zoom(True)
        .show_attribution(True)
        .show_scale(True)
    )
    return (
        geomap.Panel()
        .view(view)
        .controls(controls)
        .basemap(common_builders.MapLayerOptions().type("default").name("Basemap").config({}))
        .layers(map_layers(panel, setting.language, REFS))
        .tooltip(geomap.TooltipOptions().mode(_DETAILS))
    )


def _states(panel: Panel, setting: Setting) -> Any:
    return (
        statetimeline.Panel()
        .show_value(common.VisibilityMode.NEVER)
        .merge_values(True)
        .row_height(0.9)
        .fill_opacity(85)
        .line_width(0)
        .per_page(20)
        .legend(
            common_builders.VizLegendOptions()
            .show_legend(True)
            .display_mode(common.LegendDisplayMode.LIST)
            .placement(common.LegendPlacement.BOTTOM)
        )
    )


_DETAILS = geomap_models.TooltipMode.DETAILS
_DRAWN = {
    Look.NUMBER: _number,
    Look.LINES: _lines,
    Look.HOURS: _hours,
    Look.TABLE: _table,
    Look.MAP: _map,
    Look.STATES: _states,
}
