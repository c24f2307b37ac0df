"""Modbus RTU, both sides: whole, byte by byte, behind noise, and against pymodbus's framer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.framer import FramerRTU
from pymodbus.pdu import DecodePDU
from pymodbus.pdu.bit_message import (
    ReadCoilsRequest,
    ReadCoilsResponse,
    ReadDiscreteInputsRequest,
    ReadDiscreteInputsResponse,
)
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadHoldingRegistersResponse,
)

from devices.driver import Noise
from devices.modbus import (
    ILLEGAL_ADDRESS,
    NOISE_ROOM,
    READ_COILS,
    READ_DISCRETE,
    READ_HOLDING,
    READ_INPUT,
    Request,
    RequestReader,
    ResponseReader,
    build_exception,
    build_request,
    build_response,
    crc16,
    parse_request,
)
from devices.reading import Refusal, Undecodable

units = st.integers(1, 247)
functions = st.sampled_from((READ_HOLDING, READ_INPUT))
asked = st.builds(
    Request,
    units,
    st.sampled_from((READ_COILS, READ_DISCRETE, READ_HOLDING, READ_INPUT)),
    st.integers(0, 0xFFFF),
    st.integers(1, 125),
)
registers = st.integers(1, 125).flatmap(lambda n: st.binary(min_size=2 * n, max_size=2 * n))


def one_by_one(data: bytes) -> list[bytes]:
    return [bytes((byte,)) for byte in data]


def outcome(reader: ResponseReader, chunks: list[bytes]) -> bytes | Refusal | None:
    for chunk in chunks:
        try:
            answer = reader.feed(chunk)
        except Undecodable as error:
            return error.reason
        if answer is not None:
            return answer
    return None


def test_documented_frames_are_built_byte_for_byte():
    assert build_request(0x50, READ_HOLDING, 0x34, 1).hex() == "500300340001c845"
    assert build_request(1, READ_INPUT, 0, 10).hex() == "01040000000a700d"
    assert build_request(1, READ_HOLDING, 0x0101, 1).hex() == "010301010001d436"
    assert build_response(1, READ_HOLDING, b"\x02\xf2").hex() == "01030202f238a1"


def test_a_captured_answer_of_a_power_meter_is_read():
    captured = bytes.fromhex("01041408d1006c000000f400000026000001f4006400005134")
    assert ResponseReader(1, READ_INPUT, 10).feed(captured) == captured[3:-2]


@given(st.binary(max_size=260))
def test_the_crc_is_pymodbuss(data: bytes):
    assert crc16(data).to_bytes(2, "little") == FramerRTU.compute_CRC(data).to_bytes(2, "big")


@given(units, st.integers(0, 0xFFFF), st.integers(1, 125))
def test_a_request_is_pymodbuss_byte_for_byte(unit: int, register: int, count: int):
    pdu = ReadHoldingRegistersRequest(address=register, count=count, dev_id=unit)
    theirs = FramerRTU(DecodePDU(True)).buildFrame(pdu)
    assert build_request(unit, READ_HOLDING, register, count) == theirs
    assert parse_request(theirs) == Request(unit, READ_HOLDING, register, count)


@given(units, registers)
def test_an_answer_is_pymodbuss_byte_for_byte(unit: int, data: bytes):
    numbers = [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)]
    pdu = ReadHoldingRegistersResponse(registers=numbers, dev_id=unit)
    theirs = FramerRTU(DecodePDU(False)).buildFrame(pdu)
    assert build_response(unit, READ_HOLDING, data) == theirs
    assert ResponseReader(unit, READ_HOLDING, len(numbers)).feed(theirs) == data


@given(units, st.integers(0, 0xFFFF), st.lists(st.booleans(), min_size=1, max_size=200))
def test_coils_and_discrete_inputs_are_pymodbuss_byte_for_byte(unit, register, bits):
    for function, asks, says in (
        (READ_COILS, ReadCoilsRequest, ReadCoilsResponse),
        (READ_DISCRETE, ReadDiscreteInputsRequest, ReadDiscreteInputsResponse),
    ):
        count = len(bits)
        theirs = FramerRTU(DecodePDU(True)).buildFrame(
            asks(address=register, count=count, dev_id=unit)
        )
        assert build_request(unit, function, register, count) == theirs
        assert RequestReader().feed(theirs) == [Request(unit, function, register, count)]
        answer = FramerRTU(DecodePDU(False)).buildFrame(says(bits=bits, dev_id=unit))
        packed = ResponseReader(unit, function, count).feed(answer)
        assert packed is not None
        assert [packed[n // 8] >> n % 8 & 1 for n in range(count)] == bits
        assert build_response(unit, function, packed) == answer


@given(units, functions, registers)
def test_an_answer_is_read_whole_and_byte_by_byte(unit: int, function: int, data: bytes):
    answer = build_response(unit, function, data)
    for chunks in ([answer], one_by_one(answer)):
        assert outcome(ResponseReader(unit, function, len(data) // 2), chunks) == data


@given(st.binary(max_size=NOISE_ROOM - 1))
def test_noise_in_front_of_an_answer_is_passed_over(noise: bytes):
    answer = build_response(7, READ_HOLDING, b"\x04\xd2")
    expected = outcome(ResponseReader(7, READ_HOLDING, 1), one_by_one(noise + answer))
    assert outcome(ResponseReader(7, READ_HOLDING, 1), [noise + answer]) == expected
    assert expected == b"\x04\xd2" or b"\x07\x03" in noise or b"\x07\x83" in noise


@given(st.binary(max_size=400), st.integers(1, 4))
def test_any_bytes_give_the_same_whole_and_byte_by_byte(data: bytes, count: int):
    whole, single = (ResponseReader(1, READ_HOLDING, count) for _ in range(2))
    assert outcome(whole, [data]) == outcome(single, one_by_one(data))


@given(st.binary(min_size=1000, max_size=1000))
def test_a_babbling_bus_is_given_up(data: bytes):
    assert outcome(ResponseReader(1, READ_HOLDING, 1), [data]) is not None


def test_an_answer_cut_short_is_none_yet_and_silence_says_length():
    reader = ResponseReader(1, READ_HOLDING, 1)
    assert reader.feed(build_response(1, READ_HOLDING, b"\x04\xd2")[:-1]) is None
    assert reader.silence().reason is Refusal.LENGTH


def test_silence_without_a_byte_is_a_time_out():
    assert ResponseReader(1, READ_HOLDING, 1).silence().reason is Refusal.TIMEOUT


def test_silence_after_noise_alone_is_a_checksum():
    reader = ResponseReader(1, READ_HOLDING, 1)
    assert reader.feed(b"\x00\xfe\x13") is None
    assert reader.silence().reason is Refusal.CHECKSUM


def test_a_damaged_answer_is_refused_at_once():
    answer = bytearray(build_response(1, READ_HOLDING, b"\x04\xd2"))
    answer[3] ^= 0x10
    assert outcome(ResponseReader(1, READ_HOLDING, 1), [bytes(answer)]) is Refusal.CHECKSUM


@given(units, st.integers(0, 54))
def test_one_flipped_bit_never_passes_for_the_answer(unit: int, bit: int):
    answer = bytearray(build_response(unit, READ_HOLDING, b"\x04\xd2"))
    answer[bit // 8] ^= 1 << (bit % 8)
    assert not isinstance(outcome(ResponseReader(unit, READ_HOLDING, 1), [bytes(answer)]), bytes)


@given(units, units)
def test_another_units_answer_is_refused_as_that(unit: int, other: int):
    if unit != other:
        answer = build_response(other, READ_HOLDING, b"\x04\xd2")
        assert outcome(ResponseReader(unit, READ_HOLDING, 1), [answer]) is Refusal.WRONG_UNIT
        answer = build_exception(other, READ_HOLDING, ILLEGAL_ADDRESS)
        assert outcome(ResponseReader(unit, READ_HOLDING, 1), [answer]) is Refusal.WRONG_UNIT


def test_an_exception_names_unit_and_code():
    reader = ResponseReader(9, READ_HOLDING, 1)
    with pytest.raises(Undecodable, match="unit 9: code 2, illegal register") as refused:
        reader.feed(build_exception(9, READ_HOLDING, ILLEGAL_ADDRESS))
    assert refused.value.reason is Refusal.EXCEPTION


@given(registers)
def test_another_count_of_registers_is_refused_as_length(data: bytes):
    answer = build_response(1, READ_HOLDING, data)
    if b"\x01\x03\x02" not in answer:
        assert outcome(ResponseReader(1, READ_HOLDING, 1), one_by_one(answer)) is Refusal.LENGTH


@pytest.mark.parametrize("register", [0x0101, 0x0200, 0x0204, 0x0300])
def test_an_adapter_that_hears_itself_is_no_trouble(register: int):
    echo = build_request(1, READ_HOLDING, register, 1)
    answer = build_response(1, READ_HOLDING, b"\x04\xd2")
    for chunks in ([echo + answer], one_by_one(echo + answer), [answer]):
        assert outcome(ResponseReader(1, READ_HOLDING, 1, echo), chunks) == b"\x04\xd2"


@given(st.lists(asked))
def test_a_slave_hears_every_request_whole_and_byte_by_byte(requests: list[Request]):
    said = b"".join(build_request(r.unit, r.function, r.register, r.count) for r in requests)
    assert RequestReader().feed(said) == requests
    reader = RequestReader()
    assert [part for byte in one_by_one(said) for part in reader.feed(byte)] == requests


def test_a_slave_hears_a_request_behind_noise_and_keeps_the_rest():
    request = build_request(3, READ_HOLDING, 0x0101, 1)
    reader = RequestReader()
    heard = reader.feed(b"\x00\xff\x13" + request + request[:5])
    assert heard == [Noise("garbage", 3), Request(3, READ_HOLDING, 0x0101, 1)]
    assert reader.feed(request[5:]) == [Request(3, READ_HOLDING, 0x0101, 1)]
    reader.feed(request[:5])
    reader.reset()
    assert reader.feed(request) == [Request(3, READ_HOLDING, 0x0101, 1)]


@given(st.binary(max_size=100))
def test_a_slave_accounts_for_every_byte_and_keeps_eight_at_most(data: bytes):
    parts = RequestReader().feed(data)
    told = sum(part.size if isinstance(part, Noise) else 8 for part in parts)
    assert 0 <= len(data) - told <= 8


def test_a_request_that_cannot_be_served_is_refused_with_its_reason():
    request = build_request(3, READ_HOLDING, 0x0101, 1)
    for frame, reason in (
        (request[:-1], Refusal.LENGTH),
        (request[:-1] + b"\x00", Refusal.CHECKSUM),
        (build_request(3, 6, 0x0200, 5), Refusal.TYPE),
    ):
        with pytest.raises(Undecodable) as refused:
            parse_request(frame)
        assert refused.value.reason is reason
