"""Every driver plays: what a device of each says in a day is what its bytes mean."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from devices.driver import (
    Driver,
    Frame,
    LorawanLink,
    ModbusLink,
    UartLink,
    driver_names,
    load_driver,
)
from devices.modbus import Request, ResponseReader
from devices.reading import Payload, check_fields
from simulators.city_file import Wanted, city_of, read_city
from simulators.faults import AILMENTS, NO_FAULTS, Faults
from simulators.local_time import HOUR_MS, MINUTE_MS
from simulators.radio_devices import RadioDevice
from simulators.serial_devices import Slave, Speaker
from simulators.voices import Voice, vocabulary
from simulators.world import World

START_MS = 1_795_136_400_000
DRIVERS = {name: load_driver(name) for name in driver_names()}
each_driver = pytest.mark.parametrize("driver", DRIVERS.values(), ids=list(DRIVERS))


def with_link(kind):
    """Only the drivers that are reached so."""
    some = {name: one for name, one in DRIVERS.items() if isinstance(one.link, kind)}
    return pytest.mark.parametrize("driver", some.values(), ids=list(some))


ILL = Faults(ailments_a_day=1.0)


def alone(driver: Driver, seed: int = 1):
    """A city of one device, the device, and what it sees."""
    city = city_of([Wanted(driver.name)], seed)
    [placed] = city.devices
    return placed, World(city, START_MS).sight(placed.name)


@each_driver
def test_a_day_of_what_a_driver_says_is_within_its_resolution_of_what_there_is(driver, seed):
    placed, sight = alone(driver, seed)
    voice = Voice(seed, placed, sight)
    words = vocabulary(driver.name).report
    assert driver.raw_field in words
    for moment in range(START_MS, START_MS + 24 * HOUR_MS, 17 * MINUTE_MS):
        said = voice.says(moment)
        seen = sight.fields(moment)[driver.raw_field]
        assert abs(said.fields[driver.raw_field] - seen) <= driver.resolution / 2 + 1e-9
        assert driver.decode(said.payload)[0].fields == said.fields
        check_fields(driver.kind, said.fields)
        check_fields(driver.kind, said.actual)


@each_driver
def test_an_ailing_device_still_says_what_can_be_said_and_its_rows_bear_the_ailment(driver, seed):
    placed, sight = alone(driver, seed)
    voice = Voice(seed, placed, sight, ILL)
    noted = set()
    for moment in range(START_MS, START_MS + 72 * HOUR_MS, 31 * MINUTE_MS):
        said = voice.says(moment)
        check_fields(driver.kind, said.fields)
        noted.add(voice.row(said, "asked", moment).ailment)
    assert noted - {""} and noted <= {"", *AILMENTS}


@with_link(LorawanLink)
def test_every_radio_driver_transmits_uplinks_that_decode_to_their_truth(driver, seed):
    placed, sight = alone(driver, seed)
    device = RadioDevice(seed, placed, sight)
    for sent in islice(device.transmissions(START_MS), 40):
        told = driver.decode(Payload(sent.uplink.data, sent.uplink.f_port))
        assert told[0].fields.items() <= sent.fields.items()
        assert len(sent.uplink.data) <= 51


@with_link(UartLink)
def test_every_uart_driver_sends_frames_that_its_framer_finds(driver, seed):
    placed, sight = alone(driver, seed)
    speaker, framer = Speaker(seed, placed, sight, NO_FAULTS), driver.link.framer()
    for nth in range(50):
        data, row = speaker.frame(START_MS + nth * MINUTE_MS)
        [found] = framer.feed(data)
        assert row is not None and isinstance(found, Frame)
        assert driver.decode(Payload(found.data))[0].fields == row.fields


@with_link(ModbusLink)
@pytest.mark.parametrize("fault", ["", "noise", "extra"])
def test_every_modbus_driver_answers_what_a_gateway_asks(driver, seed, fault):
    placed, sight = alone(driver, seed)
    slave, draws = Slave(seed, placed, sight, NO_FAULTS), np.random.default_rng(seed)
    for nth in range(20):
        data, rows = b"", []
        for asked in driver.link.at_node(placed.node or 0):
            request = Request(placed.unit, asked.function, asked.register, asked.count)
            assert slave.answers(request)
            answer = slave.answer(request, START_MS + nth * MINUTE_MS, fault, draws)
            reader = ResponseReader(placed.unit, asked.function, asked.count)
            heard = (reader.feed(bytes((byte,))) for byte in answer.data)
            data += next(part for part in heard if part is not None)
            rows += [answer.row] if answer.row else []
        assert driver.decode(Payload(data))[0].fields == rows[0].fields


def test_a_city_file_is_read_and_what_is_wrong_in_it_is_named(tmp_path):
    path = tmp_path / "street.toml"
    path.write_text(
        'name = "gang-mawar"\nseed = 7\n'
        '[[device]]\ndriver = "dfrobot_sen0591"\ncount = 3\nvehicle = "motorcycle"\n'
        '[[device]]\ndriver = "bosch_tps110"\n'
    )
    city = read_city(path, seed=1)
    assert city.seed == 7
    assert [bay.name for bay in city.bays] == ["bay-01", "bay-02", "bay-03", "bay-04"]
    assert [bay.unit for bay in city.bays] == [1, 2, 3, 0]
    assert {bay.vehicle for bay in city.bays if bay.bus} == {"motorcycle"}
    for wrong, word in [
        ("[[device]]\ndriver = 'nobodys'", "bosch_tps110"),
        ("[[device]]\ndriver = 'bosch_tps110'\ncount = 0", "1 to 500"),
        ("[[device]]\nmodel = 'x'", "street.toml"),
    ]:
        path.write_text(wrong)
        with pytest.raises(ValueError, match=word):
            read_city(path, seed=1)
    assert Wanted.parse("bosch_tps110:3") == Wanted("bosch_tps110", 3)
