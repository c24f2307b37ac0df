"""Milesight VS330, VS340, VS341, VS370: is somebody at this desk, seat, stall or room?

Link: LoRaWAN class A, port 85 unless configured otherwise. A row of channels
(devices/milesight.py):

    | 01 75 | battery | 03 00 | occupied |
    | 01 75 | 64      | 03 00 | 01       |   100 %, somebody is there

    01 75  1  battery u8, %
    03 00  1  0 vacant, 1 occupied      (VS330: 03 8E)
    02 82  2  VS330's distance u16, mm, little-endian     skipped: it has judged by itself
    04 8E  1  VS330's calibration, 04 00 1 VS370's light  skipped

Integrity is the LoRaWAN message code, checked by the network server.
Sources: github.com/Milesight-IoT/SensorDecoders vs-series/vs330, vs340, vs341, vs370 (README);
github.com/TheThingsNetwork/lorawan-devices vs330-, vs340-, vs341-codec.yaml.
Heartbeat: an hour, an assumption: set the device's own.
"""

from __future__ import annotations

from devices.bounds import bounded
from devices.driver import Driver, LorawanLink
from devices.milesight import INFORMATION, PORT, add_information, channels, say_information
from devices.reading import Payload, Value, Values

CHANNELS = {
    **INFORMATION,
    b"\x01\x75": ("battery", 1),
    b"\x03\x00": ("occupied", 1),
    b"\x03\x8e": ("occupied", 1),
    b"\x02\x82": ("distance", 2),
    b"\x04\x8e": ("calibration", 1),
    b"\x04\x00": ("light", 1),
}


def decode(payload: Payload) -> tuple[Values, ...]:
    """One message to one reading, or to nothing when it only tells about the device."""
    fields: dict[str, Value] = {}
    for channel, value in channels(payload.data, CHANNELS):
        if channel == "occupied":
            fields["occupied"] = bounded(value[0], 0, 1, "as an occupancy")
        else:
            add_information(fields, channel, value)
    return (Values(fields),) if fields else ()


def encode(values: Values) -> Payload:
    """The report of a VS340."""
    said = say_information(values.fields)
    if "occupied" in values.fields:
        said += b"\x03\x00" + bytes((int(values.fields["occupied"]),))
    return Payload(said, PORT)


DRIVER = Driver(
    name="milesight_vs34x",
    vendor="Milesight",
    models=("VS330", "VS340", "VS341", "VS370"),
    kind="people_counter",
    link=LorawanLink(),
    decode=decode,
    encode=encode,
    raw_field="occupied",
    resolution=1.0,
    heartbeat_s=3600,
)
