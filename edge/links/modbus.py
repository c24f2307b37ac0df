"""Modbus RTU master: one RS-485 bus, its slaves asked in turn.

In: registers of slaves. Out: to the sink, a payload an answer, and a refusal for each question
that got none.

Schedule: every device has its own poll interval in city time; the one that has waited longest is
asked next, so a bus that can't keep up slows all alike. A reading may take several exchanges; all
are made, or it is refused once. An exchange is one question, one answer, one deadline for both
(what their bytes take on the line, and answer_timeout_s), then the silence that the standard asks
for.

    an answer that came too late   flushed before the next question; if it comes after it, it bears
                                   another unit: counted as noise `late`, and the wait goes on
    the same unit again            not before late_answer_s: nothing in an answer says which
                                   question it answers, only that it can't be as old as that
    after a failure                the line must fall quiet first
    failures_before_rest failures  the unit leaves the cycle and is asked again after rest_s, then
                                   twice as long, up to a minute; one good answer ends it. A Modbus
                                   exception is no failure here: it costs no time, and the slave
                                   is alive
    all rested, one answers        the bus was out, not the slaves: all are asked again

Devices behind one unit (a radio gateway's nodes) share its failures and its rest: the unit is
what answers or doesn't, and costs the bus one time-out a minute however many hang on it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress

from devices.driver import ModbusLink, RegisterRange
from devices.modbus import FRAMING_SIZE, ResponseReader, build_request
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
LOOK_S = 1.0  # wall: somebody may want a device out of its turn
NAMED_MAX = 8  # devices at rest that the status names


class Unit:
    """One address on the bus and how it has been doing."""

    def __init__(self, address: int) -> None:
        self.address = address
        self.not_before = 0.0  # wall, monotonic
        self.late_until = 0.0  # wall, monotonic: an answer may be an earlier question's
        self.failures = 0
        self.rest_s = 0.0  # 0: in the cycle

    def wake(self) -> None:
        """Ask it again, at rest or not, as soon as no late answer can be taken for the next."""
        self.not_before = min(self.not_before, self.late_until)


class Slave:
    """One device on the bus: what is asked, and when next."""

    def __init__(
        self, device: str, unit: int, asks: ModbusLink, poll_interval_s: float, node: int = 0
    ) -> None:
        self.device, self.asks = device, asks
        self.reads = asks.at_node(node)
        self.unit = Unit(unit)  # the bus joins those of one address
        self.interval_s = poll_interval_s
        self.due_s = 0.0  # city uptime

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
        self._units: Mapping[int, Unit] = {slave.unit.address: slave.unit for slave in slaves}
        for slave in slaves:
            slave.unit = self._units[slave.unit.address]
        self._sink, self._clock = sink, clock
        self._health = Health(settings.name)

    @property
    def name(self) -> str:
        return self._health.name

    async def run(self) -> None:
        """Serve until cancelled."""
        await serve_port(self._port, self._serve, self._health, self._clock)

    def ask_soon(self, device: str) -> None:
        """Out of its turn, at rest or not."""
        for slave in self._slaves:
            if slave.device == device:
                slave.due_s = -math.inf  # before all that are due
                slave.unit.wake()

    def set_interval(self, device: str, seconds: float) -> None:
        """From now on."""
        for slave in self._slaves:
            if slave.device == device:
                slave.interval_s = seconds
                slave.due_s = min(slave.due_s, self._clock.uptime_s() + seconds)

    def status(self) -> LinkStatus:
        """Errors are counted as `device:reason`; `detail` names the devices at rest."""
        return self._health.status()

    async def _serve(self) -> None:
        self._tell_rests()
        while True:
            slave = await self._turn()
            slave.plan(self._clock.uptime_s())
            try:
                registers = await self._read(slave)
            except Undecodable as error:
                self._health.count(f"{slave.device}:{error.reason}")
                self._sink.refused(slave.device, error.reason)
                if error.reason is Refusal.EXCEPTION:
                    self._recover(slave.unit)
                else:
                    self._fail(slave.unit)
                    await self._quiet()
            else:
                self._recover(slave.unit)
                self._sink.polled(slave.device, Payload(registers))
            await self._clock.pause(self._silent_s)

    async def _turn(self) -> Slave:
        """Wait until a slave is due; of several the one that has waited longest."""
        while True:
            wall, city_s = self._clock.monotonic(), self._clock.uptime_s()
            awake = [slave for slave in self._slaves if slave.unit.not_before <= wall]
            first = min(awake, key=lambda slave: slave.due_s, default=None)
            if first and first.due_s <= city_s:
                return first
            wakes = (unit.not_before for unit in self._units.values() if unit.not_before > wall)
            wait_s = min((wall + LOOK_S, *wakes)) - wall
            if first:
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._clock.sleep(first.due_s - city_s)
            else:
                await self._clock.pause(wait_s)

    async def _read(self, slave: Slave) -> bytes:
        """All registers of one reading, range by range.

        Raises:
            Undecodable: one of them got no answer, or none that can be used.
            PortDown: the port is gone.
        """
        registers = b""
        for nth, asked in enumerate(slave.reads):
            if nth:
                await self._clock.pause(self._silent_s)
            registers += await self._exchange(slave.unit.address, asked)
        return registers

    async def _exchange(self, unit: int, asked: RegisterRange) -> bytes:
        if self._port.flush_input():
            self._note("late")
        request = build_request(unit, asked.function, asked.register, asked.count)
        reader = ResponseReader(unit, asked.function, asked.count, echo=request)
        on_the_line_s = self._port.character_s * (len(request) + FRAMING_SIZE + asked.size)
        deadline = self._clock.monotonic() + self._settings.answer_timeout_s + on_the_line_s
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
                    reader = ResponseReader(unit, asked.function, asked.count)
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

    def _recover(self, unit: Unit) -> None:
        rested = unit.rest_s > 0
        if rested and all(other.rest_s for other in self._units.values()):
            for other in self._units.values():
                other.wake()
        unit.failures, unit.rest_s, unit.not_before = 0, 0.0, 0.0
        if rested:
            self._tell_rests()

    def _fail(self, unit: Unit) -> None:
        unit.failures += 1
        wait_s = max(self._settings.answer_timeout_s, self._settings.late_answer_s)
        if unit.failures >= self._settings.failures_before_rest:
            first_s = self._settings.rest_s
            unit.rest_s = min(2 * unit.rest_s, max(first_s, REST_S_MAX)) or first_s
            wait_s = max(wait_s, unit.rest_s)
            self._tell_rests()
        now_s = self._clock.monotonic()
        unit.not_before, unit.late_until = now_s + wait_s, now_s + self._settings.late_answer_s

    def _tell_rests(self) -> None:
        names = [slave.device for slave in self._slaves if slave.unit.rest_s]
        if len(names) > NAMED_MAX:
            names = [*names[:NAMED_MAX], f"{len(names) - NAMED_MAX} more"]
        self._health.up(f"no good answer from {', '.join(names)}" if names else "")

    def _note(self, reason: str) -> None:
        self._health.count(reason)
        self._sink.noise(self.name, reason)
