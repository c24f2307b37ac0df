"""A bus of slaves on a real pty; once, slaves of somebody else's (pymodbus) over a socket."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping

from pymodbus import FramerType
from pymodbus.datastore import (
    ModbusDeviceContext,
    ModbusSequentialDataBlock,
    ModbusServerContext,
)
from pymodbus.server import ModbusTcpServer

from devices.driver import ModbusLink
from devices.modbus import Request, RequestReader, build_exception, build_request, build_response
from edge.link_settings import ModbusPort
from edge.links.modbus import ModbusBus, Slave
from tests.edge.links.heard import Heard, running, until
from tests.edge.links.pty_device import PtyDevice
from tests.servers import free_port
from wire.clock import REAL_TIME, CityTime, SystemClock

ASKS = ModbusLink(function=3, register=0x0101, count=1, baudrate=115_200)
Answer = Callable[[Request], bytes]


def good(request: Request) -> bytes:
    """The right answer; the register's value is the unit's."""
    return build_response(request.unit, request.function, request.unit.to_bytes(2, "big"))


def silent(request: Request) -> bytes:
    return b""


def broken(request: Request) -> bytes:
    return good(request)[:-1] + bytes((good(request)[-1] ^ 0xFF,))


class Slaves:
    """The slaves of one bus: `answers` by unit, each after `delay_s`, whole or byte by byte."""

    def __init__(self, path, answers: Mapping[int, Answer]) -> None:
        self.answers = dict(answers)
        self.delays: dict[int, float] = {}
        self.asked: Counter[int] = Counter()
        self._reader = RequestReader()
        self.device = PtyDevice(path, self._hear)

    def _hear(self, data: bytes) -> None:
        for request in self._reader.feed(data):
            assert isinstance(request, Request), f"the master sent {request}"
            self.asked[request.unit] += 1
            answer = self.answers[request.unit](request)
            loop = asyncio.get_running_loop()
            if answer:
                loop.call_later(self.delays.get(request.unit, 0.0), self.device.say, answer)


def bus(
    slaves: Slaves, sink: Heard, interval_s=1.0, city=REAL_TIME, late_answer_s=0.0, **settings
) -> ModbusBus:
    path = str(slaves.device.path)
    port = ModbusPort(name="rs485", port=path, late_answer_s=late_answer_s, **settings)
    polled = [Slave(f"bay-{unit}", unit, ASKS, interval_s) for unit in slaves.answers]
    return ModbusBus(port, polled, sink, SystemClock(city))


def test_each_slave_gives_its_own_registers_at_its_own_interval(tmp_path):
    async def scenario():
        sink, slaves = Heard(), Slaves(tmp_path / "tty", dict.fromkeys(range(1, 17), good))
        with slaves.device:
            started = time.monotonic()
            async with running(bus(slaves, sink)):
                await until(lambda: all(sink.count(f"bay-{unit}") == 3 for unit in range(1, 17)))
            # Asked at 0, 1 and 2 s, all sixteen each time.
            assert 1.9 < time.monotonic() - started < 3.0
            for unit in range(1, 17):
                assert set(sink.data(f"bay-{unit}")) == {unit.to_bytes(2, "big")}
            assert not sink.refusals and not sink.noises

    asyncio.run(scenario())


def test_a_bus_that_cannot_keep_up_is_shared_evenly(tmp_path):
    async def scenario():
        sink, slaves = Heard(), Slaves(tmp_path / "tty", dict.fromkeys(range(1, 17), good))
        with slaves.device:
            async with running(bus(slaves, sink, city=CityTime(0, 0, 600))):
                await until(lambda: len(sink.payloads) >= 320)
            counts = [sink.count(f"bay-{unit}") for unit in range(1, 17)]
            assert max(counts) - min(counts) <= 1

    asyncio.run(scenario())


def test_a_dead_slave_leaves_the_cycle_and_does_not_slow_the_others(tmp_path):
    async def scenario():
        answers = {1: good, 2: silent, 3: good}
        sink, slaves = Heard(), Slaves(tmp_path / "tty", answers)
        with slaves.device:
            link = bus(slaves, sink, interval_s=0.01, answer_timeout_s=0.1)
            async with running(link):
                await until(lambda: sink.refusals["bay-2", "timeout"] == 3)
                before = sink.count("bay-1"), sink.count("bay-3"), slaves.asked[2]
                await until(lambda: sink.count("bay-1") >= before[0] + 50)
                assert sink.count("bay-3") >= before[1] + 48
                assert slaves.asked[2] == before[2] == 3
            assert link.status().errors == {"bay-2:timeout": 3}

    asyncio.run(scenario())


def test_a_rested_slave_is_tried_again_and_comes_back(tmp_path):
    async def scenario():
        sink, slaves = Heard(), Slaves(tmp_path / "tty", {1: good, 2: silent})
        with slaves.device:
            link = bus(slaves, sink, interval_s=0.01, answer_timeout_s=0.02, rest_s=0.1)
            async with running(link):
                await until(lambda: sink.refusals["bay-2", "timeout"] == 4)
                slaves.answers[2] = good
                await until(lambda: sink.count("bay-2") >= 5)
                assert sum(sink.refusals.values()) <= 5

    asyncio.run(scenario())


def test_rests_double_up_to_a_minute():
    async def scenario():
        clock = SystemClock()
        slave = Slave("bay-1", 1, ASKS, 1.0)
        settings = ModbusPort(name="rs485", port="none", rest_s=10)
        link = ModbusBus(settings, [slave], Heard(), clock)
        unit, waits = slave.unit, []
        for _ in range(8):
            link._fail(unit)
            waits.append(round(unit.not_before - clock.monotonic(), 1))
        assert waits == [1, 1, 10, 20, 40, 60, 60, 60]
        link._recover(unit)
        assert (unit.failures, unit.rest_s) == (0, 0.0)

    asyncio.run(scenario())


def test_when_the_whole_bus_was_out_one_answer_wakes_all(tmp_path):
    async def scenario():
        answers = {1: silent, 2: silent, 3: silent}
        sink, slaves = Heard(), Slaves(tmp_path / "tty", answers)
        with slaves.device:
            link = bus(slaves, sink, interval_s=0.01, answer_timeout_s=0.02, rest_s=0.2)
            async with running(link):
                await until(lambda: sum(sink.refusals.values()) >= 9)
                slaves.answers |= {1: good, 2: good, 3: good}
                await until(lambda: all(sink.count(f"bay-{unit}") for unit in (1, 2, 3)))
                assert max(slave.unit.rest_s for slave in link._slaves) == 0

    asyncio.run(scenario())


def test_a_late_answer_is_never_taken_for_the_next_ones(tmp_path):
    async def scenario():
        sink, slaves = Heard(), Slaves(tmp_path / "tty", {1: good, 2: good, 3: good})
        slaves.delays = {1: 0.11, 2: 0.03, 3: 0.03}  # into the wait for another's answer
        with slaves.device:
            link = bus(slaves, sink, interval_s=0.01, answer_timeout_s=0.05, rest_s=0.01)
            async with running(link):
                await until(lambda: sink.noises["rs485", "late"] >= 3)
                await until(lambda: sink.count("bay-2") + sink.count("bay-3") >= 20)
            assert sink.refusals["bay-1", "timeout"] >= 3
            for unit in (2, 3):
                assert set(sink.data(f"bay-{unit}")) <= {unit.to_bytes(2, "big")}
                assert not sink.refusals[f"bay-{unit}", "timeout"]
                assert not sink.refusals[f"bay-{unit}", "wrong_unit"]

    asyncio.run(scenario())


def test_a_slave_alone_and_always_late_never_answers_the_next_question(tmp_path):
    async def scenario():
        sink = Heard()
        asked = 0

        def counting(request: Request) -> bytes:
            nonlocal asked
            asked += 1
            return build_response(request.unit, request.function, asked.to_bytes(2, "big"))

        slaves = Slaves(tmp_path / "tty", {1: counting})
        slaves.delays = {1: 0.08}
        with slaves.device:
            link = bus(slaves, sink, interval_s=0.01, answer_timeout_s=0.05, rest_s=0.01)
            async with running(link):
                await until(lambda: sink.refusals["bay-1", "timeout"] >= 6)
            assert not sink.payloads

    asyncio.run(scenario())


def test_every_kind_of_bad_answer_has_its_reason_and_harms_nobody(tmp_path):
    async def scenario():
        answers: dict[int, Answer] = {
            1: good,
            2: broken,
            3: lambda r: build_exception(r.unit, r.function, 2),
            4: lambda r: build_response(r.unit, r.function, b"\x00\x01\x00\x02"),
            5: lambda r: good(r)[:-2],
            6: lambda r: b"\x00\xff\x55" + good(r),
            7: lambda r: build_response(99, r.function, b"\x00\x01"),
        }
        sink, slaves = Heard(), Slaves(tmp_path / "tty", answers)
        with slaves.device:
            link = bus(slaves, sink, interval_s=0.01, answer_timeout_s=0.05, rest_s=0.05)
            async with running(link):
                await until(lambda: sum(n >= 3 for n in sink.refusals.values()) == 5)
            assert sink.refusals.keys() == {
                ("bay-2", "checksum"),
                ("bay-3", "exception"),
                ("bay-4", "length"),
                ("bay-5", "length"),
                ("bay-7", "wrong_unit"),
            }
            assert set(sink.data("bay-1")) == {b"\x00\x01"}
            assert set(sink.data("bay-6")) == {b"\x00\x06"}
            assert link.status().errors["bay-2:checksum"] == sink.refusals["bay-2", "checksum"]

    asyncio.run(scenario())


def test_an_exception_costs_a_slave_nothing(tmp_path):
    async def scenario():
        answers = {1: lambda r: build_exception(r.unit, r.function, 6)}
        sink, slaves = Heard(), Slaves(tmp_path / "tty", answers)
        with slaves.device:
            async with running(bus(slaves, sink, interval_s=0.01)):
                await until(lambda: sink.refusals["bay-1", "exception"] >= 10)

    asyncio.run(scenario())


def test_an_adapter_that_hears_itself_is_understood(tmp_path):
    def echoing(request: Request) -> bytes:
        asks = request.unit, request.function, request.register, request.count
        return build_request(*asks) + good(request)

    async def scenario():
        sink, slaves = Heard(), Slaves(tmp_path / "tty", {1: echoing})
        with slaves.device:
            async with running(bus(slaves, sink, interval_s=0.01)):
                await until(lambda: sink.count("bay-1") >= 3)
            assert not sink.refusals

    asyncio.run(scenario())


def test_a_babbling_bus_is_refused_and_never_stands_still(tmp_path):
    async def scenario():
        answers = {1: lambda r: b"\x55" * 4000}
        sink, slaves = Heard(), Slaves(tmp_path / "tty", answers)
        with slaves.device:
            link = bus(slaves, sink, interval_s=0.01, answer_timeout_s=0.05, rest_s=0.01)
            async with running(link):
                await until(lambda: sum(sink.refusals.values()) >= 5)
                slaves.answers[1] = good
                await until(lambda: sink.count("bay-1") >= 3)
            assert sink.refusals.keys() == {("bay-1", "checksum")}

    asyncio.run(scenario())


def test_an_adapter_pulled_out_and_back_is_polled_again_and_nobody_is_blamed(tmp_path):
    async def scenario():
        sink, slaves = Heard(), Slaves(tmp_path / "tty", {1: good, 2: good})
        with slaves.device:
            link = bus(slaves, sink, interval_s=0.02)
            async with running(link):
                await until(lambda: sink.count("bay-2") >= 2)
                slaves.device.unplug()
                await until(lambda: "plugged in" in link.status().detail)
                assert link.status().state == "down"
                slaves.device.plug_in()
                seen = len(sink.payloads)
                await until(lambda: len(sink.payloads) >= seen + 10)
                assert link.status().state == "up"
            assert not sink.refusals
            assert link.status().errors.keys() == {"port"}

    asyncio.run(scenario())


def test_somebody_elses_slaves_behind_a_serial_server_are_read():
    async def scenario():
        block = ModbusSequentialDataBlock(0x0101 + 1, [1234])
        context = ModbusServerContext(
            devices={unit: ModbusDeviceContext(hr=block) for unit in (1, 2)}, single=False
        )
        port = free_port()
        server = ModbusTcpServer(context, framer=FramerType.RTU, address=("127.0.0.1", port))
        await server.serve_forever(background=True)
        sink = Heard()
        settings = ModbusPort(name="rs485", port=f"socket://127.0.0.1:{port}")
        slaves = [Slave(f"bay-{unit}", unit, ASKS, 0.01) for unit in (1, 2)]
        try:
            async with running(ModbusBus(settings, slaves, sink, SystemClock())):
                await until(lambda: sink.count("bay-1") >= 3 and sink.count("bay-2") >= 3)
        finally:
            await server.shutdown()
        assert set(sink.data("bay-1")) == {(1234).to_bytes(2, "big")}
        assert not sink.refusals

    asyncio.run(scenario())


def test_a_device_that_somebody_wants_is_asked_out_of_its_turn(tmp_path):
    async def scenario():
        sink, slaves = Heard(), Slaves(tmp_path / "tty", {1: good, 2: good, 3: silent})
        with slaves.device:
            link = bus(slaves, sink, interval_s=3000.0, answer_timeout_s=0.1, rest_s=3000.0)
            async with running(link):
                await until(lambda: sink.count("bay-2") == 1 and sink.refusals)
                link.ask_soon("bay-2")
                await until(lambda: sink.count("bay-2") == 2)
                link.ask_soon("bay-3")  # at rest or not
                await until(lambda: sink.refusals["bay-3", "timeout"] == 2)
                link.set_interval("bay-2", 0.01)
                await until(lambda: sink.count("bay-2") > 5)
            assert sink.count("bay-1") == 1

    asyncio.run(scenario())
