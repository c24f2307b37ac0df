"""DFRobot A01NYUB (SEN0313): waterproof ultrasonic ranger with a long reach, on a serial port.

Link: UART 9600 8N1, TTL level; sends by itself, about seven frames a second (RX left high).

    | FF | distance u16 | sum |
    | FF |   07     A1  | A7  |   1953 mm

    distance  mm, big-endian
    sum       low byte of FF + high + low

    281..7500 mm  what the sensor can measure; 280 mm and less is its blind zone

Sources: wiki.dfrobot.com sen0313/docs/20019 (frame, range); github.com/esphome/esphome, component
a01nyub (280 mm and less is refused).
Not understood: whether this model ever sends FFFD or FFFE, which its sheet doesn't name; both are
far out of its range, so only the reason for refusing hangs on it.
"""

from __future__ import annotations

from devices.driver import Driver, UartLink
from devices.ff_frame import FfFramer, read_distance, say_distance
from devices.reading import Payload, Values

BLIND_MM, HIGH_MM = 280, 7500


def decode(payload: Payload) -> tuple[Values, ...]:
    """One frame to one distance."""
    return read_distance(payload, BLIND_MM, HIGH_MM)


def encode(values: Values) -> Payload:
    """The frame for a distance; without one it says that nothing reflects."""
    return say_distance(values)


DRIVER = Driver(
    name="dfrobot_a01nyub",
    vendor="DFRobot",
    models=("A01NYUB (SEN0313)",),
    kind="waste_container",
    link=UartLink(framer=FfFramer),
    decode=decode,
    encode=encode,
    raw_field="distance_mm",
    resolution=1.0,
    heartbeat_s=900,
)
