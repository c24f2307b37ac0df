"""Netvox R718X, R718PE: ultrasonic level of a bin.

Link: LoRaWAN class A, in Netvox's frame of eleven bytes (devices/netvox.py). Big-endian.

    R718X   | 01 | 34 | 01 | battery | status | distance u16 | celsius i16 | fill | tilt |
    R718PE  | 01 | B1 | 01 | battery | status | distance u16 | fill | 0 0 0 |
            | 01 | B1 | 01 | 24      | 01     | 01 2C        | 32   | 0 0 0 |   3.6 V, 300 mm, 50 %

    battery   0.1 V, bit 7 low
    status    1 when the distance is under a threshold; the gateway judges by itself      skipped
    distance  mm
    celsius   0.1 °C
    fill      %, of the set depth
    tilt      degrees from upright
    port 7    81..86, 8B, 8C: answers to downlinks, nothing for a city in them

A distance nobody can measure is told as `devices/bounds.py` says; it takes the fill with it.
Integrity is the LoRaWAN message code, checked by the network server.
Sources: github.com/TheThingsNetwork/lorawan-devices vendor/netvox payload/r718x.js,
r718x-codec.yaml, r718pe-codec.yaml; github.com/ZennerIoT/element-parsers
lib/netvox_multiparser.ex (device numbers).
TheThingsNetwork's "R718PA" codecs are of particle counters, not of these.
Heartbeat: an hour, an assumption: set the device's own.
"""

from __future__ import annotations

from devices import netvox
from devices.bounds import add_distance, bounded, signed, unsigned
from devices.driver import Driver, LorawanLink
from devices.reading import Payload, Value, Values

R718X, R718PE = 0x34, 0xB1
ANSWERS = (0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x8B, 0x8C)
HIGH_MM = 10_000
LOW_DC, HIGH_DC = -600, 2000  # tenths of a degree


def decode(payload: Payload) -> tuple[Values, ...]:
    """One report to one reading, an answer to nothing."""
    data = netvox.opened(payload, (R718X, R718PE), ANSWERS)
    if not data:
        return ()
    if data[2] == netvox.STARTUP:
        return netvox.startup(data)
    fields: dict[str, Value] = {}
    netvox.add_battery(fields, data[3])
    if data[1] == R718X:
        tenths = bounded(signed(data[7:9]), LOW_DC, HIGH_DC, "tenths of °C")
        fields["temperature_c"] = tenths / 10
        fields["tilt_deg"] = float(data[10])
    add_distance(fields, unsigned(data[5:7]), HIGH_MM)
    if "distance_mm" in fields:
        percent = data[9] if data[1] == R718X else data[7]
        fields["filling_level"] = bounded(percent, 0, 100, "% full") / 100
    return (Values(fields),)


def encode(values: Values) -> Payload:
    """A R718X's report when there is a temperature, else a R718PE's."""
    fields = values.fields
    device = R718X if "temperature_c" in fields else R718PE
    if "firmware" in fields:
        return netvox.say_startup(R718X, fields["firmware"])
    distance = round(float(fields.get("distance_mm", 0))).to_bytes(2, "big")
    head = bytes((netvox.VERSION, device, netvox.STATUS, netvox.say_battery(values), 0))
    fill = round(100 * float(fields.get("filling_level", 0.0)))
    if device == R718PE:
        return Payload(head + distance + bytes((fill, 0, 0, 0)), netvox.REPORT_PORT)
    tenths = round(10 * float(fields["temperature_c"])).to_bytes(2, "big", signed=True)
    tilt = round(float(fields.get("tilt_deg", 0.0)))
    return Payload(head + distance + tenths + bytes((fill, tilt)), netvox.REPORT_PORT)


DRIVER = Driver(
    name="netvox_r718x",
    vendor="Netvox",
    models=("R718X", "R718PE"),
    kind="waste_container",
    link=LorawanLink(),
    decode=decode,
    encode=encode,
    raw_field="distance_mm",
    resolution=1.0,
    heartbeat_s=3600,
)
