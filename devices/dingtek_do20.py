"""Dingtek DO200, DO201, DO202: magnet and ultrasound (DO202: radar) in the floor of a bay.

Link: LoRaWAN class A, port 3, in Dingtek's frame (devices/dingtek.py). Numbers are big-endian.

    21 bytes  | frame | level u16 | park,level | magnet,battery | volts u16 | axes |
              | count u16 | 0 | 81 |
    23 bytes  | frame | the same up to axes | celsius i8 | humidity u8 |         not DO200
              | count u16 | 0 | 81 |
              | .. 17 | 06 B4 | 00 | 00 | 01 61 | .. | 8B | 2D | 00 01 | 0 | 81 |
                                          3.53 V         45 %
    16 or 17 bytes of type 3: settings, of which only the firmware is told

    level           mm to what stands over the sensor; 0 not measured; DO202 (product 32) has none
    park,level      high half: a vehicle stands in the bay; low half: the level's alarm
    magnet,battery  high half: a strong magnet, low half: a low battery
    volts           0.01 V
    axes            the magnetometer, three i16, raw                               skipped
    celsius         -40 to 85; other values, like the example's -117, are left out

A low battery is told as `quality`. The sensor has judged by itself, so a level nobody can measure
says nothing about the reading and is left out.
Integrity is the LoRaWAN message code, checked by the network server, and the frame's own size.
Source: github.com/TheThingsNetwork/lorawan-devices vendor/dingtek do200, do201, do202 (decoders,
examples); no second source found.
Not understood: which of types 1 and 2 is a change of the bay, so that no message is an event by
itself; the gateway sees the change.
Heartbeat: a day, the settings in the examples (24 hours).
"""

from __future__ import annotations

from devices import dingtek
from devices.bounds import bounded, signed, sized, unsigned
from devices.driver import Driver, LorawanLink
from devices.reading import Payload, Refusal, Undecodable, Value, Values

SETTINGS_SIZES, PLAIN, WITH_AIR = (16, 17), 21, 23
DO200, DO201, DO202 = 0x02, 0x31, 0x32
HIGH_MM = 8000
LOW_C, HIGH_C = -40, 85
HIGH_CV = 1000  # hundredths of a volt


def decode(payload: Payload) -> tuple[Values, ...]:
    """One message to one state."""
    data = dingtek.opened(payload, (*SETTINGS_SIZES, PLAIN, WITH_AIR))
    if data[2] not in (DO200, DO201, DO202):
        raise Undecodable(Refusal.TYPE, f"product {data[2]:02x}")
    if data[3] == dingtek.SETTINGS:
        return dingtek.firmware(data)
    sized(data, PLAIN, WITH_AIR)
    hundredths = bounded(unsigned(data[9:11]), 0, HIGH_CV, "hundredths of V")
    fields: dict[str, Value] = {
        "occupied": int(data[7] >> 4 != 0),
        "battery_v": hundredths / 100,
    }
    level_mm = unsigned(data[5:7])
    if 0 < level_mm <= HIGH_MM and data[2] != DO202:
        fields["distance_mm"] = float(level_mm)
    if len(data) == WITH_AIR:
        fields["relative_humidity"] = bounded(data[18], 0, 100, "%") / 100
        celsius = signed(data[17:18])
        if LOW_C <= celsius <= HIGH_C:
            fields["temperature_c"] = float(celsius)
    if data[8] & dingtek.BATTERY_LOW:
        fields["quality"] = "battery_low"
    return (Values(fields),)


def encode(values: Values) -> Payload:
    """A DO200's message; with humidity a DO201's."""
    fields = values.fields
    if "firmware" in fields:
        return dingtek.say_firmware(DO200, str(fields["firmware"]), SETTINGS_SIZES[1])
    level = round(float(fields.get("distance_mm", 0))).to_bytes(2, "big")
    flags = bytes((int(fields.get("occupied", 0)) << 4, fields.get("quality") == "battery_low"))
    volts = round(100 * float(fields.get("battery_v", 0.0))).to_bytes(2, "big")
    body = level + flags + volts + bytes(6)
    if "relative_humidity" not in fields:
        return dingtek.sealed(DO200, dingtek.REPORT, body + bytes(3))
    celsius = round(float(fields.get("temperature_c", -128))).to_bytes(1, "big", signed=True)
    humidity = bytes((round(100 * float(fields["relative_humidity"])),))
    return dingtek.sealed(DO201, dingtek.REPORT, body + celsius + humidity + bytes(3))


DRIVER = Driver(
    name="dingtek_do20",
    vendor="Dingtek",
    models=("DO200", "DO201", "DO202"),
    kind="parking_spot",
    link=LorawanLink(),
    decode=decode,
    encode=encode,
    raw_field="occupied",
    resolution=1.0,
    heartbeat_s=86_400,
)
