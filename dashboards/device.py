"""What is known of one device, and how pages show it. No IO and no clock.

A field is replaced only by a reading that isn't older, so late data never covers newer data.
"""

from __future__ import annotations

import msgspec

from dashboards.states import GATEWAY, State, Timed, default_expiry_s, holds_until_ms, state_of
from devices.reading import Value
from ingest.stores import Row


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
        self._mark: Mark | None = None

    def register(self, row: Row) -> bool:
        """Take what the registry says, unless it is older than what is known; whether it is new."""
        if row.time_ms < self.registered_ms:
            return False
        fields, before = row.fields, self._registered
        self.registered_ms, self.tags = row.time_ms, row.tags
        self.label = str(fields.get("label", ""))
        self.latitude, self.longitude = _number(fields, "latitude"), _number(fields, "longitude")
        expiry_s = _number(fields, "expiry_s")
        if expiry_s and self.kind != GATEWAY:
            self.expiry_s = expiry_s
        self.maintenance = fields.get("maintenance") == 1
        return self._registered != before

    def has(self, row: Row) -> bool:
        """Whether this reading is what is known already."""
        return all(
            self.fields.get(name) == Timed(value, row.time_ms) for name, value in row.fields.items()
        )

    def take(self, time_ms: int, fields: dict[str, Value]) -> bool:
        """Merge a reading: each field keeps its newest value. Whether anything is new."""
        news = False
        for name, value in fields.items():
            known, timed = self.fields.get(name), Timed(value, time_ms)
            if known is None or (time_ms >= known.time_ms and timed != known):
                self.fields[name] = timed
                news = True
        self.time_ms = max(self.time_ms, time_ms)
        return news

    def judge(self, now_ms: int) -> bool:
        """Decide the state anew, after any change; whether it is another."""
        before = self.state
        self.state = self.state_at(now_ms)
        self.until_ms = holds_until_ms(self.fields, expiry_s=self.expiry_s, now_ms=now_ms)
        self._mark = None
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
        """As pages show it, made once for each change."""
        if self._mark is None:
            self._mark = self._draw()
        return self._mark

    @property
    def _registered(self) -> tuple[object, ...]:
        place = self.latitude, self.longitude
        return self.tags, self.label, place, self.expiry_s, self.maintenance

    def _draw(self) -> Mark:
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


def _number(fields: dict[str, Value], name: str) -> float | None:
    value = fields.get(name)
    return None if value is None or isinstance(value, str) else float(value)
