"""SNMP messages: a real agent's bytes, another encoder's, and any bytes at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.links.snmp_message import (
    GET,
    GET_BULK,
    NotSnmp,
    build_request,
    host_and_port,
    parse_oid,
    parse_response,
)
from tests.edge.links import snmp_agent

# Recorded 2026-11-22 from net-snmp's snmpd 5.9.3 (Debian bookworm), community `secret`.
ASKED = (
    "3081950201010406736563726574a081870204012345670201000201003079300c06082b060102010103000500"
    "300c06082b060102010201000500300f060b2b060102011f01010101010500300f060b2b060102011f010101"
    "06010500300e060a2b060102010202010a010500300e060a2b0601020102020105010500300b06072b06010201"
    "63010500300c06082b060102010102000500"
)
ANSWERED = (
    "3081b30201010406736563726574a281a5020401234567020100020100308196300e06082b0601020101030043"
    "0207a1300d06082b060102010201000201043011060b2b060102011f010101010104026c6f3014060b2b060102"
    "011f0101010601460505c5cb039a3013060a2b060102010202010a01410500c5cb039a3012060a2b0601020102"
    "02010501420400989680300b06072b0601020163018000301606082b06010201010200060a2b06010401bf0803"
    "020a"
)
OIDS = [
    "1.3.6.1.2.1.1.3.0",
    "1.3.6.1.2.1.2.1.0",
    "1.3.6.1.2.1.31.1.1.1.1.1",
    "1.3.6.1.2.1.31.1.1.1.6.1",
    "1.3.6.1.2.1.2.2.1.10.1",
    "1.3.6.1.2.1.2.2.1.5.1",
    "1.3.6.1.2.1.99.1",
    "1.3.6.1.2.1.1.2.0",
]


def test_a_real_agents_answer_is_read_whole():
    oids = [parse_oid(text) for text in OIDS]
    assert build_request(GET, b"secret", 0x1234567, oids).hex() == ASKED
    response = parse_response(bytes.fromhex(ANSWERED))
    assert (response.community, response.request_id, response.error) == (b"secret", 0x1234567, 0)
    said = [value for _, value in response.bindings]
    system = (1, 3, 6, 1, 4, 1, 8072, 3, 2, 10)
    assert said == [1953, 4, b"lo", 24793252762, 3318416282, 10000000, None, system]
    assert [oid for oid, _ in response.bindings] == oids


def test_a_bulk_request_is_what_an_agent_took():
    asked = build_request(GET_BULK, b"secret", 0x1234567, [parse_oid("1.3.6.1.2.1.31.1.1.1.1")], 2)
    assert asked.hex() == (
        "302b0201010406736563726574a51e0204012345670201000201023010300e060a2b060102011f010101010500"
    )


subids = st.integers(0, 2**32 - 1)
oids = st.tuples(st.integers(0, 1), st.integers(0, 39), st.lists(subids, max_size=20)).map(
    lambda drawn: (drawn[0], drawn[1], *drawn[2])
)
numbers = st.integers(0, 2**64 - 1)


@given(st.lists(st.tuples(oids, numbers), max_size=30), st.integers(1, 2**31 - 1))
def test_another_encoders_answers_come_back_as_they_were_meant(bindings, identity):
    said = b"".join(
        snmp_agent.tlv(0x30, snmp_agent.oid(oid) + snmp_agent.number(snmp_agent.COUNTER64, count))
        for oid, count in bindings
    )
    body = snmp_agent.number(2, identity) + 2 * snmp_agent.number(2, 0) + snmp_agent.tlv(0x30, said)
    message = snmp_agent.number(2, 1) + snmp_agent.tlv(4, b"public") + snmp_agent.tlv(0xA2, body)
    response = parse_response(snmp_agent.tlv(0x30, message))
    assert response.request_id == identity
    assert list(response.bindings) == bindings


@given(st.lists(oids, min_size=1, max_size=10), st.integers(-(2**31), 2**31 - 1))
def test_a_request_is_what_another_decoder_reads(wanted, identity):
    ((tag, message),) = snmp_agent.parts(build_request(GET, b"public", identity, wanted))
    _, _, (kind, body) = snmp_agent.parts(message)
    (_, said), _, _, (_, bindings) = snmp_agent.parts(body)
    assert (tag, kind, int.from_bytes(said, "big", signed=True)) == (0x30, GET, identity)
    found = [
        snmp_agent.parse_oid(snmp_agent.parts(one)[0][1]) for _, one in snmp_agent.parts(bindings)
    ]
    assert found == wanted


REAL = bytes.fromhex(ANSWERED)
edits = st.lists(st.tuples(st.integers(0, len(REAL) - 1), st.integers(0, 255)), max_size=4)


@given(st.one_of(st.binary(max_size=80), st.just(REAL)), edits, st.integers(0, 20))
def test_any_bytes_are_a_response_or_refused(data, changes, cut):
    changed = bytearray(data[: len(data) - cut])
    for at, byte in changes:
        if at < len(changed):
            changed[at] = byte
    try:
        parse_response(bytes(changed))
    except NotSnmp:
        return


def test_a_number_that_is_no_v2c_counter_is_refused():
    for tag, content in ((0x41, b"\xff"), (0x46, bytes(10)), (0x42, b""), (0x10, b"\x01")):
        binding = snmp_agent.tlv(0x30, snmp_agent.oid((1, 3, 6)) + snmp_agent.tlv(tag, content))
        body = 3 * snmp_agent.number(2, 0) + snmp_agent.tlv(0x30, binding)
        message = snmp_agent.number(2, 1) + snmp_agent.tlv(4, b"") + snmp_agent.tlv(0xA2, body)
        with pytest.raises(NotSnmp):
            parse_response(snmp_agent.tlv(0x30, message))


@pytest.mark.parametrize(
    "text", ["", "1", "1.3.x", "3.1", "1.40.1", "1.3.-6", "1.3.4294967296", "١.٣"]
)
def test_what_is_no_object_identifier_is_refused(text):
    with pytest.raises(ValueError, match="isn't an object identifier"):
        parse_oid(text)
    assert parse_oid(".1.3.6.1") == (1, 3, 6, 1)


def test_an_address_may_leave_its_port_out():
    assert host_and_port("ap.example") == ("ap.example", 161)
    assert host_and_port("192.0.2.1:1161") == ("192.0.2.1", 1161)
    assert host_and_port("[2001:db8::1]:1161") == ("2001:db8::1", 1161)
    assert host_and_port("2001:db8::1") == ("2001:db8::1", 161)
    for bad in ("ap:snmp", "ap:0", "ap:65536"):
        with pytest.raises(ValueError, match="host:port"):
            host_and_port(bad)
