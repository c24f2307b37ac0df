"""DFRobot SEN0492: laser ranger by time of flight on RS-485, for short bins and tight bays.

Link: Modbus RTU slave, unit 0x50 as delivered; 115200 8N1.

    read holding 0x34, one register, big-endian

    | distance u16 |
    |   07     0B  |   1803 mm

    40..4000 mm   what the sensor can measure

Integrity is the Modbus frame's CRC, checked by the link.
Source: wiki.dfrobot.com sen0492/docs/21034 (register, example frames, range of the alarm); the baud
rate as delivered isn't in the copy read: set the link's `baudrate` if it is another.
"""

from __future__ import annotations

from devices.bounds import bounded, sized, unsigned
from devices.driver import Driver, ModbusLink
from devices.modbus import READ_HOLDING
from devices.reading import Payload, Values

REGISTER = 0x34
SIZE = 2
LOW_MM, HIGH_MM = 40, 4000


def decode(payload: Payload) -> tuple[Values, ...]:
    """One register to one distance."""
    data = sized(payload.data, SIZE)
    return (Values({"distance_mm": float(bounded(unsigned(data), LOW_MM, HIGH_MM, "mm"))}),)


def encode(values: Values) -> Payload:
    """The register's bytes; without a distance one that can't be."""
    return Payload(round(float(values.fields.get("distance_mm", 0))).to_bytes(SIZE, "big"))


DRIVER = Driver(
    name="dfrobot_sen0492",
    vendor="DFRobot",
    models=("SEN0492",),
    kind="waste_container",
    link=ModbusLink(function=READ_HOLDING, register=REGISTER, count=1, baudrate=115_200),
    decode=decode,
    encode=encode,
    raw_field="distance_mm",
    resolution=1.0,
    heartbeat_s=900,
)
