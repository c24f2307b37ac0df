"""A round as something to take along: a printable list, GPX 1.1, or JSON.

In: a `Plan` and what stands above it. Out: text. Names and labels come from devices and
configurations, so everything is escaped where it is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import msgspec

from dashboards.analysis.routing import Plan, Point, Route, Stop

GPX_NAMESPACE = "http://www.topografix.com/GPX/1/1"


class Sheet(msgspec.Struct, frozen=True):
    """A plan with what a crew and a dispatcher must know. `when` is local, for reading.

    `skipped` names bins that aren't on the round though they may need it, each with its reason.
    """

    plan: Plan
    depot: Point
    depot_label: str
    when: str
    skipped: Mapping[str, str] = {}
    speed_km_h: float = 20.0
    minutes_a_stop: float = 3.0

    def minutes(self, route: Route) -> float:
        """About how long a trip takes."""
        driving = route.metres / 1000 / self.speed_km_h * 60
        return driving + self.minutes_a_stop * len(route.stops)


def as_list(sheet: Sheet) -> str:
    """For paper: a trip a paragraph, a box to tick a bin."""
    lines = [f"Collection round, {sheet.when}", f"Depot: {_plain(sheet.depot_label)}"]
    if not sheet.plan.routes:
        lines += ["", "Nothing to empty." if not _undone(sheet) else "Nothing is planned."]
    for route in sheet.plan.routes:
        lines += ["", _head(sheet, route)]
        for number, stop in enumerate(route.stops, 1):
            level = f"{100 * stop.level:.0f} %" if stop.known else "unknown"
            lines.append(f"  [ ] {number:>2}. {stop.name:<12} {level:>7}  {_plain(stop.label)}")
    if _undone(sheet):
        lines += ["", "Not on this round:"]
        lines += [f"  {stop.name}: no room left in a truck" for stop in sheet.plan.left]
        lines += [f"  {name}: {why}" for name, why in sorted(sheet.skipped.items())]
    return "\n".join(lines) + "\n"


def as_gpx(sheet: Sheet) -> str:
    """A route (`rte`) a trip, from the depot past its bins and back: for any phone's map."""
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<gpx version="1.1" creator="gampong" xmlns={quoteattr(GPX_NAMESPACE)}>',
        f"  <metadata><name>{_xml('Collection round, ' + sheet.when)}</name></metadata>",
    ]
    for route in sheet.plan.routes:
        lines += ["  <rte>", f"    <name>{_xml(_title(route))}</name>"]
        lines.append(_gpx_point(sheet.depot, sheet.depot_label, "depot"))
        lines += [_gpx_point(stop.at, stop.name, stop.label) for stop in route.stops]
        lines += [_gpx_point(sheet.depot, sheet.depot_label, "depot"), "  </rte>"]
    return "\n".join([*lines, "</gpx>"]) + "\n"


def as_json(sheet: Sheet) -> str:
    """For programs."""
    table: dict[str, Any] = {
        "when": sheet.when,
        "depot": {"label": sheet.depot_label, **msgspec.to_builtins(sheet.depot)},
        "metres": round(sheet.plan.metres),
        "routes": [
            {
                "truck": route.truck,
                "trip": route.trip,
                "metres": round(route.metres),
                "litres": round(route.litres),
                "minutes": round(sheet.minutes(route)),
                "stops": _stops(route.stops),
            }
            for route in sheet.plan.routes
        ],
        "left": _stops(sheet.plan.left),
        "skipped": dict(sorted(sheet.skipped.items())),
    }
    return msgspec.json.format(msgspec.json.encode(table), indent=2).decode() + "\n"


def _undone(sheet: Sheet) -> bool:
    return bool(sheet.plan.left or sheet.skipped)


def _title(route: Route) -> str:
    return f"{route.truck}, trip {route.trip}"


def _head(sheet: Sheet, route: Route) -> str:
    way = f"{route.metres / 1000:.1f} km, {route.litres:.0f} l, {sheet.minutes(route):.0f} min"
    return f"{_plain(_title(route))}: {len(route.stops)} bins, about {way}"


def _stops(stops: Sequence[Stop]) -> list[dict[str, Any]]:
    return [
        {
            "device": stop.name,
            "label": stop.label,
            "latitude": stop.at.latitude,
            "longitude": stop.at.longitude,
            "level": round(stop.level, 3) if stop.known else None,
            "litres": round(stop.litres),
        }
        for stop in stops
    ]


def _gpx_point(at: Point, name: str, about: str) -> str:
    place = f'lat="{at.latitude:.6f}" lon="{at.longitude:.6f}"'
    return f"    <rtept {place}><name>{_xml(name)}</name><desc>{_xml(about)}</desc></rtept>"


def _xml(text: str) -> str:
    return escape(_plain(text))


def _plain(text: str) -> str:
    """One line, without what XML and terminals can't show."""
    return "".join(char if char.isprintable() else " " for char in text)
