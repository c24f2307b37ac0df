"""Modbus slaves on a bus: every address is asked at every speed a driver knows.

In: a port. Out: the slaves that answered, a Modbus exception included, with the drivers that read
what they said. An address that is silent costs a time-out: 247 of them 20 seconds a speed. All
speeds are tried unless the first with an answer is enough: slaves of several speeds can hang on one
cable, though a bus reads one speed only.
"""

from __future__ import annotations

from collections.abc import Sequence

from devices.driver import Driver, ModbusLink, RegisterRange, driver_names, load_driver
from devices.modbus import FRAMING_SIZE, REQUEST_SIZE, ResponseReader, build_request
from devices.reading import Refusal, Undecodable
from edge.links.serial_port import SerialPort
from edge.scan import Found, Tell
from edge.scan.listening import believed
from wire.clock import Clock
from wire.sentence import told

ADDRESSES = range(1, 248)
ANSWER_S = 0.06
"""Beside the bytes' own time. Slaves answer within 10 to 50 ms; a bus doctor finds slower ones."""

SPEEDS = (9600, 19200, 115200, 4800)
PARITIES = ("N", "E")
_PROBE = RegisterRange(3, 0, 1)
ALIVE = (Refusal.EXCEPTION, Refusal.LENGTH, Refusal.CHECKSUM)
"""Answers that can't be used, and say all the same that somebody is there."""


async def search(
    port: str,
    clock: Clock,
    tell: Tell,
    addresses: Sequence[int] = ADDRESSES,
    speeds: Sequence[int] = SPEEDS,
    first_only: bool = False,
) -> list[Found]:
    """The slaves on that port.

    Raises:
        PortDown: the port can't be used.
    """
    settings = [(speed, parity) for parity in PARITIES for speed in speeds]
    all_found: list[Found] = []
    for done, (speed, parity) in enumerate(settings):
        line = SerialPort(port, speed, parity, clock)
        await line.open()
        try:
            for at, unit in enumerate(addresses):
                tell(
                    told(
                        "{port}: slaves at {speed} baud, parity {parity}, address {unit}",
                        port=port,
                        speed=speed,
                        parity=parity,
                        unit=unit,
                    ),
                    done * len(addresses) + at,
                    len(settings) * len(addresses),
                )
                if await _is_there(line, unit, clock):
                    all_found.append(await _recognised(line, (speed, parity), unit, clock))
        finally:
            line.close()
        if all_found and first_only:
            break
    return all_found


async def _is_there(line: SerialPort, unit: int, clock: Clock) -> bool:
    try:
        await _exchange(line, unit, _PROBE, clock)
    except Undecodable as error:
        return error.reason in ALIVE
    return True


async def _recognised(line: SerialPort, setting: tuple[int, str], unit: int, clock: Clock) -> Found:
    """Which drivers read it. A driver asks its own registers, so a slave that answers them all with
    values its kind can have is very likely that model."""
    found: list[tuple[Driver, bytes]] = []
    for name in driver_names():
        driver = load_driver(name)
        if not isinstance(driver.link, ModbusLink):
            continue
        try:
            parts = [await _exchange(line, unit, each, clock) for each in driver.link.reads]
        except Undecodable:
            continue
        data = b"".join(parts)
        if believed(driver, data):
            found.append((driver, data))
    found.sort(key=lambda item: -len(item[1]))  # who asked for more knows better
    names = tuple(driver.name for driver, _ in found)
    values = believed(*found[0]) if found else None
    raw = found[0][1] if found else b""
    return Found(line.path, *setting, unit, names, dict(values.fields) if values else {}, raw)


async def _exchange(line: SerialPort, unit: int, asked: RegisterRange, clock: Clock) -> bytes:
    """One question, one answer.

    Raises:
        Undecodable: no answer, or none that can be used.
        PortDown: the port is gone.
    """
    request = build_request(unit, asked.function, asked.register, asked.count)
    line.flush_input()
    await line.write(request)
    size = REQUEST_SIZE + FRAMING_SIZE + asked.size
    deadline = clock.monotonic() + ANSWER_S + size * line.character_s
    reader = ResponseReader(unit, asked.function, asked.count, request)
    while data := await line.read(deadline):
        registers = reader.feed(data)
        if registers is not None:
            return registers
    raise reader.silence()
