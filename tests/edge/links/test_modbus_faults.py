"""Random faults on a bus of real bytes: whatever comes, no device is given what isn't its own."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

from devices.driver import ModbusLink
from devices.modbus import Request, build_exception, build_response
from edge.links.modbus import Slave
from tests.edge.links.heard import Heard, running, until
from tests.edge.links.test_modbus_healing import Bus, link_of

ASKS = ModbusLink(function=3, register=0, count=2, stride=4)
TIMEOUT_S, LATE_S = 0.06, 0.2
FAULTS = (
    *(20 * ["good"]),
    "silent",
    "late",
    "noise before",
    "left over",
    "cut",
    "wrong crc",
    "another unit",
    "exception",
    "twice",
)


def own(unit: int, node: int) -> bytes:
    return bytes((unit, node, unit ^ 0xFF, node ^ 0xFF))


class FaultySlaves:
    """Every unit and node says what is its own, with a fault drawn for each request."""

    def __init__(self, seed: int) -> None:
        self._draws = random.Random(seed)
        self.drawn: Counter[str] = Counter()

    def answer(self, request: Request) -> tuple[bytes, float]:
        draws, unit = self._draws, request.unit
        fault = draws.choice(FAULTS)
        self.drawn[fault] += 1
        good = build_response(unit, request.function, own(unit, request.register // 4))
        match fault:
            case "silent":
                return b"", 0.0
            case "late":
                return good, draws.uniform(0.8 * TIMEOUT_S, 2.5 * TIMEOUT_S)
            case "noise before":
                return draws.randbytes(draws.randint(1, 9)) + good, 0.0
            case "left over":
                return good + draws.randbytes(draws.randint(1, 9)), 0.0
            case "cut":
                return good[: draws.randrange(1, len(good))], 0.0
            case "wrong crc":
                at = draws.randrange(len(good))
                return good[:at] + bytes((good[at] ^ (1 << draws.randrange(8)),)) + good[
                    at + 1 :
                ], 0
            case "another unit":
                other = unit % 5 + 1
                return build_response(other, request.function, own(other, 0)), 0.0
            case "exception":
                return build_exception(unit, request.function, draws.choice((1, 2, 4, 6))), 0.0
            case "twice":
                return good + good, 0.0
        return good, draws.uniform(0, 0.3 * TIMEOUT_S)


def test_no_device_is_given_what_is_not_its_own_whatever_its_bus_does(tmp_path, seed):
    async def scenario():
        slaves, sink = FaultySlaves(seed), Heard()
        bus = Bus(tmp_path / "tty", slaves.answer)
        places = [(unit, node) for unit in range(1, 6) for node in range(3)]
        with bus.device:
            polled = [Slave(f"d-{u}-{n}", u, ASKS, 0.01, node=n) for u, n in places]
            settings = {"answer_timeout_s": TIMEOUT_S, "late_answer_s": LATE_S, "rest_s": 0.2}
            async with running(link_of(bus, sink, polled, **settings)):
                await until(lambda: len(bus.requests) >= 300, within_s=60)
        for unit, node in places:
            assert set(sink.data(f"d-{unit}-{node}")) <= {own(unit, node)}, f"seed {seed}"
            assert sink.count(f"d-{unit}-{node}") >= 3
        answered = len(sink.payloads) + sum(sink.refusals.values())
        assert len(bus.requests) - 1 <= answered <= len(bus.requests)
        assert slaves.drawn.keys() == set(FAULTS)

    asyncio.run(scenario())
