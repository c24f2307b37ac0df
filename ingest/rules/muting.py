"""Who is told: what fires is kept quiet while its cause is known. Pure.

A firing rule is `MUTED` when somebody has acknowledged it or silenced it, when its device is in
maintenance, or when its gateway is offline (that one message says it all); else it is `TOLD`. Fire
and water are told whatever the gateway and maintenance say; a silence and an acknowledgement are
people's own word, and hold for all.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from ingest.rules import RULES
from ingest.rules.rule import Level, Subject
from ingest.rules.standing import Phase, Place, Standing


class Silence(msgspec.Struct, frozen=True):
    """Nothing is told of what matches until then; an empty text matches everything."""

    until_ms: int
    who: str
    why: str
    rule: str = ""
    device: str = ""
    site: str = ""

    def matches(self, rule: str, place: Place, now_ms: int) -> bool:
        return (
            now_ms < self.until_ms
            and self.rule in ("", rule)
            and self.device in ("", place.device)
            and self.site in ("", place.site)
        )


class Acknowledged(msgspec.Struct, frozen=True):
    """Somebody knows that this one fires, and since when it did; it ends when it clears."""

    rule: str
    device: str
    since_ms: int
    who: str
    why: str


class Muting(msgspec.Struct, frozen=True):
    """What is known now of causes."""

    now_ms: int
    offline: Collection[str] = ()
    maintenance: Collection[str] = ()
    silences: Sequence[Silence] = ()
    acknowledged: Collection[tuple[str, str, int]] = ()

    def quiet(self, rule: str, place: Place) -> bool:
        """Whether nobody is to be told, for a cause or by people's word."""
        if any(silence.matches(rule, place, self.now_ms) for silence in self.silences):
            return True
        known = RULES[rule]
        if known.always_told or known.subject is not Subject.DEVICE:
            return False
        return place.gateway in self.offline or place.device in self.maintenance

    def level(self, rule: str, standing: Standing) -> Level:
        """How `rule_state` says it."""
        if standing.phase is not Phase.FIRING:
            return Level.PENDING if standing.phase is Phase.PENDING else Level.CLEAR
        by_name = (rule, standing.place.device, standing.since_ms)
        if by_name in self.acknowledged or self.quiet(rule, standing.place):
            return Level.MUTED
        return Level.TOLD
