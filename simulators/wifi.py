"""A WiFi corner: visitors' sessions, the access point's counters, and when it or its line is out.

Sessions arrive as an NHPP and stay a lognormal time (Mt/G/∞, ghosh); more than the cap are turned
away. The line to the internet is 4G.
"""

from __future__ import annotations

from bisect import bisect_right

import numpy as np

from simulators import local_time
from simulators.city import Corner
from simulators.history import Daily, Steps, arrivals_ms, minutes_of
from simulators.local_time import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from simulators.seeds import Jitter, generator
from simulators.weather import Weather

CAP = 30  # concurrent (bontang)
SESSION_MEDIAN_MIN, SESSION_SIGMA, SESSION_CAP_MIN = 8.0, 1.3, 300.0  # [I, chlebus]
SESSION_MEAN_MIN = 18.0  # of that lognormal, cut at the cap
BYTES_MEAN, BYTES_SIGMA = 7.6e6, 2.0  # a session [link, I]
UPLOAD = 0.12  # share of the bytes that visitors send [I]
# Visitors at once by hour: 20–30 at the peak (bontang), the curve [I].
AT_ONCE = (
    *(1.0, 0.5, 0.3, 0.3, 0.5, 1.5, 3.0, 5.0, 8.0, 10.0, 11.0, 12.0),
    *(12.0, 10.0, 9.0, 10.0, 12.0, 14.0, 12.0, 18.0, 21.0, 20.0, 13.0, 5.0),
)
RAIN = 0.6  # arrivals in a shower [I]
RTT_MEAN_MS, RTT_SD_MS = 28.0, 14.0  # 4G (ookla22)
LINE_CUTS_A_DAY, LINE_CUT_MEDIAN_MIN, LINE_CUT_SIGMA = 1.0, 2.0, 1.0  # [I]
LONG_CUT_A_DAY, LONG_CUT_H = 1 / 90, (1.0, 72.0)  # rare [I]
POWER_CUTS_A_DAY, POWER_CUT_MEAN_MIN, POWER_SIGMA = 8 / 365, 90.0, 0.8  # [I, fin, pln24]
HANGS_A_DAY, HANG_MEDIAN_MIN = 0.3, 4.0  # an access point that starts again by itself [I]
PORTAL_A_DAY, PORTAL_MEDIAN_MIN = 0.3, 6.0  # the provider puts its page in between [I]
IDLE, BUSY = 0.05, 0.55  # channel utilisation of nobody, and of a full corner more [I]


class WifiCorner(Daily):
    """One corner: visitors, counters, outages."""

    def __init__(self, seed: int, corner: Corner, weather: Weather, first_day: int) -> None:
        super().__init__(first_day)
        self._seed, self._name, self._weather = seed, corner.name, weather
        self._starts: list[int] = []
        self._ends: list[int] = []  # of the same session
        self._bytes: list[float] = []
        self._bytes_before: list[float] = [0.0]  # of all sessions before the nth
        self._leaving: list[int] = []  # sorted
        self._up: Steps[int] = Steps(1)
        self._line: Steps[int] = Steps(1)
        self._portal: Steps[int] = Steps(0)
        self._booted: Steps[int] = Steps(local_time.day_start(first_day))
        self._jitter = Jitter(seed, corner.name)

    def is_up(self, time_ms: int) -> bool:
        """Whether the access point has power and answers."""
        self.reach(time_ms)
        return self._up.at(time_ms) == 1

    def is_online(self, time_ms: int) -> bool:
        """Whether the line to the internet works."""
        self.reach(time_ms)
        return self._line.at(time_ms) == 1

    def portal(self, time_ms: int) -> str:
        """What a visitor's captive-portal check meets: open, portal or down."""
        if not self.is_online(time_ms):
            return "down"
        return "portal" if self._portal.at(time_ms) else "open"

    def outages(self, after_ms: int, to_ms: int) -> list[tuple[int, str, int]]:
        """Changes of `up`, `line` and `portal` in (after, to], by time."""
        self.reach(to_ms)
        named = (("up", self._up), ("line", self._line), ("portal", self._portal))
        return sorted(
            (moment, name, value)
            for name, steps in named
            for moment, value in steps.between(after_ms, to_ms)
        )

    def clients(self, time_ms: int) -> int:
        """Stations associated now; nobody while the access point is out."""
        if not self.is_up(time_ms):
            return 0
        return bisect_right(self._starts, time_ms) - bisect_right(self._leaving, time_ms)

    def traffic(self, time_ms: int) -> tuple[int, int]:
        """The interface's counters since it booted: (from stations, to stations) in bytes."""
        self.reach(time_ms)
        total = self._total_bytes(time_ms) - self._total_bytes(self._booted.at(time_ms))
        return int(UPLOAD * total), int((1 - UPLOAD) * total)

    def uptime_s(self, time_ms: int) -> float:
        """Whole seconds since the access point started."""
        self.reach(time_ms)
        return float((time_ms - self._booted.at(time_ms)) // SECOND_MS)

    def channel_utilization(self, time_ms: int) -> float:
        """Share of the time in which the channel is busy, 0 to 1."""
        busy = IDLE + BUSY * self.clients(time_ms) / CAP + 0.03 * self._jitter.normal(time_ms)
        return min(max(busy, 0.0), 1.0)

    def latency_ms(self, time_ms: int) -> float:
        """Round trip over 4G; lognormal, since it can't be below what light and radio take [I]."""
        sigma = float(np.sqrt(np.log1p((RTT_SD_MS / RTT_MEAN_MS) ** 2)))
        middle = RTT_MEAN_MS * float(np.exp(-(sigma**2) / 2))
        return middle * float(np.exp(sigma * self._jitter.normal(time_ms)))

    def _total_bytes(self, time_ms: int) -> float:
        """All traffic until then, each session's spread evenly over its stay."""
        longest_ms = int(SESSION_CAP_MIN * MINUTE_MS)
        first = bisect_right(self._starts, time_ms - longest_ms)  # those before have ended
        last = bisect_right(self._starts, time_ms)
        sessions = zip(
            self._starts[first:last], self._ends[first:last], self._bytes[first:last], strict=True
        )
        present = sum(
            size * min(1.0, (time_ms - start) / (end - start)) for start, end, size in sessions
        )
        return self._bytes_before[first] + present

    def live(self, day: int) -> None:
        draws = generator(self._seed, self._name, "sessions", day)
        dry = np.where(self._weather.rain(day) > 0, RAIN, 1.0)
        for start in arrivals_ms(minutes_of(AT_ONCE) / SESSION_MEAN_MIN * dry, day, draws):
            stay_min = SESSION_MEDIAN_MIN * float(draws.lognormal(0, SESSION_SIGMA))
            size = BYTES_MEAN * float(draws.lognormal(-(BYTES_SIGMA**2) / 2, BYTES_SIGMA))
            inside = len(self._starts) - bisect_right(self._leaving, start)
            if inside < CAP:
                self._visit(start, min(stay_min, SESSION_CAP_MIN), size)
        self._outages(day)

    def _visit(self, start: int, stay_min: float, size: float) -> None:
        end = start + max(SECOND_MS, int(stay_min * MINUTE_MS))
        self._starts.append(start)
        self._ends.append(end)
        self._bytes.append(size)
        self._bytes_before.append(self._bytes_before[-1] + size)
        self._leaving.insert(bisect_right(self._leaving, end), end)

    def _outages(self, day: int) -> None:
        draws = generator(self._seed, self._name, "outages", day)
        line = _cuts(draws, LINE_CUTS_A_DAY, LINE_CUT_MEDIAN_MIN, LINE_CUT_SIGMA)
        if draws.random() < LONG_CUT_A_DAY:
            line.append((float(draws.random()), float(draws.uniform(*LONG_CUT_H)) * HOUR_MS))
        power_median = POWER_CUT_MEAN_MIN * float(np.exp(-(POWER_SIGMA**2) / 2))
        down = _cuts(draws, POWER_CUTS_A_DAY, power_median, POWER_SIGMA)
        down += _cuts(draws, HANGS_A_DAY, HANG_MEDIAN_MIN, 0.5)
        portal = _cuts(draws, PORTAL_A_DAY, PORTAL_MEDIAN_MIN, 0.5)
        midnight = local_time.day_start(day)
        for cuts, steps, out in ((line, self._line, 0), (portal, self._portal, 1)):
            for share, length_ms in sorted(cuts):
                _cut(steps, midnight + int(share * DAY_MS), length_ms, out)
        for share, length_ms in sorted(down):
            _cut(self._up, midnight + int(share * DAY_MS), length_ms, 0)
            self._booted.append(self._up.last_ms, self._up.last_ms)


def _cuts(
    draws: np.random.Generator, a_day: float, median_min: float, sigma: float
) -> list[tuple[float, float]]:
    """(share of the day, length in ms) of each."""
    return [
        (float(draws.random()), median_min * MINUTE_MS * float(draws.lognormal(0, sigma)))
        for _ in range(draws.poisson(a_day))
    ]


def _cut(steps: Steps[int], start_ms: int, length_ms: float, out: int) -> None:
    """Out, then back; one that begins before the last has ended begins at its end."""
    start_ms = max(start_ms, steps.last_ms)
    steps.append(start_ms, out)
    steps.append(start_ms + max(SECOND_MS, int(length_ms)), 1 - out)
