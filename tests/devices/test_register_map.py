"""A Modbus device declared as data: every map of a configuration gives a driver that holds."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.driver import Driver, ModbusLink, RegisterRange
from devices.kinds import KINDS, FieldType
from devices.modbus import Request, answer_part
from devices.reading import Payload, Refusal, Undecodable, Values, check_fields
from devices.register_driver import driver_of_map
from devices.register_map import BadMap, Register, RegisterMap

METER = RegisterMap(
    kind="energy_meter",
    value=(
        Register(register=0, field="voltage_v", function=4, scale=0.1),
        Register(register=1, field="current_a", function=4, type="u32", word_order="low_first"),
        Register(register=3, field="active_power_w", function=4, type="f32"),
        Register(register=9, field="frequency_hz", function=4, scale=0.01, invalid=(0xFFFF,)),
    ),
)


def fields_of(registers: RegisterMap, *words: int) -> dict[str, object]:
    driver = driver_of_map("meter", registers)
    (values,) = driver.decode(Payload(b"".join(word.to_bytes(2, "big") for word in words)))
    return dict(values.fields)


def modbus(registers: RegisterMap) -> ModbusLink:
    link = driver_of_map("meter", registers).link
    assert isinstance(link, ModbusLink)
    return link


def one(field: str, kind: str = "parking_spot", **register) -> RegisterMap:
    return RegisterMap(kind=kind, value=(Register(register=0, field=field, **register),))


def refused(registers: RegisterMap, *words: int) -> Refusal:
    with pytest.raises(Undecodable) as error:
        fields_of(registers, *words)
    return error.value.reason


def test_neighbours_are_one_request_and_far_ones_another():
    assert modbus(METER).reads == (RegisterRange(4, 0, 5), RegisterRange(4, 9, 1))


def test_a_gap_that_may_be_read_saves_a_request():
    wide = RegisterMap(kind=METER.kind, value=METER.value, gap=4)
    assert modbus(wide).reads == (RegisterRange(4, 0, 10),)


def test_no_request_asks_for_more_than_the_standard_allows():
    apart = tuple(
        Register(register=at, field=name, function=3)
        for at, name in ((0, "voltage_v"), (32, "current_a"), (64, "frequency_hz"))
    )
    more = (*apart, Register(register=96, fault=(9,)), Register(register=126, fault=(9,)))
    reads = modbus(RegisterMap(kind="energy_meter", value=more, gap=32)).reads
    assert reads == (RegisterRange(3, 0, 97), RegisterRange(3, 126, 1))


def test_scale_types_and_word_order_are_the_sheets():
    power = struct.unpack(">HH", struct.pack(">f", 24.5))
    fields = fields_of(METER, 2257, 7, 0, *power, 5001)
    assert fields == {
        "voltage_v": 225.7,
        "current_a": 7.0,
        "active_power_w": 24.5,
        "frequency_hz": 50.01,
    }


def test_an_invalid_number_leaves_its_field_out_and_alone_is_no_target():
    power = struct.unpack(">HH", struct.pack(">f", 24.5))
    assert "frequency_hz" not in fields_of(METER, 2257, 7, 0, *power, 0xFFFF)
    assert refused(one("distance_mm", invalid=(0xFFFD,)), 0xFFFD) is Refusal.NO_TARGET


def test_a_value_outside_its_kind_is_never_handed_on():
    power = struct.unpack(">HH", struct.pack(">f", float("nan")))
    fields = fields_of(METER, 60_000, 7, 0, *power, 5001)
    assert fields == {"current_a": 7.0, "frequency_hz": 50.01, "quality": "out_of_range"}
    assert refused(one("distance_mm"), 20_001) is Refusal.RANGE


def test_a_threshold_makes_a_distance_a_bay():
    registers = RegisterMap(
        kind="parking_spot",
        value=(
            Register(register=5, field="distance_mm", scale=10),
            Register(register=5, field="occupied", scale=10, below=1500),
        ),
    )
    assert fields_of(registers, 149) == {"distance_mm": 1490.0, "occupied": 1}
    assert fields_of(registers, 150) == {"distance_mm": 1500.0, "occupied": 0}
    driver = driver_of_map("bay", registers)
    assert driver.raw_field == "distance_mm"
    assert modbus(registers).reads == (RegisterRange(3, 5, 1),)


def test_what_is_no_number_is_on_neither_side_of_a_threshold():
    for lost in (float("nan"), float("inf"), float("-inf")):
        words = struct.unpack(">HH", struct.pack(">f", lost))
        assert refused(one("occupied", type="f32", below=1500), *words) is Refusal.RANGE


def test_a_sensor_that_says_it_is_broken_is_refused_whole():
    registers = RegisterMap(
        kind="parking_spot",
        value=(Register(register=0, field="distance_mm"), Register(register=1, fault=(2, 3))),
    )
    assert fields_of(registers, 700, 1) == {"distance_mm": 700.0}
    assert refused(registers, 700, 3) is Refusal.SENSOR_FAULT


@pytest.mark.parametrize("function", [1, 2])
def test_bits_of_a_controller_are_bays(function):
    registers = one("occupied", function=function, type="bit")
    driver = driver_of_map("zone", registers)
    assert driver.decode(Payload(b"\x01"))[0].fields == {"occupied": 1}
    assert driver.decode(Payload(b"\xfe"))[0].fields == {"occupied": 0}
    assert driver.encode(Values({"occupied": 1})).data == b"\x01"


def test_a_bit_of_a_register_and_its_opposite():
    assert fields_of(one("occupied", type="bit", bit=9), 0x0200) == {"occupied": 1}
    assert fields_of(one("occupied", type="bit", bit=9), 0xFDFF) == {"occupied": 0}
    assert fields_of(one("occupied", type="bit", bit=9, below=0.5), 0x0200) == {"occupied": 0}


def test_bits_far_into_a_row_are_found():
    value = tuple(
        Register(register=at, field=name, function=2, type="bit")
        for at, name in ((17, "occupied"), (26, "vehicle_count"))
    )
    registers = RegisterMap(kind="parking_spot", value=value, gap=16)
    driver = driver_of_map("zone", registers)
    assert modbus(registers).reads == (RegisterRange(2, 17, 10),)
    assert driver.decode(Payload(b"\x01\x02"))[0].fields == {"occupied": 1, "vehicle_count": 1}


def test_a_slave_answers_each_of_a_readings_requests_and_nothing_else():
    driver = driver_of_map("meter", METER)
    payload = driver.encode(Values({"voltage_v": 230.0, "frequency_hz": 50.0}))
    link = modbus(METER)
    parts = [answer_part(link, payload, Request(1, 4, at, n)) for at, n in ((0, 5), (9, 1))]
    assert b"".join(part or b"" for part in parts) == payload.data
    assert answer_part(link, payload, Request(1, 4, 0, 4)) is None
    assert answer_part(link, payload, Request(1, 3, 0, 5)) is None


BAD = [
    (RegisterMap(kind="lamp", value=METER.value), "kind", "no kind 'lamp'"),
    (RegisterMap(kind="parking_spot", value=()), "value", "0 registers"),
    (RegisterMap(kind="energy_meter", value=METER.value, gap=33), "gap", "33"),
    (RegisterMap(kind="energy_meter", value=METER.value, stride=-1), "stride", "-1"),
    (RegisterMap(kind="energy_meter", value=METER.value, baudrate=0), "baudrate", "0"),
    (RegisterMap(kind="energy_meter", value=METER.value, heartbeat_s=0), "heartbeat_s", "0"),
    (one("colour"), "value[0].field", "isn't a number of parking_spot"),
    (one("quality"), "value[0].field", "isn't a number of parking_spot"),
    (one(""), "value[0].field", "missing"),
    (one("", fault=(1,)), "value", "no field at all"),
    (one("distance_mm", scale=0.0), "value[0].scale", "0.0"),
    (one("distance_mm", offset=float("inf")), "value[0].scale", "1.0"),
    (one("distance_mm", invalid=(70_000,)), "value[0].invalid", "70000 can't be"),
    (one("distance_mm", function=1), "value[0].type", "u16 of function 1"),
    (one("distance_mm", bit=1), "value[0].bit", "1"),
    (one("occupied", type="bit", bit=16), "value[0].bit", "16"),
    (one("distance_mm", word_order="low_first"), "value[0].word_order", "of a u16"),
    (one("distance_mm", above=5), "value[0].above", "isn't 0 or 1"),
    (one("occupied", above=5, below=5), "value[0].below", "beside above"),
    (one("occupied", above=70_000), "value[0].above", "occupied = 1"),
    (one("occupied", below=-1), "value[0].below", "occupied = 1"),
    (
        RegisterMap(kind="parking_spot", value=(Register(register=65_535, type="u32", field="x"),)),
        "value[0].register",
        "65535",
    ),
    (
        RegisterMap(kind="parking_spot", value=2 * one("occupied").value),
        "value[1].field",
        "'occupied' twice",
    ),
]


@pytest.mark.parametrize(("registers", "key", "problem"), BAD, ids=[bad[1] for bad in BAD])
def test_a_map_that_cannot_be_is_refused_with_its_place(registers, key, problem):
    with pytest.raises(BadMap) as error:
        driver_of_map("x", registers)
    assert error.value.key == key
    assert problem in error.value.problem
    assert error.value.remedy


def _numbers(kind: str) -> list[str]:
    return [name for name, f in KINDS[kind].fields.items() if f.type is not FieldType.TEXT]


@st.composite
def maps(draw):
    """Maps as a person could declare them; some are refused, and that is drawn again."""
    kind = draw(st.sampled_from(sorted(KINDS)))
    names = draw(st.lists(st.sampled_from(_numbers(kind)), min_size=1, max_size=6, unique=True))
    value: list[Register] = []
    for name in names:
        function = draw(st.sampled_from((1, 2, 3, 4)))
        bits = function in (1, 2)
        types = ("bit",) if bits else ("u16", "s16", "u32", "s32", "f32", "bit")
        type_ = draw(st.sampled_from(types))
        wide = type_ in ("u32", "s32", "f32")
        field = KINDS[kind].fields[name]
        judged = field.type is FieldType.INTEGER and (field.low, field.high) == (0, 1)
        value.append(
            Register(
                register=draw(st.integers(0, 300)),
                field=name,
                function=function,
                type=type_,
                bit=draw(st.integers(0, 15)) if type_ == "bit" and not bits else 0,
                word_order=draw(st.sampled_from(("high_first", "low_first")))
                if wide
                else "high_first",
                scale=draw(st.sampled_from((1.0, 0.1, 0.01, 0.001, 10.0, -0.5))),
                offset=float(draw(st.sampled_from((0, 0, -40, 100)))),
                above=draw(st.sampled_from((None, 0.5, 3.0))) if judged else None,
                invalid=draw(st.sampled_from(((), (0,), (1,)))),
            )
        )
    return RegisterMap(kind=kind, value=tuple(value), gap=draw(st.integers(0, 8)))


def _driver(registers: RegisterMap) -> Driver | None:
    try:
        return driver_of_map("drawn", registers)
    except BadMap:
        return None


DRIVERS = maps().map(_driver).filter(lambda driver: driver is not None)


@given(driver=DRIVERS, data=st.data())
def test_any_registers_are_decoded_within_the_kind_or_refused(driver, data):
    size = sum(one.size for one in driver.link.reads)
    payload = Payload(data.draw(st.binary(min_size=size, max_size=size)))
    try:
        (values,) = driver.decode(payload)
    except Undecodable as error:
        assert error.reason in (Refusal.RANGE, Refusal.NO_TARGET)
        return
    check_fields(driver.kind, values.fields)


@given(raw=st.binary(min_size=4, max_size=4), scale=st.sampled_from((1.0, 0.1, 1000.0, 0.001)))
def test_a_single_precision_number_is_said_again_as_it_came(raw, scale):
    driver = driver_of_map("m", one("active_energy_wh", "energy_meter", type="f32", scale=scale))
    try:
        decoded = driver.decode(Payload(raw))
    except Undecodable:
        return
    assert driver.decode(driver.encode(decoded[0])) == decoded


@given(driver=DRIVERS, junk=st.binary(max_size=40))
def test_another_size_is_refused(driver, junk):
    size = sum(one.size for one in driver.link.reads)
    if len(junk) != size:
        with pytest.raises(Undecodable, match="length"):
            driver.decode(Payload(junk))


@given(
    field=st.sampled_from(("active_power_w", "active_energy_wh", "voltage_v", "current_a")),
    type_=st.sampled_from(("u16", "s16", "u32", "s32", "f32")),
    scale=st.sampled_from((1.0, 0.1, 0.01, 10.0)),
    data=st.data(),
)
def test_what_a_declared_device_is_told_to_say_comes_back_within_its_resolution(
    field, type_, scale, data
):
    driver = driver_of_map("m", one(field, "energy_meter", type=type_, scale=scale))
    known = KINDS["energy_meter"].fields[field]
    high = min(known.high, {"s16": 32_767, "u16": 65_535}.get(type_, 2**20) * scale)
    number = data.draw(st.integers(max(0, int(known.low)), int(high)))
    (values,) = driver.decode(driver.encode(Values({field: number})))
    within = max(driver.resolution / 2, 1e-6 * number)
    assert abs(values.fields[field] - number) <= within + 1e-9
