"""Rounds of alerts on a real store, without a broker: what a test of judging needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from devices.kinds import KINDS
from devices.reading import Value
from ingest.alerts.desk import desk_path
from ingest.alerts.judge import Alerts, Look
from ingest.alerts.newsroom import Newsroom
from ingest.alerts.settings import AlertSettings, Receiver
from ingest.health import Fact, point
from ingest.rules.kinds import RULE_STATE
from ingest.rules.standing import Place
from ingest.stores import Aggregate, Bucket, Query, Row, Written
from ingest.stores.live import Change, LiveStore
from wire.messages import Inventory, InventoryDevice

ALL = Receiver()
DEFAULTS = AlertSettings()


def alerts(
    store: LiveStore,
    folder: Path,
    settings: AlertSettings = DEFAULTS,
    receivers: Mapping[str, Receiver] = {"all": ALL},
) -> Alerts:
    """The watch's alerts with a desk in that folder."""
    newsroom = Newsroom(desk_path(folder / "registry.json"), receivers)
    return Alerts(store, settings, newsroom)


def inventory(gateway: str, *devices: str, site: str = "pasar", kind: str = "waste_container"):
    """A gateway with devices of that kind, in zone `a`."""
    named = tuple(InventoryDevice(name, kind, "x", "a", 900, 2400) for name in devices)
    return Inventory(gateway, site, 60, named)


def place(device: str, gateway: str = "gw-1", site: str = "pasar", zone: str = "a") -> Place:
    return Place(device, gateway, site, zone)


async def write(
    store: LiveStore, kind: str, at: Place, fields: Mapping[str, Value], time_ms: int
) -> Change:
    """A reading into the store; what the store's `changes` says of it."""
    tags = (at.device, at.gateway, at.site, at.zone)
    fate = await store.write(Bucket.CITY, [point(KINDS[kind], tags, dict(fields), time_ms)])
    assert fate == Written()
    return Change(kind, Row(time_ms, dict(zip(RULE_TAGS, tags, strict=True)), dict(fields)))


RULE_TAGS = ("device", "gateway", "site", "zone")


def look(
    now_ms: int,
    points: Sequence[Change] = (),
    facts: Sequence[Fact] = (),
    inventories: Sequence[Inventory] = (),
    retired: Sequence[str] = (),
) -> Look:
    return Look(now_ms, points, facts, {each.gateway: each for each in inventories}, retired)


async def states(store: LiveStore, now_ms: int, *rules: str) -> dict[str, dict[str, Value]]:
    """The newest `rule_state` of every subject, by its name; the newest that has these rules."""
    query = Query(
        kind=RULE_STATE.name,
        fields=rules or tuple(RULE_STATE.fields),
        start_ms=now_ms - 86_400_000,
        stop_ms=now_ms + 86_400_000,
        aggregate=Aggregate.NEWEST,
        group=RULE_TAGS,
        bucket=Bucket.HEALTH,
    )
    return {row.tags["device"]: row.fields for row in await store.read(query)}


async def hourly(store: LiveStore, kind: str, fields: Sequence[str], now_ms: int) -> list[Row]:
    """Points of the bucket for years."""
    query = Query(
        kind=kind,
        fields=tuple(fields),
        start_ms=now_ms - 30 * 86_400_000,
        stop_ms=now_ms + 86_400_000,
        group=RULE_TAGS,
        bucket=Bucket.HOURLY,
    )
    return await store.read(query)
