"""The city as outsiders see it: devices, zones and rows of history. Pure.

In: the board's devices and now. Out: records without gateways, with public fields that are still
fresh: what has expired is left out, and a device of which nothing is left is `unknown`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from dashboards.device import Device
from dashboards.headline import tiles
from dashboards.opendata.public import PUBLIC, rounded, shown
from dashboards.states import STATES, State
from devices.reading import Value
from ingest.stores import Row


class Record(msgspec.Struct, frozen=True):
    """One device now. `time` is its newest reading's, null before the first: age = now - time."""

    device: str
    kind: str
    label: str
    site: str
    zone: str
    latitude: float | None
    longitude: float | None
    state: State
    time: str | None
    fields: dict[str, Value]


class Zone(msgspec.Struct, frozen=True):
    """The devices of one kind in one zone.

    `number` is what people ask for (free bays, full bins, people online, devices heard), null when
    nothing is known; `states` counts every device, `unknown` among them.
    """

    kind: str
    site: str
    zone: str
    devices: int
    number: int | None
    states: dict[str, int]
    time: str | None
    latitude: float | None
    longitude: float | None
    filling_level: float | None = None


class Moment(msgspec.Struct, frozen=True):
    """A row of history: a reading, or an hour or a day of them (`time` is its start)."""

    time: str
    device: str
    site: str
    zone: str
    fields: dict[str, Value]


def utc(time_ms: int) -> str | None:
    """ISO 8601 in UTC, to the millisecond; None for "never"."""
    if not time_ms:
        return None
    when = datetime.fromtimestamp(time_ms // 1000, UTC).replace(microsecond=time_ms % 1000 * 1000)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def record(device: Device, now_ms: int, step: int) -> Record:
    """One device as the public sees it at `now_ms`."""
    fresh = {
        name: device.fields[name].value
        for name in PUBLIC[device.kind]
        if name in device.fields and now_ms - device.fields[name].time_ms <= device.expiry_s * 1000
    }
    return Record(
        device=device.name,
        kind=device.kind,
        label=device.label or device.name,
        site=device.site,
        zone=device.tags.get("zone", ""),
        latitude=device.latitude,
        longitude=device.longitude,
        state=device.state_at(now_ms),
        time=utc(device.time_ms),
        fields=shown(fresh, step),
    )


def zones(devices: Iterable[Device], now_ms: int, step: int) -> list[Zone]:
    """A zone for each kind, site and zone, in that order."""
    groups: dict[tuple[str, str, str], list[Device]] = {}
    for device in devices:
        key = device.kind, device.site, device.tags.get("zone", "")
        groups.setdefault(key, []).append(device)
    return [_zone(key, group, now_ms, step) for key, group in sorted(groups.items())]


def _zone(key: tuple[str, str, str], group: list[Device], now_ms: int, step: int) -> Zone:
    kind, site, name = key
    (tile,) = (one for one in tiles(group, now_ms) if one.total)
    unknown, closed = tile.states[State.UNKNOWN], tile.states.get(State.CLOSED, 0)
    number = tile.number
    if unknown and unknown + closed == tile.total:
        number = None  # that the rest is closed doesn't say that none is free
    elif kind == "wifi_access_point" and number is not None:
        number = rounded(number, step)
    latitudes = [each.latitude for each in group if each.latitude is not None]
    longitudes = [each.longitude for each in group if each.longitude is not None]
    levels = [
        level
        for level in (record(each, now_ms, step).fields.get("filling_level") for each in group)
        if isinstance(level, float)
    ]
    return Zone(
        kind=kind,
        site=site,
        zone=name,
        devices=tile.total,
        number=number,
        states={state.value: count for state, count in tile.states.items()},
        time=utc(tile.newest_ms),
        latitude=round(sum(latitudes) / len(latitudes), 6) if latitudes else None,
        longitude=round(sum(longitudes) / len(longitudes), 6) if longitudes else None,
        filling_level=round(sum(levels) / len(levels), 3) if levels else None,
    )


def moment(row: Row, step: int) -> Moment:
    """A row of the store as the public sees it."""
    tags = row.tags
    time = utc(row.time_ms) or ""
    return Moment(time, tags["device"], tags["site"], tags["zone"], shown(row.fields, step))


def states_of(kind: str) -> tuple[State, ...]:
    """The states that a kind's devices can be in."""
    return STATES.get(kind, STATES["other"])
