"""`device_registry`: where each device and gateway stands, and what doesn't stand there any more.

In: inventories as they count. Out: lines for the store. The newest row of a name says where it is,
or that nobody looks for it any more (`kind` is `removed` or `gateway_removed`). Written when an
inventory changes and each hour; what couldn't be written is due again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from devices.reading import Value
from ingest.health import Fact, clean_text, point
from ingest.rules.standing import Place
from ingest.stores.kinds import DEVICE_REGISTRY, GATEWAY_REMOVED, REMOVED
from wire.messages import Inventory

Write = Callable[[list[str]], Awaitable[bool]]


class Places:
    """Remembers what the store was told; at first that is what these inventories say."""

    def __init__(self, inventories: Mapping[str, Inventory]) -> None:
        self._told = _places(inventories)
        self.due: set[str] = set(inventories)

    async def tell(self, inventories: Mapping[str, Inventory], now_ms: int, write: Write) -> None:
        """Write what is due of the gateways `due`, and of those to which something has moved."""
        due, self.due = self.due, set()
        if not due:
            return
        named = _places(inventories)
        moved = {
            place.gateway for name, place in named.items() if self._told.get(name, place) != place
        }
        lines = _left(self._told, named, now_ms)
        for gateway in sorted((due | moved) & inventories.keys()):
            lines += registry_points(inventories[gateway], now_ms)
        if await write(lines):
            self._told = named
        else:
            self.due |= due


def registry_points(inventory: Inventory, now_ms: int) -> list[str]:
    """The gateway and its devices: places and labels for panels."""
    gateway, site = inventory.gateway, inventory.site
    fields: dict[str, Value] = {"kind": "gateway", "label": clean_text(inventory.label)}
    if inventory.place:
        fields |= {"latitude": inventory.place.latitude, "longitude": inventory.place.longitude}
    lines = [point(DEVICE_REGISTRY, (gateway, gateway, site, "main"), fields, now_ms)]
    for device in inventory.devices:
        fields = {
            "kind": clean_text(device.kind),
            "driver": clean_text(device.driver),
            "label": clean_text(device.label),
            "heartbeat_s": device.heartbeat_s,
            "expiry_s": device.expiry_s,
            "maintenance": int(device.maintenance),
        }
        if device.place:
            fields |= {"latitude": device.place.latitude, "longitude": device.place.longitude}
        place = (device.name, gateway, site, device.zone)
        lines.append(point(DEVICE_REGISTRY, place, fields, now_ms))
    return lines


def _places(inventories: Mapping[str, Inventory]) -> dict[str, Place]:
    """Of each device, and of each gateway as `gateway/<name>`."""
    places = {
        f"gateway/{name}": Place(name, name, inventory.site, "main")
        for name, inventory in inventories.items()
    }
    for gateway, inventory in inventories.items():
        for device in inventory.devices:
            places[device.name] = Place(device.name, gateway, inventory.site, device.zone)
    return places


def _left(told: Mapping[str, Place], named: Mapping[str, Place], now_ms: int) -> list[str]:
    """Places where nobody names that any more; older by a moment than where it has moved to."""
    lines: list[str] = []
    for name, place in sorted(told.items()):
        if named.get(name) != place:
            fields: dict[str, Value] = {"kind": GATEWAY_REMOVED if "/" in name else REMOVED}
            lines.append(Fact(DEVICE_REGISTRY.name, place, fields).line(now_ms - 1))
    return lines
