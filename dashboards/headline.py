"""The numbers that stand first, each counted from the states on the board.

Bays that are free, bins that need emptying, people online, gateways that are heard; where there are
sensors of other kinds, how many of them are heard. What is unknown is counted as unknown: never as
free, never as nobody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Protocol

import msgspec

from dashboards.states import GATEWAY, OTHER, STATES, State, Timed


class Counted(Protocol):
    """What the count needs of a device."""

    kind: str
    state: State
    time_ms: int
    expiry_s: float
    fields: dict[str, Timed]

    @property
    def name(self) -> str: ...


class Tile(msgspec.Struct, frozen=True):
    """One number with what it is made of.

    Args:
        kind: whose devices were counted.
        number: free bays, full bins, people, or gateways online; None when nothing is known.
        total: all devices of the kind.
        states: how many devices are in each state, every state named.
        newest_ms: time of the newest reading that went in, 0 before the first.
        behind_ms: gateways only: seal time of the oldest among their newest batches; 0: none yet.
        behind: the name of that gateway.
    """

    kind: str
    number: int | None
    total: int
    states: dict[State, int]
    newest_ms: int
    behind_ms: int = 0
    behind: str = ""


_WANTED = {
    "parking_spot": (State.FREE,),
    "waste_container": (State.FULL,),
    GATEWAY: (State.ONLINE,),
    OTHER: (State.OK,),
}


def tiles(devices: Iterable[Counted], now_ms: int) -> list[Tile]:
    """A tile for each kind of `STATES`, in that order; the last only where it counts something."""
    by_kind: dict[str, list[Counted]] = {kind: [] for kind in STATES}
    for device in devices:
        by_kind[device.kind if device.kind in STATES else OTHER].append(device)
    return [_tile(kind, found, now_ms) for kind, found in by_kind.items() if found or kind != OTHER]


def _tile(kind: str, devices: list[Counted], now_ms: int) -> Tile:
    counts = Counter(device.state for device in devices)
    if kind == "wifi_access_point":
        number = sum(_people(device, now_ms) for device in devices)
    else:
        number = sum(counts[state] for state in _WANTED[kind])
    behind_ms, behind = min(
        ((_sealed_ms(device), device.name) for device in devices if kind == GATEWAY),
        default=(0, ""),
    )
    unknown = counts[State.UNKNOWN]
    open_ = len(devices) - counts[State.CLOSED]  # what is closed tells nothing of the others
    is_unknown = unknown == open_ and (unknown > 0 or not devices)
    return Tile(
        kind=kind,
        number=None if is_unknown else number,
        total=len(devices),
        states={state: counts[state] for state in STATES[kind]},
        newest_ms=max((device.time_ms for device in devices), default=0),
        behind_ms=behind_ms,
        behind=behind,
    )


def _people(device: Counted, now_ms: int) -> int:
    """Only where the access point has said so of late."""
    clients = device.fields.get("clients")
    if clients is None or device.state not in (State.UP, State.PORTAL_DOWN):
        return 0
    fresh = now_ms - clients.time_ms <= device.expiry_s * 1000
    return clients.value if fresh and isinstance(clients.value, int) else 0


def _sealed_ms(device: Counted) -> int:
    sealed = device.fields.get("sealed_ms")
    return sealed.time_ms if sealed else 0
