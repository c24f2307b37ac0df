"""Swisslogix SLX-1307 (Ymatron): fill-level sensor that talks in text.

Link: LoRaWAN class A, port 3 (not checked). ASCII: two characters, a colon, what they say.

    C0:01827      distance, mm          after each measurement
    ?B:3640       battery, mV           once a day
    ?V:V01.01.00  firmware
    ?D, ?I, ?S, ?T   type, interval, serial number, firmware's type     nothing for a city in them

    distance  0 and over 10 000 can't be measured

Integrity is the LoRaWAN message code, checked by the network server.
Source: github.com/ZennerIoT/element-parsers lib/swisslogix_ymatron_fill-level-sensor_slx-1307.ex
(from DOC_1074_01_A, with messages); no second source found.
Heartbeat: 30 minutes, the interval in the examples.
"""

from __future__ import annotations

import re

from devices.bounds import add_distance, bounded
from devices.driver import Driver, LorawanLink
from devices.reading import Payload, Refusal, Undecodable, Value, Values

PORT = 3
MESSAGE = re.compile(rb"(C0|\?[BDISTV]):([ -~]{1,32})")
NUMBER = re.compile(rb"\d{1,6}")
VERSION = re.compile(rb"[A-Za-z0-9._-]{1,32}")
HIGH_MM = 10_000
HIGH_MV = 10_000


def decode(payload: Payload) -> tuple[Values, ...]:
    """One text to one reading, or to nothing when it only tells of the device."""
    said = MESSAGE.fullmatch(payload.data)
    if said is None:
        raise Undecodable(Refusal.FORMAT, f"{len(payload.data)} bytes that aren't C0: or ?X:")
    word, text = said.groups()
    fields: dict[str, Value] = {}
    match word:
        case b"C0":
            add_distance(fields, _number(text), HIGH_MM)
        case b"?B":
            fields["battery_v"] = bounded(_number(text), 0, HIGH_MV, "mV") / 1000
        case b"?V" if VERSION.fullmatch(text):
            fields["firmware"] = text.decode()
        case b"?V":
            raise Undecodable(Refusal.FORMAT, "a firmware of other characters")
    return (Values(fields),) if fields else ()


def _number(text: bytes) -> int:
    if NUMBER.fullmatch(text) is None:
        raise Undecodable(Refusal.FORMAT, f"{len(text)} characters that are no number")
    return int(text)


def encode(values: Values) -> Payload:
    """One text; of several fields the distance."""
    fields = values.fields
    if "distance_mm" in fields:
        text = f"C0:{round(float(fields['distance_mm'])):05d}"
    elif "battery_v" in fields:
        text = f"?B:{round(1000 * float(fields['battery_v']))}"
    else:
        text = f"?V:{fields.get('firmware', 'V01.01.00')}"
    return Payload(text.encode(), PORT)


DRIVER = Driver(
    name="swisslogix_slx1307",
    vendor="Swisslogix",
    models=("SLX-1307",),
    kind="waste_container",
    link=LorawanLink(),
    decode=decode,
    encode=encode,
    raw_field="distance_mm",
    resolution=1.0,
    heartbeat_s=1800,
)
