"""Peacefair PZEM-004T version 3, PZEM-016: energy meter of one phase, on RS-485 or a serial port.

Link: Modbus RTU slave, 9600 8N1, unit 1 as delivered.

    read input 0x00, ten registers

    | volts u16 | amperes u32 | watts u32   | watt-hours u32 | hertz | factor | alarm |
    | 08 D1     | 00 6C 00 00 | 00 F4 00 00 | 00 26 00 00    | 01 F4 | 00 64  | 00 00 |
      225.7 V     0.108 A       24.4 W        38 Wh            50.0    1.00

    volts 0.1, amperes 0.001, watts 0.1, hertz 0.1, factor 0.01
    u32    two registers, the low one first; bytes within a register big-endian
    alarm  FFFF above the set power

Integrity is the Modbus frame's CRC, checked by the link.
Sources: PZEM-004T V3.0 manual (registers); github.com/esphome/esphome, component pzemac (a captured
answer, word order).
"""

from __future__ import annotations

from devices.bounds import bounded, sized, unsigned
from devices.driver import Driver, ModbusLink
from devices.modbus import READ_INPUT
from devices.reading import Payload, Refusal, Undecodable, Value, Values

COUNT = 10
HIGH_DV, HIGH_MA, HIGH_DW = 3000, 110_000, 300_000  # tenths of V, mA, tenths of W: 100 A models
HIGH_DHZ, HIGH_CENTS = 700, 100  # tenths of Hz, hundredths of the factor
ALARM, QUIET = 0xFFFF, 0


def decode(payload: Payload) -> tuple[Values, ...]:
    """Ten registers to one reading."""
    data = sized(payload.data, 2 * COUNT)
    alarm = unsigned(data[18:20])
    if alarm not in (ALARM, QUIET):
        raise Undecodable(Refusal.FORMAT, f"alarm {alarm:04x}")
    fields: dict[str, Value] = {
        "voltage_v": bounded(unsigned(data[:2]), 0, HIGH_DV, "tenths of V") / 10,
        "current_a": bounded(_long(data[2:6]), 0, HIGH_MA, "mA") / 1000,
        "active_power_w": bounded(_long(data[6:10]), 0, HIGH_DW, "tenths of W") / 10,
        "active_energy_wh": float(_long(data[10:14])),
        "frequency_hz": bounded(unsigned(data[14:16]), 0, HIGH_DHZ, "tenths of Hz") / 10,
        "power_factor": bounded(unsigned(data[16:18]), 0, HIGH_CENTS, "hundredths") / 100,
        "power_alarm": int(alarm == ALARM),
    }
    return (Values(fields),)


def _long(data: bytes) -> int:
    return unsigned(data[2:4]) << 16 | unsigned(data[:2])


def encode(values: Values) -> Payload:
    """The meter's registers."""
    fields = values.fields

    def steps(name: str, scale: int) -> int:
        return round(scale * float(fields.get(name, 0.0)))

    def say_long(number: int) -> bytes:
        return (number & 0xFFFF).to_bytes(2, "big") + (number >> 16).to_bytes(2, "big")

    alarm = ALARM if fields.get("power_alarm") else QUIET
    return Payload(
        steps("voltage_v", 10).to_bytes(2, "big")
        + say_long(steps("current_a", 1000))
        + say_long(steps("active_power_w", 10))
        + say_long(steps("active_energy_wh", 1))
        + steps("frequency_hz", 10).to_bytes(2, "big")
        + steps("power_factor", 100).to_bytes(2, "big")
        + alarm.to_bytes(2, "big")
    )


DRIVER = Driver(
    name="peacefair_pzem",
    vendor="Peacefair",
    models=("PZEM-004T V3", "PZEM-016"),
    kind="energy_meter",
    link=ModbusLink(function=READ_INPUT, register=0, count=COUNT),
    decode=decode,
    encode=encode,
    raw_field="active_power_w",
    resolution=0.1,
    heartbeat_s=300,
)
