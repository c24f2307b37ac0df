"""AJ-SR04M: waterproof ultrasonic ranger on a serial port; JSN-SR04T's double with another sum.

Link: UART 9600 8N1, TTL level. With 47 kΩ: sends by itself; with 120 kΩ: answers 55. It is asked
either way, which the first mode doesn't mind.

    | FF | distance u16 | sum |
    | FF |   07     A1  | A8  |   1953 mm

    distance  mm, big-endian
    sum       low byte of high + low: the header isn't in it

    201..8000 mm  what the sensor can measure

Sources: github.com/esphome/esphome, component jsn_sr04t (frame, sum of this model); the range is
the sellers' 20-800 cm.
Not understood: whether this model ever sends FFFD or FFFE, which its sheet doesn't name; both are
far out of its range, so only the reason for refusing hangs on it.
"""

from __future__ import annotations

from functools import partial

from devices.driver import Driver, UartLink
from devices.ff_frame import FfFramer, read_distance, say_distance
from devices.reading import Payload, Values

BLIND_MM, HIGH_MM = 200, 8000
POLL = b"\x55"


def decode(payload: Payload) -> tuple[Values, ...]:
    """One frame to one distance."""
    return read_distance(payload, BLIND_MM, HIGH_MM, sum_has_header=False)


def encode(values: Values) -> Payload:
    """The frame for a distance; without one it says that nothing reflects."""
    return say_distance(values, sum_has_header=False)


DRIVER = Driver(
    name="aj_sr04m",
    vendor="various",
    models=("AJ-SR04M",),
    kind="waste_container",
    link=UartLink(framer=partial(FfFramer, sum_has_header=False), poll=POLL),
    decode=decode,
    encode=encode,
    raw_field="distance_mm",
    resolution=1.0,
    heartbeat_s=900,
)
