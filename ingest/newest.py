"""The newest of every device: when it was last heard, the fields that a state is made of, and the
points that alerts haven't judged yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, Protocol

from devices.kinds import KINDS
from devices.reading import Value
from ingest.rules.standing import AHEAD_MS
from ingest.stores.live import Change
from wire.messages import Inventory

SHOWN = frozenset({"occupied", "filling_level", "status", "up", "portal", "clients"})
"""Fields that decide what a page shows of a device (`dashboards.states`), and what zones count."""


class Timed(NamedTuple):
    """A value and the time of the reading that brought it."""

    value: Value
    time_ms: int


class Seen(Protocol):
    """What `dashboards.zones.see` finds: what each device shows, and the same by zone."""

    @property
    def shows(self) -> Mapping[str, str]: ...
    @property
    def zones(self) -> Mapping[tuple[str, str, str], dict[str, Value]]: ...
    @property
    def lines(self) -> list[str]: ...


See = Callable[[Mapping[str, Inventory], Mapping[str, Mapping[str, Timed]], int], Seen]


class Newest:
    """Filled by what the store gives, in any order."""

    def __init__(self) -> None:
        self.times_ms: dict[str, int] = {}
        self.fields: dict[str, dict[str, Timed]] = {}
        # The newest point of each device with the same fields, until a whole round has judged it.
        self._unjudged: dict[tuple[str, str, frozenset[str]], Change] = {}

    @property
    def unjudged(self) -> list[Change]:
        return list(self._unjudged.values())

    def judged(self) -> None:
        """A whole round is over."""
        self._unjudged.clear()

    def take(self, changes: Iterable[Change], now_ms: int) -> None:
        """Readings; one that is older than what is known changes nothing, nor does one of a clock
        that runs ahead: it would hide what comes after it."""
        for change in sorted(changes, key=lambda change: change.row.time_ms):
            row, device = change.row, change.row.tags["device"]
            if row.time_ms - now_ms > max(AHEAD_MS, 1000 * KINDS[change.kind].expiry_s):
                continue
            self.times_ms[device] = max(self.times_ms.get(device, 0), row.time_ms)
            known = self.fields.setdefault(device, {})
            for name in SHOWN & row.fields.keys():
                if name not in known or known[name].time_ms < row.time_ms:
                    known[name] = Timed(row.fields[name], row.time_ms)
            key = change.kind, device, frozenset(row.fields)
            if key not in self._unjudged or self._unjudged[key].row.time_ms <= row.time_ms:
                self._unjudged[key] = change
