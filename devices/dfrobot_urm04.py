"""DFRobot URM04 V2.0 (SEN0002): ultrasonic ranger on RS-485 that is told to measure, then asked.

Link: RS-485 with one sensor on it, 19200 8N1 (older ones 115200), address 11 as delivered; the
frame of devices/aa55_frame.py.

    told      55 AA 11 00 01 11               no answer; measured after 30 ms
    asked     55 AA 11 00 02 12
    answered  55 AA 11 02 02 01 0A 1F         266 cm

    4..500 cm  what the sensor can measure; FFFF out of range, or it failed to measure

The sheet prints its two examples with other sums (11 for 266 cm, 1F for FFFF); by its own rule, low
byte of the sum of all before, they are 1F and 12. Temperature isn't asked for: the sheet's rule and
its examples contradict each other.
Sources: DFRobot URM04 V2.0 user manual, pages 5 and 6; dfrobot.com/wiki URM04_V2.0_(SKU:SEN0002)
(range, baud rates, addresses: some were delivered as 12).
"""

from __future__ import annotations

from devices.aa55_frame import (
    AA55_FRAMER,
    DISTANCE,
    MEASURE,
    read_distance,
    say_distance,
    sealed,
)
from devices.driver import Driver, UartLink
from devices.reading import Payload, Values

LOW, HIGH = 4, 500  # cm
MEASURES_S = 0.05  # the sheet says 30 ms; the frames take 6 more


def decode(payload: Payload) -> tuple[Values, ...]:
    """One answer to one distance."""
    return (Values({"distance_mm": 10.0 * read_distance(payload.data, LOW, HIGH)}),)


def encode(values: Values) -> Payload:
    """The answer for a distance; without one it says that it is out of range."""
    distance_mm = values.fields.get("distance_mm")
    return Payload(say_distance(None if distance_mm is None else float(distance_mm) / 10))


DRIVER = Driver(
    name="dfrobot_urm04",
    vendor="DFRobot",
    models=("URM04 V2.0 (SEN0002)",),
    kind="waste_container",
    link=UartLink(
        framer=AA55_FRAMER,
        baudrate=19_200,
        trigger=sealed(MEASURE),
        measures_s=MEASURES_S,
        poll=sealed(DISTANCE),
    ),
    decode=decode,
    encode=encode,
    raw_field="distance_mm",
    resolution=10.0,
    heartbeat_s=900,
)
