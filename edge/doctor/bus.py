"""An RS-485 bus, examined: each slave asked its own questions, round by round, with patience.

In: a port, who hangs on it and what is asked. Out: for each slave how quickly it answered and how
it failed, and what was on the bus while nobody was asked. What that means says `bus_advice.py`.

    idle          first the bus is listened to: bytes are noise, whole requests are another master
    answer time   from the question's end to the answer's, less the time their bytes take on the
                  line; the adapter's latency (1 to 16 ms for USB) is in it
    patience      WAIT_S for each answer, more than the agent has: a slow slave is told apart from a
                  silent one
    afterwards    the bus is heard until it is quiet: a second whole answer to one question comes
                  from a second device with that address
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import msgspec

from devices.driver import ModbusLink, RegisterRange
from devices.modbus import FRAMING_SIZE, Request, RequestReader, ResponseReader, build_request
from devices.reading import Refusal, Undecodable
from edge.configuration import EdgeConfiguration
from edge.drivers import driver_of
from edge.link_settings import ModbusPort
from edge.links.serial_port import SerialPort
from wire.clock import Clock

ROUNDS = 20
WAIT_S = 1.0
IDLE_S = 1.0
QUIET_S = 0.03
"""USB adapters hand bytes over every 16 ms."""

_SILENT_S_MIN, _SILENT_CHARACTERS = 0.00175, 3.5


class SlaveRecord(msgspec.Struct):
    """One address. `answer_s` has each good answer's time, an exception's included, since the slave
    is alive; `failed` counts the others by reason. `stray` are questions with bytes around a good
    answer, `twice` those that two devices answered, `strangers` answers of another address.
    `busy_share` is how much of the bus's time the slave's polls take."""

    unit: int
    devices: tuple[str, ...]
    asked: int = 0
    answer_s: list[float] = msgspec.field(default_factory=list)
    failed: Counter[str] = msgspec.field(default_factory=Counter)
    stray: int = 0
    twice: int = 0
    strangers: int = 0
    busy_share: float = 0.0


class BusRecord(msgspec.Struct):
    """A whole examination."""

    port: str
    baudrate: int
    parity: str
    answer_timeout_s: float
    idle_s: float = 0.0
    idle_bytes: int = 0
    idle_requests: int = 0
    slaves: list[SlaveRecord] = msgspec.field(default_factory=list)


class _Asked(msgspec.Struct):
    record: SlaveRecord
    reads: Sequence[RegisterRange]
    interval_s: float


async def examine(
    configuration: EdgeConfiguration,
    settings: ModbusPort,
    clock: Clock,
    rounds: int = ROUNDS,
    tell: Callable[[int, int], None] = lambda done, whole: None,
) -> BusRecord:
    """Ask every slave of that link so many times.

    Raises:
        PortDown: the port can't be used, or was lost in the middle.
    """
    asked, first = _slaves(configuration, settings)
    baudrate, parity = settings.baudrate or first.baudrate, settings.parity or first.parity
    record = BusRecord(settings.port, baudrate, parity, settings.answer_timeout_s)
    record.slaves = list({one.record.unit: one.record for one in asked}.values())
    line = SerialPort(settings.port, baudrate, parity, clock)
    await line.open()
    try:
        await _listen(line, record, clock)
        for done in range(rounds):
            for at, one in enumerate(asked):
                tell(done * len(asked) + at, rounds * len(asked))
                began = clock.monotonic()
                for each in one.reads:
                    await _exchange(line, one.record, each, clock)
                one.record.busy_share += (clock.monotonic() - began) / one.interval_s / rounds
    finally:
        line.close()
    return record


def _slaves(
    configuration: EdgeConfiguration, settings: ModbusPort
) -> tuple[list[_Asked], ModbusLink]:
    """What the agent would ask there; devices of one address share a record."""
    names: dict[int, list[str]] = {}
    asks: list[tuple[int, ModbusLink, int, float]] = []
    for device in configuration.device:
        link = driver_of(configuration, device).link
        if device.link == settings.name and isinstance(link, ModbusLink):
            unit = device.unit or 0
            names.setdefault(unit, []).append(device.name)
            asks.append((unit, link, device.node, device.poll_interval_s))
    records: Mapping[int, SlaveRecord] = {
        unit: SlaveRecord(unit, tuple(devices)) for unit, devices in names.items()
    }
    asked = [_Asked(records[unit], link.at_node(node), every) for unit, link, node, every in asks]
    return asked, asks[0][1]


async def _listen(line: SerialPort, record: BusRecord, clock: Clock) -> None:
    """What is on the bus while we ask nobody."""
    reader = RequestReader()
    began = clock.monotonic()
    while data := await line.read(began + IDLE_S):
        record.idle_bytes += len(data)
        record.idle_requests += sum(isinstance(one, Request) for one in reader.feed(data))
    record.idle_s = IDLE_S


async def _exchange(
    line: SerialPort, record: SlaveRecord, asked: RegisterRange, clock: Clock
) -> None:
    """One question and all that comes of it, until the bus is quiet."""
    record.asked += 1
    record.stray += line.flush_input() > 0
    request = build_request(record.unit, asked.function, asked.register, asked.count)
    line_s = line.character_s * (len(request) + FRAMING_SIZE + asked.size)
    began = clock.monotonic()
    await line.write(request)
    reader = ResponseReader(record.unit, asked.function, asked.count, echo=request)
    rest = b""
    failure: Undecodable | None = None
    while data := await line.read(began + WAIT_S + line_s):
        answered, rest, failure = _heard(reader, data)
        if answered or failure is not None:
            break
    took_s = max(0.0, clock.monotonic() - began - line_s)
    if not data:
        failure = reader.silence()
    rest += await _until_quiet(line, clock)
    if failure is None or failure.reason is Refusal.EXCEPTION:
        record.answer_s.append(took_s)
    if failure is not None and failure.reason is Refusal.WRONG_UNIT:
        record.strangers += 1
    if failure is not None:
        record.failed[failure.reason] += 1
    elif _is_answer(rest, record.unit, asked):
        record.twice += 1
    elif rest or reader.skipped:
        record.stray += 1


def _heard(reader: ResponseReader, data: bytes) -> tuple[bool, bytes, Undecodable | None]:
    """Whether the answer is whole now, what came behind it, and why it can't be used."""
    for end, byte in enumerate(data, 1):
        try:
            if reader.feed(bytes((byte,))) is not None:
                return True, data[end:], None
        except Undecodable as error:
            return False, data[end:], error
    return False, b"", None


def _is_answer(rest: bytes, unit: int, asked: RegisterRange) -> bool:
    """Whether a second answer to the same question stands in what came afterwards."""
    try:
        return ResponseReader(unit, asked.function, asked.count).feed(rest) is not None
    except Undecodable:
        return False


async def _until_quiet(line: SerialPort, clock: Clock) -> bytes:
    """What still comes; a babbling bus costs WAIT_S at most."""
    silent_s = max(_SILENT_S_MIN, _SILENT_CHARACTERS * line.character_s)
    deadline, heard = clock.monotonic() + WAIT_S, b""
    while clock.monotonic() < deadline:
        data = await line.read(min(deadline, clock.monotonic() + QUIET_S + silent_s))
        if not data:
            break
        heard += data
    return heard
