"""A sensor on a port of its own: real ptys, the real framer of the A02YYUW."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from devices.aa55_frame import say_distance
from devices.driver import Frame, UartLink, load_driver
from devices.ff_frame import FfFramer, frame_sum
from edge.link_settings import UartPort
from edge.links.uart import UartSensor
from tests.edge.links.heard import Heard, running, until
from tests.edge.links.pty_device import PtyDevice
from wire.clock import REAL_TIME, CityTime, SystemClock

FAST = CityTime(0, 0, 20)


def frame(distance_mm: int) -> bytes:
    body = b"\xff" + distance_mm.to_bytes(2, "big")
    return body + bytes((frame_sum(body),))


def _sensor(device, sink, interval_s=1.0, poll=b"", city=FAST) -> UartSensor:
    settings = UartPort(name="uart", port=str(device.path))
    link = UartLink(FfFramer, poll=poll)
    return UartSensor(settings, "bin-1", link, interval_s, sink, SystemClock(city))


async def _talk(device: PtyDevice, data: bytes) -> None:
    """Ten times a second and more, as these rangers do."""
    while True:
        device.say(data)
        await asyncio.sleep(0.004)


def test_a_sensor_that_never_stops_gives_one_reading_a_poll_interval(tmp_path):
    async def scenario():
        sink = Heard()
        with PtyDevice(tmp_path / "tty") as device:
            sensor = _sensor(device, sink)
            async with running(sensor), asyncio.TaskGroup() as group:
                talking = group.create_task(_talk(device, frame(1953)))
                await until(lambda: sink.count("bin-1") == 1)
                started = asyncio.get_running_loop().time()
                await until(lambda: sink.count("bin-1") == 11)
                took_s = asyncio.get_running_loop().time() - started
                talking.cancel()
            # Ten city seconds at 20 times the wall's rate, from one edge to another.
            assert took_s > 0.45
            assert set(sink.data("bin-1")) == {frame(1953)}
            assert sensor.status().state == "up"
            assert not sink.noises and not sink.refusals

    asyncio.run(scenario())


def test_of_frames_that_came_at_once_the_newest_is_taken(tmp_path):
    async def scenario():
        sink = Heard()
        with PtyDevice(tmp_path / "tty") as device:
            sensor = _sensor(device, sink, interval_s=3600)
            async with running(sensor):
                await until(lambda: sensor.status().state == "up")
                device.say(frame(1000) + frame(1001) + frame(1002))
                await until(lambda: sink.payloads)
                assert sink.data("bin-1") == [frame(1002)]

    asyncio.run(scenario())


def test_noise_between_frames_is_counted_and_costs_no_frame(tmp_path):
    async def scenario():
        sink = Heard()
        with PtyDevice(tmp_path / "tty") as device:
            sensor = _sensor(device, sink, interval_s=0.05)
            async with running(sensor):
                await until(lambda: sensor.status().state == "up")
                broken = frame(1000)[:-1] + b"\x00"
                device.say(b"\x01\x02" + frame(1000) + b"\x00\x00" + broken + frame(1001))
                await until(lambda: sink.payloads)
                assert sink.data("bin-1") == [frame(1001)]
                assert sink.noises["uart", "garbage"] >= 1
                assert sink.noises["uart", "checksum"] == 1
                assert sensor.status().errors["checksum"] == 1

    asyncio.run(scenario())


def test_a_silent_sensor_is_refused_once_every_three_intervals(tmp_path):
    async def scenario():
        sink = Heard()
        with PtyDevice(tmp_path / "tty") as device:
            async with running(_sensor(device, sink, interval_s=7)):
                await until(lambda: sink.refusals["bin-1", "timeout"] == 2)
                assert not sink.payloads

    asyncio.run(scenario())


def test_a_sensor_at_the_wrong_speed_is_refused_for_its_checksum(tmp_path):
    async def scenario():
        sink = Heard()
        with PtyDevice(tmp_path / "tty") as device:
            async with running(_sensor(device, sink, interval_s=7)), asyncio.TaskGroup() as group:
                talking = group.create_task(_talk(device, b"\x80\x1c\x00"))
                await until(lambda: sink.refusals["bin-1", "checksum"] == 1)
                talking.cancel()

    asyncio.run(scenario())


def test_a_sensor_that_has_to_be_asked_is_asked_each_interval(tmp_path):
    async def scenario():
        sink = Heard()
        asked = bytearray()
        with PtyDevice(tmp_path / "tty", lambda data: answer(data)) as device:

            def answer(data: bytes) -> None:
                asked.extend(data)
                device.say(frame(1200))

            async with running(_sensor(device, sink, interval_s=1, poll=b"\x55")):
                await until(lambda: sink.count("bin-1") == 3)
                assert 3 <= len(asked) <= 5
                assert set(asked) == {0x55}

    asyncio.run(scenario())


def test_a_sensor_that_somebody_wants_is_asked_out_of_its_turn(tmp_path):
    async def scenario():
        sink = Heard()
        with PtyDevice(tmp_path / "tty", lambda _: device.say(frame(1200))) as device:
            sensor = _sensor(device, sink, interval_s=3000, poll=b"\x55", city=REAL_TIME)
            async with running(sensor):
                await until(lambda: sink.count("bin-1") == 1)
                sensor.ask_soon("bin-1")
                await until(lambda: sink.count("bin-1") == 2)
                sensor.set_interval("bin-1", 0.05)
                await until(lambda: sink.count("bin-1") > 5)

    asyncio.run(scenario())


def test_an_adapter_pulled_out_and_back_is_read_again(tmp_path):
    async def scenario():
        sink = Heard()
        with PtyDevice(tmp_path / "tty") as device:
            sensor = _sensor(device, sink, interval_s=0.05)
            async with running(sensor):
                await until(lambda: sensor.status().state == "up")
                device.say(frame(1000)[:2])
                device.unplug()
                await until(lambda: sensor.status().state == "down")
                await until(lambda: "plugged in" in sensor.status().detail)
                device.plug_in()
                await until(lambda: sensor.status().state == "up")
                device.say(frame(1001))
                await until(lambda: sink.payloads)
                assert sink.data("bin-1") == [frame(1001)]
                assert sensor.status().errors["port"] >= 2

    asyncio.run(scenario())


@given(st.lists(st.integers(31, 4500), min_size=1, max_size=20), st.data())
def test_frames_are_found_however_the_bytes_are_cut(distances, data):
    framer, stream = FfFramer(), b"".join(frame(mm) for mm in distances)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    found = [piece for part in pieces for piece in framer.feed(part)]
    assert found == [Frame(frame(mm)) for mm in distances]


def test_a_sensor_that_must_be_told_to_measure_is_told_first_and_asked_when_it_has(tmp_path):
    async def scenario():
        sink, heard = Heard(), []
        measured: list[float] = []

        def urm04(data: bytes) -> None:
            now = asyncio.get_running_loop().time()
            heard.append(bytes(data))
            if data == trigger:
                measured.append(now)
            elif data == poll:
                distance = 266 if measured and now - measured[-1] >= 0.03 else 0xFFFF
                device.say(say_distance(distance))

        driver = load_driver("dfrobot_urm04")
        assert isinstance(driver.link, UartLink)
        trigger, poll = driver.link.trigger, driver.link.poll
        with PtyDevice(tmp_path / "tty", urm04) as device:
            settings = UartPort(name="uart", port=str(device.path))
            clock = SystemClock(CityTime(0, 0, 20))
            async with running(UartSensor(settings, "bin-1", driver.link, 2.0, sink, clock)):
                await until(lambda: sink.count("bin-1") >= 3)
        assert heard[:4] == [trigger, poll, trigger, poll]
        for _, payload in sink.payloads:
            assert driver.decode(payload)[0].fields == {"distance_mm": 2660.0}

    asyncio.run(scenario())
