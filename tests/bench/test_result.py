"""A benchmark's table says what was found: ratios the right way round, misses first."""

from __future__ import annotations

import json

import pytest

from bench.result import AtLeast, AtMost, Figure, Result, Row, publish, table
from bench.tables import BEGIN, END, page, placed, read


def row(ours: float, theirs: float | None = None, **settings) -> Row:
    own = Figure.of([ours])
    peer = None if theirs is None else Figure.of([theirs])
    return Row(what="it", unit="B", ours=own, peer="other", theirs=peer, **settings)


def test_a_figure_is_the_median_with_its_spread():
    figure = Figure.of([3.0, 1.0, 2.0])
    assert (figure.median, figure.least, figure.greatest, figure.runs) == (2.0, 1.0, 3.0, 3)
    assert str(figure) == "2 (1–3)"
    assert str(Figure.of([12345.6])) == "12,346"


@pytest.mark.parametrize(
    ("found", "ratio", "verdict"),
    [
        (row(30, 240, target=AtMost(30), ratio_target=8), 8.0, "met"),
        (row(31, 248, target=AtMost(30), ratio_target=8), 8.0, "missed"),
        (row(30, 200, target=AtMost(30), ratio_target=8), 200 / 30, "missed"),
        (row(5000, 2500, target=AtLeast(5000), less_is_better=False), 2.0, "met"),
        (row(4999, 9998, target=AtLeast(5000), less_is_better=False), 0.5, "missed"),
        (row(1, None, ratio_target=3, missing="not installed"), None, "unknown"),
        (row(9, None, target=AtMost(3), ratio_target=3, missing="not installed"), None, "missed"),
        (row(1, None), None, ""),
        (row(1, 0.0), None, ""),
    ],
)
def test_the_ratio_says_how_many_times_better_and_the_verdict_follows_every_target(
    found, ratio, verdict
):
    assert found.ratio == pytest.approx(ratio)
    assert found.verdict == verdict


def test_misses_stand_first_and_a_missing_peer_is_named():
    rows = [row(1, 9, ratio_target=3), row(1, missing="not installed"), row(9, target=AtMost(3))]
    lines = table(rows).splitlines()
    assert lines[2].endswith("missed |")
    assert lines[3].endswith("met |")
    assert "missing: not installed" in lines[4]


def test_what_is_published_can_be_read_back_into_the_page(tmp_path, capsys):
    result = Result("program", "how", [row(1, 9, ratio_target=3)], {"seen": [1]})
    publish(result, {"cpu": "some"}, tmp_path)
    assert "| it, B | 1 | 9 (other) | 9× | ≥ 3× | met |" in capsys.readouterr().out
    stored = json.loads((tmp_path / "program.json").read_text())
    assert (stored["rows"][0]["ratio"], stored["raw"]) == (9.0, {"seen": [1]})
    made = page(read(tmp_path))
    assert "| it, B | 1 | 9 (other) | 9× | ≥ 3× | met |" in made
    assert "### program\nhow\n\ncpu some" in made


def test_new_tables_take_the_old_ones_place_and_nothing_elses():
    text = f"head\n{BEGIN}\nold\n{END}\ntail\n"
    assert placed(text, "new\n") == f"head\n{BEGIN}\nnew\n{END}\ntail\n"
    with pytest.raises(ValueError, match="needed"):
        placed("head\n", "new\n")
