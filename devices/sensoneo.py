"""Sensoneo Single Sensor, Quatro Sensor: ultrasonic level of bins, one beam or four.

Link: LoRaWAN class A; the port says which version of the message it is.

    port 1, versions 1 and 2, text
            (U3.76T+14D251P1)                        3.76 V, 14 °C, 251 cm, upright
    port 2, version 3, 17 bytes, and Quatro, 33 bytes
        | FF FF | type | firmware | id u32 | events | four sonars | volts | celsius | tilt | sent |
        | FF FF | 22   | B3       | ..     | 01     | 7F 7F 7F 7F | 6D    | 15      | 32   | 5D   |
                                                      254 cm        3.59 V  21 °C     50°
        Quatro, after tilt: | time u32 | latitude f32 | N | longitude f32 | E | count | crc | sent |

    P        1 upright, 0 tilted: the sensor hangs under the lid, so `lid_open`
    events   bit 0 measured, 1 temperature (an event), 2 tilted (an event), 3 second device,
             4 battery low, 5 position found, 6 started
    sonars   2 cm each; the distance is their mean, as in the vendor's own sum
    volts    2.5 V and steps of 0.01
    celsius  i8; unsigned in one public decoder of the two
    tilt     degrees
    numbers of more than a byte are little-endian

Quatro's time is its clock's when it measured; the message is live, and the network's time is kept.
A distance nobody can measure is told as `devices/bounds.py` says, a low battery as `quality`.
Integrity is the LoRaWAN message code, checked by the network server; the crc's rule isn't known.
Source: github.com/ZennerIoT/element-parsers lib/sensoneo_singlesensors.ex and
lib/sensoneo_quatrosensors.ex (from Sensoneo's payload documents, with messages); no second source
found. Heartbeat: 6 hours, an assumption: set the device's own.
"""

from __future__ import annotations

import re
import struct

from devices.bounds import add_distance, add_place, bounded, signed, sized
from devices.driver import Driver, LorawanLink
from devices.reading import Payload, Refusal, Undecodable, Value, Values

TEXT_PORT, PORT = 1, 2
TEXT = re.compile(rb"\(U(\d{1,2}\.\d{1,3})T([+-]?\d{1,3})D(\d{1,4})P([01])\)")
SINGLE, QUATRO = 17, 33
HEAD = b"\xff\xff"
NEWS, TILTED, BATTERY_LOW, MEASURED = 0x06, 0x04, 0x10, 0x01
SONARS, SONAR_MM = 4, 20
LOWEST_CV = 250  # hundredths of a volt
LOW_C, HIGH_C = -60, 127
HIGH_MM = 10_000
PLACE = struct.Struct("<fcfc")  # latitude, N or S, longitude, E or W


def decode(payload: Payload) -> tuple[Values, ...]:
    """One message to one reading."""
    data = payload.data
    if payload.port == TEXT_PORT:
        return (_text(data),)
    if payload.port != PORT:
        raise Undecodable(Refusal.TYPE, f"port {payload.port} with {len(data)} bytes")
    sized(data, SINGLE, QUATRO)
    if not data.startswith(HEAD):
        raise Undecodable(Refusal.FORMAT, f"head {data[:2].hex()}")
    events = data[8]
    fields: dict[str, Value] = {
        "firmware": str(data[3]),
        "battery_v": (LOWEST_CV + data[13]) / 100,
        "temperature_c": float(bounded(signed(data[14:15]), LOW_C, HIGH_C, "°C")),
        "tilt_deg": float(data[15]),
    }
    if events & BATTERY_LOW:
        fields["quality"] = "battery_low"
    if len(data) == QUATRO:
        latitude_deg, north, longitude_deg, east = PLACE.unpack(data[20:30])
        south, west = (-1 if half in (b"S", b"W") else 1 for half in (north, east))
        add_place(fields, south * latitude_deg, west * longitude_deg)
    add_distance(fields, sum(data[9:13]) * SONAR_MM // SONARS, HIGH_MM)
    return (Values(fields, event=bool(events & NEWS)),)


def _text(data: bytes) -> Values:
    said = TEXT.fullmatch(data)
    if said is None:
        raise Undecodable(Refusal.FORMAT, f"{len(data)} bytes that aren't (U..T..D..P.)")
    volts, celsius, centimetres, upright = said.groups()
    fields: dict[str, Value] = {
        "battery_v": float(volts),
        "temperature_c": float(bounded(int(celsius), LOW_C, 200, "°C")),
        "status": "ok" if upright == b"1" else "lid_open",
    }
    if float(volts) > 60:
        raise Undecodable(Refusal.RANGE, f"{float(volts)} V")
    add_distance(fields, 10 * int(centimetres), HIGH_MM)
    return Values(fields)


def encode(values: Values) -> Payload:
    """Version 2's text when the position is told as a status, else version 3's bytes, Quatro's for
    a place."""
    fields = values.fields
    distance_mm = float(fields.get("distance_mm", 0))
    volts, celsius = float(fields.get("battery_v", 3.6)), float(fields.get("temperature_c", 20))
    if "status" in fields and "tilt_deg" not in fields and not values.event:
        upright = int(fields["status"] == "ok")
        text = f"(U{volts:g}" if "." in f"{volts:g}" else f"(U{volts:.1f}"
        text += f"T{round(celsius):+d}D{round(distance_mm / 10)}P{upright})"
        return Payload(text.encode(), TEXT_PORT)
    share, rest = divmod(round(distance_mm * SONARS / SONAR_MM), SONARS)
    sonars = bytes(share + (nth < rest) for nth in range(SONARS))
    low = fields.get("quality") == "battery_low"
    events = MEASURED | TILTED * values.event | BATTERY_LOW * low
    said = HEAD + bytes((0x22, int(str(fields.get("firmware", "179"))))) + bytes(4)
    said += bytes((events,)) + sonars
    said += bytes((min(255, max(0, round(100 * volts) - LOWEST_CV)),))
    said += round(celsius).to_bytes(1, "big", signed=True)
    said += bytes((round(float(fields.get("tilt_deg", 0))),))
    if "latitude_deg" in fields:
        latitude_deg, longitude_deg = (
            float(fields[name]) for name in ("latitude_deg", "longitude_deg")
        )
        said += bytes(4) + PLACE.pack(latitude_deg, b"N", longitude_deg, b"E") + bytes(2)
    return Payload(said + b"\x01", PORT)


DRIVER = Driver(
    name="sensoneo",
    vendor="Sensoneo",
    models=("Single Sensor", "Quatro Sensor"),
    kind="waste_container",
    link=LorawanLink(),
    decode=decode,
    encode=encode,
    raw_field="distance_mm",
    resolution=5.0,
    heartbeat_s=21_600,
)
