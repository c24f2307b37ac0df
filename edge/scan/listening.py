"""Sensors with a port of their own: listen at every speed that a driver knows.

In: a port. Out: the sensor, once some driver's frames have come twice with values that driver
believes. Sensors that wait for a question are asked each driver's own. Two frames, since one of
four bytes with an eight-bit sum comes out of noise once in 256.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from devices.driver import Driver, Frame, UartLink, driver_names, load_driver
from devices.reading import Payload, Undecodable, Values, check_fields
from edge.links.serial_port import SerialPort
from edge.scan import Found, Tell
from wire.clock import Clock
from wire.sentence import told

LISTEN_S = 1.5
ASK_S = 0.4
FRAMES = 2


def uart_drivers() -> dict[tuple[int, str], list[Driver]]:
    """Drivers by speed and parity, the commonest speed first."""
    drivers: dict[tuple[int, str], list[Driver]] = defaultdict(list)
    for name in driver_names():
        driver = load_driver(name)
        if isinstance(driver.link, UartLink):
            drivers[driver.link.baudrate, driver.link.parity].append(driver)
    return dict(sorted(drivers.items(), key=lambda item: -len(item[1])))


async def listen(port: str, clock: Clock, tell: Tell) -> Found | None:
    """The sensor on that port, or None.

    Raises:
        PortDown: the port can't be used.
    """
    settings = uart_drivers()
    for done, ((baudrate, parity), drivers) in enumerate(settings.items()):
        tried = told("{port}: a sensor of its own, {baudrate} baud", port=port, baudrate=baudrate)
        tell(tried, done, len(settings))
        line = SerialPort(port, baudrate, parity, clock)
        await line.open()
        try:
            found = await _listen_at(line, (baudrate, parity), drivers, clock)
        finally:
            line.close()
        if found is not None:
            return found
    return None


async def _listen_at(
    line: SerialPort, setting: tuple[int, str], drivers: Sequence[Driver], clock: Clock
) -> Found | None:
    heard = _Ears(drivers)
    await _hear(line, heard, clock.monotonic() + LISTEN_S, clock)
    for question in heard.questions():
        if heard.best():
            break
        for _ in range(FRAMES):
            await line.write(question)
            await _hear(line, heard, clock.monotonic() + ASK_S, clock)
    names = heard.best()
    if not names:
        return None
    frame, values = heard.newest[names[0]]
    return Found(line.path, *setting, None, names, dict(values.fields), frame)


async def _hear(line: SerialPort, heard: _Ears, deadline: float, clock: Clock) -> None:
    while clock.monotonic() < deadline and not heard.best():
        data = await line.read(deadline)
        heard.feed(data)


class _Ears:
    """Every driver's framer on the same bytes."""

    def __init__(self, drivers: Sequence[Driver]) -> None:
        self._links: Mapping[str, tuple[Driver, UartLink]] = {
            driver.name: (driver, driver.link)
            for driver in drivers
            if isinstance(driver.link, UartLink)
        }
        self._framers = {name: link.framer() for name, (_, link) in self._links.items()}
        self._frames: Counter[str] = Counter()
        self.newest: dict[str, tuple[bytes, Values]] = {}

    def questions(self) -> Iterator[bytes]:
        """What drivers say to make a sensor speak, each once."""
        asked = [
            question
            for _, link in self._links.values()
            for question in (link.trigger, link.poll)
            if question
        ]
        yield from dict.fromkeys(asked)

    def feed(self, data: bytes) -> None:
        for name, (driver, _) in self._links.items():
            for piece in self._framers[name].feed(data):
                if isinstance(piece, Frame) and (values := believed(driver, piece.data)):
                    self._frames[name] += 1
                    self.newest[name] = piece.data, values

    def best(self) -> tuple[str, ...]:
        """Drivers that have read enough frames, most first."""
        return tuple(name for name, count in self._frames.most_common() if count >= FRAMES)


def believed(driver: Driver, data: bytes) -> Values | None:
    """What the driver reads, if it is within what its kind can be."""
    try:
        values = driver.decode(Payload(data))[0]
        check_fields(driver.kind, values.fields)
    except Undecodable:
        return None
    return values
