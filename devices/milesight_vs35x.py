"""Milesight VS350, VS351, VS360: small counters of who passes a door, on battery or mains.

Link: LoRaWAN class A, port 85 unless configured otherwise. A row of channels
(devices/milesight.py), values little-endian:

    | 04 CC | in u16 | out u16 |   | 05 CC | in u16 | out u16 |
    | 04 CC | 12 00  | 16 00   |   | 05 CC | 13 00  | 14 00   |   18 in, 22 out; 19, 20 of late

    01 75  1  battery u8, %            (VS360: 02 75 is its second half's, skipped)
    03 67  2  temperature i16, 0.1 °C
    04 CC  4  people in and out, ever
    05 CC  4  people in and out since the last report
    83 67  3  temperature, alarm u8    0 and 4 are over
    84 CC  5  as 04 CC, alarm u8       85 CC 5 as 05 CC, alarm u8
    0A EF  4  time, 81 EE 1 sensitivity, 03 F4 2 counting anomaly, lost half     skipped
    20 CE  9  history: time u32, 0, period in, out
    20 CE 13  history: time u32, 1, period in, out, ever in, out

    time  Unix time in seconds

An alarm, raised or over, is an event.
Integrity is the LoRaWAN message code, checked by the network server.
Sources: github.com/Milesight-IoT/SensorDecoders vs-series/vs350, vs351, vs360 (README, decoder).
Heartbeat: 10 minutes, an assumption: set the device's own.
"""

from __future__ import annotations

from devices.bounds import bounded
from devices.driver import Driver, LorawanLink
from devices.milesight import (
    INFORMATION,
    PORT,
    add_information,
    channels,
    pair,
    record_size,
    say_information,
)
from devices.reading import Payload, Value, Values

RECORD_SIZES = (9, 13)
CHANNELS = {
    **INFORMATION,
    b"\x01\x75": ("battery", 1),
    b"\x02\x75": ("second battery", 1),
    b"\x03\x67": ("temperature", 2),
    b"\x04\xcc": ("ever", 4),
    b"\x05\xcc": ("period", 4),
    b"\x83\x67": ("temperature alarm", 3),
    b"\x84\xcc": ("ever alarm", 5),
    b"\x85\xcc": ("period alarm", 5),
    b"\x0a\xef": ("time", 4),
    b"\x81\xee": ("sensitivity", 1),
    b"\x03\xf4": ("anomaly", 2),
    b"\x20\xce": ("history", record_size(RECORD_SIZES)),
}
LOW_DC, HIGH_DC = -600, 2000  # tenths of a degree


def decode(payload: Payload) -> tuple[Values, ...]:
    """One message to its history, then to one reading of now."""
    fields: dict[str, Value] = {}
    history = []
    event = False
    for channel, value in channels(payload.data, CHANNELS):
        match channel:
            case "temperature" | "temperature alarm":
                tenths = int.from_bytes(value[:2], "little", signed=True)
                fields["temperature_c"] = bounded(tenths, LOW_DC, HIGH_DC, "tenths of °C") / 10
            case "ever" | "ever alarm":
                fields["people_in"], fields["people_out"] = pair(value)
            case "period" | "period alarm":
                fields["period_in"], fields["period_out"] = pair(value)
            case "history":
                history.append(_record(value))
            case _:
                add_information(fields, channel, value)
        event |= channel.endswith("alarm")
    return (*history, Values(fields, event=event)) if fields else tuple(history)


def _record(value: bytes) -> Values:
    fields: dict[str, Value] = {}
    fields["period_in"], fields["period_out"] = pair(value[5:])
    if value[4]:
        fields["people_in"], fields["people_out"] = pair(value[9:])
    return Values(fields, int.from_bytes(value[:4], "little") * 1000)


def encode(values: Values) -> Payload:
    """A report, as alarms for an event; for values with a time, history."""
    fields = values.fields
    ever = [int(fields.get(name, 0)) for name in ("people_in", "people_out")]
    period = [int(fields.get(name, 0)) for name in ("period_in", "period_out")]
    if values.time_ms is not None:
        time = (values.time_ms // 1000).to_bytes(4, "little")
        longer = "people_in" in fields
        counted = (*period, *ever) if longer else period
        return Payload(b"\x20\xce" + time + bytes((longer,)) + _words(counted), PORT)
    said = say_information(fields)
    alarm_id, alarm = (0x80, b"\x01") if values.event else (0, b"")
    if "temperature_c" in fields:
        tenths = round(10 * float(fields["temperature_c"]))
        said += bytes((0x03 | alarm_id, 0x67)) + tenths.to_bytes(2, "little", signed=True) + alarm
    if "people_in" in fields:
        said += bytes((0x04 | alarm_id, 0xCC)) + _words(ever) + alarm
    if "period_in" in fields:
        said += bytes((0x05 | alarm_id, 0xCC)) + _words(period) + alarm
    return Payload(said, PORT)


def _words(numbers: list[int] | tuple[int, ...]) -> bytes:
    return b"".join(number.to_bytes(2, "little") for number in numbers)


DRIVER = Driver(
    name="milesight_vs35x",
    vendor="Milesight",
    models=("VS350", "VS351", "VS360"),
    kind="people_counter",
    link=LorawanLink(),
    decode=decode,
    encode=encode,
    raw_field="people_in",
    resolution=1.0,
    heartbeat_s=600,
)
