"""Plain MQTT messages: JSON and line protocol, each to the device that is meant."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.line_points import POINTS_MAX, NoPoint, read_point, read_points
from devices.topics import Heard, Listener, fits, is_filter, read_json, read_lines

COUNTER = Listener("corner-1", "counter/1")
SEVEN = Listener("bin-7", "bins", {"id": "7"})
EIGHT = Listener("bin-8", "bins", {"id": "8"})
POINT = Listener("bin-7", "telegraf/#", {"measurement": "bins", "tags.id": "7"})


def test_a_number_and_a_word_are_messages():
    assert read_json([COUNTER], "counter/1", b"17") == Heard((("corner-1", b"17"),))
    assert read_json([COUNTER], "counter/1", b"open\n") == Heard((("corner-1", b'"open"'),))


def test_devices_on_one_topic_are_told_apart_by_what_is_in_the_message():
    listeners = [SEVEN, EIGHT]
    message = b'{"id": 8, "level": 3}'
    assert read_json(listeners, "bins", message) == Heard((("bin-8", message),))
    assert read_json(listeners, "bins", b'{"id": 9}') == Heard((), unmatched=1)
    assert read_json(listeners, "elsewhere", message) == Heard((), unmatched=1)


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"[" * 60_000, b" " * 70_000, b"x" * 65])
def test_what_is_neither_json_nor_a_word_is_garbage(data: bytes):
    assert read_json([COUNTER], "counter/1", data) == Heard((), garbage=1)


@pytest.mark.parametrize(
    ("pattern", "topic", "answer"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a/b/c", False),
        ("a/b/c", "a/b", False),
        ("a/+", "a/b", True),
        ("a/+", "a", False),
        ("+/+", "a/b", True),
        ("a/+/c", "a/b/c", True),
        ("#", "a/b", True),
        ("a/#", "a", True),
        ("a/#", "ab", False),
        ("#", "$SYS/x", False),
        ("+/x", "$SYS/x", False),
        ("$SYS/#", "$SYS/x", True),
        ("a//c", "a//c", True),
        ("a/+/c", "a//c", True),
    ],
)
def test_a_topic_filter_takes_what_a_broker_would(pattern: str, topic: str, answer: bool):
    assert fits(pattern, topic) is answer


def test_a_filter_that_no_broker_takes_is_known():
    for good in ("a", "a/+/b", "#", "a/#", "/"):
        assert is_filter(good)
    for bad in ("", "a+", "a/#/b", "a#", "x" * 1001, "a\0b"):
        assert not is_filter(bad)


def test_points_become_objects():
    assert read_point(r'bins,id=7,zone=north\ side level=42i,lid="a \"b\\",t=3.5e0,up=t 179') == {
        "measurement": "bins",
        "tags": {"id": "7", "zone": "north side"},
        "fields": {"level": 42, "lid": 'a "b\\', "t": 3.5, "up": True},
        "time": 179,
    }
    assert read_point(r"a\,b,c\=d=e\,f g\ h=1u") == {
        "measurement": "a,b",
        "tags": {"c=d": "e,f"},
        "fields": {"g h": 1},
    }


@pytest.mark.parametrize(
    "line",
    [
        "bins",
        "bins level",
        "bins level=",
        "bins level=x",
        "bins,id level=1",
        "bins,id= level=1",
        'bins lid="open',
        "bins level=1 now",
        "bins level=1 1 1",
        "bins level=1i2",
        "bins level=9223372036854775808i",
        "bins level=1 9223372036854775808",
        ",id=7 level=1",
        "bins level=1,",
        "bins level=1_0",
    ],
)
def test_a_line_that_is_no_point_is_refused(line: str):
    with pytest.raises(NoPoint):
        read_point(line)


def test_each_point_goes_to_its_device_and_each_bad_line_is_counted():
    data = b"# made by hand\nbins,id=7 level=1 5\nbins,id=9 level=2\ncats,id=7 n=1\nbroken\n\n"
    heard = read_lines([POINT], "telegraf/bins", data)
    ((device, message),) = heard.messages
    assert device == "bin-7"
    assert json.loads(message)["time"] == 5
    assert (heard.unmatched, heard.garbage) == (2, 1)


def test_a_message_holds_so_many_points_and_no_more():
    points, refused = read_points(b"a b=1\n" * (POINTS_MAX + 5))
    assert (len(points), refused) == (POINTS_MAX, 5)


@given(
    st.binary(max_size=300) | st.text('abz ,=\\"#\n0123456789.iutf-', max_size=120).map(str.encode)
)
def test_any_bytes_are_answered_and_nothing_is_raised(data: bytes):
    for read in (read_json, read_lines):
        heard = read([COUNTER, SEVEN, POINT], "telegraf/x", data)
        for _, message in heard.messages:
            json.loads(message)


@given(st.text(max_size=50), st.text(max_size=50))
def test_any_filter_and_any_topic_are_answered(pattern: str, topic: str):
    assert isinstance(fits(pattern, topic), bool)
    assert isinstance(is_filter(pattern), bool)
