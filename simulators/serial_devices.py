"""Devices on a wire: slaves that share an RS-485 bus, sensors on ports of their own.

In: what each has to say, and what it is asked. Out: a model's own bytes (the driver's `encode`),
damaged as the faults have it, and a truth row for each time a device was asked or spoke. `Slave`
and `Speaker` are pure; `Bus` and `SerialSensor` carry their bytes over a port.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from devices.driver import ModbusLink, UartLink
from devices.modbus import (
    ILLEGAL_ADDRESS,
    ILLEGAL_FUNCTION,
    Request,
    RequestReader,
    answer_part,
    build_exception,
    build_response,
)
from simulators.city import Placed
from simulators.faults import ANSWER, FRAME, UNITS, Faults, damaged, is_readable
from simulators.ports import Port
from simulators.seeds import generator
from simulators.sights import Sight
from simulators.truth import Row, Truth
from simulators.voices import Said, Voice
from wire.clock import Clock

ANSWER_S = 0.004  # wall: a slave thinks for a few milliseconds
LATE_S = 0.45  # wall: later than a gateway waits (0.3 s by default)
FRAME_S = 0.1  # city: an A02YYUW sends ten times a second (devices/serial.md)
FRAME_WALL_S = 0.1  # at speed, no more often than this by the wall clock
NO_FIELDS: dict[str, int | float | str] = {}


class Answer(msgspec.Struct, frozen=True):
    """What a slave answers: its bytes (none: it keeps silent), its fault, and its truth row; no
    row for a request that it refuses or that only continues a reading."""

    data: bytes
    fault: str = ""
    row: Row | None = None


class Slave:
    """One device on a bus."""

    def __init__(self, seed: int, placed: Placed, sight: Sight, faults: Faults) -> None:
        self._voice, self._faults = Voice(seed, placed, sight, faults), faults
        link = self._voice.driver.link
        assert isinstance(link, ModbusLink), placed.driver
        self._link, self._placed = link, placed
        self._said: Said | None = None

    def answers(self, request: Request) -> bool:
        """Whether the request is this device's: its unit, and its node where a unit has many."""
        if request.unit != self._placed.unit:
            return False
        ranges = self._link.at_node(self._placed.node or 0)
        first, last = ranges[0].register, ranges[-1].register + ranges[-1].count
        return not self._link.stride or first <= request.register < last

    def fault(self, draws: np.random.Generator) -> str:
        """What goes wrong this time."""
        if self._placed.name in self._faults.never_answers:
            return "silent"
        return self._faults.pick(draws, ANSWER)

    def answer(
        self, request: Request, time_ms: int, fault: str, draws: np.random.Generator
    ) -> Answer:
        """The bytes for one request; the ranges of one reading see one moment."""
        node, unit, function = self._placed.node or 0, request.unit, request.function
        opens = request.register == self._link.at_node(node)[0].register
        if opens or self._said is None:
            self._said = self._voice.says(time_ms)
        registers = answer_part(self._link, self._said.payload, request, node)
        if registers is None:
            known = {one.function for one in self._link.reads}
            code = ILLEGAL_ADDRESS if function in known else ILLEGAL_FUNCTION
            return Answer(build_exception(unit, function, code))
        said = self._said
        if not is_readable(fault):
            said = msgspec.structs.replace(said, fields=NO_FIELDS)
        row = self._voice.row(said, "asked", time_ms, fault) if opens or fault else None
        if fault == "wrong_unit":
            unit = unit % UNITS + 1
        return Answer(damaged(build_response(unit, function, registers), fault, draws), fault, row)


class Bus:
    """All slaves of one RS-485 bus; they hear every request and answer to their own address."""

    def __init__(
        self, slaves: Sequence[Slave], port: Port, clock: Clock, truth: Truth, seed: int
    ) -> None:
        self._slaves, self._port = slaves, port
        self._clock, self._truth = clock, truth
        self._draws = generator(seed, port.name, "faults")

    async def run(self) -> None:
        """Answer until cancelled."""
        reader = RequestReader()
        while True:
            for found in reader.feed(await self._port.heard()):
                if not isinstance(found, Request):
                    continue
                slave = next((one for one in self._slaves if one.answers(found)), None)
                if slave:
                    await self._answer(found, slave)

    async def _answer(self, request: Request, slave: Slave) -> None:
        fault = slave.fault(self._draws)
        await self._clock.pause(LATE_S if fault == "late" else ANSWER_S)
        answer = slave.answer(request, self._clock.now_ms(), fault, self._draws)
        if answer.row:
            self._truth.write(answer.row)
        if answer.data:
            self._port.say(answer.data)


class Speaker:
    """One sensor on a port of its own."""

    def __init__(self, seed: int, placed: Placed, sight: Sight, faults: Faults) -> None:
        self._voice, self._faults = Voice(seed, placed, sight, faults), faults
        link = self._voice.driver.link
        assert isinstance(link, UartLink), placed.driver
        self.poll, self.name = link.poll, placed.name
        self._draws = generator(seed, placed.name, "faults")

    def frame(self, time_ms: int) -> tuple[bytes, Row | None]:
        """The next frame and its row, as if somebody read it; no bytes when it keeps silent."""
        fault = self._faults.pick(self._draws, FRAME)
        if fault == "silent" or self.name in self._faults.never_answers:
            return b"", None
        said = self._voice.says(time_ms)
        data = damaged(said.payload.data, fault, self._draws)
        if not is_readable(fault):
            said = msgspec.structs.replace(said, fields=NO_FIELDS)
        return data, self._voice.row(said, "sent", time_ms, fault)


class SerialSensor:
    """A speaker on its port: it sends ten times a second whether or not anybody listens, or answers
    its question."""

    def __init__(self, speaker: Speaker, port: Port, clock: Clock, truth: Truth) -> None:
        self._speaker, self._port = speaker, port
        self._clock, self._truth = clock, truth

    async def run(self) -> None:
        """Speak until cancelled; each sensor begins at a moment of its own."""
        if self._speaker.poll:
            await self._answer_questions()
        while True:
            began = self._clock.monotonic()
            self._send()
            await self._clock.sleep(FRAME_S)
            rest_s = began + FRAME_WALL_S - self._clock.monotonic()
            if rest_s > 0:
                await self._clock.pause(rest_s)

    async def _answer_questions(self) -> None:
        question, heard = self._speaker.poll, b""
        while True:
            heard += await self._port.heard()
            if question in heard:
                heard = b""
                await self._clock.pause(ANSWER_S)
                self._send()
            heard = heard[-len(question) :]

    def _send(self) -> None:
        data, row = self._speaker.frame(self._clock.now_ms())
        if row is None:
            return
        is_heard = self._port.say(data)
        self._truth.write(row if is_heard else msgspec.structs.replace(row, how="lost"))
