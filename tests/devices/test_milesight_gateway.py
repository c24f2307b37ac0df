"""A Milesight gateway's own JSON: what it says, what it leaves out, and any bytes at all."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.driver import Noise
from devices.envelope import Notice, Uplink
from devices.milesight_gateway import read_envelope

MESSAGE: dict[str, Any] = {
    "applicationID": "1",
    "data": "A2fqAARoTwUAAA==",
    "devEUI": "24e124136b502217",
    "deviceName": "EM300-TH",
    "fCnt": 128,
    "fPort": 85,
    "rxInfo": [{"loRaSNR": 13.8, "mac": "24e124fffef54092", "rssi": -51}],
    "time": "2022-12-27T07:21:27.078763Z",
    "txInfo": {"adr": True, "dataRate": {"bandwidth": 125, "spreadFactor": 7}},
}


def read(**changes: Any) -> Uplink | Notice | Noise:
    message = {name: value for name, value in (MESSAGE | changes).items() if value != "absent"}
    return read_envelope("any/topic", json.dumps(message).encode())


def test_an_uplink_is_read_with_its_radio_facts():
    assert read() == Uplink(
        dev_eui="24e124136b502217",
        f_port=85,
        data=bytes.fromhex("0367ea0004684f05 0000".replace(" ", "")),
        time_ms=1_672_125_687_078,
        rssi_dbm=-51.0,
        snr_db=13.8,
        spreading_factor=7,
        frame_counter=128,
        gateways_heard=1,
    )


def test_what_the_gateway_decoded_is_the_object():
    message = read(data="absent", temperature=23.4, humidity=39.5)
    assert isinstance(message, Uplink)
    assert json.loads(message.decoded) == {"temperature": 23.4, "humidity": 39.5}
    assert message.data == b""


def test_an_event_without_a_port_or_payload_is_a_notice():
    assert read(fPort="absent", data="absent") == Notice("other", MESSAGE["devEUI"])
    assert read(fPort=0) == Notice("other", MESSAGE["devEUI"])


@pytest.mark.parametrize(
    "changes",
    [
        {"devEUI": "absent"},
        {"devEUI": 7},
        {"time": "absent"},
        {"time": 1_672_125_687},
        {"data": "A"},
        {"fPort": 256},
        {"fPort": "85"},
    ],
)
def test_a_message_whose_reading_is_in_doubt_is_garbage(changes: dict[str, Any]):
    assert isinstance(read(**changes), Noise)


@given(
    st.binary(max_size=200)
    | st.dictionaries(
        st.sampled_from([*MESSAGE, "x"]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.none()),
    ).map(lambda changes: json.dumps(MESSAGE | changes).encode())
)
def test_any_bytes_are_answered_and_nothing_is_raised(data: bytes):
    assert isinstance(read_envelope("any", data), Uplink | Notice | Noise)
