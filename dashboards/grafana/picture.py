"""A dashboard's layout as SVG, drawn from its JSON: titles, places, kinds of panels, colours.

What stands in the panels is sample data, the same each time, and the picture says so: it shows what
to expect before there is a Grafana. Pure.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from html import escape
from typing import Any, NamedTuple

from dashboards.grafana.palette import HEALTH

Json = dict[str, Any]
COLUMN, ROW, GAP, TOP = 50.0, 26.0, 4.0, 64.0
WIDTH = 24 * COLUMN
_BACK, _PANEL, _EDGE, _INK, _FAINT = "#111217", "#181b1f", "#2c3037", "#d8d9da", "#8e9299"
_SERIES = ("#73bf69", "#f2cc0c", "#5794f2", "#ff9830", "#b877d9")
_FONT = 'font-family="Inter, Helvetica, Arial, sans-serif"'
_DOTS = 14


class Box(NamedTuple):
    """Where something is drawn, in pixels."""

    x: float
    y: float
    width: float
    height: float


def picture(dashboard: Json) -> str:
    """The SVG's text."""
    panels = dashboard["panels"]
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
    height = TOP + rows * ROW + GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {height:g}" '
        f'width="{WIDTH:g}" height="{height:g}" {_FONT}>',
        f'<rect width="100%" height="100%" fill="{_BACK}"/>',
        *_header(dashboard),
    ]
    for panel in panels:
        parts += _panel(panel)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _header(dashboard: Json) -> Iterator[str]:
    yield _text(12, 24, dashboard["title"], 18, _INK, weight=600)
    note = "layout drawn from the dashboard's JSON; sample data"
    yield _text(WIDTH - 12, 24, note, 11, _FAINT, "end")
    x = 12.0
    for variable in dashboard["templating"]["list"]:
        if variable.get("hide"):
            continue
        label = f"{variable['label']}: All"
        yield _rectangle(Box(x, 36, 92, 20), _PANEL, f' rx="3" stroke="{_EDGE}"')
        yield _text(x + 8, 50, label, 11, _INK)
        x += 100
    for annotation in dashboard["annotations"]["list"]:
        yield f'<circle cx="{x + 8}" cy="46" r="5" fill="{annotation["iconColor"]}"/>'
        yield _text(x + 18, 50, annotation["name"], 11, _FAINT)
        x += 30 + 6.2 * len(annotation["name"])
    titles = [link["title"] for link in dashboard["links"]]
    yield _text(WIDTH - 12, 50, "   ".join(titles), 11, "#6e9fff", "end")


def _panel(panel: Json) -> Iterator[str]:
    place = panel["gridPos"]
    box = Box(
        place["x"] * COLUMN + GAP,
        TOP + place["y"] * ROW + GAP / 2,
        place["w"] * COLUMN - GAP * 1.5,
        place["h"] * ROW - GAP,
    )
    if panel["type"] == "row":
        yield _text(box.x + 4, box.y + 16, f"⌄ {panel['title']}", 13, _INK, weight=600)
        return
    yield _rectangle(box, _PANEL, f' rx="3" stroke="{_EDGE}"')
    yield _text(box.x + 8, box.y + 16, _cut(panel["title"], box.width - 16, 12), 12, _INK)
    inner = Box(box.x + 10, box.y + 26, box.width - 20, box.height - 34)
    yield from _DRAWN[panel["type"]](panel, inner)


def _stat(panel: Json, box: Box) -> Iterator[str]:
    names = _columns(panel) or [""]
    share = box.width / len(names)
    for place, name in enumerate(names):
        middle = box.x + share * (place + 0.5)
        size = max(13.0, min(30.0, box.height * 0.42, share / 3))
        sample = _sample(panel, name)
        colour, value = _colour(panel, name, sample), _value(panel, name, sample)
        yield _text(middle, box.y + box.height * 0.55, value, size, colour, "middle")
        if name and len(names) > 1:
            label = _cut(_named(panel, name), share, 11)
            yield _text(middle, box.y + box.height * 0.55 + 20, label, 11, _FAINT, "middle")


def _lines(panel: Json, box: Box) -> Iterator[str]:
    custom = panel["fieldConfig"]["defaults"]["custom"]
    bars = custom.get("drawStyle") == "bars"
    plot = Box(box.x + 26, box.y, box.width - 26, box.height - 22)
    for step in range(4):
        y = plot.y + plot.height * step / 3
        yield f'<path d="M{plot.x:g} {y:.1f}h{plot.width:g}" stroke="{_EDGE}"/>'
    series = _series(panel)
    for place, name in enumerate(series):
        colour = _override(panel, name, "color", {}).get("fixedColor") or _SERIES[place % 5]
        points = [_wave(panel, name, i / 47) for i in range(48)]
        if bars:
            yield from _bars(plot, points[::2], place, len(series), colour)
        else:
            yield _line(plot, points, colour)
        x = plot.x + place * plot.width / max(3, len(series))
        yield _rectangle(Box(x, plot.y + plot.height + 12, 10, 3), colour)
        label = _cut(_named(panel, name), plot.width / max(3, len(series)) - 16, 10)
        yield _text(x + 14, plot.y + plot.height + 17, label, 10, _FAINT)


def _line(plot: Box, points: list[float], colour: str) -> str:
    """With a gap in it: silence is shown as silence."""
    commands, pen = [], "M"
    for index, value in enumerate(points):
        if index in (30, 31):
            pen = "M"
            continue
        x = plot.x + plot.width * index / (len(points) - 1)
        commands.append(f"{pen}{x:.1f} {plot.y + plot.height * (1 - value):.1f}")
        pen = "L"
    return f'<path d="{"".join(commands)}" fill="none" stroke="{colour}" stroke-width="1.5"/>'


def _bars(plot: Box, points: list[float], place: int, of: int, colour: str) -> Iterator[str]:
    slot = plot.width / len(points)
    width = slot * 0.8 / of
    for index, value in enumerate(points):
        x, high = plot.x + slot * index + width * place, plot.height * value
        bar = Box(x, plot.y + plot.height - high, width, high)
        yield _rectangle(bar, colour, ' fill-opacity="0.7"')


def _table(panel: Json, box: Box) -> Iterator[str]:
    names = _columns(panel)
    share = box.width / max(1, len(names))
    for place, name in enumerate(names):
        label = _cut(_named(panel, name), share - 6, 11)
        yield _text(box.x + share * place, box.y + 10, label, 11, "#6e9fff")
    for row in range(int((box.height - 16) // 20)):
        y = box.y + 16 + row * 20
        yield f'<path d="M{box.x:g} {y:g}h{box.width:g}" stroke="{_EDGE}"/>'
        for place, name in enumerate(names):
            value, colour = _cell(panel, name, row)
            text = _cut(value, share - 6, 11)
            yield _text(box.x + share * place, y + 14, text, 11, colour)


def _cell(panel: Json, name: str, row: int) -> tuple[str, str]:
    values = _mapping(panel, name)
    mapped = _shown(panel) if name == "shows" else list(values.values())
    if mapped:
        places = {"worst_severity": min(row // 4, 2), "worst_level": 2}
        shown = mapped[places.get(name, (row * 5 + 1) % len(mapped))]
        shown = values["ok"] if name == "state" else shown
        return shown["text"], shown.get("color") or _INK
    if name == "Time":
        return f"2026-11-{22 - row:02d}", _INK
    if name in ("device", "label"):
        return f"{'abc'[row % 3]}-{row + 1:02d}", _INK
    if name in ("site", "zone"):
        return ("pasar", "masjid", "pelataran")[row % 3], _INK
    if name in ("why", "quality", "status", "portal"):
        return "ok", _INK
    sample = 1.1 if name == "share" else _sample(panel, f"{name} {row}")
    return _value(panel, name, sample), _INK


def _map(panel: Json, box: Box) -> Iterator[str]:
    yield _rectangle(box, "#22262b")
    for street in range(5):
        y = box.y + box.height * (street + 0.5) / 5
        x = box.x + box.width * (street + 0.5) / 5
        for path in (
            f"M{box.x:g} {y:.1f}l{box.width:g} {-20 + 9 * street}",
            f"M{x:.1f} {box.y:g}l{-14 + 7 * street} {box.height:g}",
        ):
            yield f'<path d="{path}" stroke="#363b42" stroke-width="3"/>'
    for nth, layer in enumerate(panel["options"]["layers"]):
        yield from _markers(panel, box, nth, labelled="text" in layer["config"]["style"])
        yield _text(box.x + 8, box.y + 16 + 15 * nth, f"● {layer['name']}", 11, _INK)


def _markers(panel: Json, box: Box, nth: int, *, labelled: bool) -> Iterator[str]:
    colours = [each["color"] for each in _shown(panel)] or _step_colours(panel) or _SERIES
    for dot in range(5 if labelled else _DOTS):
        seed = f"{nth} {dot} {panel['title']}"
        x = box.x + box.width * (0.08 + 0.84 * _share(f"{seed} x"))
        y = box.y + box.height * (0.08 + 0.84 * _share(f"{seed} y"))
        radius, colour = 11 if labelled else 5, colours[dot * dot % len(colours)]
        circle = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}"'
        yield f'{circle} fill="{colour}" fill-opacity="0.85"/>'
        if labelled:
            yield _text(x, y + 4, str(1 + dot * 7 % 19), 11, "#111217", "middle", 600)


def _shown(panel: Json) -> list[Json]:
    """The states that a device of this panel can show, without what is only said of its age."""
    found = _mapping(panel, "")
    others = {*HEALTH, *(() if "full" in found else ("ok",))}
    return [each for state, each in found.items() if state not in others]


def _step_colours(panel: Json) -> list[str]:
    steps = (panel["fieldConfig"]["defaults"].get("thresholds") or {}).get("steps") or []
    return [step["color"] for step in steps]


def _states(panel: Json, box: Box) -> Iterator[str]:
    colours = [each["color"] for each in _shown(panel)] or _step_colours(panel)
    for row in range(int(box.height // 20)):
        y = box.y + row * 20
        yield _text(box.x, y + 13, f"{'device'} {row + 1:02d}", 10, _FAINT)
        x, turn = box.x + 70, row
        while x < box.x + box.width - 4:
            width = min(30 + 130 * _share(f"{panel['title']} {row} {turn}"), box.x + box.width - x)
            yield _rectangle(Box(x, y, width, 16), colours[turn * turn % len(colours)])
            x, turn = x + width, turn + 1


_DRAWN: dict[str, Callable[[Json, Box], Iterator[str]]] = {
    "stat": _stat,
    "timeseries": _lines,
    "table": _table,
    "geomap": _map,
    "state-timeline": _states,
}


def _columns(panel: Json) -> list[str]:
    """The columns that a table shows, or the values of a number."""
    for each in panel.get("transformations") or ():
        if each["id"] == "filterFieldsByName":
            return list(each["options"]["include"]["names"])
    if panel["type"] == "stat":
        return [each["matcher"]["options"] for each in panel["fieldConfig"]["overrides"]]
    return []


def _series(panel: Json) -> list[str]:
    names = [str(target.get("alias", "")) for target in panel["targets"]]
    if len(names) == 1 and "$tag_" in names[0]:
        word = names[0].rpartition("$tag_")[2]
        return [f"{word} {number}" for number in (1, 2)]
    return [name.replace("$tag_", "") for name in names]


def _override(panel: Json, name: str, key: str, otherwise: Any) -> Any:
    for each in panel["fieldConfig"]["overrides"]:
        if each["matcher"]["options"] == name:
            for found in each["properties"]:
                if found["id"] == key:
                    return found["value"]
    return otherwise


def _named(panel: Json, name: str) -> str:
    return str(_override(panel, name, "displayName", name))


def _mapping(panel: Json, name: str) -> Json:
    """Values and how they are shown: of a column, or of the panel."""
    given = panel["fieldConfig"]["defaults"].get("mappings") or []
    default = [each for each in given if each["type"] == "value"]
    found = _override(panel, name, "mappings", None)
    if found is None:
        found = default if name in ("", "shows", "state") else []
    options = found[0]["options"].items() if found else ()
    return dict(sorted(options, key=lambda item: item[1]["index"]))


def _colour(panel: Json, name: str, sample: float) -> str:
    """A fixed one, or that of the highest threshold under the sample."""
    fixed = _override(panel, name, "color", {}).get("fixedColor")
    if fixed:
        return str(fixed)
    steps = (panel["fieldConfig"]["defaults"].get("thresholds") or {}).get("steps") or []
    number = {"percentunit": sample * 0.9, "s": sample * 60}.get(
        panel["fieldConfig"]["defaults"].get("unit", ""), sample * 40
    )
    reached = [each["color"] for each in steps if each["value"] is None or each["value"] <= number]
    return str(reached[-1]) if reached else "#73bf69"


def _value(panel: Json, name: str, sample: float) -> str:
    unit = _override(panel, name, "unit", panel["fieldConfig"]["defaults"].get("unit", ""))
    shapes = {
        "percentunit": f"{sample * 0.9:.0%}",
        "s": f"{sample * 60:.0f} s",
        "ms": f"{20 + sample * 80:.0f} ms",
        "volt": f"{3.3 + sample * 0.3:.2f} V",
        "dBm": f"{-120 + sample * 40:.0f} dBm",
        "dB": f"{-8 + sample * 14:.0f} dB",
        "celsius": f"{26 + sample * 12:.0f} °C",
        "dateTimeFromNow": f"{1 + sample * 50:.0f} minutes ago",
    }
    return shapes.get(str(unit), f"{sample * 40:.0f}")


def _sample(panel: Json, name: str) -> float:
    if name == "gateways":
        return 0.75  # of all, more than are online
    return _share(f"{panel['title']} {name}")


def _wave(panel: Json, name: str, at: float) -> float:
    shift = _share(f"{panel['title']} {name}")
    return 0.5 + 0.3 * math.sin(6.3 * (at + shift)) + 0.08 * math.sin(31 * at + 9 * shift)


def _share(text: str) -> float:
    """Something between 0 and 1, the same for a text each time."""
    return hashlib.sha256(text.encode()).digest()[0] / 255


def _cut(text: str, width: float, size: float) -> str:
    room = max(1, int(width / (size * 0.56)))
    return text if len(text) <= room else f"{text[: room - 1]}…"


def _rectangle(box: Box, fill: str, more: str = "") -> str:
    place = f'x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}"'
    return f'<rect {place} fill="{fill}"{more}/>'


def _text(
    x: float, y: float, text: str, size: float, fill: str, anchor: str = "start", weight: int = 400
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" fill="{fill}" text-anchor="{anchor}" '
        f'font-weight="{weight}">{escape(text)}</text>'
    )
