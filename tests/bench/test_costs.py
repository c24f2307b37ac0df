"""What cities cost, from results: computed from every figure, and never without one."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from bench.costs import CITIES, NotMeasured, need, page, read


def results(folder: Path) -> Path:
    """Made-up results of every program that the costs need."""

    def row(what: str, median: float) -> dict[str, object]:
        return {"what": what, "ours": {"median": median}}

    files: dict[str, dict[str, object]] = {
        "ingest_cpu": {
            "rows": [
                row("ingestor, batches of 60", 400_000),
                row("ingestor, batches of 13", 180_000),
            ]
        },
        "ingest_fleet": {"raw": {"fleets": [{"broker_cpu": 0.05, "batches_a_s": 160.0}]}},
        "ingest_rate": {"raw": {"raw": [80_000.0, 90_000.0, 100_000.0]}},
        "agent_wire": {"rows": [row("on the wire a reading, city (19 readings a minute)", 100.0)]},
        "watch_fleet": {
            "raw": {"1000": [{}, {"watch_s": 0.8}, {"watch_s": 6.0, "database_s": 12.0}]}
        },
        "queries": {
            "rows": [
                row("the database's share of a core meanwhile, writes included", 0.14),
                row("page server's memory, 10,000 devices", 300.0),
            ],
            "raw": {"filled": {"points": 3_000_000, "hourly_points": 1_000_000, "disk_bytes": 2e8}},
        },
    }
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


def test_a_batch_and_its_readings_are_told_apart_from_two_sizes_of_batch(tmp_path):
    measured = read(results(tmp_path))
    for size, a_core_s in ((60, 400_000), (13, 180_000)):
        core_s = measured.batch_core_s + size * measured.reading_core_s
        assert size / core_s == pytest.approx(a_core_s)
    assert measured.lines_a_core_s == 90_000
    assert measured.disk_bytes == 50


def test_every_need_and_all_money_grow_in_step_with_cities(tmp_path):
    measured = read(results(tmp_path))
    one, ten, many = (need(measured, cities) for cities in CITIES)
    assert many.readings_s == pytest.approx(10_000)
    for name in ("ingest_cores", "broker_cores", "database_cores", "disk_tb", "air_gb"):
        assert getattr(ten, name) == pytest.approx(10 * getattr(one, name), rel=0.01)
        assert getattr(many, name) == pytest.approx(514 * getattr(one, name), rel=0.01)
    for each in (one, ten, many):
        low, high = each.dollars("least"), each.dollars("most")
        assert all(low[name] < high[name] for name in low)


def test_the_table_says_its_prices_and_what_fails_first(tmp_path):
    measured = read(results(tmp_path))
    text = page(measured, [need(measured, cities) for cities in CITIES])
    assert "| fails first, if one of each |" in text
    assert "Assumed prices" in text


@pytest.mark.parametrize(
    "name", ["ingest_cpu", "ingest_fleet", "ingest_rate", "queries", "watch_fleet"]
)
def test_without_a_figure_nothing_is_computed_and_its_program_is_named(tmp_path, name):
    (results(tmp_path) / f"{name}.json").unlink()
    with pytest.raises(NotMeasured, match=name):
        read(tmp_path)


def test_a_result_without_the_row_names_the_row(tmp_path):
    file = results(tmp_path) / "agent_wire.json"
    file.write_bytes(msgspec.json.encode({"rows": []}))
    with pytest.raises(NotMeasured, match="on the wire a reading, city"):
        read(tmp_path)
