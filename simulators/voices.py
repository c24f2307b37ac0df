"""How a device of any driver speaks of what there is to see: the world's fields in a model's words.

In: a driver, a sight, the device's health. Out: bytes by the driver's `encode`, what they mean by
its `decode`, and the truth row of the message.

Which fields a model puts into one message stands in its vectors: of those that were decoded and
hold its own measurement, the one with the most fields is its report, and the one that it calls an
event its alarm. So a new driver speaks here without an edit.
"""

from __future__ import annotations

import functools

import msgspec

from devices.driver import Driver, load_driver
from devices.kinds import KINDS, FieldType
from devices.reading import Payload, Undecodable, Value, Values
from devices.vectors import read_vectors
from simulators.ailments import Health
from simulators.city import Placed
from simulators.faults import NO_FAULTS, Faults
from simulators.seeds import Jitter
from simulators.sights import Sight
from simulators.truth import How, Row, Spoken, speak

WILD_MM = (300.0, 3_000.0)  # from there on, and so much further at most
NEVER_SAID = frozenset({"quality", "firmware", "time_quality"})


class Vocabulary(msgspec.Struct, frozen=True):
    """Fields of a report and of an alarm; the alarm's are empty for a model without one."""

    report: frozenset[str]
    alarm: frozenset[str]


@functools.cache
def vocabulary(name: str) -> Vocabulary:
    """What the driver's vectors show that its model says."""
    driver = load_driver(name)
    said = [
        values
        for vector in read_vectors(name)
        if vector.refused is None
        for values in vector.expected
        if driver.raw_field in values.fields and values.time_ms is None and not values.channel
    ]
    reports = [values for values in said if not values.event and _says(driver, values)]
    alarms = [values for values in said if values.event and _says(driver, values)]
    best = max(reports or alarms, key=lambda one: len(_words(one)), default=None)
    if best is None:
        return Vocabulary(frozenset({driver.raw_field}), frozenset())
    whole = msgspec.structs.replace(best, event=True)
    if alarms and not _says(driver, whole):
        return Vocabulary(_words(best), max((_words(one) for one in alarms), key=len))
    return Vocabulary(_words(best), _words(best) if alarms else frozenset())


def _words(values: Values) -> frozenset[str]:
    return frozenset(values.fields) - NEVER_SAID


def _says(driver: Driver, values: Values) -> bool:
    """Whether `encode` finds these fields in one message again, without the ones never said."""
    wanted = {name: values.fields[name] for name in _words(values)}
    try:
        told = driver.decode(driver.encode(Values(wanted, event=values.event)))
    except Undecodable:
        return False
    return bool(told) and wanted.keys() <= told[-1].fields.keys() and told[-1].event == values.event


class Said(msgspec.Struct, frozen=True):
    """One message: its bytes, what they mean, what is really there; the device's ailment and the
    measurement's own fault, "" for none."""

    payload: Payload
    fields: dict[str, Value]
    actual: dict[str, Value]
    ailment: str = ""
    fault: str = ""


class Voice:
    """One device's."""

    def __init__(self, seed: int, placed: Placed, sight: Sight, faults: Faults = NO_FAULTS) -> None:
        self.placed, self.driver = placed, load_driver(placed.driver)
        self.sight = sight
        self._health = Health(seed, placed.name, self.driver, faults)
        self._outlier = faults.outlier if self.driver.raw_field == "distance_mm" else 0.0
        self._jitter = Jitter(seed, placed.name, "outliers")

    def says(self, time_ms: int, *, event: bool = False, firmware: str = "") -> Said:
        """Its state at that moment, as a report or as an alarm."""
        words = vocabulary(self.driver.name)
        event = event and bool(words.alarm)
        chosen = words.alarm if event else words.report
        ailment = self._health.ailment(time_ms)
        seen_ms = ailment.start_ms if ailment and ailment.fault == "stuck" else time_ms
        fields = self._fit(self.sight.fields(seen_ms), chosen)
        if ailment:
            fields = self._fit(self._health.changed(fields, time_ms, ailment), chosen)
        if firmware:
            fields["firmware"] = firmware
        fault = ""
        if self._outlier and self._jitter.uniform(time_ms) < self._outlier:
            fields["distance_mm"] = WILD_MM[0] + WILD_MM[1] * self._jitter.uniform(time_ms, salt=1)
            fault = "outlier"
        spoken: Spoken = speak(self.driver, Values(fields, event=event))
        actual, ill = self.sight.actual(time_ms), ailment.fault if ailment else ""
        return Said(spoken.payload, dict(spoken.fields), actual, ill, fault)

    def row(self, said: Said, how: How, time_ms: int, fault: str = "") -> Row:
        """The truth row of a message."""
        return Row(
            self.placed.name,
            self.driver.kind,
            self.driver.name,
            how,
            time_ms,
            said.fields,
            fault or said.fault,
            said.ailment,
            said.actual,
        )

    def _fit(self, fields: dict[str, Value], chosen: frozenset[str]) -> dict[str, Value]:
        """The fields that the message has, each as its kind has it."""
        known = KINDS[self.driver.kind].fields
        fitted: dict[str, Value] = {}
        for name in chosen & fields.keys():
            value, field = fields[name], known[name]
            if isinstance(value, int | float) and field.type is not FieldType.TEXT:
                value = min(max(value, field.low), field.high)
                value = int(value) if field.type is FieldType.INTEGER else float(value)
            fitted[name] = value
        return fitted
