"""The board for outsiders: only public kinds, without gateways, judged at the moment of asking."""

from __future__ import annotations

from collections.abc import Iterable

from dashboards.device import Device
from dashboards.feed import Feed
from dashboards.opendata.configuration import OpenDataConfiguration
from dashboards.opendata.records import Record, Zone, record, utc, zones
from wire.clock import Clock

FOUND_MAX = 256


class City:
    """What `feed` knows, as the configuration lets it be seen."""

    def __init__(self, feed: Feed, settings: OpenDataConfiguration) -> None:
        self._feed, self.settings = feed, settings
        self._kinds = frozenset(settings.kinds)
        self._found: dict[tuple[str | None, ...], list[Device]] = {}  # no more than `FOUND_MAX`
        self._found_in = (-1, False)

    @property
    def clock(self) -> Clock:
        return self._feed.clock

    @property
    def away(self) -> bool:
        """Whether the store doesn't answer; what is known stays."""
        return self._feed.board.away or not self._feed.board.read_ms

    @property
    def read_ms(self) -> int:
        """When the store last answered, 0: not yet."""
        return self._feed.board.read_ms

    @property
    def version(self) -> tuple[int, bool]:
        """Another one whenever there is news."""
        return self._feed.board.number, self.away

    def device(self, name: str) -> Device | None:
        """A public device by its name."""
        found = self._feed.board.devices.get(name)
        return found if found and found.kind in self._kinds else None

    def devices(
        self, *, kind: str | None = None, site: str | None = None, zone: str | None = None
    ) -> list[Device]:
        """Public devices by name; None lets everything through. Found once until there is news."""
        if self._found_in != self.version or len(self._found) > FOUND_MAX:
            self._found_in, self._found = self.version, {}
        asked = kind, site, zone
        if asked not in self._found:
            self._found[asked] = self._find(*asked)
        return self._found[asked]

    def _find(self, kind: str | None, site: str | None, zone: str | None) -> list[Device]:
        found = (
            device
            for device in self._feed.board.devices.values()
            if device.kind in self._kinds
            and kind in (None, device.kind)
            and site in (None, device.site)
            and zone in (None, device.tags.get("zone", ""))
        )
        return sorted(found, key=lambda device: device.name)

    def records(self, devices: Iterable[Device]) -> list[Record]:
        """These devices now."""
        now_ms, step = self.clock.now_ms(), self.settings.people_step
        return [record(device, now_ms, step) for device in devices]

    def zones(self, devices: Iterable[Device]) -> list[Zone]:
        """These devices now, counted by zone."""
        return zones(devices, self.clock.now_ms(), self.settings.people_step)

    def about(self) -> dict[str, object]:
        """What is said with every answer; when the store is away, since when."""
        settings = self.settings
        said: dict[str, object] = {
            "publisher": settings.publisher,
            "licence": settings.licence,
            "licence_url": settings.licence_url,
        }
        if self.away:
            age_s = (self.clock.now_ms() - self.read_ms) // 1000 if self.read_ms else None
            said["store"] = {"away": True, "read": utc(self.read_ms), "age_s": age_s}
        return said
