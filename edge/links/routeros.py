"""A MikroTik access point: RouterOS 7's REST, as the `mikrotik_routeros` driver reads it.

    GET <url>/rest/system/resource
    GET <url>/rest/interface?name=bridge&.proplist=name,rx-byte,tx-byte
    GET <url>/rest/interface/wifi/registration-table?.proplist=interface         and its elders

Basic authentication, for a user whose group may `read` and `rest-api`. Which registration tables
there are depends on the radio's driver and on CAPsMAN: all are asked, a missing one answers
400 or 404 and is left out until the access point was away. `.proplist` keeps the stations'
addresses on the access point.
Source: help.mikrotik.com, "REST API" (paths, .proplist, queries, status codes).
"""

from __future__ import annotations

import base64
from urllib.parse import urlencode

import msgspec

from edge.link_settings import RouterOs
from edge.links.access_point import Account, AccountRefused, NoAnswer
from edge.links.http import HttpFailed, Trust, request
from wire.clock import Clock
from wire.malformed import MALFORMED

OK, UNAUTHORIZED, FORBIDDEN = 200, 401, 403
MISSING = (400, 404)
BODY_MAX = 1024 * 1024
RESOURCE = "system/resource"
TABLES = {  # and the properties that each has: only wireless says which stations are access points
    "interface/wifi/registration-table": "interface",
    "interface/wireless/registration-table": "interface,ap",
    "caps-man/registration-table": "interface",
}
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_ANY = msgspec.json.Decoder(msgspec.Raw)


class RouterOsRest:
    """An `AccessPoint`."""

    parts = ("system", "registrations", "interfaces", "asked")

    def __init__(self, settings: RouterOs, clock: Clock) -> None:
        self.where = settings.url
        self._settings, self._clock = settings, clock
        self._trust = Trust(settings.ca_file, settings.fingerprint)
        self._account = Account(settings.password_file, f"link.{settings.name}.password_file")
        self._missing: set[str] = set()
        self._asked = msgspec.Raw(
            msgspec.json.encode(
                {
                    "interface": settings.interface,
                    "network_device": settings.network_device,
                }
            )
        )

    async def ask(self, parts: dict[str, msgspec.Raw], deadline: float) -> None:
        """Ask for each part; a table that isn't there costs no error."""
        try:
            await self._ask(parts, deadline)
        except NoAnswer:
            self._missing.clear()  # it may come back with another version
            raise

    async def _ask(self, parts: dict[str, msgspec.Raw], deadline: float) -> None:
        system = await self._get(RESOURCE, {}, deadline)
        if system is None:
            raise NoAnswer("no RouterOS REST at this address")
        parts["asked"], parts["system"] = self._asked, system
        device = self._settings.network_device
        wanted = {".proplist": "name,rx-byte,tx-byte"} | ({"name": device} if device else {})
        interfaces = await self._get("interface", wanted, deadline)
        if interfaces is not None:
            parts["interfaces"] = interfaces
        tables = []
        for path, properties in TABLES.items():
            if path not in self._missing:
                table = await self._get(path, {".proplist": properties}, deadline)
                if table is None:
                    self._missing.add(path)
                else:
                    tables.append(bytes(table))
        if tables:
            parts["registrations"] = msgspec.Raw(b"[" + b",".join(tables) + b"]")

    async def _get(self, path: str, query: dict[str, str], deadline: float) -> msgspec.Raw | None:
        """The answer's JSON as it came, None when there is no such path.

        Raises:
            NoAnswer, AccountRefused: no answer; the account may not ask this.
        """
        url = f"{self._settings.url.rstrip('/')}/rest/{path}"
        if query:
            url += "?" + urlencode(query, safe=",")
        left_s = max(0.0, deadline - self._clock.monotonic())
        try:
            answer = await request(
                "GET",
                url,
                left_s,
                body_max=BODY_MAX,
                headers={"Authorization": self._authorization()},
                trust=self._trust,
            )
        except HttpFailed as error:
            raise NoAnswer(str(error)) from error
        if answer.status in (UNAUTHORIZED, FORBIDDEN):
            who = self._settings.username
            raise AccountRefused(f"{who} may not read {path}; see its password and group")
        if answer.status in MISSING:
            return None
        if answer.status != OK:
            raise NoAnswer(f"status {answer.status}")
        try:
            whole: msgspec.Raw = _ANY.decode(answer.body)
            if path != RESOURCE:
                _LIST.decode(whole)
        except MALFORMED as error:
            raise NoAnswer("not RouterOS REST's JSON") from error
        return whole

    def _authorization(self) -> str:
        password = self._account.secret()
        pair = f"{self._settings.username}:{password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"
