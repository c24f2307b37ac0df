"""Milesight VS321: a radar and camera that counts the people in a room.

Link: LoRaWAN class A, port 85 unless configured otherwise. A row of channels
(devices/milesight.py), values little-endian:

    | 05 FD | people u16 |   | 04 68 | humidity u8 |
    | 05 FD | 03 00      |   | 04 68 | 73          |   3 people, 57.5 %

    01 75  1  battery u8, %
    03 67  2  temperature i16, 0.1 °C       83 67 3 with an alarm u8
    04 68  1  humidity u8, 0.5 %            84 68 2 with an alarm u8
    05 FD  2  people now
    06 FE  4  which of ten regions are in use and hold somebody   skipped: no device
    07 FF  1  light, 08 F4 2 detection, 0A EF 4 time              skipped
    20 CE  7  history: time u32, 0, people u16
    20 CE  9  history: time u32, 1, regions                       skipped

    time  Unix time in seconds

Integrity is the LoRaWAN message code, checked by the network server.
Source: github.com/Milesight-IoT/SensorDecoders vs-series/vs321 decoder; no second source found,
and no documented message: its vectors are constructed.
Not understood: FFFE and FFFF in a temperature, which the decoder calls a sensor's state; both are
left out. Heartbeat: 10 minutes, an assumption: set the device's own.
"""

from __future__ import annotations

from devices.bounds import bounded
from devices.driver import Driver, LorawanLink
from devices.milesight import (
    INFORMATION,
    PORT,
    add_information,
    channels,
    record_size,
    say_information,
    word,
)
from devices.reading import Payload, Value, Values

RECORD_SIZES = (7, 9)
CHANNELS = {
    **INFORMATION,
    b"\x01\x75": ("battery", 1),
    b"\x03\x67": ("temperature", 2),
    b"\x04\x68": ("humidity", 1),
    b"\x05\xfd": ("people", 2),
    b"\x06\xfe": ("regions", 4),
    b"\x07\xff": ("light", 1),
    b"\x08\xf4": ("detection", 2),
    b"\x0a\xef": ("time", 4),
    b"\x83\x67": ("temperature alarm", 3),
    b"\x84\x68": ("humidity alarm", 2),
    b"\x20\xce": ("history", record_size(RECORD_SIZES)),
}
LOW_DC, HIGH_DC = -600, 2000  # tenths of a degree
NO_VALUES = (0xFFFE, 0xFFFF)


def decode(payload: Payload) -> tuple[Values, ...]:
    """One message to its history, then to one reading of now."""
    fields: dict[str, Value] = {}
    history = []
    event = False
    for channel, value in channels(payload.data, CHANNELS):
        match channel:
            case "people":
                fields["people_count"] = word(value)
            case "temperature" | "temperature alarm" if word(value) not in NO_VALUES:
                tenths = int.from_bytes(value[:2], "little", signed=True)
                fields["temperature_c"] = bounded(tenths, LOW_DC, HIGH_DC, "tenths of °C") / 10
                event |= channel.endswith("alarm")
            case "humidity" | "humidity alarm" if value[0] != 0xFF:
                fields["relative_humidity"] = bounded(value[0], 0, 200, "halves of %") / 200
                event |= channel.endswith("alarm")
            case "history" if not value[4]:
                time_ms = int.from_bytes(value[:4], "little") * 1000
                history.append(Values({"people_count": word(value[5:])}, time_ms))
            case _:
                add_information(fields, channel, value)
    return (*history, Values(fields, event=event)) if fields else tuple(history)


def encode(values: Values) -> Payload:
    """A report, as alarms for an event; for values with a time, history."""
    fields = values.fields
    people = int(fields.get("people_count", 0)).to_bytes(2, "little")
    if values.time_ms is not None:
        time = (values.time_ms // 1000).to_bytes(4, "little")
        return Payload(b"\x20\xce" + time + b"\0" + people, PORT)
    said = say_information(fields)
    alarm_id, alarm = (0x80, b"\x01") if values.event else (0, b"")
    if "temperature_c" in fields:
        tenths = round(10 * float(fields["temperature_c"]))
        said += bytes((0x03 | alarm_id, 0x67)) + tenths.to_bytes(2, "little", signed=True) + alarm
    if "relative_humidity" in fields:
        halves = round(200 * float(fields["relative_humidity"]))
        said += bytes((0x04 | alarm_id, 0x68, halves)) + alarm
    if "people_count" in fields:
        said += b"\x05\xfd" + people
    return Payload(said, PORT)


DRIVER = Driver(
    name="milesight_vs321",
    vendor="Milesight",
    models=("VS321",),
    kind="people_counter",
    link=LorawanLink(),
    decode=decode,
    encode=encode,
    raw_field="people_count",
    resolution=1.0,
    heartbeat_s=600,
)
