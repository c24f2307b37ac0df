"""What an alert rule is: one definition for the watch, Grafana, messages and the runbook.

In: nothing. Out: the types. A rule takes one number out of one point (`measure`), and says above
(or below) which it fires, under which it clears again, and for how long it must have been so. The
gap between the two limits is what keeps a value at the limit from ringing twice.

Texts are for people, in Indonesian and English, and hold no value of the moment: where, since when
and how much stand beside them. Labels route and nothing else: `site`, `kind`, `severity`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum, StrEnum

import msgspec

from devices.reading import Value

Measure = Callable[[Mapping[str, Value]], float | None]
"""The number that a rule judges, from a point's fields; None when they say nothing of it."""


class Severity(StrEnum):
    """Who is woken: `critical` at night too, `warning` in the day, `info` in the list only."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class Subject(StrEnum):
    """What a rule is about: the tag `device` of its points holds that one's name."""

    DEVICE = "device"
    ZONE = "zone"
    GATEWAY = "gateway"
    INGESTOR = "ingestor"
    WATCH = "watch"


class Level(IntEnum):
    """How `rule_state` says it. Grafana fires at `TOLD`; pages show `MUTED` as firing, too."""

    CLEAR = 0
    PENDING = 1
    MUTED = 2
    TOLD = 3


class Text(msgspec.Struct, frozen=True):
    """The same in Indonesian and English."""

    id: str
    en: str

    def of(self, language: str) -> str:
        return self.id if language == "id" else self.en


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule.

    Args:
        id: its name, its field in `rule_state`, and its anchor in docs/runbook.md.
        kind: what it is about, for routing and grouping: a kind of device, `gateway`, `cloud`.
        source: the measurement whose points it judges.
        fields: those of the source that `measure` looks at.
        measure: the number.
        unit: of the number, for people; empty for a yes or no.
        fires, clears: the limits; `fires` is passed strictly, so is `clears`.
        above: whether too much is bad; else too little is.
        for_s: how long it must have been so, by the readings' own times.
        subject: what it is about.
        device_kinds: of these only, where the source has points of all kinds.
        latches: an event: it stays until somebody acknowledges it, and older data that arrives
            late is judged too.
        opening_hours: outside them it doesn't hold.
        always_told: neither maintenance nor an offline gateway keeps it from being told.
        no_data_fires: where nobody writes the source any more, that is the alert; only something
            beside the watch can judge it, so the watch doesn't.
    """

    id: str
    kind: str
    source: str
    fields: tuple[str, ...]
    measure: Measure
    fires: float
    clears: float
    severity: Severity
    title: Text
    summary: Text
    advice: Text
    unit: str = ""
    above: bool = True
    for_s: float = 0.0
    subject: Subject = Subject.DEVICE
    device_kinds: tuple[str, ...] = ()
    latches: bool = False
    opening_hours: bool = False
    always_told: bool = False
    no_data_fires: bool = False

    @property
    def runbook(self) -> str:
        """The anchor of its section in docs/runbook.md."""
        return self.id

    def over(self, value: float) -> bool:
        """Whether the value is one to fire at."""
        return value > self.fires if self.above else value < self.fires

    def under(self, value: float) -> bool:
        """Whether the value is one to clear at."""
        return value < self.clears if self.above else value > self.clears


def number(field: str) -> Measure:
    """The field itself."""

    def measure(fields: Mapping[str, Value]) -> float | None:
        value = fields.get(field)
        return None if value is None or isinstance(value, str) else float(value)

    return measure


def is_one_of(field: str, *values: Value) -> Measure:
    """1 where the field has one of these values, else 0."""

    def measure(fields: Mapping[str, Value]) -> float | None:
        value = fields.get(field)
        return None if value is None else float(value in values)

    return measure


def both(one: Measure, other: Measure) -> Measure:
    """1 where both hold; says something only where both do."""

    def measure(fields: Mapping[str, Value]) -> float | None:
        first, second = one(fields), other(fields)
        return None if first is None or second is None else min(first, second)

    return measure


def either(one: Measure, other: Measure) -> Measure:
    """The higher one of those that say something."""

    def measure(fields: Mapping[str, Value]) -> float | None:
        said = [value for value in (one(fields), other(fields)) if value is not None]
        return max(said, default=None)

    return measure


YES, NO = 0.5, 0.5
"""Both limits of a rule whose number is yes or no, or a count of which one is too many."""
