"""Modbus RTU master: one RS-485 bus, its slaves asked in turn.

In: registers of slaves. Out: to the sink, a payload an answer, and a refusal for each question
that got none.

Schedule: every slave has its own poll interval in city time; the one that has waited longest is
asked next, so a bus that can't keep up slows all alike. An exchange is one question, one answer,
one deadline for both, then the silence that the standard asks for.

    an answer that came too late   flushed before the next question; if it comes after it, it bears
                                   another unit: counted as noise `late`, and the wait goes on
    the same slave again           not before one more time-out has passed: nothing in an answer
                                   says which question it answers
    after a failure                the line must fall quiet first
    failures_before_rest failures  the slave leaves the cycle and is asked again after rest_s, then
                                   twice as long, up to a minute; one good answer ends it. A Modbus
                                   exception is no failure here: it costs no time, and the slave
                                   is alive
    all rested, one answers        the bus was out, not the slaves: all are asked again
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from devices.driver import ModbusLink
from devices.modbus import ResponseReader, build_request
from devices.reading import Payload, Refusal, Undecodable
from edge.link_settings import ModbusPort
from edge.links import Sink
from edge.links.health import Health
from edge.links.serial_port import SerialPort, serve_port
from wire.clock import Clock
from wire.messages import LinkStatus

SILENT_CHARACTERS = 3.5
SILENT_S_MIN = 0.00175  # above 19,200 baud the standard fixes it
QUIET_S = 0.02  # after a failure: USB adapters hand bytes over every 16 ms
REST_S_MAX = 60.0
IDLE_S = 3600.0


class Slave:
    """One device on the bus: what is asked, when next, and how it has been doing."""

    def __init__(self, device: str, unit: int, asks: ModbusLink, poll_interval_s: float) -> None:
        self.device, self.unit, self.asks = device, unit, asks
        self.interval_s = poll_interval_s
        self.due_s = 0.0  # city uptime
        self.not_before = 0.0  # wall, monotonic
        self.failures = 0
        self.rest_s = 0.0  # 0: in the cycle

    def plan(self, now_s: float) -> None:
        """It is asked now: due again an interval after it was due, or after now when behind."""
        self.due_s += self.interval_s
        if self.due_s <= now_s:
            self.due_s = now_s + self.interval_s


class ModbusBus:
    """A link with one bus."""

    def __init__(
        self, settings: ModbusPort, slaves: Sequence[Slave], sink: Sink, clock: Clock
    ) -> None:
        first = slaves[0].asks if slaves else ModbusLink(function=3, register=0, count=1)
        baudrate = settings.baudrate or first.baudrate
        self._port = SerialPort(settings.port, baudrate, settings.parity or first.parity, clock)
        self._silent_s = max(SILENT_S_MIN, SILENT_CHARACTERS * self._port.character_s)
        self._settings, self._slaves = settings, slaves
        self._sink, self._clock = sink, clock
        self._health = Health(settings.name)

    @property
    def name(self) -> str:
        return self._health.name

    async def run(self) -> None:
        """Serve until cancelled."""
        await serve_port(self._port, self._serve, self._health, self._clock)

    def status(self) -> LinkStatus:
        """Errors are counted as `device:reason`."""
        return self._health.status()

    async def _serve(self) -> None:
        while True:
            slave = await self._turn()
            slave.plan(self._clock.uptime_s())
            try:
                registers = await self._exchange(slave)
            except Undecodable as error:
                self._health.count(f"{slave.device}:{error.reason}")
                self._sink.refused(slave.device, error.reason)
                if error.reason is Refusal.EXCEPTION:
                    self._recover(slave)
                else:
                    self._fail(slave)
                    await self._quiet()
            else:
                self._recover(slave)
                self._sink.polled(slave.device, Payload(registers))
            await self._clock.pause(self._silent_s)

    async def _turn(self) -> Slave:
        """Wait until a slave is due; of several the one that has waited longest."""
        while True:
            wall, city_s = self._clock.monotonic(), self._clock.uptime_s()
            awake = [slave for slave in self._slaves if slave.not_before <= wall]
            first = min(awake, key=lambda slave: slave.due_s, default=None)
            if first and first.due_s <= city_s:
                return first
            wakes = (slave.not_before for slave in self._slaves if slave.not_before > wall)
            wait_s = min(wakes, default=wall + IDLE_S) - wall
            if first:
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._clock.sleep(first.due_s - city_s)
            else:
                await self._clock.pause(wait_s)

    async def _exchange(self, slave: Slave) -> bytes:
        """Ask, and read the answer's registers.

        Raises:
            Undecodable: no answer, or none that can be used.
            PortDown: the port is gone.
        """
        asks, unit = slave.asks, slave.unit
        if self._port.flush_input():
            self._note("late")
        request = build_request(unit, asks.function, asks.register, asks.count)
        reader = ResponseReader(unit, asks.function, asks.count, echo=request)
        deadline = self._clock.monotonic() + self._settings.answer_timeout_s
        stranger: Undecodable | None = None
        await self._port.write(request)
        while data := await self._port.read(deadline):
            for end, byte in enumerate(data, 1):
                try:
                    registers = reader.feed(bytes((byte,)))
                except Undecodable as error:
                    if error.reason is not Refusal.WRONG_UNIT:
                        raise
                    stranger = error
                    self._note("late")
                    reader = ResponseReader(unit, asks.function, asks.count)
                    continue
                if registers is not None:
                    if reader.skipped or data[end:]:
                        self._note("garbage")
                    return registers
        raise stranger or reader.silence()

    async def _quiet(self) -> None:
        """Read until nothing has come for a while; a babbling bus costs one time-out at most."""
        deadline = self._clock.monotonic() + self._settings.answer_timeout_s
        heard = True
        while heard and self._clock.monotonic() < deadline:
            heard = bool(await self._port.read(self._clock.monotonic() + QUIET_S + self._silent_s))

    def _recover(self, slave: Slave) -> None:
        if slave.rest_s and all(other.rest_s for other in self._slaves):
            for other in self._slaves:
                other.not_before = 0.0
        slave.failures, slave.rest_s, slave.not_before = 0, 0.0, 0.0

    def _fail(self, slave: Slave) -> None:
        slave.failures += 1
        wait_s = self._settings.answer_timeout_s
        if slave.failures >= self._settings.failures_before_rest:
            first_s = self._settings.rest_s
            slave.rest_s = min(2 * slave.rest_s, max(first_s, REST_S_MAX)) or first_s
            wait_s = max(wait_s, slave.rest_s)
        slave.not_before = self._clock.monotonic() + wait_s

    def _note(self, reason: str) -> None:
        self._health.count(reason)
        self._sink.noise(self.name, reason)
