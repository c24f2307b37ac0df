"""JSN-SR04T version 3: waterproof ultrasonic ranger on a serial port, once a resistor is soldered.

Link: UART 9600 8N1, TTL level. R27 with 47 kΩ: sends by itself every 100 ms; with 120 kΩ: answers
55. It is asked either way, which the first mode doesn't mind.

    | FF | distance u16 | sum |
    | FF |   07     A1  | A7  |   1953 mm

    distance  mm, big-endian
    sum       low byte of FF + high + low

    251..6000 mm  what the sensor can measure; 250 mm and less is its blind zone

Sources: discuss.ardupilot.org/t/sonar-jsn-sro4t/68933 (modes, frame); github.com/esphome/esphome,
component jsn_sr04t (sum, 250 mm and less is refused).
Not understood: whether this model ever sends FFFD or FFFE, which its sheet doesn't name; both are
far out of its range, so only the reason for refusing hangs on it.
"""

from __future__ import annotations

from devices.driver import Driver, UartLink
from devices.ff_frame import FfFramer, read_distance, say_distance
from devices.reading import Payload, Values

BLIND_MM, HIGH_MM = 250, 6000
POLL = b"\x55"


def decode(payload: Payload) -> tuple[Values, ...]:
    """One frame to one distance."""
    return read_distance(payload, BLIND_MM, HIGH_MM)


def encode(values: Values) -> Payload:
    """The frame for a distance; without one it says that nothing reflects."""
    return say_distance(values)


DRIVER = Driver(
    name="jsn_sr04t",
    vendor="various",
    models=("JSN-SR04T",),
    kind="waste_container",
    link=UartLink(framer=FfFramer, poll=POLL),
    decode=decode,
    encode=encode,
    raw_field="distance_mm",
    resolution=1.0,
    heartbeat_s=900,
)
