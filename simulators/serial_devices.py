"""Devices on a wire: parking sensors that share an RS-485 bus, level sensors on ports of their own.

In: the world and a pty. Out: a model's own bytes (the driver's `encode`), and a truth row for each
time a device was asked or spoke.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from devices.driver import Driver, ModbusLink, load_driver
from devices.modbus import (
    ILLEGAL_ADDRESS,
    ILLEGAL_FUNCTION,
    Request,
    RequestReader,
    build_exception,
    build_response,
)
from devices.reading import Values
from simulators.city import Bay, Bin
from simulators.faults import ANSWER, FRAME, Faults, damaged, is_readable
from simulators.ptys import PtyPort
from simulators.truth import How, Row, Truth, speak
from simulators.world import World
from wire.clock import Clock

ANSWER_S = 0.004  # wall: a slave thinks for a few milliseconds
LATE_S = 0.45  # wall: later than a gateway waits (0.3 s by default)
FRAME_S = 0.1  # city: an A02YYUW sends ten times a second (devices/serial.md)
FRAME_WALL_S = 0.1  # at speed, no more often than this by the wall clock


class Bus:
    """All slaves of one RS-485 bus; they hear every request and answer to their own address."""

    def __init__(
        self,
        bays: Sequence[Bay],
        port: PtyPort,
        world: World,
        clock: Clock,
        truth: Truth,
        faults: Faults,
        draws: np.random.Generator,
    ) -> None:
        self._bays = {bay.unit: bay for bay in bays}
        self._port, self._world, self._clock, self._truth = port, world, clock, truth
        self._faults, self._draws = faults, draws
        self._drivers = {bay.driver: load_driver(bay.driver) for bay in bays}

    async def run(self) -> None:
        """Answer until cancelled."""
        reader = RequestReader()
        while True:
            for found in reader.feed(await self._port.heard()):
                if isinstance(found, Request) and found.unit in self._bays:
                    await self._answer(found, self._bays[found.unit])

    async def _answer(self, request: Request, bay: Bay) -> None:
        driver = self._drivers[bay.driver]
        refusal = _refusal(request, driver)
        if refusal:
            await self._clock.pause(ANSWER_S)
            self._port.say(build_exception(request.unit, request.function, refusal))
            return
        dead = bay.name in self._faults.never_answers
        fault = "silent" if dead else self._faults.pick(self._draws, ANSWER)
        await self._clock.pause(LATE_S if fault == "late" else ANSWER_S)
        now_ms = self._clock.now_ms()
        distance_mm = self._world.bay(bay.name).distance_mm(now_ms)
        spoken = speak(driver, Values({"distance_mm": distance_mm}))
        fields = spoken.fields if is_readable(fault) else {}
        self._truth.write(Row(bay.name, driver.kind, driver.name, "asked", now_ms, fields, fault))
        frame = build_response(request.unit, request.function, spoken.payload.data)
        if said := damaged(frame, fault, self._draws):
            self._port.say(said)


class LevelSensor:
    """An ultrasonic sensor that sends frames by itself, whether or not anybody listens."""

    def __init__(
        self,
        bin_: Bin,
        port: PtyPort,
        world: World,
        clock: Clock,
        truth: Truth,
        faults: Faults,
        draws: np.random.Generator,
    ) -> None:
        self._bin, self._port, self._world = bin_, port, world
        self._clock, self._truth, self._faults, self._draws = clock, truth, faults, draws
        self._driver = load_driver(bin_.driver)

    async def run(self) -> None:
        """Send until cancelled; each sensor begins at a moment of its own."""
        await self._clock.pause(float(self._draws.uniform(0, FRAME_WALL_S)))
        while True:
            began = self._clock.monotonic()
            self._send()
            await self._clock.sleep(FRAME_S)
            rest_s = began + FRAME_WALL_S - self._clock.monotonic()
            if rest_s > 0:
                await self._clock.pause(rest_s)

    def _send(self) -> None:
        fault = self._faults.pick(self._draws, FRAME)
        if fault == "silent" or self._bin.name in self._faults.never_answers:
            return
        now_ms, driver = self._clock.now_ms(), self._driver
        distance_mm = self._world.bin(self._bin.name).distance_mm(now_ms)
        spoken = speak(driver, Values({"distance_mm": distance_mm}))
        fields = spoken.fields if is_readable(fault) else {}
        heard = self._port.say(damaged(spoken.payload.data, fault, self._draws))
        how: How = "sent" if heard else "lost"
        self._truth.write(Row(self._bin.name, driver.kind, driver.name, how, now_ms, fields, fault))


def _refusal(request: Request, driver: Driver) -> int:
    """The Modbus exception for what this model doesn't have, or 0."""
    link = driver.link
    if not isinstance(link, ModbusLink) or request.function != link.function:
        return ILLEGAL_FUNCTION
    asked = (request.register, request.count)
    return 0 if asked == (link.register, link.count) else ILLEGAL_ADDRESS
