"""The round: which truck empties which bins in which order, so that the way is short.

In: bins with places and litres, trucks with capacity, one depot, and the ways between them in
metres. Out: a `Plan`. The search is VROOM's (pyvroom, the extra `round`); without the extra,
planning raises ModuleNotFoundError, which the command turns into a sentence.

A truck starts and ends at the depot, takes no more than it holds, and comes back to unload as often
as `trips` says. What doesn't fit is left, the emptiest bins first, and named. Straight lines
(haversine, on a sphere of 6,371 km, within 0.5 %) stand in for streets unless a matrix is given: in
a grid of streets the real way is about 1.3 times as long, for every order alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import msgspec

EARTH_M = 6_371_000.0
EXPLORATION = 5  # VROOM's most thorough
UNREACHABLE_M = 4_000_000  # longer than Indonesia's islands are wide; VROOM counts in 32 bits

Matrix = Sequence[Sequence[float]]
"""Metres from each place (row) to each (column): the depot first, then the bins in order."""


class Point(msgspec.Struct, frozen=True):
    """WGS 84 degrees."""

    latitude: float
    longitude: float


class Stop(msgspec.Struct, frozen=True):
    """A bin to be emptied: `level` 0..1 and how much is in it, assumed where `known` is False."""

    name: str
    label: str
    at: Point
    level: float
    litres: float
    known: bool = True


class Truck(msgspec.Struct, frozen=True):
    """One truck at hand; `trips` is how often it may come back to unload."""

    name: str
    capacity_litres: float
    trips: int = 1


class Route(msgspec.Struct, frozen=True):
    """One trip: from the depot past the stops and back. `trip` counts from 1."""

    truck: str
    trip: int
    stops: tuple[Stop, ...]
    metres: float
    litres: float


class Plan(msgspec.Struct, frozen=True):
    """All trips, and the bins that no truck had room for."""

    routes: tuple[Route, ...]
    left: tuple[Stop, ...] = ()

    @property
    def metres(self) -> float:
        return sum(route.metres for route in self.routes)


def straight_m(start: Point, end: Point) -> float:
    """Great-circle distance (haversine; Sinnott 1984)."""
    low, high = math.radians(start.latitude), math.radians(end.latitude)
    north = math.sin((high - low) / 2) ** 2
    east = math.sin(math.radians(end.longitude - start.longitude) / 2) ** 2
    return (
        2 * EARTH_M * math.asin(min(1.0, math.sqrt(north + math.cos(low) * math.cos(high) * east)))
    )


def straight_matrix(places: Sequence[Point]) -> list[list[float]]:
    """Straight lines between all of them."""
    return [[straight_m(start, end) for end in places] for start in places]


def plan(stops: Sequence[Stop], trucks: Sequence[Truck], matrix: Matrix) -> Plan:
    """The shortest trips that the search finds; the same for the same question.

    Raises:
        ModuleNotFoundError: pyvroom isn't installed.
        ValueError: the matrix isn't one of the depot and these stops.
    """
    _check(stops, matrix)
    trips = [(truck, trip) for truck in trucks for trip in range(1, truck.trips + 1)]
    if not stops or not trips:
        return Plan((), tuple(stops))
    orders = _search(stops, [truck for truck, _ in trips], matrix)
    routes = tuple(
        _route(truck, trip, order, stops, matrix)
        for (truck, trip), order in zip(trips, orders, strict=True)
        if order
    )
    taken = {index for order in orders for index in order}
    return Plan(routes, tuple(stop for nth, stop in enumerate(stops) if nth not in taken))


def in_order(stops: Sequence[Stop], trucks: Sequence[Truck], matrix: Matrix) -> Plan:
    """The same bins visited in the order given, without a search: each trip takes the next ones
    until one doesn't fit. What a round is measured against."""
    _check(stops, matrix)
    trips = [(truck, trip) for truck in trucks for trip in range(1, truck.trips + 1)]
    routes: list[Route] = []
    waiting = list(range(len(stops)))
    for truck, trip in trips:
        order: list[int] = []
        room = truck.capacity_litres
        while waiting and stops[waiting[0]].litres <= room:
            room -= stops[waiting[0]].litres
            order.append(waiting.pop(0))
        if order:
            routes.append(_route(truck, trip, order, stops, matrix))
    return Plan(tuple(routes), tuple(stops[index] for index in waiting))


def _check(stops: Sequence[Stop], matrix: Matrix) -> None:
    size = len(stops) + 1
    if len(matrix) != size or any(len(row) != size for row in matrix):
        raise ValueError(f"the matrix isn't {size} × {size}: the depot and {len(stops)} bins")


def _search(stops: Sequence[Stop], trips: Sequence[Truck], matrix: Matrix) -> list[list[int]]:
    """For each trip the indices of its stops, in order."""
    import numpy as np
    import vroom

    problem = vroom.Input()
    metres = np.clip(np.rint(np.asarray(matrix, dtype=float)), 0, UNREACHABLE_M)
    problem.set_durations_matrix(profile="car", matrix_input=metres.astype(np.uint32))
    for nth, truck in enumerate(trips):
        room = [int(truck.capacity_litres)]
        problem.add_vehicle(vroom.Vehicle(nth, start=0, end=0, capacity=room))
    for nth, stop in enumerate(stops):
        load = [math.ceil(stop.litres)]
        urgent = min(100, max(0, round(100 * stop.level)))
        problem.add_job(vroom.Job(nth, location=nth + 1, pickup=load, priority=urgent))
    found = problem.solve(exploration_level=EXPLORATION, nb_threads=1)
    orders: list[list[int]] = [[] for _ in trips]
    for step in found.routes.to_dict("records"):
        if step["type"] == "job":
            orders[step["vehicle_id"]].append(int(step["id"]))
    return _settled(orders, [truck.capacity_litres for truck in trips], matrix)


def _settled(
    orders: Sequence[Sequence[int]], capacities: Sequence[float], matrix: Matrix
) -> list[list[int]]:
    """The same trips, always told alike: the search gives equal trucks and the two directions of a
    way as it happens to find them. Bins come first as they do in the question."""
    settled: list[list[int]] = [[] for _ in orders]
    for capacity in set(capacities):
        places = [nth for nth, litres in enumerate(capacities) if litres == capacity]
        trips = [_forwards(orders[nth], matrix) for nth in places if orders[nth]]
        for nth, order in zip(places, sorted(trips, key=min), strict=False):
            settled[nth] = order
    return settled


def _forwards(order: Sequence[int], matrix: Matrix) -> list[int]:
    there, back = list(order), list(order)[::-1]
    if round(_metres(back, matrix)) != round(_metres(there, matrix)):
        return there
    return min(there, back)


def _metres(order: Sequence[int], matrix: Matrix) -> float:
    places = [0, *(index + 1 for index in order), 0]
    return sum(matrix[start][end] for start, end in pairwise(places))


def _route(
    truck: Truck, trip: int, order: Sequence[int], stops: Sequence[Stop], matrix: Matrix
) -> Route:
    taken = tuple(stops[index] for index in order)
    litres = sum(stop.litres for stop in taken)
    return Route(truck.name, trip, taken, _metres(order, matrix), litres)
