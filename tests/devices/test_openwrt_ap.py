"""The access point's driver and the people behind its addresses."""

from __future__ import annotations

import json
import traceback

import pytest

from devices.openwrt_ap import DRIVER
from devices.reading import Payload, Undecodable, Values

MAC = "68:2f:67:8b:98:ed"
STATION = {MAC: {"assoc": True}}


def decode(answers: object) -> tuple[Values, ...]:
    return DRIVER.decode(Payload(json.dumps(answers).encode()))


def test_no_address_is_in_the_values():
    assert MAC not in repr(decode({"clients": {"clients": STATION}}))


@pytest.mark.parametrize(
    "answers",
    [
        {"clients": {"clients": {MAC: "assoc"}}},
        {"clients": {"clients": {MAC: {"assoc": MAC}}}},
        {"clients": MAC},
        {"probe": {"portal": MAC}},
        {"probe": {"loss_ratio": 7}, "clients": {"clients": STATION}},
    ],
)
def test_no_address_is_in_an_error_or_its_traceback(answers: object):
    with pytest.raises(Undecodable) as refused:
        decode(answers)
    assert MAC not in "".join(traceback.format_exception(refused.value))


def test_the_simulated_stations_are_nobodys_and_the_same_each_time():
    said = DRIVER.encode(Values({"up": 1, "clients": 40})).data
    stations = json.loads(said)["clients"]["clients"]
    assert len(stations) == 40
    assert all(int(address[:2], 16) & 0b11 == 0b10 for address in stations)
    assert DRIVER.encode(Values({"up": 1, "clients": 40})).data == said


def test_an_access_point_that_answers_in_part_is_up_and_says_what_it_can():
    [values] = decode({"clients": None, "system": {"uptime": 5}, "probe": None})
    assert values.fields == {"up": 1, "uptime_s": 5.0}


def test_a_deep_nest_of_brackets_is_refused_like_any_other_nonsense():
    with pytest.raises(Undecodable, match="format"):
        DRIVER.decode(Payload(b'{"clients":' + b"[" * 100_000))
