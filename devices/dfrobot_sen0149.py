"""DFRobot SEN0149 (URM06-RS485): ultrasonic ranger that is asked, in millimetres.

Link: RS-485 with one sensor on it, 19200 8N1, address 11 as delivered; the frame of
devices/aa55_frame.py.

    asked     55 AA 11 00 02 12
    answered  55 AA 11 02 02 04 D2 EA         1234 mm

    200..10000 mm  what the sensor can measure, FFFF nothing reflects

Source: wiki.dfrobot.com DFRobot_Communication_Protocol and sen0149 (frame, command, mm); the range
is the product page's as far as read, and FFFF is a guess on which only the reason for refusing
hangs. Older units talk at 115200.
"""

from __future__ import annotations

from devices.aa55_frame import AA55_FRAMER, DISTANCE, read_distance, say_distance, sealed
from devices.driver import Driver, UartLink
from devices.reading import Payload, Values

LOW, HIGH = 200, 10000  # mm


def decode(payload: Payload) -> tuple[Values, ...]:
    """One answer to one distance."""
    return (Values({"distance_mm": float(read_distance(payload.data, LOW, HIGH))}),)


def encode(values: Values) -> Payload:
    """The answer for a distance; without one it says that nothing reflects."""
    distance_mm = values.fields.get("distance_mm")
    return Payload(say_distance(None if distance_mm is None else float(distance_mm)))


DRIVER = Driver(
    name="dfrobot_sen0149",
    vendor="DFRobot",
    models=("URM06-RS485 (SEN0149)",),
    kind="waste_container",
    link=UartLink(framer=AA55_FRAMER, baudrate=19_200, poll=sealed(DISTANCE)),
    decode=decode,
    encode=encode,
    raw_field="distance_mm",
    resolution=1.0,
    heartbeat_s=900,
)
