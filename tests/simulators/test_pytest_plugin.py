"""The fixture that gives a developer a city, used as a developer would: with pyserial and pymodbus,
paho and urllib."""

from __future__ import annotations

import json
import queue
import urllib.request
from typing import Any

import paho.mqtt.client as paho
import pytest
import serial
from paho.mqtt.enums import CallbackAPIVersion
from pymodbus.client import ModbusSerialClient, ModbusTcpClient
from pymodbus.exceptions import ModbusIOException
from pymodbus.framer import FramerType

from devices import milesight_gateway, things_stack
from devices.driver import ModbusLink, driver_names, load_driver
from devices.envelope import Uplink
from devices.modbus import ResponseReader, build_request
from devices.reading import Payload
from edge.configuration import load_configuration
from simulators.city import City
from simulators.envelopes import envelope_of
from simulators.faults import Faults
from simulators.gateway_files import write_gateway_files
from simulators.radio_devices import RadioDevice
from simulators.world import World
from wire.configuration import Broker

pytest_plugins = ["simulators.pytest_plugin"]
WAIT_S = 10.0
START_MS = 1_795_136_400_000


def test_a_city_in_three_lines(gampong_city):
    city = gampong_city("dfrobot_a02yyuw")
    with serial.Serial(city.port("bin-01"), 9600, timeout=WAIT_S) as line:
        assert line.read(40).count(0xFF) >= 9  # ten frames of four bytes


def test_a_bus_of_slaves_answers_a_modbus_client_and_the_truth_says_what(gampong_city):
    city = gampong_city("dfrobot_sen0591:3")
    with ModbusSerialClient(city.port("bay-01"), baudrate=115_200, timeout=WAIT_S) as client:
        told = [client.read_holding_registers(0x101, count=1, device_id=n) for n in (1, 2, 3)]
    rows = [row for row in city.rows() if row.how == "asked"]
    # A faster reader than the file's half-second flush sees the rows a little later.
    assert all(answer.registers[0] > 0 for answer in told)
    assert len(rows) in (0, 3)


def test_every_modbus_driver_answers_on_its_bus_two_units_or_nodes_of_each(gampong_city):
    drivers = [load_driver(name) for name in driver_names()]
    wired = [driver.name for driver in drivers if isinstance(driver.link, ModbusLink)]
    city = gampong_city(*(f"{name}:2" for name in wired))
    for one in city.city.devices:
        driver, data = load_driver(one.driver), b""
        assert isinstance(driver.link, ModbusLink)
        with serial.Serial(city.port(one.name), timeout=WAIT_S) as line:
            for asked in driver.link.at_node(one.node or 0):
                line.write(build_request(one.unit, asked.function, asked.register, asked.count))
                reader, found = ResponseReader(one.unit, asked.function, asked.count), None
                while found is None:
                    found = reader.feed(line.read(1))
                data += found
        assert driver.raw_field in driver.decode(Payload(data))[0].fields


def test_the_same_bus_over_tcp(gampong_city):
    city = gampong_city("dfrobot_sen0591:2", serial="tcp")
    host, port = city.port("bay-02").removeprefix("socket://").split(":")
    with ModbusTcpClient(host, port=int(port), framer=FramerType.RTU, timeout=WAIT_S) as client:
        answer = client.read_holding_registers(0x101, count=1, device_id=2)
    near = answer.registers[0] < 1_900
    assert near == bool(city.actual("bay-02")["occupied"])


def test_a_serial_sensor_over_tcp_by_its_url(gampong_city):
    city = gampong_city("maxbotix_hrxl", serial="tcp")
    with serial.serial_for_url(city.port("bin-01"), timeout=WAIT_S) as line:
        line.read_until(b"\r")
        assert line.read_until(b"\r").startswith(b"R")


@pytest.mark.parametrize(
    ("envelope", "topics", "identity"),
    [
        ("chirpstack", "application/+/device/+/event/+", lambda one: one["deviceInfo"]["devEui"]),
        ("things_stack", "v3/+/devices/+/+", lambda one: one["end_device_ids"]["dev_eui"].lower()),
        ("milesight_gateway", "milesight/+/uplink", lambda one: one["devEUI"]),
    ],
)
def test_radio_devices_speak_on_the_broker_in_the_words_of_the_server_that_was_named(
    gampong_city, mosquitto, envelope, topics, identity
):
    heard: queue.Queue[dict[str, Any]] = queue.Queue()
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.on_message = lambda *args: heard.put(json.loads(args[-1].payload))
    client.connect(mosquitto.host, mosquitto.port)
    client.subscribe(topics, qos=1)
    client.loop_start()
    where = f"{mosquitto.host}:{mosquitto.port}"
    city = gampong_city("bosch_tps110:2", mqtt=where, envelope=envelope, speed=600)
    euis = {one.dev_eui for one in city.city.devices}
    try:
        events = (heard.get(timeout=WAIT_S) for _ in range(30))
        assert any(
            ("data" in one or "uplink_message" in one) and identity(one) in euis for one in events
        )
    finally:
        client.loop_stop()


@pytest.mark.parametrize("envelope", ["things_stack", "milesight_gateway"])
def test_every_envelope_is_one_that_the_gateway_reads(envelope, tmp_path, seed):
    read = {"things_stack": things_stack, "milesight_gateway": milesight_gateway}[envelope]
    city = City.demo(seed)
    write_gateway_files(
        city, tmp_path, cloud_broker=Broker(), site_broker=Broker(), envelope=envelope
    )
    for gateway in city.gateways:
        path = tmp_path / f"{gateway.name}.toml"
        load_configuration(path.read_text(), str(path))
        told = envelope_of(envelope, gateway.application_id)
        devices = [
            RadioDevice(seed, one, World(city, START_MS).sight(one.name))
            for one in gateway.by_radio[:4]
        ]
        for device in devices:
            uplink = next(device.transmissions(START_MS)).uplink
            found = read.read_envelope(told.topic(uplink, "up"), told.message(uplink))
            assert isinstance(found, Uplink)
            for name in ("dev_eui", "f_port", "data", "time_ms", "rssi_dbm", "frame_counter"):
                assert getattr(found, name) == getattr(uplink, name), name


def test_an_access_point_answers_over_http(gampong_city):
    corner = gampong_city("openwrt_ap").corner("wifi-01")
    body = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "call",
        "params": [
            "0" * 32,
            "session",
            "login",
            {"username": "gampong", "password": corner.password},
        ],
    }
    with urllib.request.urlopen(corner.ubus_url, json.dumps(body).encode(), WAIT_S) as answer:
        assert json.load(answer)["result"][0] == 0


def test_faults_and_seeds_are_arguments_too(gampong_city):
    city = gampong_city("dfrobot_sen0591", seed=3, faults=Faults(silent=1.0))
    with (
        ModbusSerialClient(city.port("bay-01"), timeout=0.2, retries=0) as client,
        pytest.raises(ModbusIOException),
    ):
        client.read_holding_registers(0x101, count=1, device_id=1)


def test_radio_without_a_broker_and_a_device_that_is_not_there_are_named(gampong_city):
    with pytest.raises(ValueError, match="mqtt="):
        gampong_city("bosch_tps110")
    with pytest.raises(LookupError, match="bin-01"):
        gampong_city("dfrobot_a02yyuw").port("bay-09")
