"""In whatever order readings arrive, a standing depends only on those that were the newest yet."""

from __future__ import annotations

import random
from datetime import UTC, time

from hypothesis import given
from hypothesis import strategies as st

from ingest.rules import RULES
from ingest.rules.evaluator import Evaluator
from ingest.rules.incidents import SAME_MS
from ingest.rules.standing import (
    AHEAD_MS,
    Hours,
    Limit,
    Phase,
    Place,
    Standing,
    move,
    with_limits,
)

BIN, SLOW, BURNING = RULES["bin_full"], RULES["internet_slow"], RULES["bin_burning"]
PLACE = Place("bin-1", "gw-1", "pasar", "a")
START = 1_793_581_200_000
MINUTES = st.integers(0, 600)
LEVELS = st.sampled_from([0.1, 0.69, 0.70, 0.80, 0.85, 0.86, 1.0])
READINGS = st.lists(st.tuples(MINUTES, LEVELS), max_size=30)


def played(readings: list[tuple[int, float]], rule=BIN, scale: float = 1.0) -> Standing | None:
    standing = None
    for minute, value in readings:
        standing = move(rule, standing, PLACE, value * scale, START + minute * 60_000)
    return standing


def newest_yet(readings: list[tuple[int, float]]) -> list[tuple[int, float]]:
    kept: list[tuple[int, float]] = []
    for minute, value in readings:
        if not kept or minute > kept[-1][0]:
            kept.append((minute, value))
    return kept


@given(READINGS)
def test_only_readings_newer_than_all_before_them_count(readings) -> None:
    assert played(readings) == played(newest_yet(readings))
    assert played(readings, SLOW, 500) == played(newest_yet(readings), SLOW, 500)


@given(READINGS, MINUTES, LEVELS, st.data())
def test_a_late_reading_anywhere_after_a_newer_one_changes_nothing(
    readings, minute, level, data
) -> None:
    after = [i for i, (m, _) in enumerate(newest_yet(readings)) if m >= minute]
    ordered = newest_yet(readings)
    if not after:
        return
    index = data.draw(st.integers(after[0] + 1, len(ordered)))
    late = [*ordered[:index], (minute, level), *ordered[index:]]
    assert played(late) == played(ordered)


@given(READINGS)
def test_a_reading_that_comes_twice_counts_once(readings) -> None:
    twice = [reading for reading in readings for _ in range(2)]
    assert played(twice) == played(readings)


@given(st.lists(st.tuples(MINUTES, st.floats(0.71, 0.849)), max_size=20), st.booleans())
def test_between_the_limits_nothing_moves(readings, firing) -> None:
    first = (0, 0.9 if firing else 0.1)
    standing = played([first, *((m + 1, v) for m, v in readings)])
    assert standing is not None
    assert (standing.phase is Phase.FIRING) is firing


@given(st.lists(MINUTES, min_size=1, max_size=20), st.randoms(use_true_random=False))
def test_every_fire_is_an_incident_and_every_incident_a_fire(
    minutes: list[int], order: random.Random
) -> None:
    order.shuffle(minutes)
    evaluator, now_ms = Evaluator(), START + 1000 * 60_000
    times = [START + minute * 60_000 for minute in minutes]
    for time_ms in times:
        evaluator.take("waste_container", PLACE, {"status": "burning"}, time_ms, now_ms)
    found = evaluator.incidents.open
    assert all(any(one.covers(time_ms) for one in found) for time_ms in times)
    assert all(one.at_ms in times and one.last_ms in times for one in found)
    assert all(a.at_ms != b.at_ms for a in found for b in found if a is not b)


def test_an_acknowledged_fire_goes_on_in_silence_and_a_new_one_is_told() -> None:
    evaluator, burning = Evaluator(), {"status": "burning"}
    take = evaluator.take
    assert take("waste_container", PLACE, burning, START, START)
    assert evaluator.incidents.acknowledge("bin_burning", "bin-1", "Cut", "pemadam di lokasi")
    assert take("waste_container", PLACE, burning, START + 60_000, START + 60_000) == []
    assert evaluator.incidents.open == []
    later_ms = START + 60_000 + SAME_MS + 1
    assert take("waste_container", PLACE, burning, later_ms, later_ms)
    assert len(evaluator.incidents.open) == 1


def test_a_reading_from_the_future_stops_nobody() -> None:
    evaluator, full = Evaluator(), {"filling_level": 0.9}
    ahead_ms = START + AHEAD_MS + 1
    assert evaluator.take("waste_container", PLACE, full, ahead_ms, START) == []
    assert evaluator.counts["ahead"] == 1
    assert evaluator.take("waste_container", PLACE, full, START, START)


def test_the_most_particular_limit_counts() -> None:
    limits = [
        Limit("bin_full", 0.6, 0.5),
        Limit("bin_full", 0.7, 0.6, site="pasar"),
        Limit("bin_full", 0.9, 0.8, device="bin-1"),
    ]
    assert with_limits(BIN, PLACE, limits).fires == 0.9
    assert with_limits(BIN, Place("bin-2", "gw-1", "pasar", "a"), limits).fires == 0.7
    assert with_limits(BIN, Place("bin-2", "gw-1", "ulee", "a"), limits).fires == 0.6


def test_opening_hours_may_pass_midnight() -> None:
    night = Hours(UTC, time(22), time(5))
    assert night.hold(23 * 3_600_000)
    assert night.hold(4 * 3_600_000)
    assert not night.hold(12 * 3_600_000)
