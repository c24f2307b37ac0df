"""Every driver, found in the folder: its vectors, and what must hold for any bytes at all.

Who checks what: a driver refuses what its sheet rules out, and promises that whatever it returns
passes `check_fields` with the field's own type. The tests here hold it to that for any bytes, so
that the gateway's intake, which runs `check_fields` on every reading from anywhere, never refuses
a driver's work. A new driver is held to all of this without an edit here.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.driver import (
    Driver,
    Frame,
    LorawanLink,
    ModbusLink,
    Noise,
    UartLink,
    UnknownDriver,
    driver_names,
    load_driver,
)
from devices.kinds import KINDS, FieldType
from devices.reading import Payload, Refusal, Undecodable, Values, check_fields
from devices.vectors import Vector, read_vectors

DRIVERS = {name: load_driver(name) for name in driver_names()}
VECTORS_OF = {name: read_vectors(name) for name in DRIVERS}
VECTORS = [(name, vector) for name in DRIVERS for vector in VECTORS_OF[name]]

each_driver = pytest.mark.parametrize("driver", DRIVERS.values(), ids=list(DRIVERS))
UART = [(driver, driver.link) for driver in DRIVERS.values() if isinstance(driver.link, UartLink)]
each_uart_driver = pytest.mark.parametrize(
    ("driver", "link"), UART, ids=[driver.name for driver, _ in UART]
)
each_vector = pytest.mark.parametrize(
    ("name", "vector"), VECTORS, ids=[f"{name}: {vector.name}" for name, vector in VECTORS]
)


def reason_of(driver: Driver, payload: Payload) -> str:
    """Why the driver refuses a payload, empty when it doesn't; fails on any other exception."""
    try:
        driver.decode(payload)
    except Undecodable as error:
        return str(error.reason)
    return ""


@functools.cache
def payloads(name: str) -> st.SearchStrategy[Payload]:
    """Anything at all, and the driver's own vectors with bytes exchanged, cut or appended."""
    vectors = [vector.payload for vector in VECTORS_OF[name]]

    def changed(payload: Payload, edits: list[tuple[int, int]], cut: int, more: bytes) -> Payload:
        data = bytearray(payload.data)
        for at, byte in edits:
            if data:
                data[at % len(data)] = byte
        return Payload(bytes(data[: len(data) - cut]) + more, payload.port)

    byte = st.integers(0, 255)
    damaged = st.builds(
        changed,
        st.sampled_from(vectors),
        st.lists(st.tuples(st.integers(0, 2000), byte), max_size=3),
        st.sampled_from((0, 0, 0, 1, 5)),
        st.binary(max_size=4),
    )
    ports = st.sampled_from(sorted({payload.port for payload in vectors} | {0, 1, 255}))
    return st.one_of(damaged, st.builds(Payload, st.binary(max_size=64), ports))


@each_vector
def test_a_vector_gives_what_stands_beside_it(name: str, vector: Vector):
    driver = DRIVERS[name]
    if vector.refused is not None:
        assert reason_of(driver, vector.payload) == vector.refused
    else:
        assert driver.decode(vector.payload) == vector.expected


@each_driver
def test_a_driver_has_two_decoded_vectors_and_one_for_each_reason_it_refuses_with(driver: Driver):
    vectors = VECTORS_OF[driver.name]
    assert sum(vector.refused is None for vector in vectors) >= 2
    assert len({vector.name for vector in vectors}) == len(vectors)
    source = inspect.getsource(importlib.import_module(f"devices.{driver.name}"))
    reasons = {Refusal[name] for name in re.findall(r"Refusal\.([A-Z_]+)", source)}
    assert reasons <= {vector.refused for vector in vectors}


@each_driver
def test_a_driver_describes_itself_in_known_words(driver: Driver):
    kind = KINDS[driver.kind]
    assert DRIVERS[driver.name] is driver
    assert driver.models and driver.vendor
    assert driver.raw_field in kind.fields
    assert driver.resolution > 0
    assert driver.heartbeat_s > 0


@each_driver
@given(data=st.data())
@settings(max_examples=200)
def test_any_bytes_are_decoded_within_the_kind_or_refused_with_a_reason_that_a_vector_shows(
    driver: Driver, data: st.DataObject
):
    payload = data.draw(payloads(driver.name))
    try:
        decoded = driver.decode(payload)
    except Undecodable as error:
        assert error.reason in {vector.refused for vector in VECTORS_OF[driver.name]}
        return
    fields = KINDS[driver.kind].fields
    for values in decoded:
        check_fields(driver.kind, values.fields)
        for name, value in values.fields.items():
            expected = {FieldType.INTEGER: int, FieldType.FLOAT: float, FieldType.TEXT: str}
            assert type(value) is expected[fields[name].type], name


@each_driver
@given(data=st.data())
@settings(max_examples=200)
def test_what_a_driver_decodes_it_can_say_again(driver: Driver, data: st.DataObject):
    payload = data.draw(payloads(driver.name))
    try:
        decoded = driver.decode(payload)
    except Undecodable:
        return
    for values in decoded:
        assert driver.decode(driver.encode(values)) == (values,)


@each_driver
@given(data=st.data())
def test_a_raw_value_survives_within_the_resolution(driver: Driver, data: st.DataObject):
    known = [v.fields[driver.raw_field] for v in _said(driver) if driver.raw_field in v.fields]
    low, high = float(min(known)), float(max(known))
    number: int | float = data.draw(
        st.integers(int(low), int(high))
        if KINDS[driver.kind].fields[driver.raw_field].type is FieldType.INTEGER
        else st.floats(low, high)
    )
    [values] = driver.decode(driver.encode(Values({driver.raw_field: number})))
    assert abs(float(values.fields[driver.raw_field]) - number) <= driver.resolution / 2 + 1e-9


@each_uart_driver
def test_what_a_serial_driver_says_its_framer_finds(driver: Driver, link: UartLink):
    said = [driver.encode(values).data for values in _said(driver)]
    found = link.framer().feed(b"".join(said))
    assert [getattr(part, "data", part) for part in found] == said


@each_uart_driver
def test_a_serial_frame_is_found_byte_by_byte_behind_noise_and_before_what_is_left_over(
    driver: Driver, link: UartLink
):
    frame = driver.encode(_said(driver)[0]).data
    framer = link.framer()
    stream = b"\x00" + frame + frame[:-1]
    found = [part for byte in stream for part in framer.feed(bytes((byte,)))]
    assert [part for part in found if isinstance(part, Frame)] == [Frame(frame)]
    assert sum(part.size for part in found if isinstance(part, Noise)) == 1
    assert framer.feed(frame[-1:]) == [Frame(frame)]


@each_uart_driver
@given(data=st.data())
def test_a_serial_framer_takes_any_bytes_and_loses_none(
    driver: Driver, link: UartLink, data: st.DataObject
):
    frame = driver.encode(_said(driver)[0]).data
    parts = st.one_of(st.binary(max_size=12), st.just(frame), st.just(frame[:-1]))
    chunks = data.draw(st.lists(parts, max_size=8))
    framer = link.framer()
    found = [part for chunk in chunks for part in framer.feed(chunk)]
    seen = sum(len(part.data) if isinstance(part, Frame) else part.size for part in found)
    assert 0 <= sum(map(len, chunks)) - seen < 2 * len(frame) + 8  # the rest waits, and is bounded
    whole = link.framer().feed(b"".join(chunks))
    frames = [part for part in found if isinstance(part, Frame)]
    assert frames == [part for part in whole if isinstance(part, Frame)]


@each_driver
def test_what_a_modbus_driver_says_fills_its_registers(driver: Driver):
    if isinstance(driver.link, ModbusLink):
        for values in _said(driver):
            size = sum(one.size for one in driver.link.reads)
            assert len(driver.encode(values).data) == size


@each_driver
def test_what_a_lorawan_driver_says_has_a_port_and_fits_the_slowest_data_rate(driver: Driver):
    if isinstance(driver.link, LorawanLink):
        for values in _said(driver):
            said = driver.encode(values)
            assert 0 < said.port < 224
            assert len(said.data) <= 51


def test_the_sensors_a_city_can_buy_are_many():
    assert sum(len(driver.models) for driver in DRIVERS.values()) >= 40


def test_an_unknown_driver_is_answered_with_the_names_there_are():
    with pytest.raises(UnknownDriver, match=r"bosch_tps110, .*openwrt_ap"):
        load_driver("../secrets")


def _said(driver: Driver) -> list[Values]:
    """Every record that the driver's vectors hold."""
    vectors = VECTORS_OF[driver.name]
    return [values for vector in vectors if vector.refused is None for values in vector.expected]
