"""What each device shows, and how many of a zone show what: the page's states, for the database.

In: the inventories, the newest value of each field with its time, now. Out: device → state, and
one line a zone and kind, and one a site and kind, for the bucket `city_health`
(`ingest/stores/zone_kinds.py`). Pure; the watch calls it each minute, so that Grafana shows what
the page shows and `unknown` is counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec

from dashboards.states import State, Timed, state_of
from devices.reading import Value
from ingest.stores.zone_kinds import ZONE_KINDS, ZONE_STATES, site_kind, zone_kind
from wire.line import format_fields
from wire.messages import Inventory, InventoryDevice

Newest = Mapping[str, Mapping[str, Timed]]
"""Device → field → its newest value."""


ZoneOfKind = tuple[str, str, str]
"""Site, zone, kind."""


class Seen(msgspec.Struct, frozen=True):
    """One look at the city: what every device shows, the zones' fields, and these and the sites'
    as lines."""

    shows: dict[str, str]
    zones: dict[ZoneOfKind, dict[str, Value]]
    lines: list[str]


def see(inventories: Mapping[str, Inventory], newest: Newest, now_ms: int) -> Seen:
    """What there is to see at `now_ms`; a device nobody has heard of shows `unknown`."""
    shows: dict[str, str] = {}
    of_zone: defaultdict[ZoneOfKind, list[InventoryDevice]] = defaultdict(list)
    of_site: defaultdict[ZoneOfKind, list[InventoryDevice]] = defaultdict(list)
    for _, inventory in sorted(inventories.items()):
        for device in inventory.devices:
            shows[device.name] = state_of(
                device.kind,
                newest.get(device.name, {}),
                expiry_s=device.expiry_s,
                now_ms=now_ms,
                maintenance=device.maintenance,
            ).value
            if device.kind in ZONE_STATES:
                of_zone[inventory.site, device.zone, device.kind].append(device)
                of_site[inventory.site, "main", device.kind].append(device)
    zones, sites = (
        {
            place: _counts(place[2], devices, shows, newest, now_ms)
            for place, devices in sorted(places.items())
        }
        for places in (of_zone, of_site)
    )
    lines = [_line(zone_kind(place[2]), place, each, now_ms) for place, each in zones.items()]
    lines += [_line(site_kind(place[2]), place, each, now_ms) for place, each in sites.items()]
    return Seen(shows, zones, lines)


def _counts(
    name: str,
    devices: Sequence[InventoryDevice],
    shows: Mapping[str, str],
    newest: Newest,
    now_ms: int,
) -> dict[str, Value]:
    states = [shows[device.name] for device in devices]
    fields: dict[str, Value] = {"devices": len(devices)}
    fields |= {state: states.count(state) for state in ZONE_STATES[name]}
    believed = [device for device in devices if shows[device.name] not in _SAYS_NOTHING]
    match name:
        case "parking_spot":
            known = states.count(State.FREE) + states.count(State.OCCUPIED)
            if known:
                fields["occupied_share"] = states.count(State.OCCUPIED) / known
        case "waste_container":
            if levels := _fresh(believed, newest, "filling_level", now_ms):
                fields["filling_level"] = sum(levels) / len(levels)
        case "wifi_access_point":
            if believed:
                fields["clients"] = round(sum(_fresh(believed, newest, "clients", now_ms)))
    places = [device.place for device in devices if device.place]
    if places:
        fields["latitude"] = sum(each.latitude for each in places) / len(places)
        fields["longitude"] = sum(each.longitude for each in places) / len(places)
    return fields


_SAYS_NOTHING = (State.UNKNOWN, State.CLOSED)


def _fresh(
    devices: Sequence[InventoryDevice], newest: Newest, field: str, now_ms: int
) -> list[float]:
    """The devices' values that may still be believed: nobody is online at a dead access point."""
    found = []
    for device in devices:
        timed = newest.get(device.name, {}).get(field)
        if timed is None or isinstance(timed.value, str):
            continue
        if now_ms - timed.time_ms <= device.expiry_s * 1000:
            found.append(float(timed.value))
    return found


def _line(name: str, place: ZoneOfKind, fields: Mapping[str, Value], now_ms: int) -> str:
    site, zone, _ = place
    kind, device = ZONE_KINDS[name], site if name.endswith("_now") else zone
    tags = f"device={device},gateway={site},site={site},zone={zone}"
    return f"{kind.name},{tags} {format_fields(kind, fields)} {now_ms}"
