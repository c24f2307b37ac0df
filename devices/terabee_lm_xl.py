"""Terabee LoRa Level Monitoring XL: laser level of a bin or a silo.

Link: LoRaWAN class A, port 1 (not checked). Numbers are big-endian.

    | distance u16 | level | battery u16 | errors |
    | 07 D0        | 32    | 0B B8       | 00     |     2000 mm, 50 %, 3.0 V

    distance  mm; 0 too close, 1 invalid, FFFF too far
    level     %, of the set depth; FF unknown
    battery   mV
    errors    bit 0 restarted after an error, 1 the radio doesn't sleep,
              2 battery not measured (left out), 3 the laser doesn't answer (no distance, no level)

A distance nobody can measure is told as `devices/bounds.py` says; alone it is refused:
`sensor_fault` when the laser doesn't answer.
Integrity is the LoRaWAN message code, checked by the network server.
Source: github.com/TheThingsNetwork/lorawan-devices vendor/terabee lora-lm-xl (decoder, examples),
which tells nothing when any error is set; no second source found.
Heartbeat: 6 hours, an assumption: set the device's own.
"""

from __future__ import annotations

from devices.bounds import add_distance, bounded, sized, unsigned
from devices.driver import Driver, LorawanLink
from devices.reading import Payload, Refusal, Value, Values

PORT = 1
SIZE = 6
INVALID = 1
NO_LEVEL = 0xFF
NO_BATTERY, NO_LASER = 0x04, 0x08
HIGH_MM, HIGH_MV = 10_000, 10_000


def decode(payload: Payload) -> tuple[Values, ...]:
    """One message to one reading."""
    data = sized(payload.data, SIZE)
    errors = data[5]
    fields: dict[str, Value] = {}
    if not errors & NO_BATTERY:
        fields["battery_v"] = bounded(unsigned(data[3:5]), 0, HIGH_MV, "mV") / 1000
    if data[2] != NO_LEVEL and not errors & NO_LASER:
        fields["filling_level"] = bounded(data[2], 0, 100, "% full") / 100
    lost = Refusal.SENSOR_FAULT if errors & NO_LASER else None
    distance_mm = unsigned(data[:2])
    add_distance(fields, 0 if distance_mm == INVALID else distance_mm, HIGH_MM, lost)
    return (Values(fields),)


def encode(values: Values) -> Payload:
    """The message of a sensor; without a battery with that error."""
    fields = values.fields
    distance_mm = round(float(fields.get("distance_mm", 0)))
    level = NO_LEVEL
    if "filling_level" in fields:
        level = round(100 * float(fields["filling_level"]))
    battery_mv = round(1000 * float(fields.get("battery_v", 0.0)))
    errors = 0 if "battery_v" in fields else NO_BATTERY
    said = distance_mm.to_bytes(2, "big") + bytes((level,)) + battery_mv.to_bytes(2, "big")
    return Payload(said + bytes((errors,)), PORT)


DRIVER = Driver(
    name="terabee_lm_xl",
    vendor="Terabee",
    models=("LoRa Level Monitoring XL",),
    kind="waste_container",
    link=LorawanLink(),
    decode=decode,
    encode=encode,
    raw_field="distance_mm",
    resolution=1.0,
    heartbeat_s=21_600,
)
