"""DFRobot SEN0153 (URM07/URM04 command set): ultrasonic ranger that is asked, in centimetres.

Link: UART or RS-485 with one sensor on it, 19200 8N1, address 11 as delivered; the frame of
devices/aa55_frame.py.

    asked     55 AA 11 00 02 12
    answered  55 AA 11 02 02 00 CA DE         202 cm

    20..750 cm  what the sensor can measure, FFFF nothing reflects

Source: wiki.dfrobot.com sen0153/docs/20887 (frame, command); the range is its product page's as far
as read, and FFFF is a guess on which only the reason for refusing hangs. Older units talk at
115200.
"""

from __future__ import annotations

from devices.aa55_frame import AA55_FRAMER, DISTANCE, read_distance, say_distance, sealed
from devices.driver import Driver, UartLink
from devices.reading import Payload, Values

LOW, HIGH = 20, 750  # cm


def decode(payload: Payload) -> tuple[Values, ...]:
    """One answer to one distance."""
    return (Values({"distance_mm": 10.0 * read_distance(payload.data, LOW, HIGH)}),)


def encode(values: Values) -> Payload:
    """The answer for a distance; without one it says that nothing reflects."""
    distance_mm = values.fields.get("distance_mm")
    return Payload(say_distance(None if distance_mm is None else float(distance_mm) / 10))


DRIVER = Driver(
    name="dfrobot_sen0153",
    vendor="DFRobot",
    models=("SEN0153",),
    kind="waste_container",
    link=UartLink(framer=AA55_FRAMER, baudrate=19_200, poll=sealed(DISTANCE)),
    decode=decode,
    encode=encode,
    raw_field="distance_mm",
    resolution=10.0,
    heartbeat_s=900,
)
