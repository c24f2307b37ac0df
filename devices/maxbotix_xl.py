"""MaxBotix XL-MaxSonar-WR: weatherproof ultrasonic ranger on a serial port, 7.6 m, in centimetres.

Link: UART 9600 8N1; sends by itself, about ten times a second.

    R123<CR>      123 cm

    20..764 cm    what the sensor can measure
    765           nothing reflects

Integrity: only what `devices/maxbotix.py` says of the text.
Sources: maxbotix.com "TX output"; github.com/esphome/esphome, component hrxl_maxsonar_wr (three
digits are centimetres).
"""

from __future__ import annotations

from devices.driver import Driver, UartLink
from devices.maxbotix import framer, read_number, say_number
from devices.reading import Payload, Values

DIGITS = 3
LOW, HIGH = 20, 764  # cm
NO_TARGET = (765,)


def decode(payload: Payload) -> tuple[Values, ...]:
    """One frame to one distance."""
    number = read_number(payload.data, DIGITS, LOW, HIGH, NO_TARGET)
    return (Values({"distance_mm": 10.0 * number}),)


def encode(values: Values) -> Payload:
    """The frame for a distance; without one it says that nothing reflects."""
    distance_mm = values.fields.get("distance_mm")
    number = NO_TARGET[-1] if distance_mm is None else round(float(distance_mm) / 10)
    return Payload(say_number(number, DIGITS))


DRIVER = Driver(
    name="maxbotix_xl",
    vendor="MaxBotix",
    models=("MB7060", "MB7066"),
    kind="waste_container",
    link=UartLink(framer=framer(DIGITS)),
    decode=decode,
    encode=encode,
    raw_field="distance_mm",
    resolution=10.0,
    heartbeat_s=900,
)
