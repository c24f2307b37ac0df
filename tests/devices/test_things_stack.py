"""The Things Stack's envelope, live and stored: facts that break parsers, and any bytes at all."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.driver import Noise
from devices.envelope import MAX_SIZE, Notice, Uplink, radio_fields
from devices.reading import check_fields
from devices.things_stack import (
    NOTICES,
    device_id,
    read_envelope,
    read_page,
    topic_of,
    write_envelope,
    write_stored,
)
from tests.devices import uplinks

UPLINK = msgspec.structs.replace(
    uplinks.UPLINK,
    deduplication_id="24e124136b502217/AXA50tHUGUucuzS/bCGMNw==/7/1790000000123",
    decoded=b'{"level":45.0}',
)
TOPIC = topic_of(UPLINK)


def changed(*path: str, **changes: Any) -> bytes:
    event = json.loads(write_envelope(UPLINK))
    inner = event
    for name in path:
        inner = inner[name]
    inner.update(changes)
    for name in [name for name, value in inner.items() if value == "absent"]:
        del inner[name]
    return json.dumps(event).encode()


def read(*path: str, **changes: Any) -> Uplink | Notice | Noise:
    return read_envelope(TOPIC, changed(*path, **changes))


def test_what_the_simulator_writes_is_read_back_live_and_stored():
    assert read_envelope(TOPIC, write_envelope(UPLINK)) == UPLINK
    page = read_page(write_stored(UPLINK))
    assert page.uplinks == (UPLINK,)
    assert page.after == "2026-09-21T14:13:20.123000000Z"


@given(uplinks.uplinks())
def test_any_uplink_is_the_same_live_and_stored(given_uplink: Uplink):
    live = read_envelope(topic_of(given_uplink), write_envelope(given_uplink))
    assert isinstance(live, Uplink)
    assert read_page(write_stored(given_uplink)).uplinks == (live,)
    assert radio_fields(live) == radio_fields(given_uplink)
    assert (live.data, live.time_ms) == (given_uplink.data, given_uplink.time_ms)
    check_fields("parking_spot", radio_fields(live))


def test_every_zero_is_left_out_and_means_zero():
    message = read("uplink_message", f_cnt="absent", frm_payload="absent")
    assert isinstance(message, Uplink)
    assert (message.frame_counter, message.data) == (0, b"")
    assert read("uplink_message", f_port="absent") == Notice("up", UPLINK.dev_eui)


def test_the_application_servers_time_serves_where_the_network_servers_is_missing():
    message = read("uplink_message", received_at="absent")
    assert isinstance(message, Uplink)
    assert message.time_ms == UPLINK.time_ms


@pytest.mark.parametrize(
    "changes",
    [
        {"received_at": "yesterday"},
        {"frm_payload": "qg"},
        {"frm_payload": "A" * 400},
        {"frm_payload": 7},
        {"f_port": 256},
        {"f_port": "85"},
        {"f_cnt": "7"},
    ],
)
def test_a_message_whose_reading_is_in_doubt_is_garbage(changes: dict[str, Any]):
    data = changed("uplink_message", **changes)
    assert read_envelope(TOPIC, data) == Noise("garbage", len(data))


def test_a_device_without_an_eui_or_with_another_name_than_its_topic_is_garbage():
    for changes in ({"dev_eui": "absent"}, {"dev_eui": "12"}, {"device_id": "another"}):
        data = changed("end_device_ids", **changes)
        assert read_envelope(TOPIC, data) == Noise("garbage", len(data))


@pytest.mark.parametrize(
    "changes",
    [
        {"rx_metadata": [7, {"rssi": True}, {}], "settings": []},
        {"rx_metadata": None, "settings": {"data_rate": {"fsk": {}}}},
        {"session_key_id": {"a": 1}, "decoded_payload": None},
    ],
)
def test_a_strange_radio_report_never_costs_the_reading(changes: dict[str, Any]):
    message = read("uplink_message", **changes)
    assert isinstance(message, Uplink)
    assert message.data == UPLINK.data


@pytest.mark.parametrize(("level", "name"), NOTICES.items())
def test_other_events_are_notices(level: str, name: str):
    topic = TOPIC.removesuffix("up") + level
    ids = {"device_id": device_id(topic), "dev_eui": UPLINK.dev_eui.upper()}
    assert read_envelope(topic, json.dumps({"end_device_ids": ids}).encode()) == Notice(
        name, UPLINK.dev_eui
    )


def test_other_topics_are_noise():
    data = write_envelope(UPLINK)
    for topic in ("", "v3/a/devices/B/up", TOPIC + "/x", "v3/a/b/devices/x/up", "v3/a/devices/x/"):
        assert isinstance(read_envelope(topic, data), Noise)
    assert device_id("v3/app@ttn/devices/bay-7/down/ack") == "bay-7"
    assert device_id("elsewhere") == ""


def test_a_page_counts_what_is_no_uplink_and_goes_on_after_the_last():
    page = read_page(
        b"\n\n" + write_stored(UPLINK) + b"\n\n{broken\n" + b'{"result":{"end_device_ids":{}}}\r\n'
    )
    assert page.uplinks == (UPLINK,)
    assert (page.messages, page.garbage) == (3, 2)
    assert page.after == "2026-09-21T14:13:20.123000000Z"
    assert read_page(b"").messages == 0


def test_an_oversized_message_is_garbage_unread():
    data = changed("uplink_message", note="x" * MAX_SIZE)
    assert read_envelope(TOPIC, data) == Noise("garbage", len(data))


@given(st.binary(max_size=300), st.text(max_size=60) | st.just(TOPIC))
def test_any_bytes_and_any_topic_are_answered_and_nothing_is_raised(data: bytes, topic: str):
    assert isinstance(read_envelope(topic, data), Noise)
    assert read_page(data).uplinks == ()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(sorted(json.loads(write_envelope(UPLINK))["uplink_message"])),
        json_values,
        max_size=4,
    ),
    json_values,
)
def test_any_values_in_known_places_are_answered_and_nothing_is_raised(changes, received_at):
    data = changed("uplink_message", **changes)
    assert isinstance(read_envelope(TOPIC, data), Uplink | Notice | Noise)
    stored = json.loads(data) | {"received_at": received_at}
    read_page(json.dumps({"result": stored}).encode())
