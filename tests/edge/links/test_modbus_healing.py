"""A bus that heals: late answers, dead units, an adapter that comes back; and declared devices."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from devices.driver import Driver, ModbusLink, RegisterRange
from devices.modbus import Request, RequestReader, answer_part, build_exception, build_response
from devices.reading import Values
from edge.configuration import load_configuration
from edge.drivers import driver_of
from edge.link_settings import ModbusPort
from edge.links.make import make_links
from edge.links.modbus import ModbusBus, Slave
from tests.edge.links.heard import Heard, running, until
from tests.edge.links.pty_device import PtyDevice
from wire.clock import SystemClock

NODES = ModbusLink(function=3, register=0, count=1, stride=16)
Answer = Callable[[Request], tuple[bytes, float]]
"""What is said to a request, and how many seconds later."""


class Bus:
    """The far end of an RS-485 pair: `answer` speaks for every slave on it."""

    def __init__(self, path: Path, answer: Answer) -> None:
        self.answer = answer
        self.requests: list[tuple[float, Request]] = []
        self._reader = RequestReader()
        self.device = PtyDevice(path, self._hear)

    def asked(self) -> Counter[int]:
        return Counter(request.unit for _, request in self.requests)

    def _hear(self, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        for request in self._reader.feed(data):
            assert isinstance(request, Request), f"the master sent {request}"
            self.requests.append((time.monotonic(), request))
            said, delay_s = self.answer(request)
            if said:
                loop.call_later(delay_s, self.device.say, said)


def link_of(bus: Bus, sink: Heard, slaves: Sequence[Slave], **settings) -> ModbusBus:
    port = ModbusPort(name="rs485", port=str(bus.device.path), **settings)
    return ModbusBus(port, slaves, sink, SystemClock())


def registers(request: Request, *words: int) -> bytes:
    data = b"".join(word.to_bytes(2, "big") for word in words)
    return build_response(request.unit, request.function, data)


def test_an_answer_later_than_two_time_outs_is_never_the_next_ones(tmp_path):
    async def scenario():
        asked = 0

        def counting(request: Request) -> tuple[bytes, float]:
            nonlocal asked
            asked += 1
            return registers(request, asked), 0.12

        bus, sink = Bus(tmp_path / "tty", counting), Heard()
        with bus.device:
            slave = Slave("bay-1", 1, NODES, 0.01)
            settings = {"answer_timeout_s": 0.05, "late_answer_s": 0.3, "rest_s": 0.01}
            async with running(link := link_of(bus, sink, [slave], **settings)):
                await until(lambda: sink.refusals["bay-1", "timeout"] >= 5)
            assert not sink.payloads
            assert link.status().errors["late"] >= 4

    asyncio.run(scenario())


def test_a_late_answer_of_one_node_is_never_another_nodes_behind_the_same_unit(tmp_path):
    async def scenario():
        def node_of(request: Request) -> tuple[bytes, float]:
            node = request.register // 16
            late = len(bus.requests) % 4 == 1
            return registers(request, 100 + node), 0.15 if late else 0.0

        bus, sink = Bus(tmp_path / "tty", node_of), Heard()
        with bus.device:
            slaves = [Slave(f"bay-{n}", 1, NODES, 0.01, node=n) for n in range(1, 6)]
            settings = {"answer_timeout_s": 0.1, "late_answer_s": 0.3, "rest_s": 0.01}
            async with running(link_of(bus, sink, slaves, **settings)):
                await until(lambda: len(sink.payloads) >= 16)
            assert sum(sink.refusals.values()) >= 4
            for n in range(1, 6):
                assert set(sink.data(f"bay-{n}")) <= {(100 + n).to_bytes(2, "big")}

    asyncio.run(scenario())


def test_a_node_asked_out_of_its_turn_is_not_given_the_late_answer_of_another(tmp_path):
    async def scenario():
        def late_then_slow(request: Request) -> tuple[bytes, float]:
            return registers(request, 100 + request.register // 16), next(delays, 0.0)

        delays = iter((0.17, 0.08))
        bus, sink = Bus(tmp_path / "tty", late_then_slow), Heard()
        with bus.device:
            slaves = [Slave(f"bay-{n}", 1, NODES, 60.0, node=n) for n in (1, 2)]
            settings = {"answer_timeout_s": 0.1, "late_answer_s": 0.4, "rest_s": 0.01}
            async with running(link := link_of(bus, sink, slaves, **settings)):
                await until(lambda: sink.refusals["bay-1", "timeout"])
                link.ask_soon("bay-2")
                await until(lambda: sink.payloads)
            assert sink.data("bay-2") == [(102).to_bytes(2, "big")]

    asyncio.run(scenario())


def test_a_dead_gateway_of_many_nodes_costs_one_time_out_a_rest(tmp_path):
    async def scenario():
        def only_nine(request: Request) -> tuple[bytes, float]:
            return (registers(request, 7) if request.unit == 9 else b""), 0.0

        bus, sink = Bus(tmp_path / "tty", only_nine), Heard()
        with bus.device:
            nodes = [Slave(f"bay-{n}", 1, NODES, 0.01, node=n) for n in range(1, 9)]
            other = Slave("bin-1", 9, NODES, 0.01)
            settings = {"answer_timeout_s": 0.25, "late_answer_s": 0.0, "rest_s": 0.5}
            async with running(link := link_of(bus, sink, [*nodes, other], **settings)):
                await until(lambda: bus.asked()[1] == 3)
                started, before = time.monotonic(), bus.asked()
                await until(lambda: bus.asked()[9] >= before[9] + 60)
                rests = (time.monotonic() - started) / 0.5
                assert bus.asked()[1] - before[1] <= rests + 1
                detail = link.status().detail
            assert detail.startswith("no good answer from bay-1, bay-2")
            assert not sink.refusals["bin-1", "timeout"]

    asyncio.run(scenario())


def test_who_is_at_rest_is_told_until_it_answers(tmp_path):
    async def scenario():
        dead = True

        def sometimes(request: Request) -> tuple[bytes, float]:
            return (b"" if dead and request.unit == 2 else registers(request, 7)), 0.0

        bus, sink = Bus(tmp_path / "tty", sometimes), Heard()
        with bus.device:
            slaves = [Slave(f"bay-{unit}", unit, NODES, 0.01) for unit in (1, 2)]
            settings = {"answer_timeout_s": 0.02, "late_answer_s": 0.0, "rest_s": 0.05}
            async with running(link := link_of(bus, sink, slaves, **settings)):
                await until(lambda: link.status().detail == "no good answer from bay-2")
                assert link.status().state == "up"
                dead = False
                await until(lambda: link.status().detail == "")

    asyncio.run(scenario())


def test_an_adapter_that_comes_back_under_another_name_is_found_by_its_id(tmp_path):
    async def scenario():
        bus = Bus(tmp_path / "usb-FTDI-port0", lambda r: (registers(r, 7), 0.0))
        sink = Heard()
        with bus.device:
            link = link_of(bus, sink, [Slave("bay-1", 1, NODES, 0.01)])
            async with running(link):
                await until(lambda: sink.count("bay-1") >= 3)
                before = bus.device.path.readlink()
                bus.device.unplug()
                await until(lambda: link.status().state == "down")
                taken = os.openpty()  # the old name is another's now
                try:
                    bus.device.plug_in()
                    assert bus.device.path.readlink() != before
                    seen = sink.count("bay-1")
                    await until(lambda: sink.count("bay-1") >= seen + 3)
                finally:
                    for one in taken:
                        os.close(one)
            assert not sink.refusals

    asyncio.run(scenario())


def test_a_reading_of_several_ranges_is_whole_or_refused_once(tmp_path):
    async def scenario():
        broken = False

        def meter(request: Request) -> tuple[bytes, float]:
            if request.function == 2:
                return build_response(request.unit, 2, b"\x05\x01"), 0.0
            if broken:
                return build_exception(request.unit, request.function, 2), 0.0
            return registers(request, *range(request.register, 100)[: request.count]), 0.0

        bus, sink = Bus(tmp_path / "tty", meter), Heard()
        asks = ModbusLink(
            function=4,
            register=3,
            count=2,
            more=(RegisterRange(2, 0, 9), RegisterRange(4, 40, 1)),
        )
        with bus.device:
            link = link_of(bus, sink, [Slave("meter", 1, asks, 0.01)])
            async with running(link):
                await until(lambda: sink.count("meter") >= 3)
                assert set(sink.data("meter")) == {bytes.fromhex("00030004 0501 0028")}
                broken = True
                seen = len(bus.requests)
                await until(lambda: sink.refusals["meter", "exception"] >= 3)
                assert len(bus.requests) - seen <= 5  # the rest of such a reading isn't asked for

    asyncio.run(scenario())


def test_a_long_answer_on_a_slow_line_has_the_time_its_bytes_take(tmp_path):
    async def scenario():
        def dripping(request: Request) -> tuple[bytes, float]:
            whole = registers(request, *range(125))
            loop = asyncio.get_running_loop()
            for nth in range(5):
                loop.call_later(0.07 * nth, bus.device.say, whole[51 * nth : 51 * (nth + 1)])
            return b"", 0.0

        bus, sink = Bus(tmp_path / "tty", dripping), Heard()
        asks = ModbusLink(function=4, register=0, count=125)  # 255 bytes: 0.29 s at 9600 baud
        with bus.device:
            link = link_of(bus, sink, [Slave("meter", 1, asks, 0.01)], answer_timeout_s=0.2)
            async with running(link):
                await until(lambda: sink.count("meter") >= 2)
            assert not sink.refusals

    asyncio.run(scenario())


TOML = """
[gateway]
name = "gw-1"
site = "pasar"

[[link]]
type = "modbus"
name = "street"
port = "{port}"

[register_map.street_meter]
kind = "energy_meter"
value = [
    {{ field = "voltage_v", function = 4, register = 0, scale = 0.1 }},
    {{ field = "active_power_w", function = 4, register = 1, type = "f32" }},
    {{ field = "active_energy_wh", register = 0x0100, type = "u32", word_order = "low_first" }},
    {{ field = "power_alarm", function = 2, register = 7, type = "bit" }},
]

[register_map.zone]
kind = "parking_spot"
stride = 1
value = [{{ field = "occupied", register = 100, below = 1500, invalid = [0xFFFF] }}]

[[device]]
name = "lights-1"
driver = "street_meter"
link = "street"
unit = 3
poll_interval_s = 0.05

[[device]]
name = "bay-1"
driver = "zone"
link = "street"
unit = 4
node = 1
poll_interval_s = 0.05

[[device]]
name = "bay-9"
driver = "zone"
link = "street"
unit = 4
node = 9
poll_interval_s = 0.05
"""


def test_a_device_declared_in_the_configuration_is_read_like_any_other(tmp_path):
    path = tmp_path / "tty"
    configuration = load_configuration(TOML.format(port=path), "gateway.toml")
    drivers = {one.name: driver_of(configuration, one) for one in configuration.device}
    places = {(one.unit, one.node): one.name for one in configuration.device}
    said: dict[str, dict[str, int | float]] = {
        "lights-1": {
            "voltage_v": 229.7,
            "active_power_w": 84.5,
            "active_energy_wh": 123456.0,
            "power_alarm": 1,
        },
        "bay-1": {"occupied": 1},
        "bay-9": {"occupied": 0},
    }

    def answer(request: Request) -> tuple[bytes, float]:
        for (unit, node), name in places.items():
            driver = drivers[name]
            payload = driver.encode(Values(said[name]))
            assert isinstance(driver.link, ModbusLink)
            part = answer_part(driver.link, payload, request, node)
            if request.unit == unit and part is not None:
                return build_response(unit, request.function, part), 0.0
        return build_exception(request.unit, request.function, 2), 0.0

    async def scenario():
        sink, bus = Heard(), Bus(path, answer)
        with bus.device:
            (link,) = make_links(configuration, sink, SystemClock())
            async with running(link):
                await until(lambda: all(sink.count(name) >= 2 for name in drivers))
        assert not sink.refusals
        for name, driver in drivers.items():
            assert decoded(driver, sink, name) == said[name]

    def decoded(driver: Driver, sink: Heard, name: str) -> dict[str, object]:
        payload = next(payload for device, payload in sink.payloads if device == name)
        (values,) = driver.decode(payload)
        return dict(values.fields)

    asyncio.run(scenario())
