"""Decodes a second: every driver, the whole way from bytes to a `Reading`, and a vendor's style.

Counted in the process's own CPU time, so "a second" is a second of one core, whoever else uses the
machine. A driver decodes its report, the vector with the most fields; the vendor-style decoder
(`bench/vendor_decoder.py`) decodes the same bytes between our runs; it checks nothing. The whole
way is what the gateway does for each reading before it is given its line: the envelope or the
frame, decode, `check_fields`, `Reading`; and once more with everything, to the line in the journal.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial

from bench.environment import environment
from bench.result import AtLeast, Figure, Result, Row, options, publish
from bench.vendor_decoder import PEERS
from devices.chirpstack import read_envelope, topic_of, write_envelope
from devices.driver import Driver, LorawanLink, ModbusLink, UartLink, driver_names, load_driver
from devices.envelope import Uplink
from devices.modbus import ResponseReader, build_response
from devices.reading import Payload, Reading, check_fields
from devices.vectors import read_vectors
from edge.configuration import load_configuration
from edge.intake import Intake
from edge.records import Tally
from wire.clock import SystemClock

RUNS = 5
TARGET = 100_000
BATCH = 200
TIME_MS = 1_795_136_400_000
CONFIGURATION = """
[gateway]
name = "bench"
site = "bench"
[[link]]
type = "chirpstack"
name = "lorawan"
broker = { host = "127.0.0.1" }
[[device]]
name = "bin-1"
driver = "milesight_em400"
link = "lorawan"
dev_eui = "24e124713b391234"
container = { empty_mm = 3000, full_mm = 200, taper = 0.8 }
"""


def report_of(driver: Driver) -> Payload:
    """The vector that one reading comes of, with the most fields."""
    vectors = [
        vector
        for vector in read_vectors(driver.name)
        if vector.refused is None
        and len(vector.expected) == 1
        and driver.raw_field in vector.expected[0].fields
    ]
    return max(vectors, key=lambda vector: len(vector.expected[0].fields)).payload


def rate(work: Callable[[], object], seconds: float) -> float:
    """How often a CPU-second does `work`."""
    done, began = 0, time.process_time()
    while (spent := time.process_time() - began) < seconds:
        for _ in range(BATCH):
            work()
        done += BATCH
    return done / spent


def side_by_side(works: dict[str, Callable[[], object]], seconds: float) -> dict[str, list[float]]:
    """Each work's rate in turn, `RUNS` times."""
    rates: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(RUNS):
        for name, work in works.items():
            rates[name].append(rate(work, seconds / RUNS))
    return rates


def to_reading(driver: Driver, payload: Payload) -> list[Reading]:
    """A payload's readings, checked and named."""
    readings = []
    for values in driver.decode(payload):
        check_fields(driver.kind, values.fields)
        readings.append(Reading("bin-1", driver.kind, TIME_MS, values.fields))
    return readings


def whole_ways(seconds: float) -> list[Row]:
    """From a UART's frame, a Modbus answer and a ChirpStack envelope to a `Reading`, or a line."""
    uart, bus, radio = (
        load_driver(name) for name in ("dfrobot_a02yyuw", "dfrobot_sen0591", "milesight_em400")
    )
    assert isinstance(uart.link, UartLink) and isinstance(bus.link, ModbusLink)
    frame, framer = report_of(uart).data, uart.link.framer()
    asked, registers = bus.link, report_of(bus).data
    answer = build_response(1, asked.function, registers)
    uplink = Uplink("24e124713b391234", 85, report_of(radio).data, TIME_MS)
    topic, envelope = topic_of(uplink), write_envelope(uplink)
    configuration = load_configuration(CONFIGURATION, "bench")
    intake = Intake(configuration, SystemClock(), Tally(), lambda: True, {})

    def from_answer() -> list[Reading]:
        data = ResponseReader(1, asked.function, asked.count).feed(answer)
        assert data is not None
        return to_reading(bus, Payload(data))

    def from_envelope() -> list[Reading]:
        found = read_envelope(topic, envelope)
        assert isinstance(found, Uplink)
        return to_reading(radio, Payload(found.data, found.f_port))

    works: dict[str, Callable[[], object]] = {
        "payload → Reading (EM400)": lambda: to_reading(radio, Payload(uplink.data, 85)),
        "UART frame → Reading (A02YYUW)": lambda: [
            to_reading(uart, Payload(found.data))
            for found in framer.feed(frame)
            if hasattr(found, "data")
        ],
        "Modbus answer → Reading (SEN0591)": from_answer,
        "ChirpStack envelope → Reading (EM400)": from_envelope,
        "uplink → line, with meaning (EM400)": lambda: intake.take_uplink(uplink),
    }
    found = side_by_side(works, seconds)
    return [
        Row(
            what=what,
            unit="/s",
            ours=Figure.of(rates),
            target=AtLeast(TARGET) if what.startswith("payload") else None,
            less_is_better=False,
        )
        for what, rates in found.items()
    ]


def drivers(seconds: float) -> list[Row]:
    """Every driver's own decode, with the vendor's style where there is one."""
    rows = []
    for name in driver_names():
        driver = load_driver(name)
        payload = report_of(driver)
        works: dict[str, Callable[[], object]] = {"ours": partial(driver.decode, payload)}
        if name in PEERS:
            works["theirs"] = partial(PEERS[name], payload.data)
        rates = side_by_side(works, seconds)
        binary = isinstance(driver.link, UartLink | ModbusLink | LorawanLink)
        rows.append(
            Row(
                what=f"decode {name}",
                unit="/s",
                ours=Figure.of(rates["ours"]),
                peer="vendor's style" if name in PEERS else "",
                theirs=Figure.of(rates["theirs"]) if name in PEERS else None,
                target=AtLeast(TARGET) if binary else None,
                less_is_better=False,
                note=f"{len(payload.data)} B",
            )
        )
    return rows


def main() -> int:
    given = options(__doc__ or "", seconds=60).parse_args()
    each_s = given.seconds / (len(driver_names()) + len(PEERS) + 10)
    result = Result("decode", (__doc__ or "").partition("\n\n")[2].strip().replace("\n", " "))
    result.rows += whole_ways(2 * each_s)
    result.rows += drivers(each_s)
    publish(result, environment(), given.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
