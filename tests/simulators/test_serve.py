"""The whole city at once: everything listens, everything speaks, and it ends when told."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import aiomqtt
import msgspec
import pytest
import serial

from devices.chirpstack import read_envelope
from devices.driver import load_driver
from devices.envelope import Uplink
from devices.modbus import ResponseReader, build_request
from devices.reading import Values
from simulators import payments
from simulators.city import City
from simulators.faults import Faults
from simulators.serve import run_city
from simulators.truth import Row, Truth, read_truth, speak
from tests.servers import Mosquitto
from wire.clock import CityTime, SystemClock
from wire.configuration import Broker

ROOT = Path(__file__).parents[2]
START_MS = 1_795_136_400_000
WAIT_S = 20
END_S = 1.0


async def served(broker, folder, work, faults=None, city=None, rate=600):
    """What `work` returns beside a running city; how long the end took; the truth."""
    clock = SystemClock(CityTime(SystemClock().now_ms(), START_MS, rate))
    stop, ready = asyncio.Event(), asyncio.Event()
    site = Broker(host=broker.host, port=broker.port)
    async with asyncio.timeout(WAIT_S), asyncio.TaskGroup() as group:
        running = group.create_task(
            run_city(
                city or City.demo(1),
                folder,
                site,
                clock,
                folder / "truth.jsonl",
                stop,
                faults or Faults(),
                ready,
            )
        )
        await ready.wait()
        result = await work()
        stopped = time.monotonic()
        stop.set()
        rows = await running
    assert len(read_truth(folder / "truth.jsonl")) == rows
    return result, time.monotonic() - stopped, read_truth(folder / "truth.jsonl")


def poll_bus(folder):
    answers = []
    with serial.Serial(str(folder / "ttyBUS-mahirah-01"), 115_200, timeout=2) as line:
        for unit in range(1, 17):
            line.write(build_request(unit, 3, 0x0101, 1))
            answers.append(ResponseReader(unit, 3, 1).feed(line.read(7)))
    return answers


def test_a_city_serves_everything_at_once_and_ends_within_a_second(tmp_path):
    async def work():
        async with aiomqtt.Client(broker.host, broker.port) as client:
            await client.subscribe("application/+/device/+/event/+", qos=1)
            answers = await asyncio.to_thread(poll_bus, tmp_path)
            uplinks: list[Uplink] = []
            while len(uplinks) < 60:
                message = await anext(aiter(client.messages))
                event = read_envelope(str(message.topic), bytes(message.payload))
                if isinstance(event, Uplink):
                    uplinks.append(event)
            return answers, uplinks

    with Mosquitto(tmp_path / "broker") as broker:
        (answers, uplinks), end_s, rows = asyncio.run(served(broker, tmp_path, work))
    assert len(answers) == 16 and all(len(registers) == 2 for registers in answers)
    asked = [row for row in rows if row.how == "asked"]
    assert len(asked) == 16
    drivers = Counter(row.driver for row in rows)
    assert set(drivers) - {payments.DRIVER} == {  # which speaks when somebody pays
        "dfrobot_sen0591",
        "bosch_tps110",
        "dfrobot_a02yyuw",
        "milesight_em400",
        "milesight_em500_udl",
        "milesight_vs121",
        "milesight_vs35x",
        "dragino_lse01",
        "elsys_ers",
        "nwave_ncc405",
    }
    sent = {row.time_ms for row in rows if row.how == "sent"}
    assert all(one.time_ms in sent for one in uplinks)
    assert end_s < END_S
    assert not list(tmp_path.glob("tty*"))


def test_every_truth_row_is_something_its_driver_can_say(tmp_path):
    async def work():
        await asyncio.to_thread(poll_bus, tmp_path)

    with Mosquitto(tmp_path / "broker") as broker:
        _, _, rows = asyncio.run(served(broker, tmp_path, work, rate=1000))
    sensors = [row for row in rows if row.driver != payments.DRIVER]
    assert sensors
    for row in sensors:
        driver = load_driver(row.driver)
        assert driver.kind == row.kind
        raw = row.fields[driver.raw_field]
        [said] = driver.decode(driver.encode(Values({driver.raw_field: raw})))
        assert said.fields[driver.raw_field] == raw


def test_a_city_waits_for_its_broker_and_survives_its_death(tmp_path):
    async def work():
        broker.kill()
        broker.start()
        async with aiomqtt.Client(broker.host, broker.port) as client:
            await client.subscribe("application/+/device/+/event/+", qos=1)
            while True:
                message = await anext(aiter(client.messages))
                event = read_envelope(str(message.topic), bytes(message.payload))
                if isinstance(event, Uplink):
                    return event

    with Mosquitto(tmp_path / "broker") as broker:
        _, end_s, _ = asyncio.run(served(broker, tmp_path, work))
    assert end_s < END_S


def test_a_city_whose_broker_is_gone_still_ends_within_a_second(tmp_path):
    async def work():
        broker.kill()
        await asyncio.to_thread(poll_bus, tmp_path)  # the wires don't care

    with Mosquitto(tmp_path / "broker") as broker:
        _, end_s, rows = asyncio.run(served(broker, tmp_path, work))
    assert len([row for row in rows if row.how == "asked"]) == 16
    assert end_s < END_S


def test_what_a_driver_cannot_read_back_has_no_fields_in_the_truth():
    driver = load_driver("dfrobot_sen0591")
    assert speak(driver, Values({})).fields == {}
    assert speak(driver, Values({"distance_mm": 1234.4})).fields == {"distance_mm": 1234.0}


def test_the_truth_is_readable_while_it_is_written(tmp_path):
    path = tmp_path / "truth.jsonl"
    truth = Truth(path)
    row = Row("bin-01", "waste_container", "dfrobot_a02yyuw", "sent", 1, {"distance_mm": 7.0})
    truth.write(row)
    truth.flush()
    assert read_truth(path) == [row]
    with path.open("ab") as half:
        half.write(b'{"device":"bin')
    assert read_truth(path) == [row]
    assert json.loads(path.read_bytes().splitlines()[0]) == msgspec.to_builtins(row)
    truth.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_says_ready_and_ends_on_a_signal(tmp_path, number):
    with Mosquitto(tmp_path / "broker") as broker:
        command = [sys.executable, "-m", "gampong", "simulate", "--directory", str(tmp_path)]
        command += ["--mqtt", f"{broker.host}:{broker.port}", "--speed", "60", "--faults"]
        command += ["--start", "2026-11-20T12:00", "--truth", str(tmp_path / "truth.jsonl")]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
        ) as process:
            assert process.stdout and process.stderr
            line = process.stdout.readline()
            assert line.startswith("ready seed=1 ")
            assert "mahirah-01.toml" in line
            assert (tmp_path / "ttyBUS-mahirah-01").exists()
            began = time.monotonic()
            process.send_signal(number)
            assert process.wait(WAIT_S) == 0
            assert time.monotonic() - began < 1.0
            assert process.stderr.read() == ""
    read_truth(tmp_path / "truth.jsonl")


def test_the_command_refuses_a_clock_that_can_not_be(tmp_path):
    command = [sys.executable, "-m", "gampong", "simulate", "--directory", str(tmp_path)]
    done = subprocess.run(
        [*command, "--mqtt", "127.0.0.1:1", "--speed", "-3"], capture_output=True, cwd=ROOT
    )
    assert done.returncode == 2
    assert b"rate" in done.stdout
