"""The round: short, within what a truck holds, the same for the same question, and readable by
phones, programs and people."""

from __future__ import annotations

import json
import random
from itertools import pairwise, permutations
from xml.etree import ElementTree

import pytest

from dashboards.analysis.round_sheet import GPX_NAMESPACE, Sheet, as_gpx, as_json, as_list
from dashboards.analysis.routing import (
    Plan,
    Point,
    Stop,
    Truck,
    in_order,
    plan,
    straight_m,
    straight_matrix,
)

DEPOT = Point(5.5701, 95.3287)


def stop(number: int, north: float, east: float, level: float = 0.9, litres: float = 200) -> Stop:
    at = Point(DEPOT.latitude + north, DEPOT.longitude + east)
    return Stop(f"bin-{number:02}", f"Tempat sampah {number}", at, level, litres)


def scattered(seed: int, count: int) -> list[Stop]:
    draws = random.Random(seed)
    return [
        stop(n, draws.uniform(-0.01, 0.01), draws.uniform(-0.01, 0.01), draws.random())
        for n in range(count)
    ]


def ways(stops: list[Stop]) -> list[list[float]]:
    return straight_matrix([DEPOT, *(one.at for one in stops)])


def sheet(of: Plan, **more: object) -> Sheet:
    return Sheet(plan=of, depot=DEPOT, depot_label="Dinas", when="2026-11-22 05:00", **more)  # type: ignore[arg-type]


def test_a_degree_of_latitude_is_111_km_and_the_way_back_is_as_long():
    north = Point(DEPOT.latitude + 1, DEPOT.longitude)
    assert straight_m(DEPOT, north) == pytest.approx(111_195, abs=1)
    assert straight_m(north, DEPOT) == straight_m(DEPOT, north)
    assert straight_m(DEPOT, DEPOT) == 0


def test_seven_bins_are_visited_in_the_shortest_of_all_orders(seed):
    stops = scattered(seed, 7)
    matrix = ways(stops)
    best = min(
        sum(matrix[start][end] for start, end in pairwise([0, *order, 0]))
        for order in permutations(range(1, 8))
    )
    found = plan(stops, [Truck("one", 10_000)], matrix)
    assert found.metres == pytest.approx(best, rel=0.001)
    assert found.left == ()


def test_no_trip_takes_more_than_the_truck_holds_and_every_bin_is_emptied_once(seed):
    stops = scattered(seed, 40)
    found = plan(stops, [Truck("small", 1_500, trips=3), Truck("large", 4_000)], ways(stops))
    holds = {"small": 1_500, "large": 4_000}
    assert all(route.litres <= holds[route.truck] for route in found.routes)
    taken = sorted(one.name for route in found.routes for one in route.stops)
    assert taken == sorted(one.name for one in stops)


def test_when_the_trucks_are_full_the_emptiest_bins_are_left_and_named():
    stops = [stop(n, 0.001 * n, 0, level=n / 10) for n in range(1, 9)]
    found = plan(stops, [Truck("one", 1_000)], ways(stops))
    assert sorted(one.level for one in found.left) == [0.1, 0.2, 0.3]


def test_the_same_question_has_the_same_answer(seed):
    stops = scattered(seed, 25)
    trucks = [Truck("one", 3_000, trips=2)]
    assert plan(stops, trucks, ways(stops)) == plan(stops, trucks, ways(stops))


def test_a_given_matrix_counts_and_not_the_straight_line():
    stops = [stop(1, 0.001, 0), stop(2, 0.002, 0)]
    one_way = [[0, 10, 900], [900, 0, 10], [10, 900, 0]]
    (route,) = plan(stops, [Truck("one", 1_000)], one_way).routes
    assert [one.name for one in route.stops] == ["bin-01", "bin-02"]
    assert route.metres == 30
    with pytest.raises(ValueError, match="3 × 3"):
        plan(stops, [Truck("one", 1_000)], [[0, 1], [1, 0]])


def test_no_bins_and_a_bin_larger_than_the_truck_are_plans_too():
    assert plan([], [Truck("one", 1_000)], [[0]]) == Plan(())
    huge = [stop(1, 0, 0.001, litres=2_000)]
    assert plan(huge, [Truck("one", 1_000)], ways(huge)) == Plan((), tuple(huge))


def test_the_rival_visits_in_the_order_given():
    stops = scattered(1, 9)
    found = in_order(stops, [Truck("one", 1_000, trips=2)], ways(stops))
    assert [one.name for route in found.routes for one in route.stops] == [
        one.name for one in stops
    ]


NASTY = Stop("bin-01", '<b>"Jl. T. & Umar"</b>\x00\n]]>', Point(5.57, 95.33), 0.9, 200.0)


def test_gpx_is_version_1_1_with_what_people_wrote_escaped():
    of = plan([NASTY], [Truck("BL <1> & 2", 1_000)], ways([NASTY]))
    root = ElementTree.fromstring(as_gpx(sheet(of)).encode())
    name = {"g": GPX_NAMESPACE}
    assert (root.tag, root.get("version")) == (f"{{{GPX_NAMESPACE}}}gpx", "1.1")
    (route,) = root.findall("g:rte", name)
    assert route.findtext("g:name", namespaces=name) == "BL <1> & 2, trip 1"
    points = route.findall("g:rtept", name)
    assert [point.findtext("g:name", namespaces=name) for point in points] == [
        "Dinas",
        "bin-01",
        "Dinas",
    ]
    assert points[1].findtext("g:desc", namespaces=name) == '<b>"Jl. T. & Umar"</b>  ]]>'
    assert (points[1].get("lat"), points[1].get("lon")) == ("5.570000", "95.330000")
    # What the schema asks for in this order: a name before its points, a name before its desc.
    assert [child.tag.partition("}")[2] for child in route] == ["name", "rtept", "rtept", "rtept"]
    assert [child.tag.partition("}")[2] for child in points[1]] == ["name", "desc"]


def test_the_list_has_a_line_a_bin_and_names_what_is_not_on_it():
    of = plan(
        [NASTY, stop(2, 0, 0.01, level=0.5)], [Truck("one", 300)], ways([NASTY, stop(2, 0, 0.01)])
    )
    text = as_list(sheet(of, skipped={"bin-09": "unknown: no reading for 9 h"}))
    (line,) = [line for line in text.splitlines() if "[ ]" in line]
    assert line.split(maxsplit=5)[2:] == ["1.", "bin-01", "90", '%  <b>"Jl. T. & Umar"</b>  ]]>']
    assert "bin-02: no room left in a truck" in text
    assert "bin-09: unknown: no reading for 9 h" in text
    assert "\x00" not in text


def test_an_empty_round_says_so():
    assert "Nothing to empty." in as_list(sheet(Plan(())))
    assert "Nothing to empty." not in as_list(sheet(Plan(()), skipped={"bin-1": "on fire"}))


def test_json_holds_the_stops_in_order_with_their_places():
    stops = [stop(1, 0.001, 0), stop(2, 0.002, 0)]
    told = json.loads(as_json(sheet(plan(stops, [Truck("one", 1_000)], ways(stops)))))
    (route,) = told["routes"]
    assert {one["device"] for one in route["stops"]} == {"bin-01", "bin-02"}
    assert route["metres"] == told["metres"] == pytest.approx(445, abs=2)
    assert route["minutes"] == 7
