"""How one rule stands with one subject, and how a reading moves it. Pure: no clock but arguments.

    clear ──over──► pending ──over, for_s later──► firing ──under──► clear
                      └─────not over──────► clear

What is promised, whatever the order in which readings arrive:

* a reading moves the standing only when its own time is later than every one judged before, so data
  that arrives late neither fires nor clears, and a reading that comes twice counts once;
* between the two limits nothing moves;
* no reading, no move: a series that ends stays as it was.

So the standing depends only on the readings that were newer than all before them when they came.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, time, tzinfo
from enum import IntEnum

import msgspec

from ingest.rules.rule import Rule, Subject

AHEAD_MS = 10 * 60_000
"""A reading from so far in the future isn't judged: it would stop every one until then."""


class Phase(IntEnum):
    CLEAR = 0
    PENDING = 1
    FIRING = 2


class Place(msgspec.Struct, frozen=True):
    """The four tags of what a rule is about."""

    device: str
    gateway: str
    site: str
    zone: str

    @classmethod
    def of(cls, tags: Mapping[str, str]) -> Place:
        return cls(tags["device"], tags["gateway"], tags["site"], tags["zone"])


Key = tuple[str, str, str]
"""Rule, name, and the site where a name is only the site's own (zones); else an empty text. A
device that moves to another gateway is the same subject."""


def key_of(rule: Rule, place: Place) -> Key:
    return rule.id, place.device, place.site if rule.subject is Subject.ZONE else ""


class Standing(msgspec.Struct, frozen=True):
    """`since_ms` is the reading's time at which this phase began (for firing: at which it was
    first over), `judged_ms` that of the newest reading judged, `value` what that one said."""

    place: Place
    phase: Phase
    since_ms: int
    judged_ms: int
    value: float


class Hours(msgspec.Struct, frozen=True):
    """Opening hours of a city's public services, local time; `closes` before `opens` is past
    midnight, both equal is always."""

    zone: tzinfo
    opens: time = time(8)
    closes: time = time(22)

    def hold(self, time_ms: int) -> bool:
        """Whether it is open at that moment."""
        local = datetime.fromtimestamp(time_ms / 1000, self.zone).time()
        if self.opens < self.closes:
            return self.opens <= local < self.closes
        return local >= self.opens or local < self.closes


def move(
    rule: Rule, known: Standing | None, place: Place, value: float, time_ms: int, holds: bool = True
) -> Standing:
    """The standing after a reading; the same object when the reading isn't a later one.

    `holds` False: outside its hours a rule is never over.
    """
    if known is not None and time_ms <= known.judged_ms:
        return known
    over = holds and rule.over(value)
    phase = known.phase if known else Phase.CLEAR
    since_ms = known.since_ms if known else time_ms
    if phase is Phase.FIRING:
        after = Phase.CLEAR if rule.under(value) or not holds else Phase.FIRING
    elif not over:
        after = Phase.CLEAR
    else:
        since_ms = since_ms if phase is Phase.PENDING else time_ms
        waited = time_ms - since_ms >= rule.for_s * 1000
        after = Phase.FIRING if waited else Phase.PENDING
    if after is Phase.CLEAR and phase is not Phase.CLEAR:
        since_ms = time_ms
    return Standing(place, after, since_ms, time_ms, value)


class Limit(msgspec.Struct, frozen=True):
    """Other limits of a rule for one device or a whole site; the most particular one counts."""

    rule: str
    fires: float
    clears: float
    device: str = ""
    site: str = ""

    def is_for(self, rule: Rule, place: Place) -> bool:
        return (
            self.rule == rule.id
            and self.device in ("", place.device)
            and self.site in ("", place.site)
        )


def with_limits(rule: Rule, place: Place, limits: Iterable[Limit]) -> Rule:
    """The rule as it is for that place."""
    own = [limit for limit in limits if limit.is_for(rule, place)]
    if not own:
        return rule
    limit = max(own, key=lambda one: (one.device != "", one.site != ""))
    return msgspec.structs.replace(rule, fires=limit.fires, clears=limit.clears)
