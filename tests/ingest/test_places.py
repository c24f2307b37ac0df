"""What the registry in the store is told, and told again when it could not be written."""

from __future__ import annotations

import asyncio

from ingest.places import Places
from wire.messages import Inventory, InventoryDevice


def inventory(gateway: str, *devices: str) -> Inventory:
    named = (InventoryDevice(name, "parking_spot", "x", "a", 600, 1560) for name in devices)
    return Inventory(gateway, "pasar", 60, tuple(named))


class Written:
    """Keeps what it is given; refuses while `away`."""

    def __init__(self) -> None:
        self.away = False
        self.heads: list[str] = []

    async def __call__(self, lines: list[str]) -> bool:
        self.heads = [line.split(",gateway=")[0].split("device=")[1] for line in lines]
        return not self.away


def told(places: Places, named: dict[str, Inventory], write: Written) -> list[str]:
    write.heads = []
    asyncio.run(places.tell(named, 1_790_000_000_000, write))
    return write.heads


def test_what_left_while_the_store_was_away_is_told_when_it_is_back() -> None:
    before = {"gw-1": inventory("gw-1", "bay-1", "bay-2")}
    places, write = Places(before), Written()
    assert told(places, before, write) == ["gw-1", "bay-1", "bay-2"]
    after = {"gw-1": inventory("gw-1", "bay-2")}
    places.due.add("gw-1")
    write.away = True
    assert told(places, after, write) == ["bay-1", "gw-1", "bay-2"]
    write.away = False
    assert told(places, after, write) == ["bay-1", "gw-1", "bay-2"]
    assert told(places, after, write) == []  # nothing is due
    places.due.add("gw-1")
    assert told(places, after, write) == ["gw-1", "bay-2"]


def test_a_device_that_another_gateway_names_now_is_told_with_that_one() -> None:
    both = {"gw-1": inventory("gw-1", "bay-1"), "gw-2": inventory("gw-2")}
    places, write = Places(both), Written()
    told(places, both, write)
    moved = {"gw-1": inventory("gw-1"), "gw-2": inventory("gw-2", "bay-1")}
    places.due.add("gw-1")
    assert told(places, moved, write) == ["bay-1", "gw-1", "gw-2", "bay-1"]
