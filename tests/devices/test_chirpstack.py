"""ChirpStack's envelope: facts that break parsers, and any bytes at all."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.chirpstack import (
    LOG_CODES,
    Notice,
    Uplink,
    radio_fields,
    read_envelope,
    topic_of,
    write_envelope,
)
from devices.driver import Noise
from devices.envelope import MAX_OBJECT, MAX_SIZE
from devices.reading import check_fields
from tests.devices import uplinks

UPLINK = msgspec.structs.replace(
    uplinks.UPLINK, deduplication_id="4a3322cd-b4b9-4e77-8bce-a6c396448935", frame_counter=0
)


def topic(name: str, dev_eui: str = UPLINK.dev_eui) -> str:
    return f"application/17c82e96/device/{dev_eui}/event/{name}"


def changed(**changes: Any) -> bytes:
    event = json.loads(write_envelope(UPLINK)) | changes
    return json.dumps({name: value for name, value in event.items() if value != "absent"}).encode()


def read(**changes: Any) -> Uplink | Notice | Noise:
    return read_envelope(topic("up"), changed(**changes))


def uplink(**changes: Any) -> Uplink:
    message = read(**changes)
    assert isinstance(message, Uplink)
    return message


def test_what_the_simulator_writes_is_read_back():
    assert read_envelope(topic_of(UPLINK), write_envelope(UPLINK)) == UPLINK


@given(uplinks.uplinks(deduplication_id=st.uuids().map(str)))
def test_any_uplink_survives_writing_and_reading(given_uplink: Uplink):
    assert read_envelope(topic_of(given_uplink), write_envelope(given_uplink)) == given_uplink
    check_fields("parking_spot", radio_fields(given_uplink))


def test_an_integration_message_says_zeros_and_a_radio_report_leaves_them_out():
    event = json.loads(write_envelope(UPLINK))
    assert event["fCnt"] == 0
    assert event["confirmed"] is False
    assert "snr" not in event["rxInfo"][0]


def test_a_release_that_leaves_zeros_out_means_zero():
    assert uplink(fCnt="absent").frame_counter == 0
    assert uplink(data="absent").data == b""
    assert read(fPort="absent") == Notice("up", UPLINK.dev_eui)


@pytest.mark.parametrize(
    ("text", "time_ms"),
    [
        ("2026-06-27T03:47:23.776323479+00:00", 1_782_532_043_776),
        ("2026-06-27T10:47:23.776999999+07:00", 1_782_532_043_776),
        ("2026-06-26T23:17:23.776-04:30", 1_782_532_043_776),
        ("2026-06-27T03:47:23Z", 1_782_532_043_000),
        ("2026-06-27T03:47:23.7Z", 1_782_532_043_700),
        ("1969-12-31T23:59:59.999999999Z", -1),
        ("0001-01-01T00:00:00+23:59", -62_135_683_140_000),
    ],
)
def test_time_keeps_its_milliseconds_from_any_offset(text: str, time_ms: int):
    assert uplink(time=text).time_ms == time_ms


@pytest.mark.parametrize(
    "changes",
    [
        {"time": "absent"},
        {"time": "yesterday"},
        {"time": "2026-02-30T00:00:00Z"},
        {"time": "2026-06-27T03:47:60Z"},
        {"time": "2026-06-27T03:47:23+24:00"},
        {"time": "2026-06-27T03:47:23"},
        {"time": 1_782_532_043},
        {"data": "qg"},
        {"data": "qg==="},
        {"data": "q g=="},
        {"data": "não"},
        {"data": "A" * 400},
        {"fPort": 256},
        {"fPort": -1},
        {"fPort": "85"},
        {"deviceInfo": "absent"},
        {"deviceInfo": {"devEui": UPLINK.dev_eui + "00"}},
        {"deviceInfo": {"devEui": "9956efb31332a835"}},
    ],
)
def test_a_message_whose_reading_is_in_doubt_is_garbage(changes: dict[str, Any]):
    data = changed(**changes)
    assert read_envelope(topic("up"), data) == Noise("garbage", len(data))


@pytest.mark.parametrize(
    "changes",
    [
        {"rxInfo": "absent"},
        {"rxInfo": None},
        {"rxInfo": [7, {"rssi": True, "snr": "loud"}, {"rssi": -4000}, {}]},
        {"txInfo": [], "deduplicationId": {"a": 1}, "fCnt": "many"},
        {"txInfo": {"modulation": {"lora": {"spreadingFactor": 99}}}, "fCnt": 2**40},
        {"deduplicationId": "<script>" * 100},
    ],
)
def test_a_strange_radio_report_never_costs_the_reading(changes: dict[str, Any]):
    message = uplink(**changes)
    assert message.data == UPLINK.data
    check_fields("parking_spot", radio_fields(message))


def test_the_loudest_gateway_speaks_for_all_that_heard():
    heard = [{"rssi": -110, "snr": -3.5}, {"snr": 9.0}, {"rssi": -80}, {"rssi": -95, "snr": 4.0}]
    message = uplink(rxInfo=heard)
    assert (message.rssi_dbm, message.snr_db, message.gateways_heard) == (-80.0, 0.0, 4)


def test_a_payload_only_a_join_server_can_open_is_counted_as_encrypted():
    data = changed(joinServerContext={"sessionKeyId": "0102"})
    assert read_envelope(topic("up"), data) == Noise("encrypted", len(data))
    assert read(joinServerContext={"sessionKeyId": ""}) == UPLINK
    assert read(joinServerContext=None) == UPLINK


def test_upper_case_addresses_are_the_same_device():
    data = changed(deviceInfo={"devEui": UPLINK.dev_eui.upper()})
    assert read_envelope(topic("up", UPLINK.dev_eui.upper()), data) == UPLINK


def test_a_topic_prefix_of_the_operators_choice_is_fine_and_other_topics_are_noise():
    data = write_envelope(UPLINK)
    assert read_envelope("aceh/" + topic("up"), data) == UPLINK
    for other in ("", topic("down"), topic("up") + "/x", "application/1/device/xyz/event/up"):
        assert read_envelope(other, data) == Noise("garbage", len(data))


def test_an_oversized_message_is_garbage_unread():
    data = changed(object={"note": "x" * MAX_SIZE})
    assert read_envelope(topic("up"), data) == Noise("garbage", len(data))


def status(**changes: Any) -> Uplink | Notice | Noise:
    event = {"margin": 10, "batteryLevel": 88.3, "externalPowerSource": False} | changes
    return read_envelope(topic("status"), changed(**event))


def test_a_status_tells_how_full_the_battery_is():
    message = status()
    assert isinstance(message, Uplink)
    assert (message.told, message.data, message.f_port) == ({"battery_level": 0.883}, b"", 0)
    assert radio_fields(message) == {}
    check_fields("parking_spot", message.told)
    empty = status(batteryLevel=0)
    assert isinstance(empty, Uplink)
    assert empty.told == {"battery_level": 0.0}


@pytest.mark.parametrize(
    "changes",
    [
        {"externalPowerSource": True},
        {"batteryLevelUnavailable": True, "batteryLevel": 0},
        {"batteryLevel": "absent"},
        {"batteryLevel": 101},
        {"batteryLevel": "full"},
        {"time": "yesterday"},
    ],
)
def test_a_status_that_tells_no_battery_is_only_a_notice(changes: dict[str, Any]):
    assert status(**changes) == Notice("status", UPLINK.dev_eui)


@pytest.mark.parametrize("code", [*sorted(LOG_CODES), "SOMETHING_NEW", 7, None])
def test_a_log_says_its_code_from_a_closed_list(code: Any):
    name = f"log_{code.lower()}" if code in LOG_CODES else "log"
    assert read_envelope(topic("log"), changed(code=code)) == Notice(name, UPLINK.dev_eui)


def test_a_decoded_object_is_kept_as_it_came_unless_it_is_too_long():
    assert uplink(object={"level": 45.0}).decoded == b'{"level": 45.0}'
    assert uplink(object=None).decoded == b""
    assert uplink(object={"note": "x" * MAX_OBJECT}).decoded == b""


@given(st.binary(max_size=300), st.sampled_from((topic("up"), topic("join"), topic("status"))))
def test_any_bytes_are_answered_and_nothing_is_raised(data: bytes, name: str):
    assert read_envelope(name, data) == Noise("garbage", len(data))


@given(st.text(max_size=100))
def test_any_topic_is_answered_and_nothing_is_raised(name: str):
    assert isinstance(read_envelope(name, write_envelope(UPLINK)), Uplink | Notice | Noise)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from([*sorted(json.loads(write_envelope(UPLINK))), "joinServerContext"]),
        json_values,
        max_size=4,
    )
)
def test_any_values_in_known_places_are_answered_and_nothing_is_raised(changes: dict[str, Any]):
    assert isinstance(read(**changes), Uplink | Notice | Noise)


def test_a_deep_nest_of_brackets_is_garbage():
    data = b'{"object":' + b"[" * 60_000
    assert read_envelope(topic("up"), data) == Noise("garbage", len(data))
