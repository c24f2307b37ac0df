"""Dingtek DF701, DF702, DF703, DC410, DC413, DF555: level of bins and tanks.

Link: LoRaWAN class A, port 3, in Dingtek's frame (devices/dingtek.py). Numbers are big-endian, but
the position's floats are little-endian.

    17 bytes  | frame | level u16 | 0 | celsius | sign | angle | full,fire | tilt,battery |
              | .. 11 | 07 D0     | 0 | 19      | 00   | 00    | 00        | 00           |
                        2000 mm         25 °C
              | count u16 | 0 | 81 |
    25 bytes  the same, with | longitude f32 | latitude f32 | after the 0
    18 bytes  | frame | level u16 | 4 bytes | full,0 | 0,battery | volts u16 |
              | count u16 | 81 |            DF701
    12, 17 or 25 bytes of type 3: settings, of which only the firmware is told

    level          mm to what lies under the sensor; 9999 out of range
    celsius        i8; unsigned in the vendor's decoders, which turns -1 into 255
    sign, angle    degrees from upright, negative unless the sign's low half is 0
    full,fire      an alarm in the high half, another in the low half; not 0 is an alarm
    tilt,battery   likewise; DC410 and DC413 call the tilt motion or fall
    volts          0.01 V

`status`: fire is `burning`, tilt is `dropped`, else `ok`. An alarm of the three is an event; full
isn't told by itself, the gateway knows the container. A low battery is told as `quality`, unless
the level can't be measured, which is told as `devices/bounds.py` says.
Integrity is the LoRaWAN message code, checked by the network server, and the frame's own size.
Source: github.com/TheThingsNetwork/lorawan-devices vendor/dingtek df701, df702, df703, dc410,
dc413, df555 (decoders, examples). Its angle has a precedence slip, `a & (b === c)`, that makes
every angle negative; the sign is read here as it is meant.
Not understood: which of types 1 and 2 is the alarm's; DF555 has no angle, its place is told as 0.
Heartbeat: a day, the settings in the examples (24 hours).
"""

from __future__ import annotations

import struct

from devices import dingtek
from devices.bounds import add_distance, add_place, bounded, signed, sized, unsigned
from devices.driver import Driver, LorawanLink
from devices.reading import Payload, Value, Values

SETTINGS_SIZE, WHOLE, LASER, PLACED = 12, 17, 18, 25
SIZES = (SETTINGS_SIZE, WHOLE, LASER, PLACED)
PRODUCT = 1
HIGH_MM = 8000
OUT_OF_RANGE = 9999
LOW_C, HIGH_C = -60, 127
HIGH_CV = 1000  # hundredths of a volt
PLACE = struct.Struct("<ff")  # longitude, latitude


def decode(payload: Payload) -> tuple[Values, ...]:
    """One message to one reading."""
    data = dingtek.opened(payload, SIZES)
    if data[3] == dingtek.SETTINGS:
        return dingtek.firmware(data)
    sized(data, WHOLE, LASER, PLACED)
    fields: dict[str, Value] = {}
    if len(data) == LASER:
        hundredths = bounded(unsigned(data[13:15]), 0, HIGH_CV, "hundredths of V")
        fields["battery_v"] = hundredths / 100
    else:
        if len(data) == PLACED:
            longitude_deg, latitude_deg = PLACE.unpack(data[8:16])
            add_place(fields, latitude_deg, longitude_deg)
        celsius, sign, angle = data[-9:-6]
        celsius = bounded(signed(bytes((celsius,))), LOW_C, HIGH_C, "°C")
        fields["temperature_c"] = float(celsius)
        fields["tilt_deg"] = float(-angle if sign & 0x0F else angle)
    alarms = data[11:13] if len(data) == LASER else data[-6:-4]
    full, fire = bool(alarms[0] >> 4), bool(alarms[0] & 0x0F)
    tilt, low = bool(alarms[1] >> 4), bool(alarms[1] & dingtek.BATTERY_LOW)
    fields["status"] = "burning" if fire else "dropped" if tilt else "ok"
    if low:
        fields["quality"] = "battery_low"
    add_distance(fields, unsigned(data[5:7]), HIGH_MM)
    return (Values(fields, event=full or fire or tilt),)


def encode(values: Values) -> Payload:
    """A DF702's message, with a position if there is one; a DF701's for volts. An event without
    fire or tilt is a full bin."""
    fields = values.fields
    if "firmware" in fields:
        return dingtek.say_firmware(PRODUCT, str(fields["firmware"]), WHOLE)
    fire, tilt = (fields.get("status") == word for word in ("burning", "dropped"))
    full = values.event and not fire and not tilt
    alarms = bytes((full << 4 | fire, tilt << 4 | (fields.get("quality") == "battery_low")))
    level = round(float(fields.get("distance_mm", OUT_OF_RANGE))).to_bytes(2, "big")
    if "battery_v" in fields:
        volts = round(100 * float(fields["battery_v"])).to_bytes(2, "big")
        return dingtek.sealed(PRODUCT, dingtek.REPORT, level + bytes(4) + alarms + volts + bytes(2))
    place = b""
    if "latitude_deg" in fields:
        place = PLACE.pack(float(fields["longitude_deg"]), float(fields["latitude_deg"]))
    celsius = round(float(fields.get("temperature_c", 0.0))).to_bytes(1, "big", signed=True)
    degrees = round(float(fields.get("tilt_deg", 0.0)))
    angle = bytes((degrees < 0, abs(degrees)))
    body = level + b"\0" + place + celsius + angle + alarms + bytes(3)
    return dingtek.sealed(PRODUCT, dingtek.REPORT, body)


DRIVER = Driver(
    name="dingtek_df",
    vendor="Dingtek",
    models=("DF701", "DF702", "DF703", "DC410", "DC413", "DF555"),
    kind="waste_container",
    link=LorawanLink(),
    decode=decode,
    encode=encode,
    raw_field="distance_mm",
    resolution=1.0,
    heartbeat_s=86_400,
)
