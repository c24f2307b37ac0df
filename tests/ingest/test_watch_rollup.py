"""An hour's mean is what a clock on the wall would have averaged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.kinds import KINDS
from devices.reading import Value
from ingest.rollup import CARRY_S, HOUR_MS, hour_lines, hour_of, summarise
from ingest.stores import Bucket, Row
from ingest.stores.points import LineReader

START = 1_790_002_800_000 - 1_790_002_800_000 % HOUR_MS


def summary(*points: tuple[float, float]) -> dict[str, float | int]:
    """Points as (minutes after the hour's start, value)."""
    found = summarise([(START + int(m * 60_000), v) for m, v in points], START, START + HOUR_MS)
    assert found is not None
    return found


def test_a_value_holds_until_the_next_one() -> None:
    assert summary((0, 1), (15, 0))["mean"] == pytest.approx(0.25)


def test_ten_changes_in_a_minute_weigh_a_minute() -> None:
    flapping = [(30 + i / 10, i % 2) for i in range(10)]
    assert summary((0, 0), *flapping, (31, 0))["mean"] < 0.01


def test_what_was_known_before_the_hour_counts_into_it_for_an_hour_at_most() -> None:
    assert summary((-20, 1), (30, 0))["mean"] == pytest.approx(0.5)
    assert summary((-40, 1), (50, 0))["mean"] == pytest.approx(20 / 30)
    assert CARRY_S == 3600


def test_an_hour_without_a_value_of_its_own_is_no_point() -> None:
    assert summarise([(START - 1000, 5.0)], START, START + HOUR_MS) is None


@given(st.lists(st.tuples(st.integers(-3_600_000, 3_599_999), st.floats(-100, 100)), min_size=1))
def test_the_mean_lies_between_min_and_max(points: list[tuple[int, float]]) -> None:
    placed = sorted((START + t, v) for t, v in points)
    found = summarise(placed, START, START + HOUR_MS)
    if found is not None:
        assert found["min"] <= found["mean"] <= found["max"]
        assert found["count"] == sum(t >= START for t, _ in placed)


def test_one_line_a_device_and_the_same_again_for_the_same_points() -> None:
    tags = {"device": "bay-1", "gateway": "g", "site": "s", "zone": "z"}
    rows = [Row(START + i * 60_000, tags, {"occupied": i % 2, "quality": "ok"}) for i in range(60)]
    lines = hour_lines(KINDS["parking_spot"], rows, START)
    assert lines == hour_lines(KINDS["parking_spot"], reversed(rows), START)
    line, site = lines
    assert site.startswith("parking_spot_site,device=s,gateway=s,site=s,zone=main devices=1i,")
    assert line.startswith("parking_spot,device=bay-1,gateway=g,site=s,zone=z occupied_count=60i,")
    assert "occupied_mean=0.5" in line
    assert line.endswith(f" {START}")


def test_a_site_counts_each_device_once_however_much_it_said() -> None:
    taken: dict[str, Value] = {"occupied": 1}
    said: list[tuple[str, str, int, dict[str, Value]]] = [
        *(("chatty", "s", minute, taken) for minute in range(60)),
        ("quiet", "s", 0, {"occupied": 0, "distance_mm": 100.0}),
        ("silent", "s", -30, {"occupied": 1}),
        ("elsewhere", "t", 0, {"occupied": 1}),
    ]
    rows = [
        Row(START + minute * 60_000, {"device": d, "gateway": "g", "site": site, "zone": "z"}, f)
        for d, site, minute, f in said
    ]
    lines = hour_lines(KINDS["parking_spot"], rows, START)
    reader = LineReader(Bucket.HOURLY)
    sites = {p.series[0]: p.fields for p in map(reader.read, lines) if p.kind.endswith("_site")}
    assert sites["s"] == {
        "devices": 2,
        **{"occupied_mean": 0.5, "occupied_min": 0, "occupied_max": 1, "occupied_count": 61},
        **{f"distance_mm_{name}": 100 for name in ("mean", "min", "max")},
        "distance_mm_count": 1,
    }
    assert sites["t"] == {
        "devices": 1,
        **{"occupied_mean": 1, "occupied_min": 1, "occupied_max": 1, "occupied_count": 1},
    }


def test_an_hour_begins_on_the_hour() -> None:
    assert hour_of(START + 1) == START
