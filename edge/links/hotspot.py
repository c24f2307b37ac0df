"""One WiFi corner: ask its access point, and try for ourselves what its visitors get.

In: ubus answers of an OpenWrt access point, and the gateway's own probes of latency, DNS and
portal. Out: to the sink, one payload a poll interval, as the `openwrt_ap` driver reads it:

    {"clients": …, "status": …, "device": …, "system": …, "probe": {…}}

A part that didn't answer is null. All parts null means the access point is down; one that answers
but refuses the account gives an empty `status`, since it is up, and a refusal beside the payload.

The answers hold visitors' MAC addresses. They pass through as bytes that nobody here decodes, to
the driver that counts them: no log, no error, no counter of ours can name one.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from devices.reading import Payload, Refusal
from edge.link_settings import Hotspot
from edge.links import Sink
from edge.links.health import Health
from edge.links.probes import RoundTrips, lookup_ms, portal, round_trips
from edge.links.ubus import AccountRefused, NoAnswer, Ubus
from wire.clock import Clock
from wire.messages import LinkStatus

POLL_S_MIN = 0.05  # wall: however fast the city's time runs, an access point isn't flooded
IT_ANSWERED = msgspec.Raw(b"{}")
DECIMALS = 3


class HotspotWatch:
    """A link with one access point."""

    def __init__(
        self, settings: Hotspot, device: str, poll_interval_s: float, sink: Sink, clock: Clock
    ) -> None:
        self._settings, self._device = settings, device
        self._interval_s = poll_interval_s
        self._sink, self._clock = sink, clock
        self._health = Health(settings.name)
        self._ubus = Ubus(settings.url, settings.username, clock)
        hostapd = f"hostapd.{settings.interface}"
        self._questions: tuple[tuple[str, str, str, dict[str, str]], ...] = (
            ("clients", hostapd, "get_clients", {}),
            ("status", hostapd, "get_status", {}),
            ("device", "network.device", "status", {"name": settings.network_device}),
            ("system", "system", "info", {}),
        )

    @property
    def name(self) -> str:
        return self._health.name

    async def run(self) -> None:
        """Serve until cancelled."""
        due_s = self._clock.uptime_s()
        while True:
            await self._poll()
            due_s = max(due_s + self._interval_s, self._clock.uptime_s())
            await self._clock.pause(POLL_S_MIN)
            await self._clock.sleep(max(0.0, due_s - self._clock.uptime_s()))

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
        whole = {name: parts.result().get(name) for name, *_ in self._questions}
        self._sink.polled(self._device, Payload(msgspec.json.encode(whole | {"probe": probe})))

    async def _access_point(self) -> dict[str, msgspec.Raw]:
        """What it answered before the deadline, by part."""
        parts: dict[str, msgspec.Raw] = {}
        deadline = self._clock.monotonic() + self._settings.timeout_s
        try:
            await self._ask(parts, deadline)
        except AccountRefused as error:
            parts.setdefault("status", IT_ANSWERED)
            self._ubus.log_out()
            self._health.down(f"{self._settings.url}: {error}; see rpcd's ACL and password")
            self._health.count(Refusal.ACCOUNT)
            self._sink.refused(self._device, Refusal.ACCOUNT)
        except NoAnswer as error:
            self._health.down(f"{self._settings.url}: {error}")
            self._health.count("no_answer")
        else:
            self._health.up()
        return parts

    async def _ask(self, parts: dict[str, msgspec.Raw], deadline: float) -> None:
        """Ask all questions; once more from the start when a session of before is over."""
        for fresh in (not self._ubus.has_session, True):
            await self._ubus.log_in(_password(self._settings.password_file), deadline)
            refused: AccountRefused | None = None
            for part, name, method, arguments in self._questions:
                try:
                    answer = await self._ubus.call(name, method, arguments, deadline)
                except AccountRefused as error:
                    refused = error
                else:
                    if answer is not None:
                        parts[part] = answer
            if refused is None:
                return
            if fresh:
                raise refused
            self._ubus.log_out()

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


def _password(file: str) -> str:
    """The password in the file, its last line break left out; read at each log-in.

    Raises:
        AccountRefused: the file can't be read.
    """
    if not file:
        return ""
    try:
        return Path(file).read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise AccountRefused(f"{file} can't be read") from error
