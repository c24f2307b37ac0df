"""What stands between the net and the addresses: rate by client address, headers, no traces.

A client may ask for `burst` at once and `requests_a_minute` after that; IPv6 counts by /64, which
is what one customer has. Addresses are kept in memory only, the last `CLIENTS_MAX` of them; who
is forgotten begins anew.
"""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict
from collections.abc import Collection

import msgspec
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wire.clock import Clock

CLIENTS_MAX = 20_000
PATH_LENGTH_MAX = 2048
HISTORY_COST = 10
PROBLEM = "application/problem+json"

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
"""On every answer. HSTS is for whoever ends TLS."""


class Rates:
    """A bucket of tokens for each client address."""

    def __init__(self, clock: Clock, requests_a_minute: int, burst: int) -> None:
        self._clock, self._burst = clock, burst
        self._a_second = requests_a_minute / 60
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, client: str, cost: int) -> int:
        """0 and the cost is taken, or how many seconds to wait."""
        now = self._clock.monotonic()
        left, at = self._left.pop(client, (float(self._burst), now))
        left = min(left + (now - at) * self._a_second, self._burst)
        wait = 0 if left >= cost else math.ceil((cost - left) / self._a_second)
        self._left[client] = (left if wait else left - cost, now)
        if len(self._left) > CLIENTS_MAX:
            self._left.popitem(last=False)
        return wait


class Guard:
    """ASGI: refuses what is too long or too often, and puts the headers on every answer."""

    def __init__(self, app: ASGIApp, rates: Rates, proxies: Collection[str]) -> None:
        self._app, self._rates, self._proxies = app, rates, frozenset(proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                if scope["path"].startswith(("/api/", "/openapi")):
                    headers["Access-Control-Allow-Origin"] = "*"
                    headers["Access-Control-Expose-Headers"] = "ETag, Link, Retry-After"
            await send(message)

        path: str = scope["path"]
        if len(scope["raw_path"]) + len(scope["query_string"]) > PATH_LENGTH_MAX:
            await refuse(sending, 414, "The address is too long", {})
            return
        cost = HISTORY_COST if path.startswith("/api/v1/history") else 1
        wait_s = self._rates.wait_s(client_of(scope, self._proxies), cost)
        if wait_s:
            await refuse(sending, 429, "Too many requests", {"Retry-After": str(wait_s)})
            return
        await self._app(scope, receive, sending)


def client_of(scope: Scope, proxies: Collection[str]) -> str:
    """The address that counts: a trusted proxy's last word, or the connection's own."""
    peer = scope["client"][0] if scope.get("client") else ""
    if peer in proxies:
        said = ",".join(Headers(scope=scope).getlist("x-forwarded-for"))
        strangers = (one.strip() for one in reversed(said.split(",")) if one.strip())
        peer = next((one for one in strangers if one not in proxies), peer)
    return network_of(peer)


def network_of(peer: str) -> str:
    """Whose address it is: itself, or the /64 of IPv6 that one customer has."""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is None:
        return str(ipaddress.IPv6Network((address, 64), strict=False))
    return str(getattr(address, "ipv4_mapped", None) or address)


def problem(status: int, title: str, detail: str = "") -> bytes:
    """RFC 9457: what is wrong, in words."""
    said = {"type": "about:blank", "title": title, "status": status}
    return msgspec.json.encode({**said, "detail": detail} if detail else said)


async def refuse(send: Send, status: int, title: str, headers: dict[str, str]) -> None:
    """Answer by itself, without the application."""
    body = problem(status, title)
    fields = {"content-type": PROBLEM, "content-length": str(len(body)), **headers}
    raw = [(name.lower().encode(), value.encode()) for name, value in fields.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
