"""A city of a few devices for the page's tests: lines as the ingestor and the watch write them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ingest.stores import Bucket, Row, Written
from ingest.stores.configuration import SqliteSettings
from ingest.stores.kinds import REMOVED
from ingest.stores.live import Change, LiveStore
from ingest.stores.open import open_store
from wire.clock import SystemClock

SITES = {"mahirah-01": "pasar-mahirah", "lhokseumawe-01": "pasar-inpres"}
PLACES = {"mahirah-01": (5.5701, 95.3287), "lhokseumawe-01": (5.188, 97.1398)}
MAHIRAH = "mahirah-01"


def tags(device: str, gateway: str = MAHIRAH, zone: str = "pelataran") -> dict[str, str]:
    return {"device": device, "gateway": gateway, "site": SITES[gateway], "zone": zone}


def reading(device: str, kind: str, time_ms: int, **fields: int | float | str) -> Change:
    return Change(kind, Row(time_ms, tags(device), fields))


def bay(device: str, time_ms: int, occupied: int) -> Change:
    return reading(device, "parking_spot", time_ms, occupied=occupied)


def place(
    device: str, kind: str, time_ms: int, *, expiry_s: float = 1560.0, maintenance: int = 0
) -> Change:
    fields: dict[str, int | float | str] = {
        "kind": kind,
        "label": f"Label {device}",
        "latitude": 5.5701,
        "longitude": 95.3287,
        "expiry_s": expiry_s,
        "maintenance": maintenance,
    }
    return Change("device_registry", Row(time_ms, tags(device), fields))


def removal(device: str, time_ms: int, zone: str = "pelataran") -> Change:
    """No inventory names it in that zone any more."""
    return Change("device_registry", Row(time_ms, tags(device, zone=zone), {"kind": REMOVED}))


def line(change: Change) -> str:
    """A change as the line that was stored."""
    row = change.row
    names = ",".join(f"{name}={row.tags[name]}" for name in sorted(row.tags))
    fields = ",".join(f"{name}={_written(value)}" for name, value in row.fields.items())
    return f"{change.kind},{names} {fields} {row.time_ms}"


def _written(value: int | float | str) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    return f"{value}i" if isinstance(value, int) else repr(value)


async def store_lines(path: Path, changes: Sequence[Change]) -> None:
    """Write them where the ingestor and the watch would."""
    async with open_store(SqliteSettings(path=str(path)), SystemClock()) as store:
        await write_changes(store, changes)


async def write_changes(store: LiveStore, changes: Sequence[Change]) -> None:
    """The same, into a store that is open."""
    for bucket in (Bucket.HEALTH, Bucket.CITY):
        lines = [
            line(change)
            for change in changes
            if change.kind.startswith(("device_", "gateway_")) == (bucket is Bucket.HEALTH)
        ]
        if lines:
            assert await store.write(bucket, lines) == Written()


def store_now(path: Path, changes: Sequence[Change]) -> None:
    """The same, from a test that isn't async (in a thread: Playwright has a loop in this one)."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(store_lines(path, changes))).result()


def whole_city(now_ms: int) -> list[Change]:
    """Two gateways, four bays, three bins, two hotspots, all heard a moment ago."""
    changes: list[Change] = []
    for gateway, (latitude, longitude) in PLACES.items():
        own = tags(gateway, gateway, "main")
        where: dict[str, int | float | str] = {"latitude": latitude, "longitude": longitude}
        label = {"kind": "gateway", "label": f"Gateway {gateway}"}
        changes.append(Change("device_registry", Row(now_ms - 9000, own, {**label, **where})))
        health: dict[str, int | float | str] = {
            "online": 1, "waiting": 2, "oldest_waiting_s": 3.0, "stored": 40, "rejected": 0,
            "dropped": 0, "balanced": 1,
        }  # fmt: skip
        changes.append(Change("gateway_health", Row(now_ms - 2000, own, health)))
        batch: dict[str, int | float | str] = {"sequence": 7, "readings": 3, "lag_ms": 250}
        changes.append(Change("gateway_batch", Row(now_ms - 5000, own, batch)))
    devices = [
        *(("parking_spot", f"bay-{n:02d}", {"occupied": n % 2}) for n in range(1, 5)),
        ("waste_container", "bin-01", {"filling_level": 0.4, "status": "ok"}),
        ("waste_container", "bin-02", {"filling_level": 0.92, "status": "ok"}),
        ("waste_container", "bin-03", {"filling_level": 0.3, "status": "burning"}),
        ("wifi_access_point", "wifi-01", {"up": 1, "clients": 12, "portal": "portal"}),
        ("wifi_access_point", "wifi-02", {"up": 1, "clients": 5, "portal": "down"}),
    ]
    for nth, (kind, name, fields) in enumerate(devices):
        gateway = list(SITES)[nth % 2]
        latitude, longitude = PLACES[gateway]
        own = tags(name, gateway)
        registry: dict[str, int | float | str] = {
            "kind": kind, "label": f"Label {name}", "expiry_s": 1560.0, "maintenance": 0,
            "latitude": latitude + 0.0002 * nth, "longitude": longitude + 0.0001 * nth,
        }  # fmt: skip
        changes.append(Change("device_registry", Row(now_ms - 9000, own, registry)))
        changes.append(Change(kind, Row(now_ms - 3000, own, dict(fields))))  # type: ignore[call-overload]
    return changes
