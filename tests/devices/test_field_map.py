"""Declared maps: somebody else's JSON in the kinds' vocabulary and units, and any bytes at all."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.driver import ObjectLink, TopicLink
from devices.field_map import UNITS, FieldFrom, FieldMap, TimeFrom, check_map, decode, map_driver
from devices.kinds import KINDS, FieldType
from devices.reading import Payload, Refusal, Undecodable, Values, check_fields
from devices.register_map import BadMap
from wire.configuration import decode_toml

BIN = """
kind = "waste_container"
event = "alarm"
time = { from = "measured.at", unit = "s" }
[fields]
filling_level = { from = "level", unit = "%" }
distance_mm = { from = "/ranges/0/cm", unit = "cm" }
battery_v = { from = "mv", scale = 0.001, offset = 0.05 }
temperature_c = { from = "/f~1temp~0", unit = "°F" }
status = { from = "lid", values = { open = "lid_open", closed = "ok", 1 = "moved" } }
"""
MAP = decode_toml(BIN, FieldMap, "bin.toml")


def read(message: Any, map_: FieldMap = MAP) -> Values:
    (values,) = decode(map_, Payload(json.dumps(message).encode()))
    return values


def counted(**source: Any) -> FieldMap:
    return msgspec.convert({"kind": "people_counter", "fields": {"people_count": source}}, FieldMap)


def refused(message: Any, map_: FieldMap = MAP) -> Refusal:
    with pytest.raises(Undecodable) as error:
        read(message, map_)
    return error.value.reason


def test_a_whole_message_is_turned_into_our_fields_and_units():
    message = {
        "level": 45,
        "ranges": [{"cm": 123.4}],
        "mv": "3600",
        "f/temp~": 212,
        "lid": "open",
        "alarm": True,
        "measured": {"at": 1_790_000_000.25},
    }
    assert read(message) == Values(
        {
            "filling_level": 0.45,
            "distance_mm": 1234.0,
            "battery_v": 3.65,
            "temperature_c": 100.0,
            "status": "lid_open",
        },
        time_ms=1_790_000_000_250,
        event=True,
    )


def test_what_is_not_there_or_null_is_left_out():
    values = read({"level": None, "mv": 3600, "ranges": [], "measured": {"at": 1}})
    assert values == Values({"battery_v": 3.65}, time_ms=1000)


def test_a_bare_number_is_a_message_too():
    assert read(17, counted(**{"from": ""})).fields == {"people_count": 17}
    assert read(45.0, counted(**{"from": ""})).fields == {"people_count": 45}


def test_true_and_false_are_one_and_zero():
    spot = msgspec.convert(
        {"kind": "parking_spot", "fields": {"occupied": {"from": "busy"}}}, FieldMap
    )
    assert read({"busy": True}, spot).fields == {"occupied": 1}
    assert read({"busy": False}, spot).fields == {"occupied": 0}


@pytest.mark.parametrize(
    ("unit", "value", "time_ms"),
    [
        ("s", 1_790_000_000, 1_790_000_000_000),
        ("ms", 1_790_000_000_123, 1_790_000_000_123),
        ("us", 1_790_000_000_123_999, 1_790_000_000_123),
        ("ns", 1_790_000_000_123_999_999, 1_790_000_000_123),
        ("rfc3339", "2026-09-21T14:13:20.123999Z", 1_790_000_000_123),
    ],
)
def test_a_time_comes_in_any_unit_and_is_cut_to_milliseconds(unit, value, time_ms):
    time = TimeFrom(from_="at", unit=unit)
    map_ = msgspec.structs.replace(counted(**{"from": "n"}), time=time)
    assert read({"n": 1, "at": value}, map_).time_ms == time_ms


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({}, Refusal.FORMAT),
        ([], Refusal.FORMAT),
        ({"level": 101}, Refusal.RANGE),
        ({"level": -1}, Refusal.RANGE),
        ({"level": 1e300}, Refusal.RANGE),
        ({"level": 2**64}, Refusal.RANGE),
        ({"level": [1]}, Refusal.TYPE),
        ({"level": "much"}, Refusal.TYPE),
        ({"level": "1" * 400}, Refusal.TYPE),
        ({"lid": "ajar"}, Refusal.RANGE),
        ({"lid": {}}, Refusal.RANGE),
        ({"level": 1}, Refusal.TIME),
        ({"level": 1, "measured": {"at": "now"}}, Refusal.TIME),
        ({"level": 1, "measured": {"at": True}}, Refusal.TIME),
    ],
)
def test_what_cannot_be_is_refused_with_its_reason(message, reason):
    assert refused(message) is reason


def test_a_count_and_a_half_is_no_count():
    assert refused({"n": 1.5}, counted(**{"from": "n"})) is Refusal.TYPE
    assert refused({"n": 1e400}, counted(**{"from": "n"})) in (Refusal.TYPE, Refusal.FORMAT)


def test_a_message_that_nobody_decoded_says_so():
    with pytest.raises(Undecodable, match="nobody has decoded it"):
        decode(MAP, Payload(b""))


def test_an_oversized_message_is_refused_unread():
    with pytest.raises(Undecodable) as error:
        decode(MAP, Payload(b" " * 70_000))
    assert error.value.reason is Refusal.LENGTH


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"kind": "submarine"}, "kind"),
        ({"fields": {}}, "fields"),
        ({"fields": {"depth": {"from": "d"}}}, "fields.depth"),
        ({"fields": {"distance_mm": {"from": "d", "unit": "V"}}}, "fields.distance_mm.unit"),
        ({"fields": {"distance_mm": {"from": "d", "scale": 0}}}, "fields.distance_mm.scale"),
        (
            {"fields": {"status": {"from": "s", "values": {"a": "ajar"}}}},
            "fields.status.values.a",
        ),
        ({"time": {"from": "t", "unit": "days"}}, "time.unit"),
        ({"heartbeat_s": 0}, "heartbeat_s"),
    ],
)
def test_a_map_that_no_message_could_satisfy_is_refused_with_its_key(change, key):
    whole = {"kind": "waste_container", "fields": {"distance_mm": {"from": "d"}}} | change
    with pytest.raises(BadMap) as error:
        check_map(msgspec.convert(whole, FieldMap))
    assert error.value.key == key


def test_a_map_makes_a_driver_for_what_a_network_server_or_a_topic_brings():
    assert map_driver("bin", MAP).link == ObjectLink()
    assert map_driver("bin", MAP, by_topic=True).link == TopicLink(own_time=True)
    assert map_driver("bin", MAP).raw_field == "distance_mm"


def test_every_unit_ends_in_a_unit_of_some_kind():
    ours = {field.unit for kind in KINDS.values() for field in kind.fields.values()}
    assert {field for _, field in UNITS} <= ours


@given(st.floats(0, 1), st.floats(0, 20_000), st.floats(0, 60), st.integers(0, 4 * 10**12))
def test_a_driver_reads_what_it_writes(level, distance_mm, battery_v, time_ms):
    fields = {
        "filling_level": level,
        "distance_mm": distance_mm,
        "battery_v": battery_v,
        "status": "lid_open",
    }
    driver = map_driver("bin", MAP)
    (again,) = driver.decode(driver.encode(Values(fields, time_ms=time_ms, event=True)))
    assert again.event
    assert again.time_ms is not None
    assert abs(again.time_ms - time_ms) <= 1
    assert again.fields.keys() == fields.keys()
    for name in ("filling_level", "distance_mm", "battery_v"):
        assert again.fields[name] == pytest.approx(fields[name], abs=1e-6)


maps = st.builds(
    lambda kind, sources, time: FieldMap(
        kind=kind,
        fields=dict(zip(KINDS[kind].fields, sources, strict=False)),
        time=time,
        event="a",
    ),
    st.sampled_from(sorted(KINDS)),
    st.lists(
        st.builds(
            FieldFrom,
            from_=st.sampled_from(["", "a", "a.0", "/a/b", "b", "/", "a.b.c"]),
            scale=st.floats(-1e6, 1e6),
            offset=st.floats(-1e6, 1e6),
        ),
        min_size=1,
        max_size=12,
    ),
    st.none()
    | st.builds(
        TimeFrom,
        from_=st.sampled_from(["a", "b"]),
        unit=st.sampled_from(["s", "ms", "us", "ns", "rfc3339"]),
    ),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "c", "0", ""]), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(maps, st.binary(max_size=200) | json_values.map(lambda one: json.dumps(one).encode()))
def test_any_map_and_any_bytes_give_possible_values_or_one_refusal(map_: FieldMap, data: bytes):
    try:
        found = decode(map_, Payload(data))
    except Undecodable:
        return
    for values in found:
        check_fields(map_.kind, values.fields)
        for name, value in values.fields.items():
            wanted = KINDS[map_.kind].fields[name].type
            assert isinstance(value, {FieldType.TEXT: str, FieldType.FLOAT: float}.get(wanted, int))
