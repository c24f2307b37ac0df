"""Milesight EM400-MUD, EM400-TLD, EM400-UDL, EM310-UDL: distance sensors under a bin's lid.

Link: LoRaWAN class A, port 85 unless configured otherwise (so the port isn't checked).
A message is a row of channels until its end, values little-endian:

    | id | type | value ... | id | type | value ... |
    | 01 |  75  | 5C        | 04 |  82  | 44 08     |   92 %, 2116 mm

    01 75     1  battery          u8, %
    03 67     2  temperature      i16, 0.1 °C
    04 82     2  distance         u16, mm       (EM310: 03 82)
    05 00     1  position         0 upright, 1 tilted by 20° or more       (EM310: 04 00)
    83 67     3  temperature, alarm u8   sent when it jumps by more than 5 °C; 0 when over
    84 82     3  distance, alarm u8      1 threshold, 2 sudden change; 0 when over
    06 88     9  location         of the NB-IoT models, skipped
    FF xx        device information, sent at a join; 0A is the firmware, hex digits of
                 two bytes (01 14 is 1.14)

    distance  0 and over 10 000 mm can't be measured; FFFD nothing reflects, FFFF sensor fault

An id that isn't known has no known length: reading stops there, what came before it counts.

`status`: the sensor hangs under the lid and looks down, so tilted means the lid is up: `lid_open`.
70 °C and more is `burning`, whatever the position: a steel bin in the sun stays under that, and
the alarm alone is no fire (the manual's own example is 29 °C). An alarm, raised or over, is an
event. A distance nobody can measure doesn't silence a fire or a tilt: it is left out and
`quality` says `out_of_range`; alone in a message it is refused.
Integrity is the LoRaWAN message code, checked by the network server.
Sources: Milesight EM400-MUD user guide, 5.1 and 6.2, and EM400-UDL user guide, 5.1 and 5.2;
github.com/Milesight-IoT/SensorDecoders EM_Series; FFFD and FFFF are EM410-RDL's.
Heartbeat: 20 minutes, the EM400-MUD's bin mode as delivered (its configurable properties page).
Not understood: what these models send when nothing reflects; replies to downlinks (FE and FF with
another type), history (20 CE), which none of these models' guides shows.
"""

from __future__ import annotations

from collections.abc import Iterator

from devices.driver import Driver, LorawanLink
from devices.reading import Payload, Refusal, Undecodable, Value, Values

PORT = 85
CHANNELS = {  # id and type: what it says, bytes of its value
    b"\x01\x75": ("battery", 1),
    b"\x03\x67": ("temperature", 2),
    b"\x04\x82": ("distance", 2),
    b"\x03\x82": ("distance", 2),  # EM310-UDL
    b"\x05\x00": ("position", 1),
    b"\x04\x00": ("position", 1),  # EM310-UDL
    b"\x83\x67": ("temperature alarm", 3),
    b"\x84\x82": ("distance alarm", 3),
    b"\x06\x88": ("location", 9),
    b"\xff\x0a": ("firmware", 2),
    b"\xff\x01": ("protocol", 1),
    b"\xff\x09": ("hardware", 2),
    b"\xff\x0b": ("power on", 1),
    b"\xff\x0f": ("class", 1),
    b"\xff\x16": ("serial number", 8),
    b"\xff\xfe": ("reset", 1),
    b"\xff\xff": ("data model", 2),
}
LOW_DC, HIGH_DC = -600, 2000  # tenths of a degree
BURNING_C = 70.0
HIGH_MM = 10_000
NO_TARGET = 0xFFFD
LOST_DISTANCES = {NO_TARGET: Refusal.NO_TARGET, 0xFFFF: Refusal.SENSOR_FAULT}


def decode(payload: Payload) -> tuple[Values, ...]:
    """One message to one record, or to nothing when it only tells about the device."""
    fields: dict[str, Value] = {}
    event = False
    lost: Refusal | None = None
    for channel, value in _channels(payload.data):
        number = int.from_bytes(value[:2], "little")
        match channel:
            case "battery":
                fields["battery_level"] = _checked(number, 0, 100, "% battery") / 100
            case "temperature" | "temperature alarm":
                tenths = int.from_bytes(value[:2], "little", signed=True)
                fields["temperature_c"] = _checked(tenths, LOW_DC, HIGH_DC, "tenths of °C") / 10
            case "distance" | "distance alarm" if 0 < number <= HIGH_MM:
                fields["distance_mm"] = float(number)
            case "distance" | "distance alarm":
                lost = LOST_DISTANCES.get(number, Refusal.RANGE)
            case "position":
                fields["status"] = ("ok", "lid_open")[_checked(number, 0, 1, "as a position")]
            case "firmware":
                fields["firmware"] = f"{value[0]:x}.{value[1]:x}"
        event |= channel.endswith("alarm")
    if lost is not None and "distance_mm" not in fields:
        if not fields:
            raise Undecodable(lost, "no distance, and nothing else in the message")
        fields["quality"] = "out_of_range"
    if float(fields.get("temperature_c", 0.0)) >= BURNING_C:
        fields["status"] = "burning"
    return (Values(fields, event=event),) if fields else ()


def _channels(data: bytes) -> Iterator[tuple[str, bytes]]:
    at = 0
    while at < len(data) or at == 0:
        key = data[at : at + 2]
        if len(key) == 2 and key not in CHANNELS:
            if at == 0:
                raise Undecodable(Refusal.TYPE, f"channel {key.hex()}")
            return
        channel, size = CHANNELS.get(key, ("", 0))
        value = data[at + 2 : at + 2 + size]
        if not channel or len(value) < size:
            raise Undecodable(Refusal.LENGTH, f"cut after {len(data)} bytes")
        yield channel, value
        at += 2 + size


def _checked(number: int, low: int, high: int, unit: str) -> int:
    if not low <= number <= high:
        raise Undecodable(Refusal.RANGE, f"{number} {unit}")
    return number


def encode(values: Values) -> Payload:
    """The message an EM400-MUD sends; for an event its measurements go as alarms."""
    fields, said = values.fields, b""
    alarm_id, alarm = (0x80, b"\x01") if values.event else (0, b"")
    if "battery_level" in fields:
        said += b"\x01\x75" + bytes((round(100 * float(fields["battery_level"])),))
    if "temperature_c" in fields:
        tenths = round(10 * float(fields["temperature_c"]))
        said += bytes((0x03 | alarm_id, 0x67)) + tenths.to_bytes(2, "little", signed=True) + alarm
    if "distance_mm" in fields or "quality" in fields:
        distance_mm = round(float(fields.get("distance_mm", NO_TARGET)))
        said += bytes((0x04 | alarm_id, 0x82)) + distance_mm.to_bytes(2, "little") + alarm
    if fields.get("status") in ("ok", "lid_open", "dropped"):
        said += b"\x05\x00" + bytes((fields["status"] != "ok",))
    if "firmware" in fields:
        digits = str(fields["firmware"]).split(".")
        said += b"\xff\x0a" + bytes(int(digit, 16) for digit in digits)
    return Payload(said, PORT)


DRIVER = Driver(
    name="milesight_em400",
    vendor="Milesight",
    models=("EM400-MUD", "EM400-TLD", "EM400-UDL", "EM310-UDL"),
    kind="waste_container",
    link=LorawanLink(),
    decode=decode,
    encode=encode,
    raw_field="distance_mm",
    resolution=1.0,
    heartbeat_s=1200,
)
