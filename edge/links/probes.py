"""What a visitor of a WiFi corner would feel, tried from the gateway: TCP, DNS, captive portal.

In: targets from the configuration. Out: milliseconds, a ratio, a word; None when nothing answered.
Every wait is wall time and bounded.
"""

from __future__ import annotations

import asyncio
import random
import socket
from contextlib import suppress
from statistics import median

import msgspec

from edge.links.http import HttpFailed, request
from wire.clock import Clock

DNS_PORT = 53
DNS_HEADER_SIZE = 12
NO_CONTENT = 204
PORTAL_STATUSES = (200, 301, 302, 303, 307, 308, 511)

UNREACHABLE = (OSError, ValueError, OverflowError)
"""Nobody answers, or the target can't be one: a port above 65535 is an OverflowError."""


class RoundTrips(msgspec.Struct, frozen=True):
    """TCP connects to one address: the median of those that were answered, and the share lost."""

    latency_ms: float | None = None
    loss_ratio: float | None = None


async def round_trips(address: str, count: int, timeout_s: float, clock: Clock) -> RoundTrips:
    """Connect `count` times, one after the other, to `host:port`; `timeout_s` is for all.

    A connect takes one round trip. A refused one counts as lost: a firewall refuses too.
    """
    host, _, port = address.rpartition(":")
    taken_ms = []
    for _ in range(count):
        started = clock.monotonic()
        with suppress(*UNREACHABLE):  # TimeoutError is an OSError
            async with asyncio.timeout(timeout_s / count):
                _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
            taken_ms.append(1000 * (clock.monotonic() - started))
            writer.transport.abort()
    latency_ms = median(taken_ms) if taken_ms else None
    return RoundTrips(latency_ms, 1 - len(taken_ms) / count)


async def lookup_ms(name: str, server: str, timeout_s: float, clock: Clock) -> float | None:
    """How long the name took to resolve: at `server` (`host` or `host:port`), else the system's."""
    started = clock.monotonic()
    try:
        async with asyncio.timeout(timeout_s):
            if server:
                found = await _ask_server(name, server)
            else:
                found = bool(await asyncio.get_running_loop().getaddrinfo(name, None))
    except UNREACHABLE:
        return None
    return 1000 * (clock.monotonic() - started) if found else None


async def portal(url: str, timeout_s: float) -> str:
    """What a visitor's own check would find: `open` for 204, `portal` for a page or a redirect."""
    try:
        answer = await request("GET", url, timeout_s)
    except HttpFailed:
        return "down"
    if answer.status == NO_CONTENT:
        return "open"
    return "portal" if answer.status in PORTAL_STATUSES else "down"


def build_query(identity: int, name: str) -> bytes:
    """A DNS question for the name's IPv4 address (RFC 1035, 4.1), recursion desired."""
    labels = (label.encode("idna") for label in name.rstrip(".").split("."))
    wire_name = b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
    header = identity.to_bytes(2, "big") + bytes.fromhex("0100 0001 0000 0000 0000")
    return header + wire_name + bytes.fromhex("0001 0001")


def answers(query: bytes, data: bytes) -> bool | None:
    """Whether `data` names an address for `query`; None when it isn't an answer to it."""
    asked = len(query)
    if data[:2] != query[:2] or len(data) < asked or not data[2] & 0x80:
        return None
    if data[DNS_HEADER_SIZE:asked].lower() != query[DNS_HEADER_SIZE:].lower():
        return None
    return data[3] & 0x0F == 0 and int.from_bytes(data[6:8], "big") > 0


async def _ask_server(name: str, server: str) -> bool:
    host, _, port = server.partition(":") if server.count(":") == 1 else (server, "", "")
    loop, query = asyncio.get_running_loop(), build_query(random.getrandbits(16), name)
    answered: asyncio.Future[bool] = loop.create_future()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: _Ear(query, answered),
        remote_addr=(host.strip("[]"), int(port or DNS_PORT)),
        family=socket.AF_UNSPEC,
    )
    try:
        transport.sendto(query)
        return await answered
    finally:
        transport.close()


class _Ear(asyncio.DatagramProtocol):
    """Waits for the one datagram that answers the query; others are somebody else's."""

    def __init__(self, query: bytes, answered: asyncio.Future[bool]) -> None:
        self._query, self._answered = query, answered

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:
        found = answers(self._query, data)
        if found is not None and not self._answered.done():
            self._answered.set_result(found)

    def error_received(self, exc: Exception) -> None:
        if not self._answered.done():
            self._answered.set_exception(exc)
