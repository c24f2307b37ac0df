"""DFRobot URM12, URM13, URM14, URM15: industrial ultrasonic rangers on RS-485.

Link: Modbus RTU slave, 19200 8N1 as delivered. Each model has its own unit as delivered (0B, 0D,
0C, 0F); on a bus each sensor gets one (write register 2).

    read holding 0x00, seven registers, big-endian

    | product | version | unit  | baud  | parity | distance u16 | celsius i16 |
    | 00 03   | 00 10   | 00 0D | 00 05 | 00 01  | 04 D2        | 01 05       |
      URM13                                               1234 mm        26.1 °C

    product   1 URM12, 2 URM14, 3 URM13, 5 URM15: it says what the distance is counted in
    distance  URM12 1 cm, URM13 and URM15 1 mm, URM14 0.1 mm; FFFF nothing reflects
    celsius   the sensor's own, 0.1 °C
    version   four nibbles: 00 10 is 0.0.1.0

Integrity is the Modbus frame's CRC, checked by the link.
Sources: wiki.dfrobot.com sen0310/docs/20287 (URM12), sen0352/docs/21269 (URM13), sen0358/docs/20730
(URM14), sen0519/docs/21716 (URM15): register tables; ranges from their product pages as far as
read. Not understood: whether they measure by themselves as delivered (register 8, bit 2: yes in
URM13 and URM14; URM12 must be told once).
"""

from __future__ import annotations

import msgspec

from devices.bounds import bounded, signed, sized, unsigned
from devices.driver import Driver, ModbusLink
from devices.modbus import READ_HOLDING
from devices.reading import Payload, Refusal, Undecodable, Values

COUNT = 7
NO_TARGET = 0xFFFF
LOW_DC, HIGH_DC = -600, 2000  # tenths of a degree


class Model(msgspec.Struct, frozen=True):
    """What one product counts in (tenths of a millimetre) and can measure (mm)."""

    step_tenth_mm: int
    low_mm: int
    high_mm: int


URM12, URM13, URM14, URM15 = 1, 3, 2, 5
MODELS = {
    URM12: Model(100, 700, 15_000),
    URM13: Model(10, 150, 9000),
    URM14: Model(1, 100, 1500),
    URM15: Model(10, 300, 5000),
}
HEAD = bytes((0, URM13, 0, 0x10, 0, 0x0D, 0, 5, 0, 1))


def decode(payload: Payload) -> tuple[Values, ...]:
    """Seven registers to one distance."""
    data = sized(payload.data, 2 * COUNT)
    model = MODELS.get(unsigned(data[:2]))
    if model is None:
        raise Undecodable(Refusal.TYPE, f"product {data[:2].hex()}")
    steps = unsigned(data[10:12])
    if steps == NO_TARGET:
        raise Undecodable(Refusal.NO_TARGET, "nothing reflects")
    distance_mm = steps * model.step_tenth_mm / 10
    if not model.low_mm <= distance_mm <= model.high_mm:
        raise Undecodable(Refusal.RANGE, f"{distance_mm} mm not in {model.low_mm}..{model.high_mm}")
    tenths = bounded(signed(data[12:14]), LOW_DC, HIGH_DC, "tenths of °C")
    return (Values({"distance_mm": distance_mm, "temperature_c": tenths / 10}),)


def encode(values: Values) -> Payload:
    """The registers of a model that can tell the distance as exactly, a URM13's if it can."""
    fields = values.fields
    tenths = round(10 * float(fields.get("temperature_c", 25.0)))
    celsius = tenths.to_bytes(2, "big", signed=True)
    if "distance_mm" not in fields:
        return Payload(HEAD + NO_TARGET.to_bytes(2, "big") + celsius)
    distance_mm = float(fields["distance_mm"])
    fits = [id_ for id_, m in MODELS.items() if m.low_mm <= distance_mm <= m.high_mm]
    whole = distance_mm == round(distance_mm)
    wanted = (URM13, URM15, URM14, URM12) if whole else (URM14, URM13, URM15, URM12)
    id_ = next((one for one in wanted if one in fits), URM13)
    steps = round(10 * distance_mm / MODELS[id_].step_tenth_mm)
    return Payload(bytes((0, id_)) + HEAD[2:] + steps.to_bytes(2, "big") + celsius)


DRIVER = Driver(
    name="dfrobot_urm",
    vendor="DFRobot",
    models=("URM12 (SEN0310)", "URM13 (SEN0352)", "URM14 (SEN0358)", "URM15 (SEN0519)"),
    kind="waste_container",
    link=ModbusLink(function=READ_HOLDING, register=0, count=COUNT, baudrate=19_200),
    decode=decode,
    encode=encode,
    raw_field="distance_mm",
    resolution=10.0,
    heartbeat_s=900,
)
