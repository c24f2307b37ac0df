"""`gampong round` and `gampong figures`: over a store that was written as the line writes it."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from dashboards.round_configuration import RoundConfiguration
from gampong.cli import main
from ingest.stores import Bucket, Written
from ingest.stores.configuration import InfluxSettings, SqliteSettings
from ingest.stores.open import open_store
from tests.dashboards.analysis.town import HOUR_MS, Town
from tests.ingest.stores import databases
from tests.ingest.stores.databases import NOW_MS
from wire.clock import SystemClock

CITY_TIME = ["--city-time", f"{SystemClock().now_ms()}:{NOW_MS}:1"]
TAGS = "gateway=g-1,site=pasar,zone=a"
TRUCK = '[[truck]]\nname = "BL 8123 AH"\ncapacity_litres = 3000\n'


def write(path: Path, lines: dict[Bucket, list[str]]) -> None:
    async def fill() -> None:
        async with open_store(SqliteSettings(path=str(path)), SystemClock()) as store:
            for bucket, some in lines.items():
                assert await store.write(bucket, some) == Written()

    asyncio.run(fill())


def bin_lines(
    name: str, level: float, *, age_h: float = 0.1, status: str = "ok", place: bool = True
) -> dict[Bucket, list[str]]:
    where = ",latitude=5.571,longitude=95.331" if place else ""
    told_ms = NOW_MS - int(age_h * HOUR_MS)
    return {
        Bucket.CITY: [
            f"waste_container,device={name},{TAGS} filling_level={level},"
            f'status="{status}" {told_ms}'
        ],
        Bucket.HEALTH: [
            f'device_registry,device={name},{TAGS} kind="waste_container",label="Jl. {name}",'
            f"expiry_s=2310.0,maintenance=0i{where} {NOW_MS - HOUR_MS}"
        ],
    }


def village(
    folder: Path, *bins: dict[Bucket, list[str]], more: str = "", truck: str = TRUCK
) -> Path:
    """A store with those bins, and a round.toml beside it."""
    store = folder / "store.db"
    write(
        store,
        {
            bucket: [line for one in bins for line in one[bucket]]
            for bucket in (Bucket.CITY, Bucket.HEALTH)
        },
    )
    file = folder / "round.toml"
    file.write_text(
        f'[store]\ntype = "sqlite"\npath = "{store}"\n'
        f"[depot]\nlatitude = 5.57\nlongitude = 95.33\n{truck}{more}"
    )
    return file


def round_of(file: Path, *words: str) -> int:
    return main(["round", "--config", str(file), *words, *CITY_TIME])


def test_the_bins_that_are_full_are_on_the_list(tmp_path, capsys):
    file = village(tmp_path, bin_lines("bin-01", 0.9), bin_lines("bin-02", 0.2))
    assert round_of(file) == 0
    text = capsys.readouterr().out
    assert "bin-01" in text and "Jl. bin-01" in text and "bin-02" not in text


def test_gpx_and_json_are_written_where_they_are_asked_for(tmp_path, capsys):
    file = village(tmp_path, bin_lines("bin-01", 0.9))
    assert round_of(file, "--format", "gpx", "--out", str(tmp_path / "round.gpx")) == 0
    assert ElementTree.parse(tmp_path / "round.gpx").getroot().get("version") == "1.1"
    assert round_of(file, "--format", "json") == 0
    (route,) = json.loads(capsys.readouterr().out)["routes"]
    assert [one["device"] for one in route["stops"]] == ["bin-01"]


def test_what_is_not_on_the_round_is_named_and_the_exit_code_says_so(tmp_path, capsys):
    file = village(
        tmp_path,
        bin_lines("bin-01", 0.95),
        bin_lines("bin-02", 0.9, age_h=9),
        bin_lines("bin-03", 0.9, status="burning"),
        bin_lines("bin-04", 0.9, place=False),
    )
    assert round_of(file) == 1
    text = capsys.readouterr().out
    assert "bin-02: unknown: no reading for 9 h" in text
    assert "bin-03: on fire" in text
    assert "bin-04: no place" in text
    assert "1. bin-01" in text


def test_a_silent_bin_can_be_visited_all_the_same(tmp_path, capsys):
    file = village(tmp_path, bin_lines("bin-02", 0.1, age_h=9), more='[round]\nunknown = "visit"\n')
    assert round_of(file) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "bin-02" in line]
    assert line.split()[2:5] == ["1.", "bin-02", "unknown"]
    assert round_of(file, "--format", "json") == 0
    (route,) = json.loads(capsys.readouterr().out)["routes"]
    assert [stop["level"] for stop in route["stops"]] == [None]


def test_a_bin_too_much_for_the_truck_is_left_and_named(tmp_path, capsys):
    file = village(tmp_path, bin_lines("bin-01", 0.9), more="[litres]\nbin-01 = 5000\n")
    assert round_of(file) == 1
    assert "bin-01: no room left in a truck" in capsys.readouterr().out


@pytest.mark.live
def test_the_round_is_the_same_from_influxdb(tmp_path, capsys, influxd):
    bins = (bin_lines("bin-01", 0.9), bin_lines("bin-02", 0.2), bin_lines("bin-03", 0.9, age_h=9))
    file = village(tmp_path, *bins)
    assert round_of(file) == 1
    embedded = capsys.readouterr().out
    database = databases.influx(influxd, tmp_path)
    lines = [line for one in bins for line in one[Bucket.CITY]]
    health = [line for one in bins for line in one[Bucket.HEALTH]]
    assert database.run(lambda store: store.write(Bucket.CITY, lines)) == Written()
    assert database.run(lambda store: store.write(Bucket.HEALTH, health)) == Written()
    settings = database.settings
    assert isinstance(settings, InfluxSettings)
    names = msgspec.structs.asdict(settings.buckets)
    buckets = ", ".join(f'{bucket} = "{name}"' for bucket, name in names.items())
    text = file.read_text()
    store = (
        f'type = "influxdb2"\nurl = "{settings.url}"\norg = "{settings.org}"\n'
        f'token_file = "{settings.token_file}"\nbuckets = {{ {buckets} }}\n'
    )
    file.write_text(f"[store]\n{store}{text[text.index('[depot]') :]}")
    assert round_of(file) == 1
    assert capsys.readouterr().out == embedded


def test_another_site_s_round_has_none_of_these_bins(tmp_path, capsys):
    file = village(tmp_path, bin_lines("bin-01", 0.9), more='[round]\nsite = "elsewhere"\n')
    assert round_of(file) == 1
    assert "no bins are known" in capsys.readouterr().err


def test_ways_from_a_file_count_and_one_that_is_missing_is_named(tmp_path, capsys):
    matrix = tmp_path / "ways.json"
    more = f'[round]\nmatrix_file = "{matrix}"\n'
    file = village(tmp_path, bin_lines("bin-01", 0.9), more=more)
    assert round_of(file) == 2
    assert "round.matrix_file" in capsys.readouterr().err
    matrix.write_text('{"names": ["depot", "bin-01"], "metres": [[0, 4000], [3000, 0]]}')
    assert round_of(file, "--format", "json") == 0
    assert json.loads(capsys.readouterr().out)["metres"] == 7_000
    matrix.write_text('{"names": ["depot", "bin-02"], "metres": [[0, 4000], [3000, 0]]}')
    assert round_of(file) == 2
    assert "no way to bin-01" in capsys.readouterr().err
    for wrong in ('{"names": ["depot"], "metres": [[0, 1]]}', "[", '{"names": [], "metres": []}'):
        matrix.write_text(wrong)
        assert round_of(file) == 2
        assert str(matrix) in capsys.readouterr().err


@pytest.mark.parametrize(
    ("truck", "more", "said"),
    [
        ("", "", "truck"),
        ('[[truck]]\nname = "a"\ncapacity_litres = 0\n', "", "truck.capacity_litres"),
        ('[[truck]]\nname = "a"\ncapacity_litres = 9\ntrips = 0\n', "", "truck.trips"),
        (TRUCK + TRUCK, "", "one name twice"),
        (TRUCK, '[round]\ntime_zone = "Mars"\n', "round.time_zone"),
        (TRUCK, "[round]\nspeed_km_h = nan\n", "round.speed_km_h"),
        (TRUCK, "[round]\nhours = -1\n", "round.hours"),
        (TRUCK, '[round]\nunknown = "maybe"\n', "round.unknown"),
        (TRUCK, "[litres]\nbin-01 = 0\n", "litres.bin-01"),
        (TRUCK, "fuel = 1\n", "fuel"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_named_with_its_key(
    tmp_path, capsys, truck, more, said
):
    file = village(tmp_path, bin_lines("bin-01", 0.9), more=more, truck=truck)
    assert round_of(file) == 2
    error = capsys.readouterr().err
    assert "round.toml" in error and said in error


def test_no_file_no_store_and_no_solver_are_said_in_a_sentence(tmp_path, capsys, monkeypatch):
    assert round_of(tmp_path / "none.toml") == 2
    assert "Name a TOML file" in capsys.readouterr().err
    file = village(tmp_path, bin_lines("bin-01", 0.9))
    monkeypatch.setitem(sys.modules, "vroom", None)
    assert round_of(file) == 2
    assert "pip install 'gampong[round]'" in capsys.readouterr().err
    (tmp_path / "store.db").unlink()
    assert round_of(file) == 2
    assert "start the ingestor" in capsys.readouterr().err


def test_every_key_of_the_round_has_a_default_or_is_asked_for(tmp_path, capsys):
    (tmp_path / "round.toml").write_text('[store]\ntype = "sqlite"\n')
    assert round_of(tmp_path / "round.toml") == 2
    assert "depot" in capsys.readouterr().err
    assert RoundConfiguration.__struct_fields__ == ("store", "depot", "truck", "round", "litres")


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("figures")
    town = Town(seed=1, stop_ms=NOW_MS, days=2)
    where = "device=masjid,gateway=pasar-mahirah,site=pasar-mahirah,zone=masjid"
    days = [
        f"revenue,{where} expected_idr={expected},received_idr={paid}i,share=0.9,judged=1i {at_ms}"
        for expected, paid, at_ms in (
            ("1000000.0", 900_000, NOW_MS - 30 * HOUR_MS),
            ("234000.0", 5_000, NOW_MS - 6 * HOUR_MS),
        )
    ]
    write(folder / "store.db", town.lines() | {Bucket.HOURLY: days})
    file = folder / "figures.toml"
    file.write_text(f'[store]\ntype = "sqlite"\npath = "{folder / "store.db"}"\n')
    return file


@pytest.mark.parametrize(
    ("word", "said"),
    [("parking", "1.234.000    905.000"), ("waste", "bin-30"), ("wifi", "wifi-02")],
)
def test_figures_are_a_table_for_people_and_json_for_programs(figures, capsys, word, said):
    words = ["figures", word, "--config", str(figures), "--days", "2", *CITY_TIME]
    assert main(words) == 0
    table = capsys.readouterr().out
    assert said in table
    assert main([*words, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == {"parking": 6, "waste": 30, "wifi": 2}[word]


def test_an_empty_store_has_no_data_yet(tmp_path, capsys):
    file = tmp_path / "figures.toml"
    write(tmp_path / "store.db", {})
    file.write_text(f'[store]\ntype = "sqlite"\npath = "{tmp_path / "store.db"}"\n')
    for word in ("parking", "waste", "wifi"):
        assert main(["figures", word, "--config", str(file)]) == 0
        assert capsys.readouterr().out == "no data yet\n"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('time_zone = "Mars"\n', "time_zone"),
        ("overstay_min = 0\n", "overstay_min"),
        ("promised = 99\n", "promised"),
        ("fuel = 1\n", "fuel"),
    ],
)
def test_figures_that_cannot_be_asked_for_are_named(tmp_path, capsys, more, said):
    write(tmp_path / "store.db", {})
    file = tmp_path / "figures.toml"
    store = f'store = {{ type = "sqlite", path = "{tmp_path / "store.db"}" }}\n'
    file.write_text(store + more)
    assert main(["figures", "waste", "--config", str(file)]) == 2
    assert said in capsys.readouterr().err
    assert main(["figures", "waste", "--config", str(file), "--days", "-1"]) == 2
    assert "--days" in capsys.readouterr().err
