"""What a driver is, and how one is found.

A driver is one file `devices/<model>.py` that ends in `DRIVER = Driver(...)`, with its vectors
beside it in `devices/<model>.vectors.toml`. Adding a sensor adds these two files and edits no
other: a vectors file in the folder is what makes its neighbour a driver.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec

from devices.reading import Payload, Values

VECTORS_SUFFIX = ".vectors.toml"
HERE = Path(__file__).parent
"""Not by importlib.resources, which is a megabyte of an agent."""


class Frame(msgspec.Struct, frozen=True):
    """A whole frame with a good integrity check, as the device sent it."""

    data: bytes


class Noise(msgspec.Struct, frozen=True):
    """Bytes that are no frame: `reason` is `checksum`, `garbage`, `truncated` or `encrypted`."""

    reason: str
    size: int


class Framer(Protocol):
    """Finds frames in a byte stream that begins anywhere. No clock, no IO, bounded memory."""

    def feed(self, data: bytes) -> list[Frame | Noise]:
        """Take the next bytes; return what they complete, in order."""
        ...

    def reset(self) -> None:
        """Forget a half-read frame, as after the port was opened again."""
        ...


class UartLink(msgspec.Struct, frozen=True):
    """A sensor that talks on a serial port of its own.

    `poll` is what makes it answer (empty for one that sends by itself). `trigger` is what makes it
    measure, sent `measures_s` before `poll`, for a sensor that answers with what it measured last.
    """

    framer: Callable[[], Framer]
    baudrate: int = 9600
    poll: bytes = b""
    parity: str = "N"
    trigger: bytes = b""
    measures_s: float = 0.0


class RegisterRange(msgspec.Struct, frozen=True):
    """`count` registers from `register` on, or as many bits for functions 1 and 2."""

    function: int
    register: int
    count: int

    @property
    def size(self) -> int:
        """Bytes of the answer: two a register, eight bits a byte."""
        return -(-self.count // 8) if self.function in (1, 2) else 2 * self.count


class ModbusLink(msgspec.Struct, frozen=True):
    """A Modbus RTU slave: which registers one reading takes (`Payload.data` is their bytes).

    `more` are further ranges of the same reading, asked one after the other; the payload is all
    answers' bytes in that order. `stride` is how many registers further the next node of the same
    unit begins, for a gateway or a controller with many sensors behind one address; 0 for a slave
    that is one device.
    """

    function: int
    register: int
    count: int
    baudrate: int = 9600
    parity: str = "N"
    more: tuple[RegisterRange, ...] = ()
    stride: int = 0

    @property
    def reads(self) -> tuple[RegisterRange, ...]:
        """Every range of one reading, in the payload's order, of node 0."""
        return (RegisterRange(self.function, self.register, self.count), *self.more)

    def at_node(self, node: int) -> tuple[RegisterRange, ...]:
        """Every range of one reading of that node."""
        further = node * self.stride
        return tuple(
            RegisterRange(one.function, one.register + further, one.count) for one in self.reads
        )


class LorawanLink(msgspec.Struct, frozen=True):
    """A LoRaWAN device behind a network server."""


class ObjectLink(LorawanLink, frozen=True):
    """A LoRaWAN device that somebody else decodes (`Payload.data` is the JSON object they made):
    its network server, or the vendor's JavaScript in the file `decoder`."""

    decoder: str = ""


class TopicLink(msgspec.Struct, frozen=True):
    """A device that publishes on an MQTT topic of its own (`Payload.data` is JSON). `own_time`: its
    messages say when they were measured."""

    own_time: bool = False


class HotspotLink(msgspec.Struct, frozen=True):
    """An OpenWrt access point asked over ubus (`Payload.data` is a JSON object of its answers)."""


class RouterosLink(msgspec.Struct, frozen=True):
    """A RouterOS access point asked over REST (`Payload.data`: a JSON object of its answers)."""


class SnmpLink(msgspec.Struct, frozen=True):
    """Any access point asked over SNMP (`Payload.data`: a JSON object of what it said)."""


Link = UartLink | ModbusLink | LorawanLink | TopicLink | HotspotLink | RouterosLink | SnmpLink


class Driver(msgspec.Struct, frozen=True):
    """One product, or one family with the same layout.

    Args:
        name: the module's name, used in configurations.
        vendor: who makes it, as printed on it.
        models: the product names this file decodes.
        kind: the kind of its readings, a key of `KINDS`.
        link: how it is reached.
        decode: payload to values, one for each record in it; raises `Undecodable`, nothing else.
        encode: values to the payload that this model would send for them; the inverse of decode
            within the sensor's resolution, and its voice in the simulator.
        raw_field: the field that holds the sensor's own measurement.
        resolution: smallest step of `raw_field`.
        heartbeat_s: how often it reports by itself with factory settings.
    """

    name: str
    vendor: str
    models: tuple[str, ...]
    kind: str
    link: Link
    decode: Callable[[Payload], tuple[Values, ...]]
    encode: Callable[[Values], Payload]
    raw_field: str
    resolution: float
    heartbeat_s: float


class UnknownDriver(LookupError):
    """A driver name that isn't in the folder; the message lists the names that are."""


def driver_names() -> tuple[str, ...]:
    """Names of all drivers in the folder, sorted."""
    names = (item.name for item in HERE.iterdir())
    return tuple(
        sorted(n.removesuffix(VECTORS_SUFFIX) for n in names if n.endswith(VECTORS_SUFFIX))
    )


def load_driver(name: str) -> Driver:
    """The driver of that name; only its own file is imported.

    Raises:
        UnknownDriver: no such file; the message lists what there is.
    """
    if name not in driver_names():
        raise UnknownDriver(f"no driver {name!r}; there are: {', '.join(driver_names())}")
    driver: Driver = importlib.import_module(f"devices.{name}").DRIVER
    return driver
