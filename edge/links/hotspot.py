"""One WiFi corner: ask its access point, and try for ourselves what its visitors get.

In: an access point's answers (`openwrt.py`, `routeros.py`, `snmp.py`), and the gateway's own probes
of latency, DNS and portal. Out: to the sink, one payload a poll interval, as the access point's
driver reads it; OpenWrt's:

    {"clients": …, "status": …, "device": …, "system": …, "probe": {…}}

A part that didn't answer is null. All parts null means the access point is down; one that answers
but refuses the account gives an empty part, since it is up, and a refusal beside the payload.

The answers hold visitors' MAC addresses. They pass through as bytes that nobody here decodes, to
the driver that counts them: no log, no error, no counter of ours can name one.
"""

from __future__ import annotations

import asyncio

import msgspec

from devices.reading import Payload, Refusal
from edge.link_settings import WifiCorner
from edge.links import Sink
from edge.links.access_point import IT_ANSWERED, AccessPoint, AccountRefused, NoAnswer
from edge.links.health import Health, sleep_until
from edge.links.probes import RoundTrips, lookup_ms, portal, round_trips
from wire.clock import Clock
from wire.messages import LinkStatus

POLL_S_MIN = 0.05  # wall: however fast the city's time runs, an access point isn't flooded
DECIMALS = 3


class HotspotWatch:
    """A link with one access point."""

    def __init__(
        self,
        settings: WifiCorner,
        point: AccessPoint,
        device: str,
        poll_interval_s: float,
        sink: Sink,
        clock: Clock,
    ) -> None:
        self._settings, self._point, self._device = settings, point, device
        self._interval_s = poll_interval_s
        self._sink, self._clock = sink, clock
        self._health = Health(settings.name)
        self._due_s = 0.0  # city uptime

    @property
    def name(self) -> str:
        return self._health.name

    async def run(self) -> None:
        """Serve until cancelled."""
        self._due_s = self._clock.uptime_s()
        while True:
            await self._poll()
            self._due_s = max(self._due_s + self._interval_s, self._clock.uptime_s())
            await self._clock.pause(POLL_S_MIN)
            await sleep_until(self._clock, lambda: self._due_s)

    def ask_soon(self, device: str) -> None:
        """As soon as nothing is being asked."""
        self._due_s = self._clock.uptime_s()

    def set_interval(self, device: str, seconds: float) -> None:
        """From now on."""
        self._interval_s = seconds
        self._due_s = min(self._due_s, self._clock.uptime_s() + seconds)

    def status(self) -> LinkStatus:
        return self._health.status()

    async def _poll(self) -> None:
        async with asyncio.TaskGroup() as group:
            parts = group.create_task(self._access_point())
            trips = group.create_task(self._round_trips())
            dns_ms = group.create_task(self._dns_ms())
            seen = group.create_task(self._portal())
        probe = {
            "latency_ms": _rounded(trips.result().latency_ms),
            "loss_ratio": _rounded(trips.result().loss_ratio),
            "dns_ms": _rounded(dns_ms.result()),
            "portal": seen.result(),
        }
        whole = {name: parts.result().get(name) for name in self._point.parts}
        self._sink.polled(self._device, Payload(msgspec.json.encode(whole | {"probe": probe})))

    async def _access_point(self) -> dict[str, msgspec.Raw]:
        """What it answered before the deadline, by part."""
        parts: dict[str, msgspec.Raw] = {}
        deadline = self._clock.monotonic() + self._settings.timeout_s
        try:
            await self._point.ask(parts, deadline)
        except AccountRefused as error:
            parts.setdefault(self._point.parts[0], IT_ANSWERED)
            self._health.down(f"{self._point.where}: {error}")
            self._health.count(Refusal.ACCOUNT)
            self._sink.refused(self._device, Refusal.ACCOUNT)
        except NoAnswer as error:
            self._health.down(f"{self._point.where}: {error}")
            self._health.count("no_answer")
        else:
            self._health.up()
        return parts

    async def _round_trips(self) -> RoundTrips:
        asked = self._settings
        if not asked.probe_connect or asked.probe_count < 1:
            return RoundTrips()
        return await round_trips(
            asked.probe_connect, asked.probe_count, asked.timeout_s, self._clock
        )

    async def _dns_ms(self) -> float | None:
        asked = self._settings
        if not asked.probe_name:
            return None
        server = asked.probe_dns_server
        return await lookup_ms(asked.probe_name, server, asked.timeout_s, self._clock)

    async def _portal(self) -> str | None:
        asked = self._settings
        if not asked.probe_portal_url:
            return None
        return await portal(asked.probe_portal_url, asked.timeout_s)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DECIMALS)
