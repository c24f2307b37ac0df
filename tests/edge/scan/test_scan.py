"""A scan on ptys: slaves at several speeds and a dead one on a bus, a ranger on a port of its own,
a port that nobody speaks on, one that another program holds."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest
import serial

from devices.driver import ModbusLink, UartLink, load_driver
from devices.modbus import (
    ILLEGAL_ADDRESS,
    Request,
    RequestReader,
    answer_part,
    build_exception,
    build_response,
)
from devices.reading import Values
from edge.scan import Found
from edge.scan.ports import serial_ports
from edge.scan.proposal import propose
from simulators.ptys import PtyPort

SPEEDS = {9600: termios.B9600, 19200: termios.B19200, 115200: termios.B115200, 4800: termios.B4800}
BAY, METER = "dfrobot_sen0591", "dfrobot_a02yyuw"
GATEWAY = '# Pasar Mahirah\n[gateway]\nname = "a-01"   # its certificate\nsite = "s"\n'


class Cable:
    """A pty with devices on it, served in a thread of its own."""

    def __init__(self, path: Path) -> None:
        self.port = PtyPort(path)
        self.path = str(path)

    def speed(self) -> int:
        """What the far end was opened at."""
        far = termios.tcgetattr(self.port._far)[4]
        return next((speed for speed, code in SPEEDS.items() if code == far), 0)

    @contextmanager
    def slaves(self, speeds: dict[int, int], model: str = BAY) -> Iterator[None]:
        """`speeds` is unit → the speed it talks at; anything else it doesn't hear."""
        driver = load_driver(model)
        link = driver.link
        assert isinstance(link, ModbusLink)
        payload = driver.encode(Values({"distance_mm": 777.0}))
        reader = RequestReader()

        def answer(asked: Request) -> None:
            if speeds.get(asked.unit) != self.speed():
                return
            part = answer_part(link, payload, asked)
            if part is None:
                self.port.say(build_exception(asked.unit, asked.function, ILLEGAL_ADDRESS))
            else:
                self.port.say(build_response(asked.unit, asked.function, part))

        async def serve() -> None:
            while True:
                for asked in reader.feed(await self.port.heard()):
                    if isinstance(asked, Request):
                        answer(asked)

        with running(serve()):
            yield

    @contextmanager
    def ranger(self) -> Iterator[None]:
        """A sensor that speaks by itself, ten times a second."""
        driver = load_driver(METER)
        link = driver.link
        assert isinstance(link, UartLink)
        frame = driver.encode(Values({"distance_mm": 640.0})).data

        async def serve() -> None:
            while True:
                if self.speed() == link.baudrate:
                    self.port.say(frame)
                await asyncio.sleep(0.1)

        with running(serve()):
            yield


@contextmanager
def running(work) -> Iterator[None]:
    """A coroutine in a loop and thread of its own, until the block ends."""
    loop, begun = asyncio.new_event_loop(), Event()

    def main() -> None:
        asyncio.set_event_loop(loop)
        task = loop.create_task(work)
        loop.call_soon(begun.set)
        try:
            loop.run_until_complete(task)
        except asyncio.CancelledError:
            loop.close()

    thread = Thread(target=main)
    thread.start()
    begun.wait()
    try:
        yield
    finally:
        for task in asyncio.all_tasks(loop):
            loop.call_soon_threadsafe(task.cancel)
        thread.join()


def scan(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gampong", "scan", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def cable(tmp_path: Path) -> Iterator[Cable]:
    one = Cable(tmp_path / "ttyBUS")
    yield one
    one.port.close()


def test_slaves_of_every_speed_are_found_and_a_dead_one_costs_little(cable, tmp_path):
    settings = tmp_path / "gateway.toml"
    settings.write_text(GATEWAY)
    words = ("--port", cable.path, "--addresses", "1-4", "--write", str(settings))
    with cable.slaves({1: 9600, 2: 19200, 4: 9600}):
        run = scan(*words)
    assert run.returncode == 0, run.stderr
    assert f"(9600 N, address 1): {BAY}" in run.stdout
    assert f"(19200 N, address 2): {BAY}" in run.stdout
    assert "distance_mm 777" in run.stdout
    assert "address 2: talks at 19200, its bus at 9600" in run.stdout
    text = settings.read_text()
    assert text.startswith(GATEWAY)  # comments and order are kept
    checked = subprocess.run(
        [sys.executable, "-m", "gampong", "edge", "check", str(settings)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stderr
    assert "unit 1" in checked.stdout
    assert "unit 4" in checked.stdout
    assert "unit 2" not in checked.stdout


def test_a_sensor_with_a_port_of_its_own_is_heard_and_named(cable):
    with cable.ranger():
        run = scan("--port", cable.path, "--json")
    assert run.returncode == 0, run.stderr
    (found,) = json.loads(run.stdout)
    assert METER in found["drivers"]
    assert found["fields"]["distance_mm"] == 640
    assert found["unit"] is None


def test_a_port_on_which_nobody_speaks_gives_nothing(cable):
    run = scan("--port", cable.path, "--addresses", "7")
    assert run.returncode == 1
    assert run.stdout == ""


def test_a_port_that_another_program_holds_is_named_with_the_remedy(cable):
    with serial.Serial(cable.path, exclusive=True):
        run = scan("--port", cable.path, "--addresses", "7")
    assert run.returncode == 2
    assert "stop that program" in run.stderr


def test_a_probe_shows_raw_bytes_and_what_they_mean(cable, tmp_path):
    settings = tmp_path / "gateway.toml"
    settings.write_text(
        f'{GATEWAY}[[link]]\ntype = "uart"\nname = "u"\nport = "{cable.path}"\n'
        f'[[device]]\nname = "bin-01"\ndriver = "{METER}"\nlink = "u"\npoll_interval_s = 0.1\n'
        "container = { empty_mm = 1000, full_mm = 100 }\n"
    )
    command = [sys.executable, "-m", "gampong", "probe", str(settings)]
    with cable.ranger():
        run = subprocess.run(
            [*command, "bin-01", "--count", "3"],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert len(lines) >= 3
    assert "ff0280" in lines[0]
    assert "filling_level=0.4" in lines[0]
    silent = subprocess.run(
        [*command, "bin-01", "--within", "0.5"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert silent.returncode == 1
    unknown = subprocess.run(
        [*command, "bin-02"], capture_output=True, text=True, timeout=60, check=False
    )
    assert unknown.returncode == 2
    assert "bin-01" in unknown.stderr


@pytest.mark.parametrize("words", [("--addresses", "0-9"), ("--addresses", "a")])
def test_addresses_that_no_slave_can_have_are_refused(words):
    run = scan("--port", "/dev/null", *words)
    assert run.returncode == 2
    assert "--addresses" in run.stderr


def test_a_port_is_named_by_its_adapter_and_once(tmp_path):
    for name in ("dev/ttyUSB0", "dev/ttyS0", "dev/ttyS1", "dev/ttyAMA0"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "dev/serial/by-id").mkdir(parents=True)
    (tmp_path / "dev/serial/by-id/usb-FTDI-0").symlink_to(tmp_path / "dev/ttyUSB0")
    for name, kind in (("ttyS0", "4"), ("ttyS1", "0")):
        (tmp_path / "sys/class/tty" / name).mkdir(parents=True)
        (tmp_path / "sys/class/tty" / name / "type").write_text(f"{kind}\n")
    assert serial_ports(tmp_path) == ["/dev/serial/by-id/usb-FTDI-0", "/dev/ttyAMA0", "/dev/ttyS0"]


def test_what_is_configured_already_is_not_added_twice():
    found = [Found("/dev/x", 9600, "N", unit, (BAY,), {}, b"") for unit in (1, 2)]
    first = propose(GATEWAY, found, "gateway.toml")
    assert first.new == ["bay-01", "bay-02"]
    again = propose(first.text, found, "gateway.toml")
    assert again.new == []
    assert again.text == first.text


def test_a_slave_that_no_driver_reads_is_said_and_left_out():
    found = [Found("/dev/x", 9600, "N", 9, (), {}, b"")]
    proposal = propose(GATEWAY, found, "gateway.toml")
    assert proposal.new == []
    assert "address 9" in proposal.left_out[0]
    assert "register map" in proposal.left_out[0]
