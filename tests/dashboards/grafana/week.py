"""A week of the simulated city, as truth and as what the line leaves in the database.

Truth is the list of readings. Everything that the panels show is computed from it again here, by
hand and slowly: what a device shows at a moment, what an hour's mean is. The database gets the same
readings as lines, the hours and zones from our own code, and the watch's points for the cases:

* `bin-05` and `bay-07` have been silent for eight hours, `bay-03` is in maintenance;
* the second gateway was away for two hours yesterday, and has been for twenty minutes now.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property

import msgspec

from dashboards.states import Timed
from dashboards.zones import see
from devices.kinds import KINDS
from devices.reading import Value
from ingest.health import point
from ingest.rollup import hour_lines
from ingest.stores import Bucket, Row
from ingest.stores.kinds import GATEWAY_COMPLETENESS, ROLLED_UP_KINDS, STORED_KINDS
from simulators.city import City
from simulators.world import World
from wire.line import format_fields
from wire.messages import Inventory, InventoryDevice, Place

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
WEEK_MS = 7 * DAY_MS
CLOSE_MS = 36 * HOUR_MS
"""So long before now the watch's points stand a minute apart, earlier ten."""

BAY, BIN, WIFI = "parking_spot", "waste_container", "wifi_access_point"
HEARTBEAT_MS = {BAY: 600_000, BIN: 900_000, WIFI: 60_000}
SILENT, CLOSED = ("bin-05", "bay-07"), ("bay-03",)
SILENT_MS = 8 * HOUR_MS
AWAY_MS = ((30 * HOUR_MS, 28 * HOUR_MS), (20 * MINUTE_MS, 0))


class Device(msgspec.Struct, frozen=True):
    """One device and where it is."""

    name: str
    kind: str
    gateway: str
    site: str
    zone: str
    label: str
    latitude: float
    longitude: float

    @property
    def expiry_s(self) -> float:
        return HEARTBEAT_MS[self.kind] / 1000 * 2.5 + 60


class Reading(msgspec.Struct, frozen=True):
    """One row of truth."""

    device: Device
    time_ms: int
    fields: dict[str, Value]


class Week:
    """Seven days up to `now_ms`, a whole minute."""

    def __init__(self, seed: int, now_ms: int) -> None:
        self.now_ms = now_ms - now_ms % MINUTE_MS
        self.start_ms = self.now_ms - WEEK_MS + HOUR_MS  # nothing that retention takes meanwhile
        self.city = City.demo(seed)
        self.world = World(self.city, self.start_ms)
        self.random = random.Random(f"grafana {seed}")
        self.devices = list(self._devices())
        self.gateways = [gateway.name for gateway in self.city.gateways]
        self.site_of = {gateway.name: gateway.site.name for gateway in self.city.gateways}

    def _devices(self) -> Iterator[Device]:
        for gateway in self.city.gateways:
            of_kind = ((BAY, gateway.bays), (BIN, gateway.bins), (WIFI, gateway.corners))
            for kind, things in of_kind:
                for thing in things:
                    place = thing.place
                    yield Device(
                        thing.name,
                        kind,
                        gateway.name,
                        gateway.site.name,
                        thing.zone.name,
                        thing.name.upper(),
                        place.latitude,
                        place.longitude,
                    )

    def is_away(self, gateway: str, time_ms: int) -> bool:
        """Whether the second gateway was offline then."""
        ago = self.now_ms - time_ms
        return gateway == self.gateways[1] and any(end <= ago < begin for begin, end in AWAY_MS)

    @cached_property
    def readings(self) -> dict[str, list[Reading]]:
        """Device → what it said and what arrived, in order."""
        return {device.name: list(self._said(device)) for device in self.devices}

    def _said(self, device: Device) -> Iterator[Reading]:
        step = HEARTBEAT_MS[device.kind]
        first = self.start_ms + self.random.randrange(step)
        times = set(range(first, self.now_ms, step))
        if device.kind == BAY:
            changes = self.world.bay(device.name).changes(self.start_ms, self.now_ms)
            times |= {time_ms for time_ms, _ in changes}
        until = self.now_ms - SILENT_MS if device.name in SILENT else self.now_ms
        for count, time_ms in enumerate(sorted(times)):
            if time_ms < until and not self.is_away(device.gateway, time_ms):
                yield Reading(device, time_ms, self._fields(device, time_ms, count))

    def _fields(self, device: Device, time_ms: int, count: int) -> dict[str, Value]:
        radio: dict[str, Value] = {
            "battery_v": 3.6 - count % 50 / 1000,
            "rssi_dbm": float(-80 - count % 40),
            "snr_db": count % 12 - 4.0,
            "spreading_factor": 7 + count % 6,
            "gateways_heard": 1 + count % 3,
        }
        if device.kind == BAY:
            bay = self.world.bay(device.name)
            quality: dict[str, Value] = {"quality": "ok"}
            return radio | quality | {"occupied": bay.occupied(time_ms)}
        if device.kind == BIN:
            bin_ = self.world.bin(device.name)
            return radio | {
                "quality": "ok",
                "filling_level": round(min(1.0, bin_.fill(time_ms)), 4),
                "status": bin_.status(time_ms),
                "temperature_c": round(bin_.temperature_c(time_ms), 1),
            }
        corner = self.world.corner(device.name)
        up = corner.is_up(time_ms)
        told: dict[str, Value] = {"up": int(up), "portal": corner.portal(time_ms)}
        if up:
            received, sent = corner.traffic(time_ms)
            told |= {
                "clients": corner.clients(time_ms),
                "rx_bytes": received,
                "tx_bytes": sent,
                "latency_ms": round(corner.latency_ms(time_ms), 2),
                "loss_ratio": (count % 20) / 100,
                "channel_utilization": round(corner.channel_utilization(time_ms), 3),
            }
        return told

    # What the readings mean, by hand.

    @cached_property
    def _times(self) -> dict[str, list[int]]:
        return {name: [one.time_ms for one in said] for name, said in self.readings.items()}

    def newest(self, name: str, time_ms: int, field: str = "") -> Reading | None:
        """The last reading by then (that has the field)."""
        said = self.readings[name]
        for index in range(bisect_right(self._times[name], time_ms) - 1, -1, -1):
            if not field or field in said[index].fields:
                return said[index]
        return None

    def age_s(self, device: Device, time_ms: int) -> float:
        last = self.newest(device.name, time_ms)
        return 1e9 if last is None else (time_ms - last.time_ms) / 1000

    def fresh(self, device: Device, time_ms: int, field: str) -> Value | None:
        last = self.newest(device.name, time_ms, field)
        if last is None or time_ms - last.time_ms > device.expiry_s * 1000:
            return None
        return last.fields[field]

    def shows(self, device: Device, time_ms: int) -> str:
        """What an operator is told, decided here from the readings alone."""
        if device.kind == BIN and self.fresh(device, time_ms, "status") == "burning":
            return "burning"
        if device.name in CLOSED:
            return "closed"
        if device.kind == BAY:
            taken = self.fresh(device, time_ms, "occupied")
            return "unknown" if taken is None else ("free", "occupied")[int(taken)]
        if device.kind == BIN:
            status = self.fresh(device, time_ms, "status")
            if status in ("lid_open", "moved"):
                return str(status)
            level = self.fresh(device, time_ms, "filling_level")
            if level is None:
                return "unknown"
            full, filling = float(level) > 0.85, float(level) >= 0.7
            return "full" if full else "filling" if filling else "ok"
        if self.fresh(device, time_ms, "up") is None:
            return "unknown"
        if self.fresh(device, time_ms, "up") == 0:
            return "ap_down"
        return "portal_down" if self.fresh(device, time_ms, "portal") == "down" else "up"

    def of(self, kind: str, **place: str) -> list[Device]:
        """The devices of a kind at a place."""
        return [
            device
            for device in self.devices
            if device.kind == kind
            and all(getattr(device, key) == value for key, value in place.items())
        ]

    def count(self, kind: str, state: str, time_ms: int, **place: str) -> int:
        """How many devices show that."""
        return sum(self.shows(device, time_ms) == state for device in self.of(kind, **place))

    def clients(self, time_ms: int, **place: str) -> int:
        """People at corners, as far as what was said may still be believed."""
        said = [self.fresh(device, time_ms, "clients") for device in self.of(WIFI, **place)]
        return sum(int(value) for value in said if value is not None)

    def hour(self, device: Device, field: str, start_ms: int) -> tuple[float, float, float] | None:
        """Mean by time, lowest and highest of an hour; what was known before it counts in for an
        hour at most."""
        said = [
            (one.time_ms, float(one.fields[field]))
            for one in self.readings[device.name]
            if field in one.fields and start_ms - HOUR_MS <= one.time_ms < start_ms + HOUR_MS
        ]
        own = [value for time_ms, value in said if time_ms >= start_ms]
        if not own:
            return None
        weighed = weight = 0.0
        for (time_ms, value), (after_ms, _) in zip(
            said, [*said[1:], (start_ms + HOUR_MS, 0.0)], strict=True
        ):
            holds = min(after_ms, time_ms + HOUR_MS) - max(time_ms, start_ms)
            if holds > 0:
                weighed, weight = weighed + value * holds, weight + holds
        mean = weighed / weight
        return mean, min(*own, mean), max(*own, mean)

    # What the line leaves in the database.

    def minutes(self) -> list[int]:
        """When the watch wrote."""
        close = self.now_ms - CLOSE_MS
        far = range(self.start_ms - self.start_ms % MINUTE_MS + MINUTE_MS, close, 10 * MINUTE_MS)
        return [*far, *range(close, self.now_ms + 1, MINUTE_MS)]

    def lines(self) -> dict[Bucket, list[str]]:
        """Bucket → its lines."""
        return {
            Bucket.CITY: [*self._reading_lines(), *self._batch_lines()],
            Bucket.HOURLY: [*self._hour_lines(), *self._completeness_lines()],
            Bucket.HEALTH: [*self._registry_lines(), *self._watch_lines(), *self._cloud_lines()],
        }

    def _reading_lines(self) -> Iterator[str]:
        for device in self.devices:
            kind = KINDS[device.kind]
            head = (
                f"{device.kind},device={device.name},gateway={device.gateway},site={device.site},"
                f"zone={device.zone}"
            )
            for one in self.readings[device.name]:
                yield f"{head} {format_fields(kind, one.fields)} {one.time_ms}"

    def _hour_lines(self) -> Iterator[str]:
        """Through our own roll-up."""
        hours: defaultdict[tuple[str, int], list[Row]] = defaultdict(list)
        for device in self.devices:
            tags = {
                "device": device.name,
                "gateway": device.gateway,
                "site": device.site,
                "zone": device.zone,
            }
            for one in self.readings[device.name]:
                row = Row(one.time_ms, tags, one.fields)
                hour_ms = one.time_ms - one.time_ms % HOUR_MS
                hours[device.kind, hour_ms].append(row)
                hours[device.kind, hour_ms + HOUR_MS].append(row)
        for (kind, hour_ms), rows in sorted(hours.items()):
            if hour_ms + HOUR_MS <= self.now_ms:
                yield from hour_lines(KINDS[kind], rows, hour_ms)

    def _place(self, device: Device) -> tuple[str, str, str, str]:
        return device.name, device.gateway, device.site, device.zone

    def inventories(self) -> dict[str, Inventory]:
        return {
            name: Inventory(
                name,
                self.site_of[name],
                60.0,
                tuple(
                    InventoryDevice(
                        device.name,
                        device.kind,
                        "x",
                        device.zone,
                        HEARTBEAT_MS[device.kind] / 1000,
                        device.expiry_s,
                        Place(device.latitude, device.longitude),
                        device.label,
                        device.name in CLOSED,
                    )
                    for device in self.devices
                    if device.gateway == name
                ),
            )
            for name in self.gateways
        }

    def _registry_lines(self) -> Iterator[str]:
        kind = STORED_KINDS["device_registry"]
        for hour_ms in range(self.now_ms - 2 * DAY_MS, self.now_ms, HOUR_MS):
            for device in self.devices:
                fields: dict[str, Value] = {
                    "kind": device.kind,
                    "label": device.label,
                    "latitude": device.latitude,
                    "longitude": device.longitude,
                }
                yield point(kind, self._place(device), fields, hour_ms)
            for number, gateway in enumerate(self.gateways):
                where = (gateway, gateway, self.site_of[gateway], "main")
                fields = {
                    "kind": "gateway",
                    "label": f"Gateway {number}",
                    "latitude": 5.5 + number,
                    "longitude": 95.3,
                }
                yield point(kind, where, fields, hour_ms)

    def _watch_lines(self) -> Iterator[str]:
        inventories, said = self.inventories(), dict[str, dict[str, Timed]]()
        waiting = {name: iter(each) for name, each in self.readings.items()}
        ahead = {name: next(each, None) for name, each in waiting.items()}
        kind = STORED_KINDS["device_health"]
        for minute_ms in self.minutes():
            for name in ahead:
                while (one := ahead[name]) is not None and one.time_ms <= minute_ms:
                    known = said.setdefault(name, {})
                    known.update({f: Timed(v, one.time_ms) for f, v in one.fields.items()})
                    ahead[name] = next(waiting[name], None)
            seen = see(inventories, said, minute_ms)
            yield from seen.lines
            for device in self.devices:
                fields: dict[str, Value] = {
                    "age_s": round(self.age_s(device, minute_ms), 3),
                    "state": self.heard(device, minute_ms),
                    "kind": device.kind,
                    "shows": seen.shows[device.name],
                }
                yield point(kind, self._place(device), fields, minute_ms)
            for gateway in self.gateways:
                where = (gateway, gateway, self.site_of[gateway], "main")
                fields = self.gateway_fields(gateway, minute_ms)
                yield point(STORED_KINDS["gateway_health"], where, fields, minute_ms)

    def heard(self, device: Device, time_ms: int) -> str:
        """What the watch says of the device's age."""
        if device.name in CLOSED:
            return "maintenance"
        if self.age_s(device, time_ms) <= device.expiry_s:
            return "ok"
        return "gateway_offline" if self.is_away(device.gateway, time_ms) else "silent"

    def gateway_fields(self, gateway: str, time_ms: int) -> dict[str, Value]:
        """A gateway's minute: made up, and counted on."""
        nth, minute = self.gateways.index(gateway), time_ms // MINUTE_MS
        away = self.is_away(gateway, time_ms)
        return {
            "online": int(not away),
            "age_s": 600.0 if away else 12.0,
            "waiting": minute % 50 + 10 * nth,
            "oldest_waiting_s": float(minute % 90 + 30 * nth),
            "refused": minute // 3 - minute // 3 % 2,
            "rejected": 4 * nth,
            "dropped": 7 * nth,
            "outbox_share": round((minute % 60) / 100 + nth / 10, 3),
            "link_error_share": round((minute % 7) / 100, 3),
        }

    def _batch_lines(self) -> Iterator[str]:
        for gateway in self.gateways:
            where = (gateway, gateway, self.site_of[gateway], "main")
            for time_ms in range(self.now_ms - DAY_MS, self.now_ms, MINUTE_MS):
                fields: dict[str, Value] = {"lag_ms": self.lag_ms(gateway, time_ms)}
                yield point(STORED_KINDS["gateway_batch"], where, fields, time_ms + 1_000)

    def lag_ms(self, gateway: str, time_ms: int) -> int:
        return 200 + time_ms // MINUTE_MS % 300 + 50 * self.gateways.index(gateway)

    def days(self) -> list[int]:
        """Starts of the days that completeness is counted for."""
        today = self.now_ms - self.now_ms % DAY_MS
        return [today - day * DAY_MS for day in range(6, -1, -1)]

    def completeness(self, gateway: str, day_ms: int) -> dict[str, Value]:
        nth = day_ms // DAY_MS % 5 + self.gateways.index(gateway)
        return {
            "share": 1 - nth / 1000,
            "missing": nth,
            "waiting": 0,
            "why": "unexplained",
            "radio_share": 0.99 - nth / 100,
        }

    def _completeness_lines(self) -> Iterator[str]:
        for gateway in self.gateways:
            where = (gateway, gateway, self.site_of[gateway], "main")
            for day_ms in self.days():
                fields = self.completeness(gateway, day_ms)
                yield point(GATEWAY_COMPLETENESS, where, fields, day_ms)
        change = ROLLED_UP_KINDS["rule_change"]
        gateway = self.gateways[1]
        places = {device.name: self._place(device) for device in self.devices}
        places[gateway] = (gateway, gateway, self.site_of[gateway], "main")
        back = ("gateway_offline", "clears", gateway, AWAY_MS[0][1])
        for rule, became, name, ago_ms in (*CHANGES, back):
            fields = {"rule": rule, "became": became, "at_ms": self.now_ms - ago_ms}
            yield point(change, places[name], fields, self.now_ms - ago_ms)

    def _cloud_lines(self) -> Iterator[str]:
        for time_ms in range(self.now_ms - DAY_MS, self.now_ms + 1, MINUTE_MS):
            fields: dict[str, Value] = {
                "in_hand": time_ms // MINUTE_MS % 9,
                "dead_letters_share": (time_ms // MINUTE_MS % 100) / 100,
            }
            where = ("cloud-1", "cloud-1", "cloud", "main")
            yield point(STORED_KINDS["ingestor_health"], where, fields, time_ms)
        for device, rule, level, severity in STATES:
            one = next(each for each in self.devices if each.name == device)
            fields = {
                rule: level,
                f"{rule}_since_ms": self.now_ms - HOUR_MS,
                f"{rule}_value": 0.93,
                "worst": rule if level else "none",
                "worst_level": level,
                "worst_severity": severity if level else 0,
                "worst_since_ms": self.now_ms - HOUR_MS,
            }
            # What isn't clear is told each minute; what has cleared, as 0 once.
            before = fields | {rule: 3, "worst": rule, "worst_level": 3, "worst_severity": severity}
            kind, cleared_ms = STORED_KINDS["rule_state"], self.now_ms - MINUTE_MS
            for time_ms in range(self.now_ms - HOUR_MS, self.now_ms + 1, MINUTE_MS):
                if level or time_ms <= cleared_ms:
                    told = fields if level or time_ms == cleared_ms else before
                    yield point(kind, self._place(one), told, time_ms)


STATES = (
    ("bin-03", "bin_full", 3, 2),
    ("bin-09", "bin_burning", 3, 3),
    ("bin-05", "device_silent", 2, 2),
    ("bay-09", "bay_silent", 0, 2),
)
"""Device, rule, its level now, the rule's severity."""

CHANGES = (
    ("bin_full", "fires", "bin-03", HOUR_MS),
    ("bin_burning", "incident", "bin-09", 5 * HOUR_MS),
)
"""Rule, what became of it, the device, how long ago."""


def close(one: float, other: float) -> bool:
    """Equal, as far as floats are."""
    return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-6)
