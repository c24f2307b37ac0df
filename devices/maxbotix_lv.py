"""MaxBotix LV-MaxSonar (Digilent PmodMAXSONAR): ultrasonic ranger on a serial port, in inches.

Link: UART 9600 8N1; sends by itself, twenty times a second.

    R015<CR>      15 inches, 381 mm

    6..254        what the sensor can measure, inches
    255           nothing reflects

Integrity: only what `devices/maxbotix.py` says of the text.
Source: Digilent PmodMAXSONAR reference manual, page 2; no second source found.
"""

from __future__ import annotations

from devices.driver import Driver, UartLink
from devices.maxbotix import framer, read_number, say_number
from devices.reading import Payload, Values

DIGITS = 3
LOW, HIGH = 6, 254  # inches
NO_TARGET = (255,)
INCH_MM = 25.4


def decode(payload: Payload) -> tuple[Values, ...]:
    """One frame to one distance."""
    number = read_number(payload.data, DIGITS, LOW, HIGH, NO_TARGET)
    return (Values({"distance_mm": round(INCH_MM * number, 1)}),)


def encode(values: Values) -> Payload:
    """The frame for a distance; without one it says that nothing reflects."""
    distance_mm = values.fields.get("distance_mm")
    number = NO_TARGET[-1] if distance_mm is None else round(float(distance_mm) / INCH_MM)
    return Payload(say_number(number, DIGITS))


DRIVER = Driver(
    name="maxbotix_lv",
    vendor="MaxBotix",
    models=("LV-MaxSonar (PmodMAXSONAR)",),
    kind="waste_container",
    link=UartLink(framer=framer(DIGITS)),
    decode=decode,
    encode=encode,
    raw_field="distance_mm",
    resolution=25.4,
    heartbeat_s=900,
)
