"""The picture of the city that every open page shares: one state a device, newest value a field.

In: changes from the store, in any order, some twice. Out: patches with only what is new since the
last one, and a snapshot for a page that has just been opened. No IO and no clock: `now_ms` is city
time and always an argument.

A field is replaced only by a reading that isn't older, so late data never covers newer data.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable

import msgspec

from dashboards.headline import Tile, tiles
from dashboards.states import (
    GATEWAY,
    State,
    Timed,
    default_expiry_s,
    holds_until_ms,
    state_of,
)
from dashboards.trend import Trend
from devices.kinds import KINDS
from devices.reading import Value
from ingest.stores import Row
from ingest.stores.kinds import DEVICE_REGISTRY, GATEWAY_BATCH, GATEWAY_HEALTH
from ingest.stores.live import Change

READINGS_SHOWN = 30
_REMEMBERED = 5_000  # readings already shown, against stores that give a point twice
_STRANGER_MS = 86_400_000  # a device without a registry row counts if heard within a day


class Mark(msgspec.Struct, frozen=True):
    """One device as a page shows it. `time_ms` is its newest reading's, 0 before the first.

    `id` is the device's name; a gateway's is `gateway/<name>`, which no device can be called.
    """

    id: str
    name: str
    kind: str
    label: str
    site: str
    zone: str
    gateway: str
    latitude: float | None
    longitude: float | None
    state: State
    time_ms: int
    fields: dict[str, Value]


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

    `read_ms` is when (city time) the store last answered; `away` says that it doesn't now. `news`
    is False for a patch that says nothing but the time.
    """

    now_ms: int
    read_ms: int
    away: bool = False
    marks: list[Mark] = []
    readings: list[Seen] = []
    tiles: list[Tile] | None = None
    trend: Trend | None = None
    news: bool = False


class Device:
    """What is known of one device."""

    def __init__(self, id_: str, kind: str, row: Row) -> None:
        self.id, self.kind = id_, kind
        self.tags = row.tags
        self.label = ""
        self.latitude: float | None = None
        self.longitude: float | None = None
        self.expiry_s = default_expiry_s(kind)
        self.maintenance = False
        self.registered_ms = 0
        self.fields: dict[str, Timed] = {}
        self.time_ms = 0
        self.state = State.UNKNOWN
        self.until_ms = 0

    def register(self, row: Row) -> bool:
        """Take what the registry says; False when it is older than what is known."""
        if row.time_ms < self.registered_ms:
            return False
        fields = row.fields
        self.registered_ms, self.tags = row.time_ms, row.tags
        self.label = str(fields.get("label", ""))
        self.latitude, self.longitude = _number(fields, "latitude"), _number(fields, "longitude")
        expiry_s = _number(fields, "expiry_s")
        if expiry_s and self.kind != GATEWAY:
            self.expiry_s = expiry_s
        self.maintenance = fields.get("maintenance") == 1
        return True

    def take(self, time_ms: int, fields: dict[str, Value]) -> None:
        """Merge a reading: each field keeps its newest value."""
        for name, value in fields.items():
            known = self.fields.get(name)
            if known is None or time_ms >= known.time_ms:
                self.fields[name] = Timed(value, time_ms)
        self.time_ms = max(self.time_ms, time_ms)

    def judge(self, now_ms: int) -> bool:
        """Decide the state anew; whether it changed."""
        before = self.state
        self.state = self.state_at(now_ms)
        self.until_ms = holds_until_ms(self.fields, expiry_s=self.expiry_s, now_ms=now_ms)
        return self.state is not before

    def state_at(self, now_ms: int, fields: dict[str, Timed] | None = None) -> State:
        """The state that `fields` (its own by default) have at that time."""
        return state_of(
            self.kind,
            self.fields if fields is None else fields,
            expiry_s=self.expiry_s,
            now_ms=now_ms,
            maintenance=self.maintenance,
        )

    @property
    def name(self) -> str:
        return self.tags["device"]

    @property
    def site(self) -> str:
        return self.tags.get("site", "")

    @property
    def mark(self) -> Mark:
        return Mark(
            id=self.id,
            name=self.name,
            kind=self.kind,
            label=self.label or self.name,
            site=self.site,
            zone=self.tags.get("zone", ""),
            gateway=self.tags.get("gateway", ""),
            latitude=self.latitude,
            longitude=self.longitude,
            state=self.state,
            time_ms=self.time_ms,
            fields={field: timed.value for field, timed in sorted(self.fields.items())},
        )


class Board:
    """The city in memory. `apply` what the store gives, `tick` with the clock, then `patch`."""

    def __init__(self) -> None:
        self.devices: dict[str, Device] = {}
        self.read_ms = 0
        self.away = False
        self._readings: deque[Seen] = deque(maxlen=READINGS_SHOWN)
        self._shown: OrderedDict[tuple[str, int], None] = OrderedDict()
        self._arrived = 0
        self._dirty: set[str] = set()
        self._fresh_readings: list[Seen] = []
        self._tiles: list[Tile] = []
        self.trend = Trend()
        self._told: tuple[bool, Trend] = (False, self.trend)

    def apply(self, changes: Iterable[Change], now_ms: int) -> None:
        """Take changes in; the registry's come first, so that readings find their expiry."""
        ordered = sorted(changes, key=lambda change: change.kind != DEVICE_REGISTRY.name)
        for change in ordered:
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

    def tick(self, now_ms: int) -> None:
        """Let expire what is due."""
        for device in self.devices.values():
            if device.until_ms < now_ms and device.judge(now_ms):
                self._dirty.add(device.id)

    def take_trend(self, trend: Trend) -> None:
        """Show another trend."""
        self.trend = trend

    def patch(self, now_ms: int) -> Patch:
        """What is new since the last patch."""
        self.tick(now_ms)
        marks = [self.devices[id_].mark for id_ in sorted(self._dirty)]
        readings = self._fresh_readings[-READINGS_SHOWN:]
        shown = tiles(self.devices.values(), now_ms)
        away, trend = self._told
        patch = Patch(
            now_ms=now_ms,
            read_ms=self.read_ms,
            away=self.away,
            marks=marks,
            readings=readings,
            tiles=shown if shown != self._tiles else None,
            trend=self.trend if self.trend is not trend else None,
            news=bool(marks or readings or shown != self._tiles)
            or (away, trend) != (self.away, self.trend),
        )
        self._tiles, self._fresh_readings, self._dirty = shown, [], set()
        self._told = (self.away, self.trend)
        return patch

    def snapshot(self, now_ms: int) -> Patch:
        """Everything, for a page that opens; takes nothing from the next patch."""
        self.tick(now_ms)
        return Patch(
            now_ms=now_ms,
            read_ms=self.read_ms,
            away=self.away,
            marks=[device.mark for _, device in sorted(self.devices.items())],
            readings=list(self._readings),
            tiles=tiles(self.devices.values(), now_ms),
            trend=self.trend,
        )

    def _device(self, id_: str, kind: str, row: Row) -> Device:
        if id_ not in self.devices:
            self.devices[id_] = Device(id_, kind, row)
        return self.devices[id_]

    def _register(self, row: Row, now_ms: int) -> None:
        kind = str(row.fields.get("kind", ""))
        if kind not in KINDS and kind != GATEWAY:
            return
        name = row.tags["device"]
        id_ = f"{GATEWAY}/{name}" if kind == GATEWAY else name
        known = self.devices.get(id_)
        if known is not None and known.kind != kind and row.time_ms >= known.registered_ms:
            del self.devices[id_]  # the name now stands for another sort of thing
        device = self._device(id_, kind, row)
        if device.kind == kind and device.register(row):
            device.judge(now_ms)
            self._dirty.add(id_)

    def _hear_gateway(self, row: Row, fields: dict[str, Value], now_ms: int) -> None:
        name = row.tags["gateway"]
        device = self._device(f"{GATEWAY}/{name}", GATEWAY, row)
        if not device.registered_ms:
            device.tags = {**row.tags, "device": name}
        device.take(row.time_ms, fields)
        device.judge(now_ms)
        self._dirty.add(device.id)

    def _hear(self, kind: str, row: Row, now_ms: int) -> None:
        name = row.tags["device"]
        if name not in self.devices and now_ms - row.time_ms > _STRANGER_MS:
            return
        device = self._device(name, kind, row)
        if device.kind != kind:
            return
        self._note(device, row)
        if row.time_ms - now_ms > device.expiry_s * 1000:
            return  # a clock that runs ahead must not hide what comes after it
        device.take(row.time_ms, row.fields)
        device.judge(now_ms)
        self._dirty.add(name)

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


def _number(fields: dict[str, Value], name: str) -> float | None:
    value = fields.get(name)
    return None if value is None or isinstance(value, str) else float(value)
