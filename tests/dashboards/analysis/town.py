"""Some days of the simulated city as its gateways tell them, with sensors' noise, and the truth.

Bins are told of by what a ranger measures, through the gateway's own meaning; bays by what a
magnetic sensor believes, some seconds late, one stay in twenty unnoticed; corners each minute.
Truth is the simulator's histories and is computed here by hand, without the code under test.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from devices.kinds import KINDS
from devices.reading import Value
from edge.meaning_level import believed_mm, level_of
from edge.mounting import Container
from ingest.health import point
from ingest.stores import Bucket, Row
from ingest.stores.kinds import DEVICE_REGISTRY
from simulators.city import Bin, City, Placed
from simulators.waste import RESIDUE
from simulators.world import World
from wire.line import format_fields

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
BAY, BIN, WIFI = "parking_spot", "waste_container", "wifi_access_point"
HEARTBEAT_MS = {BAY: 3_600_000, BIN: 900_000, WIFI: 60_000}
BEFORE_MS = 6 * HOUR_MS
"""Readings begin so long before the range, so that its first moment is known."""


class Town:
    """The demo's city in [start, stop)."""

    def __init__(self, seed: int, stop_ms: int, days: int, city: City | None = None) -> None:
        self.stop_ms = stop_ms - stop_ms % MINUTE_MS
        self.start_ms = self.stop_ms - days * DAY_MS
        self.city = city or City.demo(seed)
        self.world = World(self.city, self.start_ms - BEFORE_MS)

    def expiry_s(self, kind: str) -> float:
        return HEARTBEAT_MS[kind] / 1000 * 2.5 + 60

    def hold_ms(self, kind: str) -> int:
        return int(1000 * self.expiry_s(kind))

    # What the line leaves in a store.

    def lines(self) -> dict[Bucket, list[str]]:
        """Bucket → lines."""
        readings = [
            f"{kind},device={row.tags['device']},gateway={row.tags['gateway']},"
            f"site={row.tags['site']},zone={row.tags['zone']} "
            f"{format_fields(KINDS[kind], row.fields)} {row.time_ms}"
            for kind in (BAY, BIN, WIFI)
            for rows in self.rows[kind].values()
            for row in rows
        ]
        return {Bucket.CITY: readings, Bucket.HEALTH: list(self._registry())}

    @cached_property
    def rows(self) -> dict[str, dict[str, list[Row]]]:
        """Kind → device → what it said, as a store gives it."""
        return {
            BAY: {one.name: list(self._bay(one)) for one in self.city.bays},
            BIN: {one.name: list(self._bin(one)) for one in self.city.bins},
            WIFI: {one.name: list(self._corner(one)) for one in self.city.corners},
        }

    def tags(self, one: Placed) -> dict[str, str]:
        gateway = next(gateway for gateway in self.city.gateways if one in gateway.devices)
        site = gateway.site.name
        return {"device": one.name, "gateway": gateway.name, "site": site, "zone": one.zone.name}

    def _times(self, one: Placed, kind: str) -> range:
        step_ms = HEARTBEAT_MS[kind]
        own_ms = hash_of(one.name) % step_ms
        return range(self.start_ms - BEFORE_MS + own_ms, self.stop_ms, step_ms)

    def _bay(self, one: Placed) -> Iterator[Row]:
        sight, tags = self.world.sight(one.name), self.tags(one)
        news = sight.news(self.start_ms - BEFORE_MS, self.stop_ms - 1)
        for time_ms in sorted({*self._times(one, BAY), *news}):
            yield Row(time_ms, tags, {"occupied": sight.fields(time_ms)["occupied"]})

    def _bin(self, one: Bin) -> Iterator[Row]:
        container = Container(empty_mm=one.empty_mm, full_mm=one.full_mm, taper=one.taper)
        bin_, tags = self.world.bin(one.name), self.tags(one)
        uplinks: list[float] = []
        for time_ms in self._times(one, BIN):
            if one.dev_eui:
                uplinks = [*uplinks[-2:], bin_.burst_mm(time_ms)]
                window = tuple(uplinks)
            else:  # polled each 15 s
                window = tuple(bin_.distance_mm(time_ms - 15_000 * nth) for nth in range(5)[::-1])
            distance_mm, _ = believed_mm(window, container, polled=not one.dev_eui)
            level = round(level_of(distance_mm, container), 4)
            fields: dict[str, Value] = {"filling_level": level, "status": bin_.status(time_ms)}
            yield Row(time_ms, tags, fields)

    def _corner(self, one: Placed) -> Iterator[Row]:
        corner, tags = self.world.corner(one.name), self.tags(one)
        for time_ms in self._times(one, WIFI):
            up = corner.is_up(time_ms)
            fields: dict[str, Value] = {"up": int(up), "portal": corner.portal(time_ms)}
            yield Row(time_ms, tags, fields | ({"clients": corner.clients(time_ms)} if up else {}))

    def _registry(self) -> Iterator[str]:
        things = ((BAY, self.city.bays), (BIN, self.city.bins), (WIFI, self.city.corners))
        for kind, placed in things:
            for one in placed:
                tags = self.tags(one)
                where = (one.name, tags["gateway"], tags["site"], tags["zone"])
                fields: dict[str, Value] = {
                    "kind": kind,
                    "label": "Tempat " + one.name,
                    "latitude": one.place.latitude,
                    "longitude": one.place.longitude,
                    "expiry_s": self.expiry_s(kind),
                    "maintenance": 0,
                }
                yield point(DEVICE_REGISTRY, where, fields, self.stop_ms - 10 * MINUTE_MS)

    # What really happened.

    def emptied(self, name: str) -> list[tuple[int, float]]:
        """When the bin was emptied in the range, and how full it was."""
        found, before = [], self.world.bin(name).fill(self.start_ms)
        for time_ms, level in self.world.bin(name).levels(self.start_ms, self.stop_ms - 1):
            if level == RESIDUE and before > RESIDUE:
                found.append((time_ms, before))
            before = level
        return found

    def hours_above(self, name: str, limit: float) -> float:
        """How long the bin was that full."""
        bin_ = self.world.bin(name)
        at_ms, level, total_ms = self.start_ms, bin_.fill(self.start_ms), 0
        changes = [*bin_.levels(self.start_ms, self.stop_ms - 1), (self.stop_ms, 0.0)]
        for time_ms, after in changes:
            total_ms += time_ms - at_ms if level >= limit else 0
            at_ms, level = time_ms, after
        return total_ms / HOUR_MS

    def noticed(self, name: str) -> list[tuple[int, int, bool]]:
        """The bay's stays that its sensor noticed, which touch the range: begin, end, and whether
        all of it lies inside."""
        early_ms, late_ms = self.start_ms - 2 * DAY_MS, self.stop_ms + 2 * DAY_MS
        changes = self.world.bay(name).changes(early_ms, late_ms)
        begins = [time_ms for time_ms, value in changes if value == 1]
        ends = [time_ms for time_ms, value in changes if value == 0]
        if ends and begins and ends[0] < begins[0]:
            ends = ends[1:]
        return [
            (begin, end, self.start_ms <= begin and end < self.stop_ms)
            for begin, end in zip(begins, ends, strict=False)
            if end > self.start_ms and begin < self.stop_ms
        ]

    def taken_share(self, name: str, every_ms: int = 5 * MINUTE_MS) -> float:
        """Of the time, a vehicle really stood there, noticed or not."""
        bay = self.world.bay(name)
        moments = range(self.start_ms, self.stop_ms, every_ms)
        return sum(bay.is_taken(time_ms) for time_ms in moments) / len(moments)


def hash_of(name: str) -> int:
    """The same for a name in every run."""
    return sum(ord(char) * 31**nth for nth, char in enumerate(name))
