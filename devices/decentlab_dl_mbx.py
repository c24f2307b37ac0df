"""Decentlab DL-MBX: ultrasonic level of bins, tanks and rivers (MaxBotix sensors, 5 or 10 m).

Link: LoRaWAN class A, port 1, in Decentlab's frame (devices/decentlab.py). Numbers are big-endian.

    | 02 | device  | flags | distance | samples | battery |
    | 02 | 01 2F   | 00 03 | 04 D2    | 00 01   | 0B B1   |    1234 mm, 2.993 V

    distance  mm
    samples   valid ones; 0: nothing reflects
    battery   mV

A distance nobody can measure is told as `devices/bounds.py` says.
Integrity is the LoRaWAN message code, checked by the network server.
Sources: github.com/decentlab/decentlab-decoders DL-MBX; github.com/TheThingsNetwork/lorawan-devices
dl-mbx-codec.yaml; github.com/ZennerIoT/element-parsers lib/decentlab_dl_mbx.ex.
Heartbeat: 10 minutes, as delivered.
"""

from __future__ import annotations

from devices import decentlab
from devices.bounds import add_distance
from devices.driver import Driver, LorawanLink
from devices.reading import Payload, Refusal, Value, Values

MEASURED_SIZES = (2,)
HIGH_MM = 10_000


def decode(payload: Payload) -> tuple[Values, ...]:
    """One message to one reading, or to nothing when it holds no group."""
    measured, volts = decentlab.groups(payload.data, MEASURED_SIZES)
    fields: dict[str, Value] = {} if volts is None else {"battery_v": volts}
    if measured:
        distance_mm, samples = measured
        add_distance(fields, distance_mm, HIGH_MM, None if samples else Refusal.NO_TARGET)
    return (Values(fields),) if fields else ()


def encode(values: Values) -> Payload:
    """The message of a sensor; without a distance it has no valid sample."""
    fields = values.fields
    measured: list[int] = []
    if "distance_mm" in fields:
        measured = [round(float(fields["distance_mm"])), 1]
    elif "quality" in fields:
        measured = [0, 0]
    volts = float(fields["battery_v"]) if "battery_v" in fields else None
    return decentlab.say_groups(measured, volts)


DRIVER = Driver(
    name="decentlab_dl_mbx",
    vendor="Decentlab",
    models=("DL-MBX",),
    kind="waste_container",
    link=LorawanLink(),
    decode=decode,
    encode=encode,
    raw_field="distance_mm",
    resolution=1.0,
    heartbeat_s=600,
)
