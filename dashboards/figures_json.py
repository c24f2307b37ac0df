"""Figures as JSON, for programs: the fields of `dashboards.figures`, hours of the week in full."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from dashboards.figures import Corner, ParkingZone, WasteBin


def as_json(figures: Sequence[ParkingZone] | Sequence[WasteBin] | Sequence[Corner]) -> str:
    """A list, one object a zone, bin or corner. Shares are 0..1, times Unix milliseconds."""
    rows = [_zone(one) if isinstance(one, ParkingZone) else one for one in figures]
    return msgspec.json.format(msgspec.json.encode(rows), indent=2).decode() + "\n"


def _zone(one: ParkingZone) -> dict[str, Any]:
    usage = {name: getattr(one.usage, name) for name in one.usage.__struct_fields__}
    usage["by_hour"] = [
        {"weekday": cell.weekday, "hour": cell.hour, "taken": taken}
        for cell, taken in one.usage.by_hour.items()
    ]
    fields = {name: getattr(one, name) for name in one.__struct_fields__}
    ahead = [{"time_ms": time_ms, "taken": taken} for time_ms, taken in one.forecast]
    return fields | {"usage": usage, "forecast": ahead}
