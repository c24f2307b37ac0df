"""Who may come in: wrong PINs counted, sessions, and whose request it really is.

In: addresses, tokens and headers, and the time. Out: yes, no, or how long to wait. No socket, no
file, no clock: `now` is `Clock.monotonic()` everywhere.

    an address      5 wrong PINs, then 30 s, doubled by each further one, up to an hour; a right
                    one ends it. An IPv6 address counts with all of its /64.
    all together    30 wrong PINs an hour, from wherever: a million take years. Who is in stays in.
    a session       a token of 256 bits; 30 minutes after its last request, 8 hours at most, 8 of
                    them: a ninth ends the oldest. Kept as a hash, in memory: a new start of the
                    process asks for the PIN again.
    a change        (POST) needs the session's own token in the form, and an Origin that is the page
    any request     needs a Host that is this gateway: its address on that connection, or its name.
                    Another name that was made to point here (DNS rebinding) is nobody.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import math
import secrets
from collections import deque

import msgspec

TRIES, FIRST_S, LONGEST_S = 5, 30.0, 3600.0
TRIES_OF_ALL, HOUR_S = 30, 3600.0
ADDRESSES_MAX = 64
"""Addresses remembered; one more forgets the one that was heard of longest ago: `TRIES_OF_ALL`
bounds whoever has many."""

SESSIONS_MAX, IDLE_S, SESSION_S = 8, 1800.0, 8 * 3600.0


class _Tries(msgspec.Struct):
    """Wrong PINs of one address."""

    wrong: int = 0
    not_before: float = -math.inf


class Lockout:
    """Counts wrong PINs."""

    def __init__(self) -> None:
        self._tries: dict[str, _Tries] = {}
        self._all: deque[float] = deque(maxlen=TRIES_OF_ALL)

    def wait_s(self, address: str, now: float) -> float:
        """How long until that address may try (0: now)."""
        tries = self._tries.get(network_of(address), _Tries())
        wait_s = tries.not_before - now
        if len(self._all) == TRIES_OF_ALL:
            wait_s = max(wait_s, self._all[0] + HOUR_S - now)
        return max(0.0, wait_s)

    def wrong(self, address: str, now: float) -> bool:
        """One more; whether the address is locked out by it."""
        name = network_of(address)
        tries = self._tries.pop(name, _Tries())
        tries.wrong += 1
        self._tries[name] = tries
        if len(self._tries) > ADDRESSES_MAX:
            del self._tries[next(iter(self._tries))]
        self._all.append(now)
        if tries.wrong < TRIES:
            return False
        doubled = min(tries.wrong - TRIES, 16)
        tries.not_before = now + min(LONGEST_S, FIRST_S * 2**doubled)
        return True

    def right(self, address: str) -> None:
        """The address knows it."""
        self._tries.pop(network_of(address), None)


class _Session(msgspec.Struct):
    """`address`: where it was last used from."""

    began: float
    seen: float
    address: str

    def is_over(self, now: float) -> bool:
        return now - self.seen > IDLE_S or now - self.began > SESSION_S


class Sessions:
    """Who is in. The secret is this process's own, drawn at its start."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)
        self._there: dict[bytes, _Session] = {}

    def begin(self, now: float, address: str = "") -> str:
        """A new session's token."""
        token = secrets.token_urlsafe(32)
        while len(self._there) >= SESSIONS_MAX:
            del self._there[next(iter(self._there))]
        self._there[_name(token)] = _Session(now, now, address)
        return token

    def holds(self, token: str, now: float, address: str = "") -> bool:
        """Whether the session goes on; asking is its use."""
        name = _name(token)
        session = self._there.get(name)
        if session is None:
            return False
        if session.is_over(now):
            del self._there[name]
            return False
        session.seen, session.address = now, address
        return True

    def knows(self, address: str, now: float) -> bool:
        """Whether a session that goes on was last used from that address."""
        there = (one for one in self._there.values() if one.address == address)
        return any(not one.is_over(now) for one in there)

    def form_token(self, token: str) -> str:
        """What a form of that session carries, so that no other page can fill it in."""
        return hmac.new(self._secret, token.encode(), hashlib.sha256).hexdigest()

    def is_form_token(self, token: str, given: str) -> bool:
        return hmac.compare_digest(self.form_token(token).encode(), given.encode())

    def end(self, token: str) -> None:
        self._there.pop(_name(token), None)

    def end_all(self) -> None:
        """The PIN is another one now."""
        self._there.clear()


def is_host(host: str, local_address: str, name: str) -> bool:
    """Whether a Host header means this gateway. Its port is left alone: it may be forwarded.

    `local_address` is what the connection came to, `name` the one it may be called by
    (`gampong.local`).
    """
    asked = _without_port(host.strip().lower())
    if asked == name.lower():
        return True
    here = ipaddress.ip_address(local_address.partition("%")[0])
    here = getattr(here, "ipv4_mapped", None) or here
    if asked == "localhost":
        return here.is_loopback
    try:
        return ipaddress.ip_address(asked) == here
    except ValueError:
        return False


def is_own_origin(origin: str, host: str) -> bool:
    """Whether a form was filled in on this page: a browser says so in every POST."""
    return origin.lower() == f"http://{host.strip().lower()}"


def network_of(address: str) -> str:
    """The address, or all of an IPv6 network of which one person has 2^64."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is None:
        return str(ipaddress.IPv6Network((parsed, 64), strict=False))
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].removesuffix(".")


def _name(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
