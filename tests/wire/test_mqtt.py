"""MQTT 5 packets: what is said is what is heard, and any bytes are either that or `BadPacket`."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from wire import mqtt
from wire.mqtt import BadPacket, Message, next_packet, read_publish, receive_maximum

TOPICS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def body_of(packet: bytes) -> tuple[int, int]:
    start, end = next_packet(packet, 0)
    assert end == len(packet)
    return start, end


def heard(packet: bytes) -> Message:
    return read_publish(packet[0], packet, *body_of(packet))


@given(
    mid=st.integers(1, 65_535),
    topic=TOPICS,
    payload=st.binary(max_size=300),
    expiry_s=st.integers(0, 2**32 - 1),
    retain=st.booleans(),
)
def test_a_message_said_is_the_message_heard(mid, topic, payload, expiry_s, retain):
    packet = mqtt.publish(mid, topic, payload, expiry_s, retain)
    assert heard(packet) == Message(topic, payload, mid, retain)


@given(
    content_type=TEXTS,
    correlation=st.binary(max_size=40),
    user=st.lists(st.tuples(TEXTS, TEXTS), max_size=3),
    others=st.booleans(),
)
def test_properties_are_heard_as_another_implementation_says_them(
    content_type, correlation, user, others
):
    said = Properties(PacketTypes.PUBLISH)
    said.ContentType, said.CorrelationData = content_type, correlation
    for pair in user:
        said.UserProperty = pair
    if others:
        said.MessageExpiryInterval = 30
        said.PayloadFormatIndicator = 1
        said.TopicAlias = 7
        said.ResponseTopic = "to"
        said.SubscriptionIdentifier = 300
    body = b"\x00\x01t\x00\x07" + said.pack() + b"payload"
    message = read_publish(0x32, body, 0, len(body))
    assert message == Message("t", b"payload", 7, False, content_type, correlation, tuple(user))


@given(st.integers(1, 65_535), st.booleans())
def test_the_brokers_receive_maximum_is_heard_among_other_properties(maximum, others):
    said = Properties(PacketTypes.CONNACK)
    if others:
        said.TopicAliasMaximum, said.ServerKeepAlive = 10, 60
        said.AssignedClientIdentifier, said.UserProperty = "x", ("a", "b")
        said.MaximumPacketSize = 1000
    assert receive_maximum(b"\x00\x00" + said.pack()) == 65_535
    said.ReceiveMaximum = maximum
    assert receive_maximum(b"\x00\x00" + said.pack()) == maximum


@given(st.binary(max_size=200), st.integers(0, 255))
def test_any_bytes_are_a_message_or_a_bad_packet(data, first):
    try:
        start, end = next_packet(data, 0)
        if 0 < end <= len(data):
            read_publish(first, data, start, end)
        read_publish(first, data, 0, len(data))
    except BadPacket:
        pass
    with suppress(BadPacket):
        receive_maximum(data)


@given(
    st.binary(max_size=30).map(lambda payload: mqtt.publish(5, "a/b", payload, 30)),
    st.integers(0, 60),
    st.integers(0, 255),
)
def test_a_packet_with_a_wrong_byte_is_a_message_or_a_bad_packet(packet, place, byte):
    damaged = bytearray(packet)
    damaged[place % len(packet)] = byte
    try:
        start, end = next_packet(damaged, 0)
        if 0 < end <= len(damaged):
            read_publish(damaged[0], bytes(damaged), start, end)
    except BadPacket:
        pass


def test_a_length_of_more_than_four_bytes_is_refused_and_an_unfinished_one_waits():
    with pytest.raises(BadPacket):
        next_packet(b"\x30\xff\xff\xff\xff\x01", 0)
    for cut in range(5):
        assert next_packet(b"\x30\xff\xff\xff\x7f"[:cut], 0) == (0, 0)
    assert next_packet(b"\x30\x80\x01", 0) == (3, 131)
