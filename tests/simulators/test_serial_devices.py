"""Devices on a wire, through the same pyserial and pymodbus that open /dev/ttyUSB0."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
import serial
from pymodbus.client import ModbusSerialClient

from devices.dfrobot_a02yyuw import DRIVER as A02YYUW
from devices.dfrobot_sen0591 import DRIVER as SEN0591
from devices.dfrobot_sen0591 import REGISTER
from devices.driver import Frame, Noise
from devices.ff_frame import FfFramer
from devices.modbus import ResponseReader, build_request
from devices.reading import Payload, Undecodable
from simulators.city import City
from simulators.faults import NO_FAULTS, Faults
from simulators.ptys import DEPTH_BYTES, PtyPort
from simulators.serial_devices import Bus, SerialSensor, Slave, Speaker
from simulators.truth import Truth, read_truth
from simulators.world import World
from wire.clock import CityTime, SystemClock

WAIT_S = 5.0
CITY = City.demo(1)
WIRED = [bay for bay in CITY.bays if bay.bus]
START_MS = 1_795_136_400_000


class Rig:
    """One device on a pty with its truth, running while a blocking reader works in a thread."""

    def __init__(self, folder, faults=NO_FAULTS, rate=1.0):
        self.clock = SystemClock(CityTime(SystemClock().now_ms(), START_MS, rate))
        self.world = World(CITY, START_MS)
        self.path = folder / "truth.jsonl"
        self.truth = Truth(self.path)
        self.port = PtyPort(folder / "tty")
        self.faults = faults

    def rows(self):
        self.truth.flush()
        return read_truth(self.path)

    def bus(self):
        slaves = [Slave(1, bay, self.world.sight(bay.name), self.faults) for bay in WIRED]
        return Bus(slaves, self.port, self.clock, self.truth, seed=1)

    def sensor(self):
        bin_ = CITY.bins[0]
        speaker = Speaker(1, bin_, self.world.sight(bin_.name), self.faults)
        return SerialSensor(speaker, self.port, self.clock, self.truth)

    def with_device(self, device, work, *arguments):
        """What `work` returns, done in a thread while the device runs."""

        async def run():
            async with asyncio.TaskGroup() as group:
                task = group.create_task(device.run())
                try:
                    return await asyncio.to_thread(work, *arguments)
                finally:
                    task.cancel()

        try:
            return asyncio.run(run())
        finally:
            self.port.close()
            self.truth.flush()


def exchange(line, unit, silence_s=0.3):
    """One poll by raw bytes: the registers' bytes, or the reason why there are none."""
    line.reset_input_buffer()
    line.timeout = silence_s
    line.write(build_request(unit, 3, REGISTER, 1))
    reader = ResponseReader(unit, 3, 1)
    while data := line.read(1):
        try:
            registers = reader.feed(data)
        except Undecodable as error:
            return str(error.reason)
        if registers is not None:
            return registers
    return str(reader.silence().reason)


def poll(path, units, times=1):
    with serial.Serial(str(path), 115_200, timeout=WAIT_S) as line:
        return [exchange(line, unit) for _ in range(times) for unit in units]


def test_sixteen_slaves_answer_a_modbus_client_each_to_its_own_address(tmp_path):
    rig = Rig(tmp_path)

    def ask():
        with ModbusSerialClient(str(rig.port.path), baudrate=115_200, timeout=WAIT_S) as client:
            return [
                client.read_holding_registers(REGISTER, count=1, device_id=bay.unit).registers[0]
                for bay in WIRED
            ]

    distances = rig.with_device(rig.bus(), ask)
    rows = read_truth(rig.path)
    assert [row.device for row in rows] == [bay.name for bay in WIRED]
    assert [row.fields["distance_mm"] for row in rows] == distances
    assert {row.how for row in rows} == {"asked"}
    assert {(row.kind, row.driver) for row in rows} == {("parking_spot", "dfrobot_sen0591")}


def test_what_a_slave_answers_decodes_to_its_truth_row(tmp_path):
    rig = Rig(tmp_path)
    answers = rig.with_device(rig.bus(), poll, rig.port.path, [bay.unit for bay in WIRED])
    for row, registers in zip(read_truth(rig.path), answers, strict=True):
        assert row.actual == {"occupied": int(float(row.fields["distance_mm"]) < 1900)}
        assert SEN0591.decode(Payload(registers))[0].fields == row.fields


def test_the_truth_row_is_written_before_the_answer_leaves(tmp_path):
    rig = Rig(tmp_path)

    def ask():
        with serial.Serial(str(rig.port.path), 115_200, timeout=WAIT_S) as line:
            line.write(build_request(1, 3, REGISTER, 1))
            line.read(1)
            return len(rig.rows())

    assert rig.with_device(rig.bus(), ask) == 1


def test_an_address_nobody_has_stays_silent_and_leaves_no_row(tmp_path):
    rig = Rig(tmp_path)
    assert rig.with_device(rig.bus(), poll, rig.port.path, [99]) == ["timeout"]
    assert read_truth(rig.path) == []


def test_a_register_the_model_does_not_have_is_refused_by_the_slave(tmp_path):
    rig = Rig(tmp_path)

    def ask():
        with ModbusSerialClient(str(rig.port.path), baudrate=115_200, timeout=WAIT_S) as client:
            wrong_register = client.read_holding_registers(0x0900, count=1, device_id=1)
            wrong_function = client.read_input_registers(REGISTER, count=1, device_id=1)
            return wrong_register.exception_code, wrong_function.exception_code

    assert rig.with_device(rig.bus(), ask) == (2, 1)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("silent", "timeout"),
        ("checksum", "checksum"),
        ("wrong_unit", "wrong_unit"),
        ("truncated", "length"),
        ("late", "timeout"),
    ],
)
def test_a_fault_on_the_bus_is_met_and_noted(tmp_path, fault, reason):
    rig = Rig(tmp_path, msgspec.structs.replace(NO_FAULTS, **{fault: 1.0}))
    assert rig.with_device(rig.bus(), poll, rig.port.path, [3]) == [reason]
    rows = [(row.fault, row.fields) for row in read_truth(rig.path)]
    # A late answer's row comes with it, after this reader went away.
    assert rows == ([] if fault == "late" else [(fault, {})])


def test_noise_before_an_answer_leaves_the_answer_readable(tmp_path):
    rig = Rig(tmp_path, Faults(noise=1.0))
    [registers] = rig.with_device(rig.bus(), poll, rig.port.path, [3])
    [row] = read_truth(rig.path)
    assert SEN0591.decode(Payload(registers))[0].fields == row.fields
    assert row.fault == "noise"


def test_one_dead_slave_silences_no_other(tmp_path):
    rig = Rig(tmp_path, Faults(never_answers=("bay-02",)))
    one, dead, other = rig.with_device(rig.bus(), poll, rig.port.path, [1, 2, 3])
    assert dead == "timeout"
    assert len(one) == len(other) == 2


def frames_of(path, count):
    """So many frames and all noise that came with them."""
    framer = FfFramer()
    frames: list[Frame] = []
    noise: list[Noise] = []
    with serial.Serial(str(path), 9600, timeout=WAIT_S) as line:
        while len(frames) < count and (data := line.read(1)):
            for found in framer.feed(data):
                if isinstance(found, Noise):
                    noise.append(found)
                else:
                    frames.append(found)
    return frames, noise


def test_a_level_sensor_sends_frames_that_decode_to_their_truth_rows(tmp_path):
    rig = Rig(tmp_path)
    frames, noise = rig.with_device(rig.sensor(), frames_of, rig.port.path, 5)
    assert noise == []
    decoded = [A02YYUW.decode(Payload(frame.data))[0].fields for frame in frames]
    told = [row.fields for row in read_truth(rig.path) if row.how == "sent"]
    # A first value may be there twice: a run of five is looked for.
    assert any(told[start : start + 5] == decoded for start in range(len(told)))
    assert {row.device for row in read_truth(rig.path)} == {"bin-01"}


def test_faulty_frames_are_noise_to_a_reader_and_empty_in_the_truth(tmp_path):
    rig = Rig(tmp_path, Faults(checksum=0.3, truncated=0.2, noise=0.2))
    frames, noise = rig.with_device(rig.sensor(), frames_of, rig.port.path, 12)
    rows = read_truth(rig.path)
    assert noise
    told = [row.fields for row in rows if row.fields]
    for frame in frames:
        assert A02YYUW.decode(Payload(frame.data))[0].fields in told
    assert all(not row.fields for row in rows if row.fault in ("checksum", "truncated"))


def test_a_port_can_be_opened_again_and_again(tmp_path):
    rig = Rig(tmp_path)

    def ask():
        return [poll(rig.port.path, [1])[0] for _ in range(3)]

    assert all(len(registers) == 2 for registers in rig.with_device(rig.bus(), ask))


def test_a_port_that_nobody_reads_loses_what_comes_and_never_blocks(tmp_path):
    port = PtyPort(tmp_path / "tty")
    heard = [port.say(b"\xff\x07\xa1\xa7") for _ in range(10_000)]
    assert heard[0] and not heard[-1]
    assert sum(heard) * 4 < DEPTH_BYTES + 8192  # what the kernel still held in between
    with serial.Serial(str(port.path), 9600, timeout=WAIT_S) as line:
        line.reset_input_buffer()
        assert port.say(b"fresh")
        assert line.read(5) == b"fresh"
    port.close()


def test_a_closed_port_is_gone_and_a_stale_name_is_taken_over(tmp_path):
    (tmp_path / "tty").symlink_to("/dev/pts/nowhere")
    port = PtyPort(tmp_path / "tty")
    assert port.path.exists()
    port.close()
    assert not port.path.is_symlink()
