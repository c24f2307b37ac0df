"""Which devices each gateway is known to speak of, and how many new ones a day it may bring. Pure.

    bay-07,site=pasar,zone=a      a place: a device with its tags, as a line has them

Each place is a series that the database keeps for as long as readings are kept, and a gateway alone
says what it is called. So a place is *known* from its first reading on, and a gateway has so many
new ones a day (UTC). Free is the first place of a device that the registry gives to this gateway:
the watch has counted it already (`ingest/registry.py`), and an ingestor that starts knows none yet.

A line with one place too many isn't lost: it is dead-lettered as `too_many_new`, and a replay after
the day, or with a higher limit, stores it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence

from ingest.registry import GATEWAYS_MAX, Owner

DAY_MS = 86_400_000
PLACES_MAX = 20_000
"""A gateway that has more known places begins anew; what it brought that day stays counted."""

Whose = Callable[[str], str | list[Owner] | None]
"""A device's only owner, its owners one after another, or None when nobody has announced it."""


class _Known:
    """What one gateway speaks of. `sure` places are of devices that were never another's, so that
    nobody need be asked at a reading's time; `announced` devices have had their free place."""

    __slots__ = ("announced", "day", "new", "sure", "unsure")

    def __init__(self) -> None:
        self.sure: set[str] = set()
        self.unsure: set[str] = set()
        self.announced: set[str] = set()
        self.day = self.new = 0


class Newcomers:
    """The places of every gateway. `over` counts the lines that were too many, by gateway."""

    def __init__(self, new_a_day: int, whose: Whose) -> None:
        self._new_a_day, self._whose = new_a_day, whose
        self._gateways: dict[str, _Known] = {}
        self.over: Counter[str] = Counter()

    def are_sure(self, gateway: str, places: Sequence[str]) -> bool:
        """Whether all of these are known and have never been another gateway's: what nearly always
        holds."""
        known = self._gateways.get(gateway)
        return known is not None and known.sure.issuperset(places)

    def admits(self, gateway: str, place: str, now_ms: int) -> bool:
        """Whether this gateway may speak of it; from now on it is known."""
        known = self._gateways.get(gateway) or self._meet(gateway)
        if place in known.sure or place in known.unsure:
            return True
        device = place.partition(",")[0]
        whose = self._whose(device)
        if whose is not None and device not in known.announced:
            known.announced.add(device)
        elif not self._has_room(known, now_ms, registered=whose is not None):
            self.over[gateway] += 1
            return False
        if len(known.sure) + len(known.unsure) >= PLACES_MAX:
            known.sure, known.unsure, known.announced = set(), set(), {device}
        (known.sure if whose in (None, gateway) else known.unsure).add(place)
        return True

    def owners_changed(self, devices: Collection[str]) -> None:
        """The registry says something else of these than before."""
        for gateway, known in self._gateways.items() if devices else ():
            for place in [*known.sure, *known.unsure]:
                device = place.partition(",")[0]
                if device in devices:
                    sure = self._whose(device) in (None, gateway)
                    (known.unsure if sure else known.sure).discard(place)
                    (known.sure if sure else known.unsure).add(place)

    def _meet(self, gateway: str) -> _Known:
        if len(self._gateways) >= GATEWAYS_MAX:
            del self._gateways[next(iter(self._gateways))]
        return self._gateways.setdefault(gateway, _Known())

    def _has_room(self, known: _Known, now_ms: int, registered: bool) -> bool:
        """All that are registered may move at once, to another zone: the registry allows it too."""
        day = now_ms // DAY_MS
        if day != known.day:
            known.day, known.new = day, 0
        most = max(self._new_a_day, len(known.announced)) if registered else self._new_a_day
        if known.new >= most:
            return False
        known.new += 1
        return True
