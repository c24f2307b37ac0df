"""Milesight EM400, EM410, EM310, EM500 and WS201: distance sensors of bins and dispensers.

Link: LoRaWAN class A, port 85 unless configured otherwise (so the port isn't checked).
A message is a row of channels (devices/milesight.py), values little-endian:

    | id | type | value ... | id | type | value ... |
    | 01 |  75  | 5C        | 04 |  82  | 44 08     |   92 %, 2116 mm

    01 75     1  battery          u8, %
    03 67     2  temperature      i16, 0.1 °C
    04 82     2  distance         u16, mm       (EM310, EM500, WS201: 03 82)
    05 00     1  position         0 upright, 1 tilted by 20° or more       (EM310: 04 00)
    04 D6     1  remaining        u8, %; what is left in WS201's dispenser
    83 67     3  temperature, alarm u8   sent when it jumps by more than 5 °C; 0 when over
    84 82     3  distance, alarm u8      1 threshold, 2 sudden change; 0 when over
    94 82     5  distance, change i16, alarm u8          EM410
    83 E9     5  distance, change u16, alarm u8          EM500
    B4 82     3  distance, exception u8: 0 left the blind zone, 1 in it, 2 no target, 3 fault
    06 C7     2  the radar's own signal, skipped
    06 88     9  location         of the NB-IoT models, skipped
    20 CE    11  history: time u32, distance, temperature, change i16, events    EM410
    20 CE     6  history: time u32, distance                                     EM500

    distance  0 and over 10 000 mm can't be measured; FFFD nothing reflects, FFFF sensor fault
    history   time is Unix time in seconds; FFFE is a value that is switched off
    events    bit 0 threshold, 1 over, 2 blind, 3 over, 4 sudden change, 5 tilted

Both histories have the same id. A record is taken as the longer one when another channel, or the
end, follows there: in the shorter one's next record that place holds the time's high byte.

`status`: the sensor hangs under the lid and looks down, so tilted means the lid is up: `lid_open`.
70 °C and more is `burning`, whatever the position: a steel bin in the sun stays under that, and
the alarm alone is no fire (the manual's own example is 29 °C). An alarm, raised or over, is an
event. A distance nobody can measure is told as `devices/bounds.py` says.
Integrity is the LoRaWAN message code, checked by the network server.
Sources: Milesight EM400-MUD user guide, 5.1 and 6.2, and EM400-UDL user guide, 5.1 and 5.2;
github.com/Milesight-IoT/SensorDecoders em-series and ws-series. Its EM500-UDL decoder divides 83 E9
by ten, its README doesn't and neither does 03 82 of the same sensor: mm here. Tilt is bit 5 of the
events in its EM410 decoder, bit 6 by a reading of its README's drawing: bit 5 here.
Heartbeat: 20 minutes, the EM400-MUD's bin mode as delivered (its configurable properties page).
Not understood: what the EM400 models send when nothing reflects (FFFD and FFFF are EM410's).
"""

from __future__ import annotations

from devices.bounds import bounded
from devices.driver import Driver, LorawanLink
from devices.milesight import INFORMATION, PORT, add_information, channels, say_information, word
from devices.reading import Payload, Refusal, Undecodable, Value, Values

LONG_RECORD, SHORT_RECORD = 11, 6


def _record_size(rest: bytes) -> int:
    for size in (LONG_RECORD, SHORT_RECORD):
        following = rest[size : size + 2]
        if len(rest) == size or (len(rest) > size and following in CHANNELS):
            return size
    return SHORT_RECORD if len(rest) > SHORT_RECORD else 0


CHANNELS = {
    **INFORMATION,
    b"\x01\x75": ("battery", 1),
    b"\x03\x67": ("temperature", 2),
    b"\x04\x82": ("distance", 2),
    b"\x03\x82": ("distance", 2),
    b"\x05\x00": ("position", 1),
    b"\x04\x00": ("position", 1),
    b"\x04\xd6": ("remaining", 1),
    b"\x83\x67": ("temperature alarm", 3),
    b"\x84\x82": ("distance alarm", 3),
    b"\x94\x82": ("distance alarm", 5),
    b"\x83\xe9": ("distance alarm", 5),
    b"\xb4\x82": ("distance alarm", 3),
    b"\x06\xc7": ("radar signal", 2),
    b"\x06\x88": ("location", 9),
    b"\x20\xce": ("history", _record_size),
}
LOW_DC, HIGH_DC = -600, 2000  # tenths of a degree
BURNING_C = 70.0
HIGH_MM = 10_000
NO_TARGET, OFF, FAULT = 0xFFFD, 0xFFFE, 0xFFFF
LOST_DISTANCES = {NO_TARGET: Refusal.NO_TARGET, FAULT: Refusal.SENSOR_FAULT}
EVENTS, TILTED = 0x1F, 0x20


def decode(payload: Payload) -> tuple[Values, ...]:
    """One message to its history, then what is now; to nothing when it only tells of the device."""
    fields: dict[str, Value] = {}
    history: list[Values] = []
    event = False
    lost: Refusal | None = None
    for channel, value in channels(payload.data, CHANNELS):
        match channel:
            case "history":
                history.append(_record(value))
            case "temperature" | "temperature alarm":
                fields["temperature_c"] = _celsius(value)
            case "distance" | "distance alarm" if 0 < word(value) <= HIGH_MM:
                fields["distance_mm"] = float(word(value))
            case "distance" | "distance alarm":
                lost = LOST_DISTANCES.get(word(value), Refusal.RANGE)
            case "position":
                fields["status"] = ("ok", "lid_open")[bounded(value[0], 0, 1, "as a position")]
            case "remaining":
                fields["filling_level"] = bounded(value[0], 0, 100, "% remaining") / 100
            case _:
                add_information(fields, channel, value)
        event |= channel.endswith("alarm")
    if lost is not None and "distance_mm" not in fields:
        if not fields and not history:
            raise Undecodable(lost, "no distance, and nothing else in the message")
        fields["quality"] = "out_of_range"
    _tell_fire(fields)
    return (*history, Values(fields, event=event)) if fields else tuple(history)


def _record(value: bytes) -> Values:
    fields: dict[str, Value] = {}
    distance_mm, event = word(value[4:]), False
    if 0 < distance_mm <= HIGH_MM:
        fields["distance_mm"] = float(distance_mm)
    elif distance_mm != OFF:
        fields["quality"] = "out_of_range"
    if len(value) == LONG_RECORD:
        if word(value[6:]) not in (OFF, FAULT):
            fields["temperature_c"] = _celsius(value[6:])
        fields["status"] = "lid_open" if value[10] & TILTED else "ok"
        event = bool(value[10] & EVENTS)
    _tell_fire(fields)
    return Values(fields, int.from_bytes(value[:4], "little") * 1000, event=event)


def _celsius(value: bytes) -> float:
    tenths = int.from_bytes(value[:2], "little", signed=True)
    return bounded(tenths, LOW_DC, HIGH_DC, "tenths of °C") / 10


def _tell_fire(fields: dict[str, Value]) -> None:
    if float(fields.get("temperature_c", 0.0)) >= BURNING_C:
        fields["status"] = "burning"


def encode(values: Values) -> Payload:
    """What an EM400-MUD sends, its measurements as alarms for an event; EM410's and EM500's
    history for values with a time, WS201's remaining for a filling level."""
    fields = values.fields
    if values.time_ms is not None:
        return Payload(_say_record(values, values.time_ms // 1000), PORT)
    said = say_information(fields)
    alarm_id, alarm = (0x80, b"\x01") if values.event else (0, b"")
    if "temperature_c" in fields:
        said += bytes((0x03 | alarm_id, 0x67)) + _say_celsius(fields["temperature_c"]) + alarm
    if "distance_mm" in fields or "quality" in fields:
        said += bytes((0x04 | alarm_id, 0x82)) + _say_distance(values) + alarm
    if fields.get("status") in ("ok", "lid_open", "dropped"):
        said += b"\x05\x00" + bytes((fields["status"] != "ok",))
    if "filling_level" in fields:
        said += b"\x04\xd6" + bytes((round(100 * float(fields["filling_level"])),))
    return Payload(said, PORT)


def _say_record(values: Values, time_s: int) -> bytes:
    fields = values.fields
    record = time_s.to_bytes(4, "little") + _say_distance(values)
    if "status" in fields:
        celsius = fields.get("temperature_c")
        record += OFF.to_bytes(2, "little") if celsius is None else _say_celsius(celsius)
        record += bytes((0, 0, TILTED * (fields["status"] == "lid_open") | values.event))
    return b"\x20\xce" + record


def _say_distance(values: Values) -> bytes:
    missing = NO_TARGET if "quality" in values.fields else OFF
    return round(float(values.fields.get("distance_mm", missing))).to_bytes(2, "little")


def _say_celsius(celsius: Value) -> bytes:
    return round(10 * float(celsius)).to_bytes(2, "little", signed=True)


DRIVER = Driver(
    name="milesight_em400",
    vendor="Milesight",
    models=(
        "EM400-MUD",
        "EM400-TLD",
        "EM400-UDL",
        "EM310-UDL",
        "EM410-RDL",
        "EM500-UDL",
        "WS201",
    ),
    kind="waste_container",
    link=LorawanLink(),
    decode=decode,
    encode=encode,
    raw_field="distance_mm",
    resolution=1.0,
    heartbeat_s=1200,
)
