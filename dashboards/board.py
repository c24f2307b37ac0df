"""The picture of the city that every open page shares: one state a device, newest value a field.

In: changes from the store, in any order, some twice. Out: patches with only what is new since the
last one, and a snapshot for a page that has just been opened. No IO and no clock: `now_ms` is city
time and always an argument.

Between changes nothing is computed: states are judged when a reading comes or is due to expire,
and marks and tiles are made again only for what changed (10,000 devices, five looks a second).
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable

import msgspec

from dashboards.device import Device, Mark
from dashboards.headline import Tile, tiles
from dashboards.states import GATEWAY, State, Timed
from dashboards.trend import Trend
from devices.kinds import KINDS
from devices.reading import Value
from ingest.stores import Row
from ingest.stores.kinds import (
    DEVICE_REGISTRY,
    GATEWAY_BATCH,
    GATEWAY_HEALTH,
    GATEWAY_REMOVED,
    REMOVED,
)
from ingest.stores.live import Change

READINGS_SHOWN = 30
_REMOVED = (REMOVED, GATEWAY_REMOVED)
_REMEMBERED = 5_000  # readings already shown, against stores that give a point twice
_STRANGER_MS = 86_400_000  # a device without a registry row counts if heard within a day


class Seen(msgspec.Struct, frozen=True):
    """A line of the table of last readings: what one reading alone says, in order of arrival."""

    number: int
    id: str
    state: State
    time_ms: int
    late: bool
    fields: dict[str, Value]


class Patch(msgspec.Struct, frozen=True, omit_defaults=True):
    """What changed on the board; a snapshot is a patch with everything.

    `read_ms` is when (city time) the store last answered; `away` says that it doesn't now.
    `removed` names marks that are no more. `news` is False for a patch that says nothing but the
    time. `number` counts the patches with news: a snapshot has in it what was told up to that one.
    """

    now_ms: int
    read_ms: int
    number: int = 0
    away: bool = False
    marks: list[Mark] = []
    removed: list[str] = []
    readings: list[Seen] = []
    tiles: list[Tile] | None = None
    trend: Trend | None = None
    news: bool = False


class Board:
    """The city in memory. `apply` what the store gives, `tick` with the clock, then `patch`."""

    def __init__(self) -> None:
        self.devices: dict[str, Device] = {}
        self.read_ms = 0
        self.away = False
        self.number = 0  # patches with news so far
        self._readings: deque[Seen] = deque(maxlen=READINGS_SHOWN)
        self._shown: OrderedDict[tuple[str, int], None] = OrderedDict()
        self._arrived = 0
        self._dirty: set[str] = set()
        self._removed: set[str] = set()  # since the last patch
        self._removed_ms: dict[str, int] = {}  # of whom nothing older counts any more
        self._in_order: list[Device] | None = None  # by id, until one comes or goes
        self._fresh_readings: list[Seen] = []
        self._due_ms = 0  # no state ends of itself before this
        self._tiles: list[Tile] = []
        self._counted: list[Tile] | None = None
        self.trend = Trend()
        self._told: tuple[bool, Trend] = (False, self.trend)

    def apply(self, changes: Iterable[Change], now_ms: int) -> None:
        """Take changes in; the registry's come first, so that readings find their expiry, and of
        these who is named before who isn't any more: what has moved keeps what is known of it."""
        for change in sorted(changes, key=_rank):
            row = change.row
            if change.kind == DEVICE_REGISTRY.name:
                self._register(row, now_ms)
            elif change.kind == GATEWAY_HEALTH.name:
                self._hear_gateway(row, row.fields, now_ms)
            elif change.kind == GATEWAY_BATCH.name:
                sealed: dict[str, Value] = {"sealed_ms": row.time_ms}
                if "lag_ms" in row.fields:
                    sealed["lag_ms"] = row.fields["lag_ms"]
                self._hear_gateway(row, sealed, now_ms)
            elif change.kind in KINDS:
                self._hear(change.kind, row, now_ms)

    def recall(self, changes: Iterable[Change], now_ms: int) -> None:
        """Take in readings from before the page began: they count, but they aren't news."""
        for change in changes:
            device = self.devices.get(change.row.tags["device"])
            if (
                device
                and device.kind == change.kind
                and not self._ahead(device, change.row, now_ms)
            ):
                self._take(device, change.row.time_ms, change.row.fields, now_ms)

    def tick(self, now_ms: int) -> None:
        """Let expire what is due."""
        if now_ms <= self._due_ms:
            return
        for device in self.devices.values():
            if device.until_ms < now_ms:
                self._counted = None  # a field can expire without a change of state
                if device.judge(now_ms):
                    self._dirty.add(device.id)
        self._due_ms = min((device.until_ms for device in self.devices.values()), default=now_ms)

    def take_trend(self, trend: Trend) -> None:
        """Show another trend."""
        self.trend = trend

    def patch(self, now_ms: int) -> Patch:
        """What is new since the last patch."""
        self.tick(now_ms)
        marks = [self.devices[id_].mark for id_ in sorted(self._dirty)]
        readings = self._fresh_readings[-READINGS_SHOWN:]
        shown = self._count(now_ms)
        away, trend = self._told
        news = bool(marks or readings or self._removed or shown != self._tiles)
        news = news or (away, trend) != (self.away, self.trend)
        self.number += news
        patch = Patch(
            now_ms=now_ms,
            read_ms=self.read_ms,
            number=self.number,
            away=self.away,
            marks=marks,
            removed=sorted(self._removed),
            readings=readings,
            tiles=shown if shown != self._tiles else None,
            trend=self.trend if self.trend is not trend else None,
            news=news,
        )
        self._tiles, self._fresh_readings = shown, []
        self._dirty, self._removed = set(), set()
        self._told = (self.away, self.trend)
        return patch

    def snapshot(self, now_ms: int) -> Patch:
        """Everything, for a page that opens; takes nothing from the next patch."""
        self.tick(now_ms)
        if self._in_order is None:
            self._in_order = [self.devices[id_] for id_ in sorted(self.devices)]
        return Patch(
            now_ms=now_ms,
            read_ms=self.read_ms,
            number=self.number,
            away=self.away,
            marks=[device.mark for device in self._in_order],
            readings=list(self._readings),
            tiles=self._count(now_ms),
            trend=self.trend,
        )

    def _count(self, now_ms: int) -> list[Tile]:
        if self._counted is None:
            self._counted = tiles(self.devices.values(), now_ms)
        return self._counted

    def _device(self, id_: str, kind: str, row: Row) -> Device:
        if id_ not in self.devices:
            self.devices[id_] = Device(id_, kind, row)
            self._dirty.add(id_)
            self._removed.discard(id_)
            self._counted = self._in_order = None
        return self.devices[id_]

    def _judge(self, device: Device, now_ms: int) -> None:
        device.judge(now_ms)
        self._due_ms = min(self._due_ms, device.until_ms)
        self._dirty.add(device.id)
        self._counted = None

    def _take(self, device: Device, time_ms: int, fields: dict[str, Value], now_ms: int) -> None:
        if device.take(time_ms, fields):
            self._judge(device, now_ms)

    def _register(self, row: Row, now_ms: int) -> None:
        kind = str(row.fields.get("kind", ""))
        name = row.tags["device"]
        id_ = f"{GATEWAY}/{name}" if kind in (GATEWAY, GATEWAY_REMOVED) else name
        if kind in _REMOVED:
            self._remove(id_, row.time_ms)
        if (kind not in KINDS and kind != GATEWAY) or row.time_ms < self._removed_ms.get(id_, 0):
            return
        known = self.devices.get(id_)
        if known is not None and known.kind != kind and row.time_ms >= known.registered_ms:
            del self.devices[id_]  # the name now stands for another sort of thing
            self._in_order = None
        device = self._device(id_, kind, row)
        if device.kind == kind and device.register(row):
            self._judge(device, now_ms)

    def _remove(self, id_: str, time_ms: int) -> None:
        """It was taken out of the configuration, or retired: nobody is to look for it."""
        self._removed_ms[id_] = max(time_ms, self._removed_ms.get(id_, 0))
        known = self.devices.get(id_)
        if known is not None and known.registered_ms <= time_ms:
            del self.devices[id_]
            self._removed.add(id_)
            self._dirty.discard(id_)
            self._counted = self._in_order = None

    def _hear_gateway(self, row: Row, fields: dict[str, Value], now_ms: int) -> None:
        name = row.tags["gateway"]
        id_ = f"{GATEWAY}/{name}"
        if id_ not in self.devices and row.time_ms <= self._removed_ms.get(id_, -1):
            return
        device = self._device(id_, GATEWAY, row)
        if not device.registered_ms:
            device.tags = {**row.tags, "device": name}
        self._take(device, row.time_ms, fields, now_ms)

    def _hear(self, kind: str, row: Row, now_ms: int) -> None:
        name = row.tags["device"]
        since_ms = max(now_ms - _STRANGER_MS, self._removed_ms.get(name, 0))
        if name not in self.devices and row.time_ms < since_ms:
            return
        device = self._device(name, kind, row)
        if device.kind != kind or device.has(row):
            return
        self._note(device, row)
        if not self._ahead(device, row, now_ms):
            self._take(device, row.time_ms, row.fields, now_ms)

    @staticmethod
    def _ahead(device: Device, row: Row, now_ms: int) -> bool:
        """A clock that runs ahead must not hide what comes after it."""
        return row.time_ms - now_ms > device.expiry_s * 1000

    def _note(self, device: Device, row: Row) -> None:
        """A line for the table, once a reading."""
        key = (device.id, row.time_ms)
        if key in self._shown:
            return
        self._shown[key] = None
        if len(self._shown) > _REMEMBERED:
            self._shown.popitem(last=False)
        self._arrived += 1
        timed = {name: Timed(value, row.time_ms) for name, value in row.fields.items()}
        seen = Seen(
            number=self._arrived,
            id=device.id,
            state=device.state_at(row.time_ms, timed),
            time_ms=row.time_ms,
            late=row.time_ms < device.time_ms,
            fields=row.fields,
        )
        self._readings.append(seen)
        self._fresh_readings.append(seen)


def _rank(change: Change) -> int:
    if change.kind != DEVICE_REGISTRY.name:
        return 2
    return int(change.row.fields.get("kind") in _REMOVED)
