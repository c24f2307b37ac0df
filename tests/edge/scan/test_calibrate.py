"""Calibration over ptys: a ranger that speaks by itself, a slave on a bus, and a file that a person
has written comments into."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import serial

from devices.driver import ModbusLink, load_driver
from devices.reading import Values
from edge.calibration import Target, Verdict, judge
from edge.configuration import Device, load_configuration
from edge.meaning import interpret, rules_of
from edge.mounting import Container, Magnet
from edge.rewriting import rewrite, with_device_keys
from tests.edge.scan.test_scan import BAY, METER, Cable, running
from wire.configuration import ConfigurationError

BIN = """# Pasar Mahirah
[gateway]
name = "a-01"   # its certificate
site = "s"

[[link]]
type = "uart"
name = "u"
port = "{port}"

[[device]]
name = "bin-01"
driver = "dfrobot_a02yyuw"
link = "u"
container = {{ empty_mm = 1000, full_mm = 200 }}   # from the drawing
label = "by the gate"
"""


@contextmanager
def distances(cable: Cable, drawn: Callable[[int], float]) -> Iterator[None]:
    """A ranger that says `drawn(n)` millimetres, a hundred times a second."""
    driver = load_driver(METER)

    async def serve() -> None:
        said = 0
        while True:
            cable.port.say(driver.encode(Values({"distance_mm": drawn(said)})).data)
            said += 1
            await asyncio.sleep(0.01)

    with running(serve()):
        yield


def calibrate(path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gampong", "calibrate", str(path), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def cable(tmp_path: Path) -> Iterator[Cable]:
    one = Cable(tmp_path / "ttyBIN")
    yield one
    one.port.close()


@pytest.fixture
def settings(tmp_path: Path, cable: Cable) -> Path:
    path = tmp_path / "gateway.toml"
    path.write_text(BIN.format(port=cable.path))
    path.chmod(0o640)
    return path


def container(path: Path) -> dict[str, float]:
    (device,) = tomllib.loads(path.read_text())["device"]
    found: dict[str, float] = device["container"]
    return found


def test_an_empty_bin_is_measured_and_written_with_every_comment_kept(cable, settings):
    before = settings.read_text()
    with distances(cable, lambda said: 940 + said % 5 + 300 * (said % 19 == 0)):
        run = calibrate(settings, "bin-01", "--empty", "--count", "12")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "12 readings" in run.stdout
    written = container(settings)["empty_mm"]
    assert 940 <= written <= 944
    assert settings.read_text() == before.replace("1000", str(written))
    assert settings.stat().st_mode & 0o777 == 0o640


def test_a_distance_that_does_not_settle_changes_nothing(cable, settings):
    before = settings.read_text()
    with distances(cable, lambda said: 400 + said * 37 % 500):
        run = calibrate(settings, "bin-01", "--empty", "--count", "12")
    assert run.returncode == 1
    assert "noisy" in run.stdout
    assert settings.read_text() == before


@pytest.mark.parametrize("height", ["1.200", "0", "-5", "nan", "200000"])
def test_a_height_that_is_no_containers_in_millimetres_changes_nothing(settings, height):
    before = settings.read_text()
    run = calibrate(settings, "bin-01", "--empty", f"--height={height}")
    assert run.returncode == 2
    assert "mm is no container's height. Give bottom to brim in mm" in run.stderr
    assert settings.read_text() == before


def test_a_bin_that_is_not_empty_is_noticed_unless_a_person_says_otherwise(cable, settings):
    before = settings.read_text()
    with distances(cable, lambda said: 500):
        run = calibrate(settings, "bin-01", "--empty", "--count", "10")
        assert run.returncode == 1
        assert "Is it really empty?" in run.stdout
        assert settings.read_text() == before
        run = calibrate(settings, "bin-01", "--empty", "--count", "10", "--anyway")
    assert run.returncode == 0
    assert container(settings) == {"empty_mm": 500, "full_mm": 200}


def test_a_silent_device_changes_nothing(cable, settings):
    before = settings.read_text()
    run = calibrate(settings, "bin-01", "--full", "--within", "600")  # not waited for
    assert run.returncode == 1
    assert "keeps silent" in run.stderr
    assert settings.read_text() == before


def test_a_device_that_says_what_nobody_can_read_is_told_from_a_silent_one(cable, settings):
    async def babble() -> None:
        while True:
            cable.port.say(b"\xff\x01\x02\x03")  # the sum is wrong
            await asyncio.sleep(0.05)

    with running(babble()):
        run = calibrate(settings, "bin-01", "--empty")
    assert run.returncode == 1
    assert "nothing that can be read came: checksum" in run.stderr


def test_a_port_that_another_program_holds_is_named_at_once(cable, settings):
    before = settings.read_text()
    with serial.Serial(cable.path, exclusive=True):
        run = calibrate(settings, "bin-01", "--empty")
    assert run.returncode == 1
    assert "stop that program" in run.stderr
    assert "Nothing is changed" in run.stderr
    assert settings.read_text() == before


def test_an_adapter_pulled_out_in_the_middle_changes_nothing(tmp_path, settings, cable):
    before = settings.read_text()

    def pulled(said: int) -> float:
        if said == 60:
            cable.port.close()
            raise asyncio.CancelledError
        return 940

    with distances(cable, pulled):
        run = calibrate(settings, "bin-01", "--empty", "--count", "40")
    cable.port = Cable(tmp_path / "ttyOTHER").port  # for the fixture to close
    assert run.returncode == 1
    assert run.stderr.startswith(cable.path)  # and why it was lost
    assert "Nothing is changed" in run.stderr
    assert settings.read_text() == before


def test_a_free_bay_on_a_bus_gets_a_threshold_that_tells_vehicles(tmp_path, cable):
    path = tmp_path / "gateway.toml"
    path.write_text(
        '[gateway]\nname = "a-01"\nsite = "s"\n'
        f'[[link]]\ntype = "modbus"\nname = "b"\nport = "{cable.path}"\n'
        f'[[device]]\nname = "bay-01"  # north\ndriver = "{BAY}"\nlink = "b"\nunit = 4\n'
    )
    link = load_driver(BAY).link
    assert isinstance(link, ModbusLink)
    with cable.slaves({4: link.baudrate}):
        run = calibrate(path, "bay-01", "--free", "--count", "10", "--within", "30")
    assert run.returncode == 0, run.stdout + run.stderr
    configuration = load_configuration(path.read_text(), "gateway.toml")
    (device,) = configuration.device
    assert device.bay is not None
    assert device.bay.occupied_below_mm == 388  # half of the 777 mm that the slave says
    assert "# north" in path.read_text()
    run = calibrate(path, "bay-01", "--empty")
    assert run.returncode == 2
    assert "can't be empty" in run.stderr


def test_a_device_that_nobody_can_ask_is_refused_with_the_remedy(settings):
    run = calibrate(settings, "bin-02", "--empty")
    assert run.returncode == 2
    assert "bin-01" in run.stderr


def test_what_was_measured_empty_means_empty_and_full_means_full():
    driver = load_driver(METER)
    device = Device(
        name="bin",
        driver=METER,
        link="u",
        container=Container(empty_mm=900, full_mm=150, mount_mm=60),
    )
    for target, distance_mm in ((Target.EMPTY, 1010.0), (Target.FULL, 240.0)):
        judged = judge(device, target, [{"distance_mm": distance_mm}] * 10)
        assert judged.verdict is Verdict.GOOD
        text = with_device_keys(
            '[[device]]\nname = "bin"\n[device.container]\nmount_mm = 60 # a bracket\n',
            "x", "bin", judged.table, judged.keys,
        )  # fmt: skip
        assert "# a bracket" in text
        table = tomllib.loads(text)["device"][0]["container"]
        there = {"empty_mm": 900, "full_mm": 150} | table
        rules = rules_of(
            Device(name="bin", driver=METER, link="u", container=Container(**there)), driver, 60.0
        )
        fields = interpret(rules, Values({"distance_mm": distance_mm}), 0, None).fields
        assert fields is not None
        assert fields["filling_level"] == float(target is Target.FULL)


def test_a_first_container_needs_its_height():
    device = Device(name="bin", driver=METER, link="u")
    readings = [{"distance_mm": 950.0}] * 10
    assert judge(device, Target.EMPTY, readings).remedy.endswith("--height MM")
    judged = judge(device, Target.EMPTY, readings, height_mm=700)
    assert judged.keys == {"empty_mm": 950, "full_mm": 250}
    too_high = judge(device, Target.EMPTY, readings, height_mm=1200)
    assert too_high.verdict is Verdict.CONTRADICTS


def test_a_bay_with_something_in_it_is_not_taken_for_free():
    readings = [{"distance_mm": 900.0}] * 10
    device = load_configuration(
        '[gateway]\nname = "a"\nsite = "s"\n[[link]]\ntype = "modbus"\nname = "b"\nport = "/x"\n'
        f'[[device]]\nname = "bay"\ndriver = "{BAY}"\nlink = "b"\nunit = 1\n'
        "bay = { occupied_below_mm = 1200 }\n",
        "x",
    ).device[0]
    assert judge(device, Target.FREE, readings).verdict is Verdict.CONTRADICTS
    assert judge(device, Target.FREE, readings, anyway=True).keys == {"occupied_below_mm": 450}
    near = [{"distance_mm": 120.0}] * 10
    assert judge(device, Target.FREE, near, anyway=True).verdict is Verdict.CONTRADICTS


def test_an_empty_bay_s_field_becomes_the_magnet_s_baseline():
    device = Device(name="bay", driver="any", link="l", magnet=Magnet())
    quiet = [
        {"magnetic_x_ut": 20.0 + n % 2 / 10, "magnetic_y_ut": -3.0, "magnetic_z_ut": 40.0}
        for n in range(12)
    ]
    judged = judge(device, Target.FREE, quiet)
    assert judged.table == "magnet"
    assert judged.keys == {"free_ut": (20.05, -3.0, 40.0)}
    driven_by = [{"magnetic_z_ut": 40.0 + 9 * (n % 3)} for n in range(12)]
    assert judge(device, Target.FREE, driven_by).verdict is Verdict.NOISY
    there = Device(name="bay", driver="any", link="l", magnet=Magnet(free_ut=(60.0, 0.0, 0.0)))
    assert judge(there, Target.FREE, quiet).verdict is Verdict.CONTRADICTS


def test_a_file_that_changed_meanwhile_is_left_as_it_is(tmp_path):
    path = tmp_path / "gateway.toml"
    before = '[gateway]\nname = "a-01"\nsite = "s"\n'
    path.write_text(before + "# mine\n")
    with pytest.raises(ConfigurationError, match="meanwhile"):
        rewrite(path, before, before)
    with pytest.raises(ConfigurationError, match="nonsense"):
        rewrite(path, path.read_text(), before + "nonsense = 1\n")
    assert path.read_text() == before + "# mine\n"
    assert list(tmp_path.iterdir()) == [path]
