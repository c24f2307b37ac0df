"""Bays: who comes, how long they stay, and what a sensor over the bay would measure.

Arrivals are a non-homogeneous Poisson process (tavaf). city_patterns.md gives the target occupancy
of a zone by hour and λ = occupancy·bays/dwell, the rate of those who *find* a place; a bay that is
taken turns people away, so the rate offered to one bay is occupancy/(1 − occupancy)/dwell.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from simulators import local_time
from simulators.city import FREE_MM, Bay
from simulators.history import Daily, Minutes, Steps, arrivals_ms, minutes_of, window
from simulators.local_time import DAY_MS, MINUTE_MS, SATURDAY, SUNDAY
from simulators.seeds import Jitter, generator
from simulators.streets import Character, Zone
from simulators.weather import Weather

# Hours 0–23. Market 06–18 [I, gemar]; street 08–16 [C:bham]; everything else [I].
MARKET = (
    *(0.02, 0.02, 0.02, 0.05, 0.15, 0.35),
    *(0.55, 0.80, 0.95, 0.95, 0.85, 0.70, 0.55, 0.45, 0.40, 0.45, 0.40, 0.25, 0.10),
    *(0.08, 0.06, 0.04, 0.02, 0.02),
)
STREET = (
    *(0.02, 0.02, 0.02, 0.02, 0.02, 0.04, 0.08, 0.18),
    *(0.28, 0.42, 0.53, 0.60, 0.63, 0.65, 0.63, 0.57, 0.50),
    *(0.42, 0.32, 0.35, 0.40, 0.28, 0.14, 0.06),
)
STREET_WEEKEND = (
    *(0.02, 0.02, 0.02, 0.02, 0.02, 0.04, 0.06, 0.10),
    *(0.17, 0.22, 0.29, 0.37, 0.47, 0.50, 0.54, 0.53, 0.49),
    *(0.45, 0.38, 0.42, 0.48, 0.35, 0.18, 0.08),
)
MOSQUE = (
    *(0.02, 0.02, 0.02, 0.03, 0.10, 0.30, 0.10, 0.10, 0.12, 0.14, 0.16, 0.20),
    *(0.55, 0.35, 0.20, 0.45, 0.25, 0.20, 0.50, 0.45, 0.25, 0.10, 0.05, 0.02),
)
HOUR_SD = 0.08  # day to day, of an hourly cell [C:bham]
OCCUPANCY_MAX = 0.95  # kerbs reach 95 % (melb08)
FRIDAY, FRIDAY_MOSQUE = 0.4, 1.5  # 12–14 h [I]
FRIDAY_LEAVES = 0.5  # who is parked elsewhere at noon goes to pray [I]
MAGHRIB, MAGHRIB_WINDOW_H = 0.35, 0.6  # arrivals while shops shut (trib17), size [I]
RAIN = 0.5  # arrivals in a shower [I]
DWELL_MEDIAN_MIN = {"motorcycle": 22.0, "car": 30.0}  # [I, alor, denp]
DWELL_SIGMA = 0.9  # [I]
DWELL_MIN = 2.0  # shortest 2–3 min (alor)
TRADERS = {"motorcycle": 0.03, "car": 0.08}  # of the arrivals of 4–7 h [I]
TRADER_HOURS = (4.0, 7.0)
TRADER_MEAN_H, TRADER_SD_H = 6.5, 1.5  # a trader stays for the morning [I]
GAP_S = 8.0  # a bay isn't taken sooner than this after it was left [I]
DETECTION = 0.95  # of stays that a magnetic sensor notices (nedap)
HEIGHT_MM = {"motorcycle": (1_050.0, 60.0), "car": (1_470.0, 110.0)}  # vehicle's top [I]
NOISE_MM = 15.0  # as for levels [I]
OUTLIERS = 0.005  # an echo off something else [I]


class Demand:
    """How much a zone is sought, by the minute: its profile, the day's mood, prayers and rain."""

    def __init__(self, seed: int, site: str, zone: Zone, weather: Weather) -> None:
        self._seed, self._site, self._zone, self._weather = seed, site, zone, weather
        self._days: dict[int, Minutes] = {}

    def occupancy(self, day: int) -> Minutes:
        """Target occupancy of each minute of the day."""
        if day not in self._days:
            draws = generator(self._seed, self._site, self._zone.name, "demand", day)
            hours = np.asarray(self._profile(day)) + draws.normal(0, HOUR_SD, 24)
            base = np.clip(hours, 0.2 * np.asarray(self._profile(day)), OCCUPANCY_MAX)
            minutes = minutes_of(tuple(base)) * self._prayers(day)
            self._days[day] = np.clip(minutes, 0.0, OCCUPANCY_MAX)
        return self._days[day]

    def offered(self, day: int, dwell_min: float) -> Minutes:
        """Arrivals a minute at one bay, those included who find it taken."""
        occupancy = self.occupancy(day)
        dry = np.where(self._weather.rain(day) > 0, RAIN, 1.0)
        offered: Minutes = occupancy / (1 - occupancy) / dwell_min * dry
        return offered

    def _profile(self, day: int) -> tuple[float, ...]:
        if self._zone.character is Character.MARKET:
            return MARKET
        if self._zone.character is Character.MOSQUE:
            return MOSQUE
        weekend = local_time.weekday(day) in (SATURDAY, SUNDAY)
        return STREET_WEEKEND if weekend else STREET

    def _prayers(self, day: int) -> Minutes:
        mosque = self._zone.character is Character.MOSQUE
        factor = np.ones(local_time.DAY_MINUTES)
        if local_time.weekday(day) == local_time.FRIDAY:
            factor[window(*local_time.FRIDAY_PRAYER_H)] = FRIDAY_MOSQUE if mosque else FRIDAY
        if not mosque:
            maghrib = local_time.MAGHRIB_H
            factor[window(maghrib, maghrib + MAGHRIB_WINDOW_H)] *= MAGHRIB
        return factor


class ParkingBay(Daily):
    """One bay's vehicles: a distance over ground for each stay, and whether the sensor noticed."""

    def __init__(self, seed: int, bay: Bay, demand: Demand, first_day: int) -> None:
        super().__init__(first_day)
        self._seed, self._bay, self._demand = seed, bay, demand
        self._top_mm: Steps[float] = Steps(0.0)  # 0: nobody there
        self._noticed: Steps[int] = Steps(0)
        self._jitter = Jitter(seed, bay.name)

    def is_taken(self, time_ms: int) -> bool:
        """Whether a vehicle stands there, noticed or not."""
        self.reach(time_ms)
        return self._top_mm.at(time_ms) > 0

    def occupied(self, time_ms: int) -> int:
        """What a magnetic sensor believes: 1 or 0."""
        self.reach(time_ms)
        return self._noticed.at(time_ms)

    def changes(self, after_ms: int, to_ms: int) -> list[tuple[int, int]]:
        """What a magnetic sensor notices in (after, to]."""
        self.reach(to_ms)
        return self._noticed.between(after_ms, to_ms)

    def previous_state_s(self, time_ms: int) -> float:
        """How long the state before the one that a magnetic sensor believes lasted."""
        self.reach(time_ms)
        moments = [moment for moment, _ in self._noticed.between(time_ms - DAY_MS, time_ms)]
        return (moments[-1] - moments[-2]) / 1000 if len(moments) > 1 else 0.0

    def stays(self, after_ms: int, to_ms: int) -> int:
        """Vehicles that arrived in (after, to]."""
        self.reach(to_ms)
        return sum(top > 0 for _, top in self._top_mm.between(after_ms, to_ms))

    def departures(self, after_ms: int, to_ms: int) -> list[tuple[int, int]]:
        """Who left in (after, to], and how long they had stood, both milliseconds."""
        self.reach(to_ms)
        changes = self._top_mm.between(after_ms - 2 * DAY_MS, to_ms)
        return [
            (left_ms, left_ms - came_ms)
            for (came_ms, _), (left_ms, top) in pairwise(changes)
            if top == 0 and left_ms > after_ms
        ]

    def distance_mm(self, time_ms: int) -> float:
        """What an ultrasonic sensor above measures: the vehicle's top or the floor, with noise."""
        self.reach(time_ms)
        if self._jitter.uniform(time_ms) < OUTLIERS:
            return 600 + 1_900 * self._jitter.uniform(time_ms, salt=1)
        noise = NOISE_MM * self._jitter.normal(time_ms)
        return FREE_MM - self._top_mm.at(time_ms) + noise

    def live(self, day: int) -> None:
        draws = generator(self._seed, self._bay.name, "stays", day)
        moments = arrivals_ms(self._demand.offered(day, self._dwell_mean_min()), day, draws)
        count = len(moments)
        dwell_min = np.maximum(
            DWELL_MEDIAN_MIN[self._bay.vehicle] * draws.lognormal(0, DWELL_SIGMA, count), DWELL_MIN
        )
        trader_h = np.maximum(draws.normal(TRADER_MEAN_H, TRADER_SD_H, count), 1.0)
        is_trader = draws.random(count) < TRADERS[self._bay.vehicle]
        tops = draws.normal(*HEIGHT_MM[self._bay.vehicle], count)
        is_noticed = draws.random(count) < DETECTION
        leaves = draws.random(count) < FRIDAY_LEAVES
        hurry = draws.random(count)
        for nth, start in enumerate(moments):
            if start < self._top_mm.last_ms + GAP_S * local_time.SECOND_MS:
                continue  # taken: they drive on
            stay_min = float(dwell_min[nth])
            first, last = TRADER_HOURS
            if is_trader[nth] and first <= local_time.hour_of(start) < last:
                stay_min = 60 * float(trader_h[nth])
            end = start + int(stay_min * MINUTE_MS)
            if leaves[nth]:
                end = self._before_prayer(day, start, end, float(hurry[nth]))
            self._stay(start, end, float(tops[nth]), bool(is_noticed[nth]))

    def _stay(self, start: int, end: int, top_mm: float, is_noticed: bool) -> None:
        self._top_mm.append(start, top_mm)
        self._top_mm.append(end, 0.0)
        if is_noticed:
            self._noticed.append(start, 1)
            self._noticed.append(end, 0)

    def _dwell_mean_min(self) -> float:
        """The mean of the lognormal: 33 and 45 min (the table's own)."""
        return DWELL_MEDIAN_MIN[self._bay.vehicle] * float(np.exp(DWELL_SIGMA**2 / 2))

    def _before_prayer(self, day: int, start: int, end: int, hurry: float) -> int:
        """When it ends on a Friday for somebody who goes to pray: around ten to twelve."""
        mosque = self._bay.zone.character is Character.MOSQUE
        if mosque or local_time.weekday(day) != local_time.FRIDAY:
            return end
        leave = local_time.day_start(day) + int((11.75 + 0.5 * hurry) * local_time.HOUR_MS)
        return leave if start + DWELL_MIN * MINUTE_MS < leave < end else end
