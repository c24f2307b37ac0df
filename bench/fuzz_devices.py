"""What devices and network servers say, for `bench.fuzz`.

Takers: every driver's `decode`, every framer, Modbus's two readers, every envelope. Each may give
values within its kind, noise, or its one typed refusal.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import msgspec

from bench.fuzz_inputs import mutated_serial, mutated_text
from bench.fuzzing import Broken, Taker
from devices import chirpstack, milesight_gateway, things_stack
from devices.driver import Driver, ModbusLink, UartLink, driver_names, load_driver
from devices.envelope import Uplink
from devices.kinds import KINDS, FieldType
from devices.line_points import read_points
from devices.modbus import RequestReader, ResponseReader, build_request, build_response
from devices.reading import Payload, Undecodable, check_fields
from devices.vectors import read_vectors

TIME_MS = 1_795_136_400_000
TYPES = {FieldType.INTEGER: int, FieldType.FLOAT: float, FieldType.TEXT: str}


def decoding(driver: Driver) -> Taker:
    """A driver: values within its kind in the kind's own types, or a refusal."""
    payloads = [vector.payload for vector in read_vectors(driver.name)]
    ports = sorted({payload.port for payload in payloads} | {0, 1, 85, 255})
    fields = KINDS[driver.kind].fields

    def take(data: bytes, draw: random.Random) -> str:
        try:
            told = driver.decode(Payload(data, draw.choice(ports)))
        except Undecodable as error:
            return f"refused {error.reason}"
        for values in told:
            check_fields(driver.kind, values.fields)
            if any(
                type(said) is not TYPES[fields[name].type] for name, said in values.fields.items()
            ):
                raise Broken(f"a value of another type in {values.fields}")
        return "decoded" if told else "nothing for a city"

    return Taker("drivers", driver.name, [payload.data for payload in payloads], take)


def framing(driver: Driver, link: UartLink) -> Taker:
    """A framer: every byte is in a frame, in noise, or waits; what waits is bounded."""
    frames = [v.payload.data for v in read_vectors(driver.name) if v.refused is None]

    def take(data: bytes, draw: random.Random) -> str:
        framer, seen, cut = link.framer(), 0, draw.randrange(len(data) + 1)
        for part in (data[:cut], data[cut:]):
            for found in framer.feed(part):
                seen += found.size if hasattr(found, "size") else len(found.data)
        if not 0 <= len(data) - seen < 2 * max(map(len, frames)) + 8:
            raise Broken(f"{len(data)} bytes in, {seen} told")
        return "framed"

    return Taker("framers", driver.name, [b"".join(frames), *frames], take, mutated_serial)


def modbus(driver: Driver, link: ModbusLink) -> Taker:
    """Modbus's readers: the registers that were asked for, or a refusal."""
    asked = link.reads[0]
    registers = bytes(range(asked.size % 256)) or bytes(asked.size)
    answer = build_response(1, asked.function, registers)
    request = build_request(1, asked.function, asked.register, asked.count)

    def take(data: bytes, draw: random.Random) -> str:
        RequestReader().feed(data)
        reader = ResponseReader(
            1, asked.function, asked.count, request if draw.random() < 0.3 else b""
        )
        try:
            told = reader.feed(data)
        except Undecodable as error:
            return f"refused {error.reason}"
        if told is None:
            return f"refused {reader.silence().reason}"
        if len(told) != asked.size:
            raise Broken(f"{len(told)} bytes of registers, not {asked.size}")
        return "decoded"

    return Taker("modbus", driver.name, [answer, request, request + answer], take, mutated_serial)


def envelopes() -> list[Taker]:
    """The network servers' messages, and line protocol."""
    uplink = Uplink("24e124713b391234", 85, bytes.fromhex("01755c04824408"), TIME_MS)
    ours = chirpstack.write_envelope(uplink)
    theirs = things_stack.write_envelope(uplink)
    gateway = msgspec.json.encode(
        {"devEUI": uplink.dev_eui, "data": "AXVc", "fPort": 85, "time": "2026-11-20T12:00:00Z"}
    )
    topics = (chirpstack.topic_of(uplink), "v3/app@ttn/devices/one/up", "milesight/uplink", "")
    readers = {
        "chirpstack": (chirpstack.read_envelope, [ours]),
        "things_stack": (things_stack.read_envelope, [theirs]),
        "milesight_gateway": (milesight_gateway.read_envelope, [gateway]),
    }

    def taking(read: Callable[[str, bytes], object]) -> Callable[[bytes, random.Random], str]:
        return lambda data, draw: type(read(draw.choice(topics), data)).__name__

    made = [
        Taker("envelopes", name, seeds, taking(read), mutated_text)
        for name, (read, seeds) in readers.items()
    ]
    points = [b'bin,device=b-1 level=0.5,ok=t,text="a\\"b" 1795136400000000000\n']
    lines = Taker(
        "envelopes",
        "line_points",
        points,
        lambda data, _: "points" if read_points(data)[0] else "refused",
        mutated_text,
    )
    return [*made, lines]


def takers() -> list[Taker]:
    """All of them."""
    drivers = [load_driver(name) for name in driver_names()]
    return [
        *(decoding(driver) for driver in drivers),
        *(framing(driver, driver.link) for driver in drivers if isinstance(driver.link, UartLink)),
        *(modbus(driver, driver.link) for driver in drivers if isinstance(driver.link, ModbusLink)),
        *envelopes(),
    ]
