"""Elsys ELT-Ultrasonic: distance of a bin or a tank, and the air around it.

Link: LoRaWAN class A, port 5 unless configured otherwise (so the port isn't checked). A row of
types (devices/elsys.py), values big-endian:

    | 01 | 00 E2 | 02 | 29 | 0E | 23 11 |        22.6 °C, 41 %, 8977 mm

    0E 2  distance, mm; 0 and over 10 000 can't be measured

Temperature, humidity, probe and battery are told beside it, the other types are skipped. A
distance nobody can measure is told as `devices/bounds.py` says.
Integrity is the LoRaWAN message code, checked by the network server.
Sources: as devices/elsys.py, and TheThingsNetwork/lorawan-devices elt-ultrasonic-codec.yaml.
Heartbeat: 10 minutes, an assumption: set the device's own.
"""

from __future__ import annotations

from devices.bounds import add_distance, unsigned
from devices.channels import channels
from devices.driver import Driver, LorawanLink
from devices.elsys import CHANNELS, PORT, add_air, say_air
from devices.reading import Payload, Value, Values

HIGH_MM = 10_000


def decode(payload: Payload) -> tuple[Values, ...]:
    """One message to one reading, or to nothing when it holds nothing for a city."""
    fields: dict[str, Value] = {}
    distance: bytes | None = None
    for channel, value in channels(payload.data, CHANNELS):
        if channel == "distance":
            distance = value
        else:
            add_air(fields, channel, value)
    if distance is not None:
        add_distance(fields, unsigned(distance), HIGH_MM)
    return (Values(fields),) if fields else ()


def encode(values: Values) -> Payload:
    """The message of an ELT-Ultrasonic; a distance of 0 when it can't measure one."""
    fields = dict(values.fields)
    said = say_air(fields)
    if "distance_mm" in fields or "quality" in fields:
        said += b"\x0e" + round(float(fields.get("distance_mm", 0))).to_bytes(2, "big")
    return Payload(said, PORT)


DRIVER = Driver(
    name="elsys_elt",
    vendor="Elsys",
    models=("ELT-Ultrasonic",),
    kind="waste_container",
    link=LorawanLink(),
    decode=decode,
    encode=encode,
    raw_field="distance_mm",
    resolution=1.0,
    heartbeat_s=600,
)
