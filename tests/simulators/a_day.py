"""A simulated day on a virtual clock: every device of a gateway speaks, every byte goes through the
framers, readers and envelopes of the real links into the real intake, and nothing waits.

    day = Day(city.gateways[0], faults, seed, folder)
    day.live(hours=24)
    day.tally.counts, day.rows, day.lines

Polls, answers, frames and uplinks happen at the moments they would. What a link decides between a
byte and the intake (silence is `timeout`, a frame that isn't one is noise) is decided here alike.
"""

from __future__ import annotations

import functools
import heapq
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from devices.chirpstack import read_envelope
from devices.driver import Frame, HotspotLink, ModbusLink, Noise, UartLink, load_driver
from devices.envelope import Uplink
from devices.modbus import Request, ResponseReader
from devices.reading import Payload, Refusal, Undecodable
from edge.configuration import load_configuration
from edge.intake import Intake
from edge.records import Line, Tally
from simulators.ailments import Health
from simulators.city import City, Gateway, Placed
from simulators.envelopes import ChirpStack
from simulators.faults import Faults
from simulators.gateway_files import write_gateway_files
from simulators.local_time import HOUR_MS
from simulators.radio import Air
from simulators.radio_devices import RadioDevice
from simulators.seeds import generator
from simulators.serial_devices import Slave, Speaker
from simulators.truth import Row
from simulators.voices import Voice
from simulators.world import World
from wire.configuration import Broker

START_MS = 1_795_136_400_000
BROKER = Broker(port=1)
Act = Callable[[int], None]


class Now:
    """The day's clock; the intake asks for nothing else of it."""

    def __init__(self, now_ms: int) -> None:
        self.ms = now_ms

    def now_ms(self) -> int:
        return self.ms

    def uptime_s(self) -> float:
        return self.ms / 1000


class Day:
    """One gateway's day."""

    def __init__(self, gateway: Gateway, faults: Faults, seed: int, folder: Path) -> None:
        city = City(seed, (gateway,))
        [path] = write_gateway_files(city, folder, cloud_broker=BROKER, site_broker=BROKER)
        self.configuration = load_configuration(path.read_text(), str(path))
        self.world = World(city, START_MS)
        self.clock, self.tally = Now(START_MS), Tally()
        self.rows: list[Row] = []
        self.lines: list[Line] = []
        self.noise: Counter[str] = Counter()
        self._taken: set[tuple[str, str, int]] = set()
        self._intake = Intake(self.configuration, self.clock, self.tally, lambda: True, {})  # type: ignore[arg-type]
        self.faults, self.seed = faults, seed
        self.health: dict[str, Health] = {}
        self._draws = generator(seed, gateway.name, "day")
        radio = [RadioDevice(seed, one, self._sight(one), faults) for one in gateway.by_radio]
        air_draws = generator(seed, gateway.name, "faults")
        self._air = Air(radio, ChirpStack(gateway.application_id), faults, air_draws)
        wired = {one.name: one for one in gateway.devices if not one.dev_eui}
        self._polls = [
            (int(1000 * device.poll_interval_s), self._poll(wired[device.name]))
            for device in self.configuration.device
            if device.name in wired
        ]

    def live(self, hours: float) -> None:
        """From the day's beginning; call it once."""
        end_ms = START_MS + int(hours * HOUR_MS)
        for time_ms, act in heapq.merge(*self._times(), key=lambda due: due[0]):
            if time_ms > end_ms:
                return
            self.clock.ms = max(self.clock.ms, time_ms)
            act(time_ms)

    def states(self, device: str, field: str) -> list[tuple[int, float]]:
        """What was told of a device: when, and the field's value."""
        pattern = re.compile(rf"[ ,]{field}=([-\d.e]+)")
        own = [line for line in self.lines if line.device == device]
        found = [(line.time_ms, pattern.search(line.text)) for line in own]
        return sorted((time_ms, float(value[1])) for time_ms, value in found if value)

    def _sight(self, one: Placed):
        return self.world.sight(one.name)

    def _times(self) -> list[Iterator[tuple[int, Act]]]:
        def polled(interval_ms: int, act: Act, offset_ms: int) -> Iterator[tuple[int, Act]]:
            time_ms = START_MS + offset_ms
            while True:
                yield time_ms, act
                time_ms += interval_ms

        def heard() -> Iterator[tuple[int, Act]]:
            for delivery in self._air.deliveries(START_MS):
                yield delivery.due_ms, functools.partial(self._hear, delivery.events)

        times = [polled(every, act, 37 * nth) for nth, (every, act) in enumerate(self._polls)]
        return [*times, heard()]

    def _poll(self, one: Placed) -> Act:
        driver = load_driver(one.driver)
        if isinstance(driver.link, ModbusLink):
            slave = Slave(self.seed, one, self._sight(one), self.faults)
            return lambda now: self._ask(one, driver.link, slave, now)
        if isinstance(driver.link, UartLink):
            speaker = Speaker(self.seed, one, self._sight(one), self.faults)
            framer = driver.link.framer()
            return lambda now: self._listen(one, speaker, framer, now)
        assert isinstance(driver.link, HotspotLink)
        voice = Voice(self.seed, one, self._sight(one), self.faults)

        def visit(now: int) -> None:
            said = voice.says(now)
            self.rows.append(voice.row(said, "asked", now))
            self._take(one.name, said.payload)

        return visit

    def _ask(self, one: Placed, link, slave: Slave, now: int) -> None:
        data = b""
        for asked in link.at_node(one.node or 0):
            request = Request(one.unit, asked.function, asked.register, asked.count)
            assert slave.answers(request)
            fault = slave.fault(self._draws)
            answer = slave.answer(request, now, fault, self._draws)
            self.rows += [answer.row] if answer.row else []
            reader = ResponseReader(one.unit, asked.function, asked.count)
            registers = None
            try:
                if fault != "late":
                    for byte in answer.data:
                        registers = reader.feed(bytes((byte,)))
                        if registers is not None:
                            break
                if registers is None:
                    raise reader.silence()
            except Undecodable as error:
                self._intake.refuse(error.reason)
                return
            data += registers
        self._take(one.name, Payload(data))

    def _listen(self, one: Placed, speaker: Speaker, framer, now: int) -> None:
        data, row = speaker.frame(now)
        self.rows += [row] if row else []
        for found in framer.feed(data):
            if isinstance(found, Frame):
                self._take(one.name, Payload(found.data))
            else:
                self.noise[one.name] += 1

    def _take(self, device: str, payload: Payload) -> None:
        self.lines += self._intake.take_polled(device, payload)

    def _hear(self, events, _now: int) -> None:
        for event in events:
            if event.row:
                self.rows.append(event.row)
            if not event.payload:
                continue
            found = read_envelope(self._air.topic(event), event.payload)
            if isinstance(found, Noise):
                self.noise["lorawan"] += 1
            elif isinstance(found, Uplink):
                for line in self._intake.take_uplink(found):
                    key = (line.device, line.kind, line.time_ms)
                    if key in self._taken:  # the outbox's journal keeps them for 31 days
                        self.tally.add("refused", Refusal.REPEAT)
                    else:
                        self._taken.add(key)
                        self.lines.append(line)
