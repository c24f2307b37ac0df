"""The MikroTik driver and the people behind its addresses."""

from __future__ import annotations

import json
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.mikrotik_routeros import DRIVER
from devices.reading import Payload, Undecodable, Values

MAC = "00:00:00:00:00:01"
ROW = {"interface": "wifi1", "mac-address": MAC, "last-ip": "192.0.2.7"}


def decode(answers: object) -> tuple[Values, ...]:
    return DRIVER.decode(Payload(json.dumps(answers).encode()))


def test_stations_are_counted_and_their_addresses_forgotten():
    [values] = decode({"registrations": [[ROW, ROW]]})
    assert values.fields == {"up": 1, "clients": 2}


@pytest.mark.parametrize(
    "answers",
    [
        {"registrations": [[MAC]]},
        {"registrations": [[{"interface": 7, "mac-address": MAC}]]},
        {"registrations": [[ROW]], "system": {"uptime": MAC}},
        {"registrations": [[ROW]], "interfaces": [{"name": "bridge", "rx-byte": MAC}]},
        {"registrations": [[ROW]], "probe": {"portal": MAC}},
    ],
)
def test_no_address_is_in_an_error_or_its_traceback(answers: object):
    with pytest.raises(Undecodable) as refused:
        decode(answers)
    assert MAC not in "".join(traceback.format_exception(refused.value))


@given(st.integers(0, 10**9))
def test_every_uptime_is_said_as_the_router_says_it_and_read_again(seconds: int):
    [values] = DRIVER.decode(DRIVER.encode(Values({"up": 1, "uptime_s": float(seconds)})))
    assert values.fields == {"up": 1, "uptime_s": float(seconds)}
