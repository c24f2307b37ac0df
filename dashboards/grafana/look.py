"""Colours, thresholds, names of values and columns, and markers, as Grafana's types. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog import builder as cog
from grafana_foundation_sdk.models import common, dashboard

from dashboards.grafana.palette import GREY, HEALTH, state_words, unit
from dashboards.grafana.panel import Layer, Look, Panel, Step
from dashboards.grafana.setting import Setting
from dashboards.states import State
from dashboards.texts import Language

Property = dashboard.DynamicConfigValue
STATE_COLUMNS = ("shows", "state")


def steps_of(steps: Sequence[Step]) -> builders.ThresholdsConfig:
    """Thresholds."""
    listed = [dashboard.Threshold(value=step.value, color=step.colour) for step in steps]
    return builders.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(listed)


def value_mappings(panel: Panel, language: Language) -> list[dashboard.ValueMapping]:
    """The states' names and colours; on a map, what is unknown is grey and not of the lowest step's
    colour."""
    found: list[dashboard.ValueMapping] = []
    if panel.states:
        words = state_words(language)
        found.append(_mapping({state: words[state] for state in (*panel.states, "ok", *HEALTH)}))
    if panel.look is Look.MAP:
        unknown = dashboard.ValueMappingResult(
            text=state_words(language)[State.UNKNOWN][0], color=GREY
        )
        nothing = dashboard.DashboardSpecialValueMapOptions(
            match=dashboard.SpecialValueMatch.NULL_AND_NAN, result=unknown
        )
        found.append(dashboard.SpecialValueMap(nothing))
    return found


def _mapping(shown: dict[str, tuple[str, str]]) -> dashboard.ValueMap:
    return dashboard.ValueMap(
        {
            value: dashboard.ValueMappingResult(text=text, color=colour or None, index=index)
            for index, (value, (text, colour)) in enumerate(shown.items())
        }
    )


def overrides(panel: Panel, setting: Setting) -> Iterator[tuple[str, list[Property]]]:
    """Column or series → what is special about it: name, unit, colour, values."""
    language = setting.language
    names = {name: words.of(language) for name, words in panel.names.items()}
    if panel.join:
        names |= {name: words.of(language) for name, words in panel.join.columns.items()}
    units = {**_field_units(panel), **panel.units}
    for name in dict.fromkeys((*names, *panel.colours, *units, *panel.field_steps, *panel.mapped)):
        found = []
        if name in names:
            found.append(Property("displayName", names[name]))
        if name in units and units[name] != panel.unit:
            found.append(Property("unit", units[name]))
        if name in panel.colours:
            fixed = {"mode": "fixed", "fixedColor": panel.colours[name]}
            found.append(Property("color", fixed))
        if name in panel.field_steps:
            listed = [{"value": s.value, "color": s.colour} for s in panel.field_steps[name]]
            found.append(Property("thresholds", {"mode": "absolute", "steps": listed}))
        if name in panel.mapped:
            shown = {v: (s.name.of(language), s.colour) for v, s in panel.mapped[name].items()}
            found.append(Property("mappings", [_mapping(shown)]))
        coloured = any(s.colour for s in panel.mapped.get(name, {}).values())
        if panel.look is Look.TABLE and (coloured or (panel.states and name in STATE_COLUMNS)):
            found.append(Property("custom.cellOptions", {"type": "color-text"}))
        if name == panel.runbook:
            address = f"{setting.runbook_url}#${{__value.raw}}"
            link = {"title": "runbook", "url": address, "targetBlank": True}
            found.append(Property("links", [link]))
        if found:
            yield name, found


def _field_units(panel: Panel) -> dict[str, str]:
    """Units of the columns that are fields of the kinds, in panels that show several fields."""
    if panel.join is None:
        return {}
    found = {}
    for ask in panel.asks:
        for name in panel.join.columns:
            if f'"{name}"::field' in ask.text:
                found[name] = unit(ask.bucket, ask.kind, name)
    return {name: each for name, each in found.items() if each != "short"}


def map_layers(
    panel: Panel, language: Language, refs: str
) -> list[cog.Builder[common.MapLayerOptions]]:
    """The layers of markers; a joined table has one, and no ask of its own to filter by."""
    return [_layer(panel, layer, language, refs) for layer in panel.layers]


def _layer(
    panel: Panel, layer: Layer, language: Language, refs: str
) -> common_builders.MapLayerOptions:
    where = common_builders.FrameGeometrySource()
    where.mode(common.FrameGeometrySourceMode.COORDS).latitude("latitude").longitude("longitude")
    style: dict[str, object] = {
        "size": {"fixed": 14 if layer.label_field else 8, "min": 4, "max": 20},
        "color": {"field": layer.colour_field, "fixed": GREY},
        "opacity": 0.8,
        "symbol": {"mode": "fixed", "fixed": f"img/icons/marker/{layer.symbol}.svg"},
    }
    if layer.label_field:
        style["text"] = {"mode": "field", "field": layer.label_field, "fixed": ""}
        style["textConfig"] = {"fontSize": 11, "offsetX": 0, "offsetY": 0}
    drawn = (
        common_builders.MapLayerOptions()
        .type("markers")
        .name(layer.name.of(language))
        .config({"showLegend": True, "style": style})
        .location(where)
        .tooltip(True)
    )
    if panel.join is None:
        drawn.filter_data({"id": "byRefId", "options": refs[layer.ask]})
    return drawn
