"""MaxBotix HRXL-MaxSonar-WR: weatherproof ultrasonic ranger on a serial port, 5 or 10 m.

Link: UART 9600 8N1 (MB738x TTL level, MB736x RS-232); sends by itself, about seven times a second.

    R1234<CR>     1234 mm

    300..9998 mm  what the sensors can measure; 299 mm and less is the blind zone
    5000, 9999    nothing reflects, of the 5 m and the 10 m models. The text doesn't say which model
                  it is, so that a 10 m model's true 5000 mm is lost too

Integrity: only what `devices/maxbotix.py` says of the text.
Sources: MaxBotix PD11500 (timing pages: ranges, 5000, 9999); maxbotix.com "TX output";
github.com/esphome/esphome, component hrxl_maxsonar_wr.
"""

from __future__ import annotations

from devices.driver import Driver, UartLink
from devices.maxbotix import framer, read_number, say_number
from devices.reading import Payload, Values

DIGITS = 4
LOW, HIGH = 300, 9998
NO_TARGET = (5000, 9999)


def decode(payload: Payload) -> tuple[Values, ...]:
    """One frame to one distance."""
    number = read_number(payload.data, DIGITS, LOW, HIGH, NO_TARGET)
    return (Values({"distance_mm": float(number)}),)


def encode(values: Values) -> Payload:
    """The frame for a distance; without one it says that nothing reflects."""
    distance_mm = values.fields.get("distance_mm")
    number = NO_TARGET[-1] if distance_mm is None else round(float(distance_mm))
    return Payload(say_number(number, DIGITS))


DRIVER = Driver(
    name="maxbotix_hrxl",
    vendor="MaxBotix",
    models=(
        "MB7360",
        "MB7363",
        "MB7366",
        "MB7368",
        "MB7369",
        "MB7380",
        "MB7383",
        "MB7386",
        "MB7388",
        "MB7389",
    ),
    kind="waste_container",
    link=UartLink(framer=framer(DIGITS)),
    decode=decode,
    encode=encode,
    raw_field="distance_mm",
    resolution=1.0,
    heartbeat_s=900,
)
