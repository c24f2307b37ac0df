"""`gampong devices` and `gampong decode`, run as the command line runs them."""

from __future__ import annotations

import argparse
import json
import re

import pytest

from devices.driver import driver_names
from gampong.devices_command import configure


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    configure(parser.add_subparsers(required=True))
    args = parser.parse_args(words)
    code: int = args.run(args)
    return code


def test_devices_prints_a_line_for_each_driver(capsys: pytest.CaptureFixture[str]):
    assert run("devices") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["driver", "vendor", "models"]
    assert [line.split()[0] for line in lines[1:]] == list(driver_names())


def test_devices_as_json_counts_the_vectors(capsys: pytest.CaptureFixture[str]):
    assert run("devices", "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["driver"] for row in rows] == list(driver_names())
    assert all(row["vectors"] >= 2 for row in rows)
    assert {row["link"] for row in rows} >= {"uart", "modbus", "lorawan", "hotspot"}


def test_decode_prints_one_json_line_a_reading(capsys: pytest.CaptureFixture[str]):
    assert run("decode", "--driver", "bosch_tps110", "--f-port", "2", "01FF") == 0
    assert json.loads(capsys.readouterr().out) == {
        "driver": "bosch_tps110",
        "kind": "parking_spot",
        "fields": {"occupied": 1, "temperature_c": -1.0},
        "event": False,
    }


def test_decode_takes_a_frame_as_it_is_printed_in_a_sheet(capsys: pytest.CaptureFixture[str]):
    assert run("decode", "--driver", "dfrobot_a02yyuw", "FF", "07", "A1", "A7") == 0
    assert json.loads(capsys.readouterr().out)["fields"] == {"distance_mm": 1953.0}


def test_a_known_message_without_a_reading_prints_nothing(capsys: pytest.CaptureFixture[str]):
    assert run("decode", "--driver", "bosch_tps110", "--f-port", "4", "0102") == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("dfrobot_a02yyuw", "ff07a1a8"), "refused: checksum: sum a8, not a7"),
        (("bosch_tps110", "01"), "refused: type: .*give --f-port"),
        (("dfrobot_a02yyuw", "ff07a"), "HEX must be pairs of hex digits"),
        (("dfrobot_a02yyuw", "zz"), "HEX must be pairs of hex digits"),
        (("nobody", "00"), "no driver 'nobody'; there are: .*bosch_tps110, "),
    ],
)
def test_decode_says_why_not_on_stderr_and_exits_2(
    words: tuple[str, str], said: str, capsys: pytest.CaptureFixture[str]
):
    assert run("decode", "--driver", *words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("gampong decode: ")
    assert re.search(said, captured.err)
