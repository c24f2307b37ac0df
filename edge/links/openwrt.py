"""An OpenWrt access point: a few questions over ubus, as the `openwrt_ap` driver reads them.

Of several radios each is asked; the parts `clients` and `status` are then lists of what answered.
"""

from __future__ import annotations

import msgspec

from edge.link_settings import Hotspot
from edge.links.access_point import Account, AccountRefused
from edge.links.http import Trust
from edge.links.ubus import Ubus
from wire.clock import Clock

REMEDY = "see rpcd's ACL and password"


class OpenWrt:
    """An `AccessPoint`."""

    parts = ("status", "clients", "device", "system")

    def __init__(self, settings: Hotspot, clock: Clock) -> None:
        self.where = settings.url
        self._account = Account(settings.password_file, f"link.{settings.name}.password_file")
        trust = Trust(settings.ca_file, settings.fingerprint)
        self._ubus = Ubus(settings.url, settings.username, clock, trust)
        named = settings.interface
        self._radios = (named,) if isinstance(named, str) else named
        hostapd = [f"hostapd.{radio}" for radio in self._radios]
        self._questions: tuple[tuple[str, str, str, dict[str, str]], ...] = (
            *(("clients", name, "get_clients", {}) for name in hostapd),
            *(("status", name, "get_status", {}) for name in hostapd),
            ("device", "network.device", "status", {"name": settings.network_device}),
            ("system", "system", "info", {}),
        )

    async def ask(self, parts: dict[str, msgspec.Raw], deadline: float) -> None:
        """Ask all questions; once more from the start when a session of before is over."""
        for fresh in (not self._ubus.has_session, True):
            try:
                await self._ubus.log_in(self._account.secret(), deadline)
            except AccountRefused as error:
                raise AccountRefused(f"{error}; {REMEDY}") from error
            refused = await self._ask(parts, deadline)
            if refused is None:
                return
            self._ubus.log_out()
            if fresh:
                raise AccountRefused(f"{refused}; {REMEDY}")

    async def _ask(self, parts: dict[str, msgspec.Raw], deadline: float) -> AccountRefused | None:
        """Every question once; what the account may not ask, if anything."""
        refused: AccountRefused | None = None
        radios: dict[str, list[bytes]] = {"clients": [], "status": []}
        for part, name, method, arguments in self._questions:
            try:
                answer = await self._ubus.call(name, method, arguments, deadline)
            except AccountRefused as error:
                refused = error
                continue
            if answer is None:
                continue
            if part in radios and len(self._radios) > 1:
                radios[part].append(bytes(answer))
                parts[part] = msgspec.Raw(b"[" + b",".join(radios[part]) + b"]")
            else:
                parts[part] = answer
        return refused
