"""What an operator sees of a device: one word, decided from fields that are still fresh.

In: the newest value of each field with its time, the device's expiry, now. Out: a `State` and the
moment until which it holds. A field older than the expiry says nothing any more, so a device whose
fields have all expired is `unknown`: stale never looks fresh.

Every state has a colour of the Okabe-Ito palette (told apart by colour-blind people) and a glyph
of its own within its kind, so that colour is never the only sign.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

import msgspec

from devices.kinds import KINDS
from devices.reading import Value

GATEWAY = "gateway"
"""Kind of the registry's rows that are gateways, beside the devices' kinds."""

OTHER = "other"
"""What every kind counts as that has no states of its own: heard of late, or not."""

FILLING_FROM = 0.70
FULL_ABOVE = 0.85
FOREVER_MS = 2**62


class State(StrEnum):
    """Every word a marker can show."""

    FREE = "free"
    OCCUPIED = "occupied"
    OK = "ok"
    FILLING = "filling"
    FULL = "full"
    LID_OPEN = "lid_open"
    MOVED = "moved"
    BURNING = "burning"
    UP = "up"
    PORTAL_DOWN = "portal_down"
    AP_DOWN = "ap_down"
    ONLINE = "online"
    OFFLINE = "offline"
    CLOSED = "closed"
    UNKNOWN = "unknown"


STATES: dict[str, tuple[State, ...]] = {
    "parking_spot": (State.FREE, State.OCCUPIED, State.CLOSED, State.UNKNOWN),
    "waste_container": (
        State.BURNING,
        State.FULL,
        State.FILLING,
        State.OK,
        State.LID_OPEN,
        State.MOVED,
        State.CLOSED,
        State.UNKNOWN,
    ),
    "wifi_access_point": (
        State.UP,
        State.PORTAL_DOWN,
        State.AP_DOWN,
        State.CLOSED,
        State.UNKNOWN,
    ),
    GATEWAY: (State.ONLINE, State.OFFLINE, State.UNKNOWN),
    OTHER: (State.OK, State.CLOSED, State.UNKNOWN),
}
"""The states of each kind, in the order bars and legends show them."""


class Look(msgspec.Struct, frozen=True):
    """Fill and ink of a marker, and the glyph in it (`assets/live/shapes.js` draws it)."""

    fill: str
    ink: str
    glyph: str


_WHITE, _BLACK = "#ffffff", "#1a1a1a"
LOOKS: dict[State, Look] = {
    State.FREE: Look("#009e73", _WHITE, "ring"),
    State.OCCUPIED: Look("#0072b2", _WHITE, "car"),
    State.OK: Look("#009e73", _WHITE, "level"),
    State.FILLING: Look("#e69f00", _BLACK, "half"),
    State.FULL: Look("#d55e00", _WHITE, "bang"),
    State.LID_OPEN: Look("#56b4e9", _BLACK, "lid"),
    State.MOVED: Look("#cc79a7", _BLACK, "arrow"),
    State.BURNING: Look("#f0e442", _BLACK, "flame"),
    State.UP: Look("#56b4e9", _BLACK, "waves"),
    State.PORTAL_DOWN: Look("#e69f00", _BLACK, "bang"),
    State.AP_DOWN: Look("#d55e00", _WHITE, "cross"),
    State.ONLINE: Look("#009e73", _WHITE, "mast"),
    State.OFFLINE: Look("#d55e00", _WHITE, "cross"),
    State.CLOSED: Look("#3d3d3d", _WHITE, "bar"),
    State.UNKNOWN: Look("#9a9a9a", _BLACK, "question"),
}


class Timed(NamedTuple):
    """A field's newest value and the time of the reading that brought it."""

    value: Value
    time_ms: int


Fields = Mapping[str, Timed]


def state_of(
    kind: str, fields: Fields, *, expiry_s: float, now_ms: int, maintenance: bool = False
) -> State:
    """The device's state at `now_ms`.

    A fire is told even from a bin that is closed for work; nothing else is.
    """
    fresh = {
        name: timed.value
        for name, timed in fields.items()
        if now_ms - timed.time_ms <= expiry_s * 1000
    }
    if kind == "waste_container" and fresh.get("status") == "burning":
        return State.BURNING
    if maintenance:
        return State.CLOSED
    match kind:
        case "parking_spot":
            return _bay(fresh)
        case "waste_container":
            return _bin(fresh)
        case "wifi_access_point":
            return _hotspot(fresh)
        case "gateway":
            return _gateway(fresh)
    return State.OK if fresh else State.UNKNOWN


def holds_until_ms(fields: Fields, *, expiry_s: float, now_ms: int) -> int:
    """The last millisecond at which no field that is fresh now has expired."""
    ends = [timed.time_ms + int(expiry_s * 1000) for timed in fields.values()]
    return min((end for end in ends if end >= now_ms), default=FOREVER_MS)


def default_expiry_s(kind: str) -> float:
    """For a device that the registry doesn't know (yet)."""
    known = KINDS.get(kind)
    return known.expiry_s if known else 180.0


def _bay(fresh: Mapping[str, Value]) -> State:
    match fresh.get("occupied"):
        case 0:
            return State.FREE
        case 1:
            return State.OCCUPIED
    return State.UNKNOWN


def _bin(fresh: Mapping[str, Value]) -> State:
    match fresh.get("status"):
        case "lid_open":
            return State.LID_OPEN
        case "moved" | "dropped":
            return State.MOVED
    level = fresh.get("filling_level")
    if level is None or isinstance(level, str):
        return State.UNKNOWN
    if level > FULL_ABOVE:
        return State.FULL
    return State.FILLING if level >= FILLING_FROM else State.OK


def _hotspot(fresh: Mapping[str, Value]) -> State:
    """What hurts a visitor most comes first; without the access point's own word it is unknown."""
    if fresh.get("up") == 0:
        return State.AP_DOWN
    if fresh.get("portal") == "down":
        return State.PORTAL_DOWN
    return State.UP if fresh.get("up") == 1 or "clients" in fresh else State.UNKNOWN


def _gateway(fresh: Mapping[str, Value]) -> State:
    """What the watch says; where nobody watches, a batch that came of late says enough."""
    match fresh.get("online"):
        case 1:
            return State.ONLINE
        case 0:
            return State.OFFLINE
    return State.ONLINE if "sealed_ms" in fresh else State.UNKNOWN
