"""PNI PlacePod: magnetometer in or on a bay, or in a lane where it counts.

Link: LoRaWAN class A. A row of channels, values big-endian:

    | 03 02 | volts i16 | 02 67 | celsius i16 | 15 66 | occupied |
    | 03 02 | 01 6D     | 02 67 | 00 E1       | 15 66 | 00       |     3.65 V, 22.5 °C, free

    02 67  2  temperature, 0.1 °C
    03 02  2  battery, 0.01 V
    15 66  1  the bay has changed: 0 free, 1 occupied (an event)
    37 66  1  keep-alive with the bay's state
    21 00  1  vehicles counted; above 80 hex it has started or calibrated anew and counts nothing
    37 00  1  keep-alive with the count
    01 01, 1C 01, 3F 01  1  answers: calibrated, deactivated, started     nothing for a city

An id that isn't known has no known length: reading stops there, what came before it counts.
Integrity is the LoRaWAN message code, checked by the network server.
Sources: PNI "PlacePod Sensor, Communications Protocol", as read by
github.com/ZennerIoT/element-parsers lib/pni_placepods.ex, with messages; no second source found.
Not understood: whether the count starts again after 128. Heartbeat: a day, an assumption: set the
device's own.
"""

from __future__ import annotations

from devices.bounds import bounded, signed
from devices.channels import channels
from devices.driver import Driver, LorawanLink
from devices.reading import Payload, Value, Values

PORT = 2
CHANNELS = {  # id and type: what it says, bytes of its value
    b"\x02\x67": ("temperature", 2),
    b"\x03\x02": ("battery", 2),
    b"\x15\x66": ("change", 1),
    b"\x37\x66": ("state", 1),
    b"\x21\x00": ("count", 1),
    b"\x37\x00": ("count", 1),
    b"\x01\x01": ("calibrated", 1),
    b"\x1c\x01": ("deactivated", 1),
    b"\x3f\x01": ("started", 1),
}
LOW_DC, HIGH_DC = -600, 2000  # tenths of a degree
HIGH_CV = 1000  # hundredths of a volt
HIGH_COUNT = 0x80


def decode(payload: Payload) -> tuple[Values, ...]:
    """One message to one reading, or to nothing when it only answers."""
    fields: dict[str, Value] = {}
    event = False
    for channel, value in channels(payload.data, CHANNELS):
        match channel:
            case "temperature":
                tenths = bounded(signed(value), LOW_DC, HIGH_DC, "tenths of °C")
                fields["temperature_c"] = tenths / 10
            case "battery":
                hundredths = bounded(signed(value), 0, HIGH_CV, "hundredths of V")
                fields["battery_v"] = hundredths / 100
            case "change" | "state":
                fields["occupied"] = bounded(value[0], 0, 1, "as a state")
                event |= channel == "change"
            case "count" if value[0] <= HIGH_COUNT:
                fields["vehicle_count"] = value[0]
    return (Values(fields, event=event),) if fields else ()


def encode(values: Values) -> Payload:
    """A message with the state as a change for an event, else as a keep-alive."""
    fields, said = values.fields, b""
    if "battery_v" in fields:
        hundredths = round(100 * float(fields["battery_v"]))
        said += b"\x03\x02" + hundredths.to_bytes(2, "big")
    if "temperature_c" in fields:
        tenths = round(10 * float(fields["temperature_c"]))
        said += b"\x02\x67" + tenths.to_bytes(2, "big", signed=True)
    if "vehicle_count" in fields:
        said += b"\x21\x00" + bytes((int(fields["vehicle_count"]),))
    if "occupied" in fields:
        said += (b"\x15" if values.event else b"\x37") + b"\x66" + bytes((int(fields["occupied"]),))
    return Payload(said, PORT)


DRIVER = Driver(
    name="pni_placepod",
    vendor="PNI",
    models=("PlacePod",),
    kind="parking_spot",
    link=LorawanLink(),
    decode=decode,
    encode=encode,
    raw_field="occupied",
    resolution=1.0,
    heartbeat_s=86_400,
)
