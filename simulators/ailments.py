"""What ails a device for hours: stuck, drifting, noisy, a dying battery, a wrong clock.

A seeded schedule: each device falls ill on a day with the chance that `Faults` gives, in one way,
at one hour, for a few hours. The rows of the truth file bear the ailment's name while it lasts.

    stuck          says what it said when it began
    drifting       its own measurement runs away by 5 % an hour, as a web or dirt makes it
    noisy          its own measurement jumps by a fifth
    battery_dying  the charge runs out within the hours
    clock_wrong    by radio: the network server's clock is days ahead, as after a power cut
"""

from __future__ import annotations

import msgspec

from devices.driver import Driver, LorawanLink
from devices.kinds import KINDS, FieldType
from devices.reading import Value
from simulators import local_time
from simulators.faults import AILMENTS, Faults
from simulators.local_time import DAY_MS, HOUR_MS
from simulators.seeds import Jitter, generator

HOURS_MEDIAN, HOURS_SIGMA = 3.0, 0.5
DRIFT_AN_HOUR = 0.05
NOISE_SHARE = 0.2
FLAT_V, CELL_V = 2.2, 3.6
WRONG_CLOCK_MS = 3 * DAY_MS
OF_NUMBERS = ("drifting", "noisy")


class Ailment(msgspec.Struct, frozen=True):
    """One illness of one device."""

    device: str
    fault: str
    start_ms: int
    end_ms: int


class Health:
    """One device's ailments, day by day, and what they do to what it says."""

    def __init__(self, seed: int, device: str, driver: Driver, faults: Faults) -> None:
        self._seed, self._device, self._driver = seed, device, driver
        self._share = faults.ailments_a_day
        self._days: dict[int, Ailment | None] = {}
        self._jitter = Jitter(seed, device, "ailments")
        measured = KINDS[driver.kind].fields[driver.raw_field].type is FieldType.FLOAT
        by_radio = isinstance(driver.link, LorawanLink)
        self._kinds = [
            name
            for name in AILMENTS
            if (measured or name not in OF_NUMBERS) and (by_radio or name != "clock_wrong")
        ]

    def ailment(self, time_ms: int) -> Ailment | None:
        """What the device has at that moment."""
        if not self._share:
            return None
        today = local_time.day_of(time_ms)
        for day in (today, today - 1):
            one = self._of_day(day)
            if one and one.start_ms <= time_ms < one.end_ms:
                return one
        return None

    def changed(self, fields: dict[str, Value], time_ms: int, ailment: Ailment) -> dict[str, Value]:
        """What the device says in place of `fields`; a stuck one's past is the caller's to know."""
        raw, hours = self._driver.raw_field, (time_ms - ailment.start_ms) / HOUR_MS
        value = fields.get(raw)
        if ailment.fault in OF_NUMBERS and isinstance(value, float):
            factor = 1 + DRIFT_AN_HOUR * hours
            if ailment.fault == "noisy":
                factor = 1 + NOISE_SHARE * self._jitter.normal(time_ms)
            field = KINDS[self._driver.kind].fields[raw]
            return fields | {raw: min(max(value * factor, field.low), field.high)}
        if ailment.fault == "battery_dying":
            left = 1 - (time_ms - ailment.start_ms) / (ailment.end_ms - ailment.start_ms)
            dying = {"battery_level": 0.2 * left, "battery_v": FLAT_V + (CELL_V - FLAT_V) * left}
            return fields | {name: said for name, said in dying.items() if name in fields}
        return fields

    def _of_day(self, day: int) -> Ailment | None:
        if day not in self._days:
            draws = generator(self._seed, self._device, "ailment", day)
            ill = float(draws.random()) < self._share
            name = self._kinds[int(draws.integers(len(self._kinds)))]
            start_ms = local_time.day_start(day) + int(float(draws.random()) * DAY_MS)
            hours = HOURS_MEDIAN * float(draws.lognormal(0, HOURS_SIGMA))
            end_ms = start_ms + int(min(hours, 24.0) * HOUR_MS)
            self._days[day] = Ailment(self._device, name, start_ms, end_ms) if ill else None
        return self._days[day]
