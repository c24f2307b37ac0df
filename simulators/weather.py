"""Weather of one site: showers and heat.

No rain statistics of Aceh are in city_patterns.md, so all numbers here are [I]: a tropical coast
with a shower on two days of three, mostly in the afternoon, 40 minutes by the median, 25 to 33 °C.
"""

from __future__ import annotations

import math

import numpy as np

from simulators import local_time
from simulators.history import Daily, Minutes
from simulators.seeds import Jitter, generator

SHOWERS_A_DAY = 0.7  # [I]
SHOWER_HOUR_MEAN, SHOWER_HOUR_SD = 16.0, 3.0  # [I]
SHOWER_MEDIAN_MIN, SHOWER_SIGMA = 40.0, 0.6  # [I]
MEAN_C, SWING_C, WARMEST_H = 28.5, 3.8, 14.0  # [I]
RAIN_C = -3.0  # [I]
NOISE_C = 0.3  # [I]
HUMIDITY = 0.8  # [I]


class Weather(Daily):
    """Rain and temperature of a site."""

    def __init__(self, seed: int, site: str, first_day: int) -> None:
        super().__init__(first_day)
        self._seed, self._site = seed, site
        self._rain: dict[int, Minutes] = {}
        self._jitter = Jitter(seed, site, "weather")

    def live(self, day: int) -> None:
        draws = generator(self._seed, self._site, "weather", day)
        rain = np.zeros(local_time.DAY_MINUTES)
        for _ in range(draws.poisson(SHOWERS_A_DAY)):
            start = int(60 * draws.normal(SHOWER_HOUR_MEAN, SHOWER_HOUR_SD)) % rain.size
            rain[start : start + int(SHOWER_MEDIAN_MIN * draws.lognormal(0, SHOWER_SIGMA))] = 1
        self._rain[day] = rain

    def rain(self, day: int) -> Minutes:
        """1 for each minute of the day in which it rains."""
        self.reach(local_time.day_start(day))
        return self._rain[day]

    def is_raining(self, time_ms: int) -> bool:
        day = local_time.day_of(time_ms)
        minute = (time_ms - local_time.day_start(day)) // local_time.MINUTE_MS
        return bool(self.rain(day)[minute])

    def temperature_c(self, time_ms: int) -> float:
        """Air temperature in the shade."""
        phase = 2 * math.pi * (local_time.hour_of(time_ms) - WARMEST_H) / 24
        wet = RAIN_C if self.is_raining(time_ms) else 0.0
        noise = NOISE_C * self._jitter.normal(time_ms // local_time.MINUTE_MS)
        return MEAN_C + SWING_C * math.cos(phase) + wet + noise

    def humidity(self, time_ms: int) -> float:
        """Relative humidity, 0 to 1: most at dawn and in the rain [I]."""
        warm = self.temperature_c(time_ms) - MEAN_C
        wet = 0.1 if self.is_raining(time_ms) else 0.0
        return min(1.0, max(0.3, HUMIDITY - 0.03 * warm + wet))
