"""Bins: waste falls in, trucks take it out, and now and then somebody sets one on fire.

A compound Poisson process with gamma increments; the mean a day is lognormal between bins (§2).
"""

from __future__ import annotations

import numpy as np

from simulators import local_time
from simulators.city import Bin
from simulators.history import Daily, Minutes, Steps, arrivals_ms, minutes_of
from simulators.local_time import HOUR_MS, MINUTE_MS, SECOND_MS
from simulators.parking import MARKET, MOSQUE, STREET
from simulators.seeds import Jitter, generator
from simulators.streets import Character, Site
from simulators.weather import Weather

LITRES_A_DAY, LITRES_SIGMA = 74.0, 0.65  # median and σ between bins [C:philly]
LITRES_LOW, LITRES_HIGH = 32.0, 174.0  # p10–p90, here the ends [C:philly]
MARKET_FACTOR = 3.0  # [C, I]
THROW_LITRES, THROW_SHAPE = 2.5, 1.5  # one throw: mean and gamma shape [I]
HOUR_FLOOR = 0.05  # somebody always passes [I]
PASSES_BASE, PASSES_FULL = 0.05, 0.60  # a round empties a bin with base + full·fill² [I]: about
# two days between pickups by the median, half of them under half full [C:philly]
ROUTE_MIN = 45.0  # a round's last bin comes so long after the first [I]
ROUND_SD_MIN = 12.0  # [I]
LID_BEFORE_S, LID_AFTER_S = 20, 25  # the lid is up while it is emptied [I]
RESIDUE = 0.02  # left at the bottom [I]
FIRE_A_DAY = 1 / 2_000  # [I]: alarms exist (wolv), no rate found
FIRE_MIN, FIRE_C, FIRE_LEFT = 25.0, 92.0, 0.35  # how long, how hot, what is left [I]
NOISE_MM = 15.0  # 10–40 [I, hoff]
OUTLIERS = 0.02  # 0.5–5 % [I, hoff]
BURST = 5  # echoes a LoRaWAN ranger takes the median of: DL-MBX tells how many were good, Dragino's
# DDS sends them all; how many others take, [I]
SUN_C = 4.0  # a lid at noon is warmer than the air [I]

_PROFILES = {
    Character.MARKET: MARKET,
    Character.STREET: STREET,
    Character.MOSQUE: MOSQUE,
}


class WasteBin(Daily):
    """One bin: how full, its lid, a fire, and what sensors under the lid would measure."""

    def __init__(self, seed: int, bin_: Bin, site: Site, weather: Weather, first_day: int) -> None:
        super().__init__(first_day)
        self._seed, self._bin, self._site, self._weather = seed, bin_, site, weather
        draws = generator(seed, bin_.name, "waste")
        litres = LITRES_A_DAY * float(draws.lognormal(0, LITRES_SIGMA))
        market = MARKET_FACTOR if bin_.zone.character is Character.MARKET else 1.0
        self.litres_a_day = min(max(litres, LITRES_LOW), LITRES_HIGH) * market
        self._route_min = float(draws.uniform(0, ROUTE_MIN))
        self._fill: Steps[float] = Steps(float(draws.uniform(0, 0.6)))
        self._status: Steps[str] = Steps("ok")
        self._jitter = Jitter(seed, bin_.name)

    def fill(self, time_ms: int) -> float:
        """How full it is, 0 to 1."""
        self.reach(time_ms)
        return self._fill.at(time_ms)

    def status(self, time_ms: int) -> str:
        """ok, lid_open or burning."""
        self.reach(time_ms)
        return self._status.at(time_ms)

    def changes(self, after_ms: int, to_ms: int) -> list[tuple[int, str]]:
        """Changes of the status in (after, to]."""
        self.reach(to_ms)
        return self._status.between(after_ms, to_ms)

    def levels(self, after_ms: int, to_ms: int) -> list[tuple[int, float]]:
        """Changes of the filling in (after, to]."""
        self.reach(to_ms)
        return self._fill.between(after_ms, to_ms)

    def distance_mm(self, time_ms: int) -> float:
        """From the lid to the waste, as an ultrasonic sensor measures it."""
        bin_ = self._bin
        if self._jitter.uniform(time_ms) < OUTLIERS:  # an echo off the wall or the lid's rim
            share = self._jitter.uniform(time_ms, salt=1)
            return bin_.full_mm + share * (bin_.empty_mm - bin_.full_mm)
        noise = NOISE_MM * self._jitter.normal(time_ms)
        height = height_share(self.fill(time_ms), bin_.taper)
        return bin_.empty_mm - height * (bin_.empty_mm - bin_.full_mm) + noise

    def burst_mm(self, time_ms: int) -> float:
        """The median of a burst of echoes, as a sensor that wakes up seldom takes it."""
        return float(np.median([self.distance_mm(time_ms + nth) for nth in range(BURST)]))

    def temperature_c(self, time_ms: int) -> float:
        """Under the lid: air, sun, fire."""
        if self.status(time_ms) == "burning":
            return FIRE_C + 3.0 * self._jitter.normal(time_ms)
        sun = 1 - abs(local_time.hour_of(time_ms) - 12.5) / 5.5
        shaded = self._weather.is_raining(time_ms)
        return self._weather.temperature_c(time_ms) + (0.0 if shaded else SUN_C * max(sun, 0.0))

    def live(self, day: int) -> None:
        draws = generator(self._seed, self._bin.name, "waste", day)
        throws = arrivals_ms(self._throws_a_minute(), day, draws)
        litres = draws.gamma(THROW_SHAPE, THROW_LITRES / THROW_SHAPE, len(throws))
        events: list[tuple[int, float]] = list(zip(throws, litres.tolist(), strict=True))
        rounds = self._rounds(day)
        chances = draws.random(len(rounds))
        events += [(moment, -chance) for moment, chance in zip(rounds, chances, strict=True)]
        fire_ms = self._fire(day, draws)
        if fire_ms is not None:
            events.append((fire_ms, 0.0))
        for moment, what in sorted(events):
            if what > 0:
                fill = min(1.0, self._fill.last + what / self._bin.litres)
                self._fill.append(moment, fill)
            elif what < 0:
                self._pass(moment, -what)
            else:
                self._burn(moment)

    def _throws_a_minute(self) -> Minutes:
        weights = minutes_of(_PROFILES[self._bin.zone.character]) + HOUR_FLOOR
        throws: Minutes = weights / weights.sum() * (self.litres_a_day / THROW_LITRES)
        return throws

    def _rounds(self, day: int) -> list[int]:
        """When the truck of each round of the site reaches this bin."""
        draws = generator(self._seed, self._site.name, "trucks", day)
        late_min = draws.normal(0, ROUND_SD_MIN, len(self._site.truck_hours))
        start = local_time.day_start(day)
        return [
            start + int(hour * HOUR_MS + (self._route_min + float(late)) * MINUTE_MS)
            for hour, late in zip(self._site.truck_hours, late_min, strict=True)
        ]

    def _pass(self, moment: int, chance: float) -> None:
        if chance >= PASSES_BASE + PASSES_FULL * self._fill.last**2:
            return
        self._fill.append(moment, RESIDUE)
        self._status.append(moment - LID_BEFORE_S * SECOND_MS, "lid_open")
        self._status.append(moment + LID_AFTER_S * SECOND_MS, "ok")

    def _fire(self, day: int, draws: np.random.Generator) -> int | None:
        share, hour = draws.random(), draws.uniform(8, 22)
        return local_time.day_start(day) + int(hour * HOUR_MS) if share < FIRE_A_DAY else None

    def _burn(self, moment: int) -> None:
        self._status.append(moment, "burning")
        self._status.append(moment + int(FIRE_MIN * MINUTE_MS), "ok")
        self._fill.append(moment, self._fill.last * FIRE_LEFT)


def height_share(volume_share: float, taper: float) -> float:
    """How high the waste stands in a container that widens evenly from `taper` at its floor to 1 at
    its brim: the cube root that a frustum's volume asks for."""
    if taper == 1:
        return volume_share
    whole = 1 - taper**3
    return float(np.cbrt(taper**3 + volume_share * whole) - taper) / (1 - taper)
