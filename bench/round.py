"""How long the round's way is, beside the same bins visited in order of level.

The simulated city, morning after morning at five: the bins that are full or will be before the next
morning, by the analysis the round itself uses; one press truck a site with as many trips as it
takes. Both visit the same bins with the same truck from the same depot, in straight lines: the
round in the order that the search finds, the rival the fullest first, which is what a list sorted
by level makes a driver do. Metres are sums over all mornings and sites; the depot is the market's
own yard or, in the second row of each city, 3 km away, where driving out and back is the same for
both. The time is the search's own.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

from bench.environment import environment
from bench.result import AtMost, Figure, Result, Row, options, publish
from dashboards.analysis.routing import Point, Stop, Truck, in_order, plan, straight_matrix
from dashboards.analysis.spans import HOUR_MS
from dashboards.analysis.time_to_full import time_to_full
from dashboards.analysis.waste_service import due
from simulators.city import Bin, City
from simulators.local_time import day_of, day_start
from simulators.streets import Site
from simulators.world import World

START_MS = 1_795_136_400_000
MORNING_H, NEXT_ROUND_H = 5, 24.0
HOURS_BACK = 96
TRUCK = Truck("press", capacity_litres=12_000, trips=20)
AWAY_M, AWAY_DEG = 3_000, 315
SHORTER = 0.15
MORNING_S = 0.4
"""About what a morning of both cities costs, to fit `--seconds`."""


class Ways:
    """Sums over mornings, in metres; and the longest that one search took."""

    def __init__(self) -> None:
        self.ours_m = self.theirs_m = self.longest_s = 0.0
        self.bins = self.rounds = 0

    def drive(self, depot: Point, stops: list[Stop]) -> None:
        """One site's morning, both ways."""
        matrix = straight_matrix([depot, *(stop.at for stop in stops)])
        began = time.perf_counter()
        ours = plan(stops, [TRUCK], matrix)
        self.longest_s = max(self.longest_s, time.perf_counter() - began)
        theirs = in_order(stops, [TRUCK], matrix)
        assert not ours.left and not theirs.left
        self.ours_m += ours.metres
        self.theirs_m += theirs.metres
        self.bins += len(stops)
        self.rounds += 1


def sites_of(city: City) -> Iterator[tuple[Site, list[Bin]]]:
    """Each site with its bins, whatever gateway they hang on."""
    for site in dict.fromkeys(gateway.site for gateway in city.gateways):
        yield (
            site,
            [one for gateway in city.gateways if gateway.site == site for one in gateway.bins],
        )


def stops_at(world: World, bins: list[Bin], now_ms: int) -> list[Stop]:
    """The bins that are due, the fullest first."""
    levels = {one.name: world.bin(one.name).fill(now_ms) for one in bins}
    full_in = {}
    for one in bins:
        first_ms = now_ms - HOURS_BACK * HOUR_MS
        hours = [
            (hour_ms, world.bin(one.name).fill(hour_ms + HOUR_MS // 2))
            for hour_ms in range(first_ms, now_ms, HOUR_MS)
        ]
        if (said := time_to_full(hours, now_ms)) is not None:
            full_in[one.name] = said
    by_name = {one.name: one for one in bins}
    return [
        Stop(
            name,
            by_name[name].label,
            Point(by_name[name].place.latitude, by_name[name].place.longitude),
            levels[name],
            levels[name] * by_name[name].litres,
        )
        for name in due(levels, full_in, NEXT_ROUND_H)
    ]


def compare(city: City, mornings: int) -> dict[str, Ways]:
    """Depot → both ways over that many mornings."""
    world = World(city, START_MS)
    found = {"in its yard": Ways(), "3 km away": Ways()}
    first_day = day_of(START_MS) + HOURS_BACK // 24 + 1
    for day in range(first_day, first_day + mornings):
        now_ms = day_start(day) + MORNING_H * HOUR_MS
        for site, bins in sites_of(city):
            stops = stops_at(world, bins, now_ms)
            if not stops:
                continue
            yard = site.zones[0].start
            away = yard.moved(AWAY_M, AWAY_DEG)
            for where, depot in zip(found, (yard, away), strict=True):
                found[where].drive(Point(depot.latitude, depot.longitude), stops)
    return found


def rows_of(city: City, mornings: int, about: str) -> list[Row]:
    """Two rows a city, and the search's time."""
    rows = []
    longest_s = 0.0
    for where, ways in compare(city, mornings).items():
        shorter = 1 - ways.ours_m / ways.theirs_m
        longest_s = max(longest_s, ways.longest_s)
        a_round = ways.bins / ways.rounds
        rows.append(
            Row(
                what=f"{about}, depot {where}",
                unit="m",
                ours=Figure.of([ways.ours_m]),
                peer="in order of level",
                theirs=Figure.of([ways.theirs_m]),
                ratio_target=1 / (1 - SHORTER) if where == "in its yard" else None,
                note=f"{ways.rounds} rounds of {a_round:.1f} bins, {shorter:.0%} shorter",
            )
        )
    search = Figure.of([longest_s])
    rows.append(Row(what=f"{about}, longest search", unit="s", ours=search, target=AtMost(30)))
    return rows


def main() -> int:
    given = options(__doc__ or "", seconds=30).parse_args()
    mornings = max(3, min(28, int(given.seconds / MORNING_S)))
    result = Result("round", (__doc__ or "").partition("\n\n")[2].strip().replace("\n", " "))
    result.rows += rows_of(City.demo(1), mornings, "30 bins at two markets")
    city = City.of(1, bays=0, bins=300)
    result.rows += rows_of(city, max(3, mornings // 4), "300 bins at two markets")
    publish(result, environment(), given.out)
    return 0 if all(row.verdict != "missed" for row in result.rows) else 1


if __name__ == "__main__":
    sys.exit(main())
