"""What is told to whom, and when. Pure: no clock but arguments.

What fires and isn't muted is compared with what was told before: what is new is news, and what was
told and is clear is news, too. So a crash between judging and telling tells again rather than
never. A subject that isn't known any more ends nothing.

Each receiver has a box of news that it hasn't taken yet, in the watch's file: a receiver that is
away for a day gets one message when it is back. A box is bounded; what falls out is counted, and
the next message says how much.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import msgspec

from ingest.rules import RULES
from ingest.rules.rule import Severity
from ingest.rules.standing import Key, Phase, Place, Standing

BOX_MAX = 2_000
"""News in a box; then the oldest that is over goes first, then the oldest."""

TellKey = tuple[str, str, str, int]
"""A `Key` and since when: the same subject firing again is another one."""


class News(msgspec.Struct, frozen=True):
    """`became` is `fires`, `incident`, `clears`, `acknowledged` or `retired`; `at_ms` is the
    reading's own time of the beginning, `ended_ms` of the end, `found_ms` when the watch knew."""

    rule: str
    place: Place
    became: str
    at_ms: int
    value: float
    found_ms: int
    ended_ms: int = 0
    who: str = ""

    @property
    def severity(self) -> Severity:
        return RULES[self.rule].severity if self.rule in RULES else Severity.INFO

    @property
    def begins(self) -> bool:
        return self.became in ("fires", "incident")


class Told(msgspec.Struct, frozen=True):
    """Something that was put into the boxes and isn't over."""

    key: TellKey
    news: News


class Box(msgspec.Struct):
    """One receiver's. `dropped` is what the next message says fell out, `lost` all that did."""

    due: list[News] = []
    dropped: int = 0
    lost: int = 0
    sent: int = 0
    failed: int = 0

    def put(self, news: Sequence[News]) -> None:
        self.due.extend(news)
        while len(self.due) > BOX_MAX:
            over = next((one for one in self.due if not one.begins), self.due[0])
            self.due.remove(over)
            self.dropped, self.lost = self.dropped + 1, self.lost + 1

    def took(self, taken: Sequence[News], dropped: int = 0) -> None:
        """The receiver has a message of these, which said that so many fell out."""
        gone = {id(one) for one in taken}
        self.due = [one for one in self.due if id(one) not in gone]
        self.dropped, self.sent = self.dropped - dropped, self.sent + 1


def compare(
    told: Mapping[TellKey, News],
    firing: Mapping[TellKey, News],
    muted: Collection[TellKey],
    standings: Mapping[Key, Standing],
    now_ms: int,
) -> tuple[list[News], dict[TellKey, News]]:
    """The news, and what counts as told after them. Incidents end elsewhere: by people's word."""
    news = [one for key, one in firing.items() if key not in told]
    after = dict(told)
    after |= {key: one for key, one in firing.items() if key not in told}
    for key, one in told.items():
        if key in firing or key in muted:
            continue
        if one.became == "incident":
            del after[key]  # no longer in the store: nobody's word ended it, so there is no news
            continue
        standing = standings.get(key[:3])
        if standing is None:
            continue
        over_ms = standing.since_ms if standing.phase is Phase.CLEAR else standing.judged_ms
        ended = {"became": "clears", "value": standing.value, "ended_ms": over_ms}
        news.append(msgspec.structs.replace(one, found_ms=now_ms, **ended))
        del after[key]
    return news, after


def ready(
    box: Box, now_ms: int, *, quiet: Collection[Severity] | None, all_clear: bool, wait_s: float
) -> list[News]:
    """What goes out now. `quiet`: the severities that pass now, None outside quiet hours."""
    if quiet is not None:
        return [one for one in box.due if one.begins and one.severity in quiet]
    begins = any(one.begins for one in box.due)
    oldest_ms = min((one.found_ms for one in box.due), default=now_ms)
    if begins or all_clear or now_ms - oldest_ms >= wait_s * 1000:
        return list(box.due)
    return []
