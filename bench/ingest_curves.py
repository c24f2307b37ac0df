"""Curves as a picture: one small chart a curve, SVG by hand, both axes from the figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

WIDTH, HEIGHT = 360, 240
LEFT, RIGHT, TOP, BOTTOM = 52, 16, 34, 30
COLUMNS = 2
STYLE = (
    "text{font:11px sans-serif;fill:#333}.title{font-weight:bold}"
    ".axis{stroke:#999}.grid{stroke:#e5e5e5}.line{fill:none;stroke:#0b6e99;stroke-width:2}"
    ".dot{fill:#0b6e99}"
)


class Curve(NamedTuple):
    """A title, and a value for each place on the x axis."""

    title: str
    places: Sequence[float]
    values: Sequence[float]


def draw(curves: Sequence[Curve]) -> str:
    """All of them, two in a row."""
    rows = math.ceil(len(curves) / COLUMNS)
    charts = [
        f'<g transform="translate({WIDTH * (n % COLUMNS)} {HEIGHT * (n // COLUMNS)})">'
        f"{_chart(curve)}</g>"
        for n, curve in enumerate(curves)
    ]
    size = f'width="{WIDTH * COLUMNS}" height="{HEIGHT * rows}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}><style>{STYLE}</style>'
    ground = '<rect width="100%" height="100%" fill="#fff"/>'
    return "\n".join([head, ground, *charts, "</svg>", ""])


def _chart(curve: Curve) -> str:
    """Places evenly spread (they grow tenfold or by one), values from zero."""
    top = _round_up(max(curve.values))
    step = (WIDTH - LEFT - RIGHT) / max(1, len(curve.places) - 1)
    height = HEIGHT - TOP - BOTTOM
    points = [
        (LEFT + n * step, TOP + height * (1 - value / top)) for n, value in enumerate(curve.values)
    ]
    parts = [f'<text class="title" x="{LEFT}" y="20">{escape(curve.title)}</text>']
    for part in (0.0, 0.5, 1.0):
        y = TOP + height * (1 - part)
        kind = "grid" if part else "axis"
        parts.append(f'<line class="{kind}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
        label = f"{top * part:g}"
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{label}</text>')
    for place, (x, _) in zip(curve.places, points, strict=True):
        y = HEIGHT - BOTTOM + 18
        anchor = "end" if place == curve.places[-1] and place >= 1000 else "middle"
        parts.append(f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}">{place:,}</text>')
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    parts.append(f'<polyline class="line" points="{path}"/>')
    parts += [f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in points]
    return "".join(parts)


def _round_up(value: float) -> float:
    """The next of 1, 2, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(max(value, 1e-9)))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= value)
