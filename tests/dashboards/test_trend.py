"""The share of occupied bays is counted from states, not averaged from readings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dashboards.trend import HOURS, STEP_MS, Bay, Replay, moments
from ingest.stores import Row
from tests.dashboards.small_city import tags

NOW = 1_790_000_000_000
BAYS = {"bay-01": Bay("pasar-mahirah", 600.0), "bay-02": Bay("pasar-mahirah", 600.0)}


def row(device: str, time_ms: int, occupied: int) -> Row:
    return Row(time_ms, tags(device), {"occupied": occupied})


def replay(
    rows: Sequence[Row], bays: Mapping[str, Bay], times: Sequence[int]
) -> dict[str, list[float | None]]:
    """All readings at once, then every moment."""
    played = Replay(bays)
    played.take(rows)
    found = [played.at(time_ms) for time_ms in times]
    return {site: [shares[site] for shares in found] for site in found[0]}


def test_a_bay_that_reports_often_weighs_no_more_than_one_that_reports_seldom():
    rows = [row("bay-01", NOW + n, 1) for n in range(50)] + [row("bay-02", NOW, 0)]
    assert replay(rows, BAYS, [NOW + 100]) == {"pasar-mahirah": [0.5]}


def test_silence_leaves_the_count_and_nothing_known_is_nothing_shown():
    rows = [row("bay-01", NOW, 1), row("bay-02", NOW + 500_000, 0)]
    times = [NOW - 1, NOW, NOW + 500_000, NOW + 600_001, NOW + 1_100_001]
    assert replay(rows, BAYS, times) == {"pasar-mahirah": [None, 1.0, 0.5, 0.0, None]}


def test_the_order_of_rows_means_nothing_and_strangers_are_left_out():
    rows = [row("bay-01", NOW, 0), row("bay-01", NOW - 5, 1), row("bay-99", NOW, 1)]
    assert replay(rows, BAYS, [NOW]) == {"pasar-mahirah": [0.0]}


def test_a_bay_closed_for_work_isnt_counted():
    bays = {**BAYS, "bay-02": Bay("pasar-mahirah", 600.0, maintenance=True)}
    rows = [row("bay-01", NOW, 0), row("bay-02", NOW, 1)]
    assert replay(rows, bays, [NOW]) == {"pasar-mahirah": [0.0]}


def test_moments_are_whole_steps_up_to_now():
    times = moments(NOW + 12_345)
    assert times[-1] <= NOW + 12_345 < times[-1] + STEP_MS
    assert len(times) == HOURS * 12 + 1
    assert all(time_ms % STEP_MS == 0 for time_ms in times)
