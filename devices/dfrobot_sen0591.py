"""DFRobot SEN0591: ultrasonic ranger of a parking bay on RS-485, sixteen or more on one pair.

Link: Modbus RTU slave, 115200 8N1, unit 1 until it is given another. Each bay of a bus gets its
own unit (write register 0x0200 with function 06); the gateway's configuration names the bay.

    read holding 0x0101, one register, big-endian

    | distance u16 |
    |   04     D2  |   1234 mm

    0x0100  processed distance, mm: steadier, up to two seconds behind. Not read: the gateway
            filters itself, by one rule for every sensor
    0x0101  real-time distance, mm, within 100 ms
    0x0200  unit, 0x0201  baud rate code

    20..3000 mm   what the sensor can measure
    FFFD          nothing reflects
    FFFE          another ranger's sound is heard

Integrity is the Modbus frame's CRC, checked by the link. The sensor says how far; whether that
is a car, the gateway's meaning decides from the bay's own geometry.
Sources: wiki.dfrobot.com SEN0591 product page (range) and sen0591/docs/19645 (unit, baud rate,
functions). Its register table isn't in the copy we read: 0x0101 and mm are what four independent
public programs poll it with, and what the sheet of its RS-485 sibling prints (Seeed "RS485-750cm
Ultrasonic Level Sensor", with whole frames). FFFD and FFFE are documented for the sibling SEN0754
(sen0754/docs/24696). Either would be out of range here anyway: a wrong guess changes the reason
for refusing, never a value.
"""

from __future__ import annotations

from devices.driver import Driver, ModbusLink
from devices.modbus import READ_HOLDING
from devices.reading import Payload, Refusal, Undecodable, Values

REGISTER = 0x0101
SIZE = 2
LOW_MM, HIGH_MM = 20, 3000
NO_TARGET, INTERFERENCE = 0xFFFD, 0xFFFE


def decode(payload: Payload) -> tuple[Values, ...]:
    """One register to one distance."""
    data = payload.data
    if len(data) != SIZE:
        raise Undecodable(Refusal.LENGTH, f"{len(data)} bytes, one register has {SIZE}")
    distance_mm = int.from_bytes(data, "big")
    if distance_mm == NO_TARGET:
        raise Undecodable(Refusal.NO_TARGET, "nothing reflects")
    if distance_mm == INTERFERENCE:
        raise Undecodable(Refusal.SENSOR_FAULT, "another ranger's sound")
    if not LOW_MM <= distance_mm <= HIGH_MM:
        raise Undecodable(Refusal.RANGE, f"{distance_mm} mm not in {LOW_MM}..{HIGH_MM}")
    return (Values({"distance_mm": float(distance_mm)}),)


def encode(values: Values) -> Payload:
    """The register's bytes; without a distance it says that nothing reflects."""
    distance_mm = round(float(values.fields.get("distance_mm", NO_TARGET)))
    return Payload(distance_mm.to_bytes(SIZE, "big"))


DRIVER = Driver(
    name="dfrobot_sen0591",
    vendor="DFRobot",
    models=("SEN0591",),
    kind="parking_spot",
    link=ModbusLink(function=READ_HOLDING, register=REGISTER, count=1, baudrate=115_200),
    decode=decode,
    encode=encode,
    raw_field="distance_mm",
    resolution=1.0,
    heartbeat_s=600,
)
