"""What the city's instruments stand in: people who come and go, traffic, lamps, the river.

Everything here is inferred [I] but what names its source: no counts of people or vehicles of an
Indonesian street by the hour were found (city_patterns.md §1), so people come as they park, and
vehicles as the street's occupancy has it.
"""

from __future__ import annotations

import math
from bisect import bisect_right, insort

import numpy as np

from simulators import local_time
from simulators.history import Daily, Minutes, Steps, arrivals_ms, minutes_of
from simulators.local_time import DAY_MS, HOUR_MS, MINUTE_MS
from simulators.parking import MARKET, MOSQUE, STREET
from simulators.seeds import Jitter, generator
from simulators.streets import Character
from simulators.weather import MEAN_C, SWING_C, WARMEST_H, Weather

PEOPLE_A_DAY = {Character.MARKET: 900.0, Character.STREET: 350.0, Character.MOSQUE: 500.0}  # [I]
VISIT_MEDIAN_MIN, VISIT_SIGMA = 9.0, 0.8  # [I]
INSIDE_MAX = 120  # a hall's door is closed by the crowd itself [I]
VEHICLES_A_DAY = 5_200.0  # a two-lane market street [I]
RAIN = 0.6  # who still goes out in a shower [I]
HOUR_FLOOR = 0.01
LAMPS, LAMP_W, STANDBY_W = 14, 75.0, 6.0  # street lights on one meter [I]
DUSK_H, DAWN_H, DIM_H = 18.4, 6.3, 23.0  # Maghrib and Fajr are 18:21 and 05:36 (§6); dimmed [I]
DIMMED = 0.6  # [I]
MAINS_V, MAINS_SD_V, MAINS_HZ = 220.0, 4.0, 50.0
POWER_FACTOR = 0.95  # LED drivers [I]
MEAN_M, TIDE_M = 1.6, 0.55  # Krueng Aceh at its mouth: semi-diurnal, about a metre at springs [I]
MOON_H, SUN_H, SUN_SHARE = 12.42, 12.0, 0.35  # M2 and S2 periods; their ratio is the springs' [M]
RUNOFF_M_A_MINUTE, RUNOFF_HALF_H = 0.008, 3.0  # a shower's water, and how long it stays [I]
WAVES_MM, ECHO_SHARE = 12.0, 0.01  # [I]
DRY_VWC, SOAKED_VWC = 0.12, 0.44  # a loam's wilting point, and all its pores full [M]
BED_VWC = (0.18, 0.24)  # a bed that the gardeners water, before any rain [I]
SOAK_A_MINUTE, DRY_HALF_H = 0.012, 40.0  # how a shower soaks in, and how long it stays [I]
SOIL_SHARE, SOIL_LATER_H = 0.35, 4.0  # of the air's swing, a hand deep [I]
SOIL_US_CM = 2_200.0  # of all water, by its share; a fed bed [I]

_PROFILES = {Character.MARKET: MARKET, Character.STREET: STREET, Character.MOSQUE: MOSQUE}


def _weights(character: Character) -> Minutes:
    weights = minutes_of(_PROFILES[character]) + HOUR_FLOOR
    share: Minutes = weights / weights.sum()
    return share


class Passers(Daily):
    """Those who pass one place: each comes, stays a while, and goes. A vehicle on a lane stays for
    no time. Counters begin at local midnight, as such sensors are configured."""

    def __init__(
        self,
        seed: int,
        name: str,
        character: Character,
        a_day: float,
        weather: Weather,
        first_day: int,
        *,
        stay: bool = True,
    ) -> None:
        super().__init__(first_day)
        self._seed, self._name, self._weather, self._stay = seed, name, weather, stay
        self._weights, self._a_day = _weights(character), a_day
        self._in: list[int] = []
        self._out: list[int] = []  # sorted

    def came(self, after_ms: int, to_ms: int) -> int:
        """How many came in (after, to]."""
        self.reach(to_ms)
        return bisect_right(self._in, to_ms) - bisect_right(self._in, after_ms)

    def went(self, after_ms: int, to_ms: int) -> int:
        """How many went in (after, to]."""
        self.reach(to_ms)
        return bisect_right(self._out, to_ms) - bisect_right(self._out, after_ms)

    def inside(self, time_ms: int) -> int:
        """How many are there."""
        self.reach(time_ms)
        return bisect_right(self._in, time_ms) - bisect_right(self._out, time_ms)

    def most_inside(self, after_ms: int, to_ms: int) -> int:
        """The most at once in (after, to]."""
        moments = self._in[bisect_right(self._in, after_ms) : bisect_right(self._in, to_ms)]
        return max((self.inside(moment) for moment in (*moments, to_ms)), default=0)

    def live(self, day: int) -> None:
        draws = generator(self._seed, self._name, "passers", day)
        dry = np.where(self._weather.rain(day) > 0, RAIN, 1.0)
        mood = max(0.3, float(draws.normal(1, 0.12)))
        for start in arrivals_ms(self._weights * self._a_day * mood * dry, day, draws):
            stay_min = VISIT_MEDIAN_MIN * float(draws.lognormal(0, VISIT_SIGMA))
            if not self._stay:
                stay_min = 0.0
            elif len(self._in) - bisect_right(self._out, start) >= INSIDE_MAX:
                continue
            self._in.append(start)
            insort(self._out, start + int(stay_min * MINUTE_MS))


class StreetLights(Daily):
    """The lamps on one meter: from dusk to dawn, dimmed at night, one broken now and then."""

    def __init__(self, seed: int, name: str, first_day: int) -> None:
        super().__init__(first_day)
        self._seed, self._name = seed, name
        self._power_w: Steps[float] = Steps(STANDBY_W)
        self._energy_wh: list[float] = [0.0]  # until each step
        self._moments: list[int] = [local_time.day_start(first_day)]
        self._jitter = Jitter(seed, name)

    def power_w(self, time_ms: int) -> float:
        self.reach(time_ms)
        return self._power_w.at(time_ms)

    def energy_wh(self, time_ms: int) -> float:
        """The meter's counter since it was put in."""
        self.reach(time_ms)
        at = bisect_right(self._moments, time_ms) - 1
        hours = (time_ms - self._moments[at]) / HOUR_MS
        return self._energy_wh[at] + hours * self._power_w.at(time_ms)

    def voltage_v(self, time_ms: int) -> float:
        return MAINS_V + MAINS_SD_V * self._jitter.normal(time_ms // MINUTE_MS)

    def frequency_hz(self, time_ms: int) -> float:
        return MAINS_HZ + 0.05 * self._jitter.normal(time_ms // MINUTE_MS + 1)

    def live(self, day: int) -> None:
        draws = generator(self._seed, self._name, "lights", day)
        lit = (LAMPS - int(draws.random() < 0.15)) * LAMP_W
        early, late = float(draws.normal(0, 0.05)), float(draws.normal(0, 0.05))
        plan = [
            (0.0, DIMMED * lit),
            (DAWN_H + early, 0.0),
            (DUSK_H + late, lit),
            (DIM_H, DIMMED * lit),
        ]
        for hour, power_w in plan:
            self._switch(local_time.day_start(day) + int(hour * HOUR_MS), STANDBY_W + power_w)

    def _switch(self, moment: int, power_w: float) -> None:
        hours = (moment - self._moments[-1]) / HOUR_MS
        self._energy_wh.append(self._energy_wh[-1] + hours * self._power_w.last)
        self._moments.append(moment)
        self._power_w.append(moment, power_w)


class River:
    """The water under one bridge: tide, and what the showers of the last hours brought."""

    def __init__(
        self, seed: int, name: str, weather: Weather, empty_mm: float, first_day: int
    ) -> None:
        self._weather, self._empty_mm = weather, empty_mm
        self._phase = float(generator(seed, name, "tide").uniform(0, 2 * math.pi))
        self._first_ms = local_time.day_start(first_day)
        self._jitter = Jitter(seed, name)

    def level_m(self, time_ms: int) -> float:
        """Over the gauge's zero."""
        hours = time_ms / HOUR_MS
        tide = math.cos(2 * math.pi * hours / MOON_H + self._phase)
        tide += SUN_SHARE * math.cos(2 * math.pi * hours / SUN_H + self._phase)
        return MEAN_M + TIDE_M * tide + self._runoff_m(time_ms)

    def distance_mm(self, time_ms: int) -> float:
        """From under the bridge down to the water, with waves and a stray echo."""
        if self._jitter.uniform(time_ms) < ECHO_SHARE:  # a boat, a branch
            return self._empty_mm * (0.3 + 0.5 * self._jitter.uniform(time_ms, salt=1))
        waves = WAVES_MM * self._jitter.normal(time_ms)
        return self._empty_mm - 1000 * self.level_m(time_ms) + waves

    def _runoff_m(self, time_ms: int) -> float:
        """What fell in each quarter of an hour of the last day, run off by half each `HALF`."""
        total, step_ms = 0.0, 15 * MINUTE_MS
        first_ms = max(self._first_ms, time_ms - DAY_MS)
        for moment in range(first_ms - first_ms % step_ms + step_ms, time_ms, step_ms):
            if self._weather.is_raining(moment):
                age_h = (time_ms - moment) / HOUR_MS
                total += 15 * RUNOFF_M_A_MINUTE * 0.5 ** (age_h / RUNOFF_HALF_H)
        return total


class Soil:
    """One bed or lawn: soaked by showers, dried by the days after them."""

    def __init__(self, seed: int, name: str, weather: Weather, first_day: int) -> None:
        self._weather, self._first_ms = weather, local_time.day_start(first_day)
        draws = generator(seed, name, "soil")
        self._bed_vwc = float(draws.uniform(*BED_VWC))
        self._salts = float(draws.uniform(0.6, 1.3))
        self._jitter = Jitter(seed, name)

    def moisture_vwc(self, time_ms: int) -> float:
        """Water by volume: what fell in each half hour of four days, dried by half each
        `DRY_HALF_H`; the more there is, the less of the next shower stays."""
        fallen, step_ms = 0.0, 30 * MINUTE_MS
        first_ms = max(self._first_ms, time_ms - 4 * DAY_MS)
        for moment in range(first_ms - first_ms % step_ms + step_ms, time_ms, step_ms):
            if self._weather.is_raining(moment):
                age_h = (time_ms - moment) / HOUR_MS
                fallen += 30 * SOAK_A_MINUTE * 0.5 ** (age_h / DRY_HALF_H)
        return SOAKED_VWC - (SOAKED_VWC - self._bed_vwc) * math.exp(-fallen)

    def measured_vwc(self, time_ms: int) -> float:
        """The same with the rods' noise."""
        noise = 0.001 * self._jitter.normal(time_ms // MINUTE_MS)
        return min(SOAKED_VWC, max(DRY_VWC, self.moisture_vwc(time_ms) + noise))

    def temperature_c(self, time_ms: int) -> float:
        """The air's, slower and calmer."""
        phase = 2 * math.pi * (local_time.hour_of(time_ms) - WARMEST_H - SOIL_LATER_H) / 24
        return MEAN_C + SOIL_SHARE * SWING_C * math.cos(phase)

    def conductivity_us_cm(self, time_ms: int) -> float:
        """More water carries more."""
        return SOIL_US_CM * self._salts * self.moisture_vwc(time_ms)
