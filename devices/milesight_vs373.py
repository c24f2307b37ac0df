"""Milesight VS373: a radar on the ceiling that sees whether somebody is in a room, or has fallen.

Link: LoRaWAN class C, port 85 unless configured otherwise. A row of channels
(devices/milesight.py), values little-endian:

    | 03 F8 | status u8 | target u8 | in use u16, now | u16, today |
    | 03 F8 | 01        | 00        | 00 00           | 2C 01      |   nobody there
    | 06 FB | id u16 | alarm u8 | state u8 | region u8 |
    | 06 FB | 07 00  | 00       | 01       | FF        |             somebody has fallen

    03 F8  6   0 somebody, 1 nobody, 2 in bed, 3 out of bed, 4 fallen: all but 1 are `occupied`
    04 F9  4, 05 FA  8   regions and beds   skipped: no device
    06 FB  5   alarm 0 fall, 1 somebody there, 2 dwelling, 3 out of bed, 4 occupied, 5 vacant,
               6 and 7 breathing, 8 lying; state 1 raised, 2 gone, 3 ignored, 4 told again
    20 CE  9   history: time u32, then as 06 FB

    time  Unix time in seconds

A raised alarm is an event, and says whether somebody is there; other states of an alarm say nothing
new. That a fall is a fall has no field here: who has to come is told by the product's own system.
Integrity is the LoRaWAN message code, checked by the network server.
Source: github.com/Milesight-IoT/SensorDecoders vs-series/vs373, README and decoder; no second
source found, and no documented message: its vectors are constructed.
Where they disagree: the README says 0 for an occupied region, the codec's list says 1; regions are
skipped. Alarm 1 is `motionless` in the older decoder, "human in place" in the README.
Heartbeat: 10 minutes, an assumption: set the device's own.
"""

from __future__ import annotations

from devices.bounds import bounded
from devices.driver import Driver, LorawanLink
from devices.milesight import INFORMATION, PORT, add_information, channels, say_information
from devices.reading import Payload, Value, Values

CHANNELS = {
    **INFORMATION,
    b"\x03\xf8": ("status", 6),
    b"\x04\xf9": ("regions", 4),
    b"\x05\xfa": ("beds", 8),
    b"\x06\xfb": ("alarm", 5),
    b"\x20\xce": ("history", 9),
}
NOBODY, STATUS_HIGH = 1, 4
OCCUPIED, VACANT, ALARM_HIGH = 4, 5, 8
RAISED = 1
NO_ID, NO_REGION = b"\xff\xff", b"\xff"


def decode(payload: Payload) -> tuple[Values, ...]:
    """One message to its history, then to one reading of now."""
    fields: dict[str, Value] = {}
    history = []
    event = False
    for channel, value in channels(payload.data, CHANNELS):
        match channel:
            case "status":
                status = bounded(value[0], 0, STATUS_HIGH, "as a status")
                fields["occupied"] = int(status != NOBODY)
            case "alarm":
                occupied = _occupied(value)
                if occupied is not None:
                    fields["occupied"], event = occupied, True
            case "history":
                occupied = _occupied(value[4:])
                if occupied is not None:
                    time_ms = int.from_bytes(value[:4], "little") * 1000
                    history.append(Values({"occupied": occupied}, time_ms))
            case _:
                add_information(fields, channel, value)
    return (*history, Values(fields, event=event)) if fields else tuple(history)


def encode(values: Values) -> Payload:
    """A report, as an alarm for an event; for values with a time, history."""
    fields = values.fields
    alarm = NO_ID + bytes((OCCUPIED if fields.get("occupied") else VACANT, RAISED)) + NO_REGION
    if values.time_ms is not None:
        return Payload(b"\x20\xce" + (values.time_ms // 1000).to_bytes(4, "little") + alarm, PORT)
    said = say_information(fields)
    if "occupied" in fields and values.event:
        said += b"\x06\xfb" + alarm
    elif "occupied" in fields:
        said += b"\x03\xf8" + bytes((0 if fields["occupied"] else NOBODY, 0, 0, 0, 0, 0))
    return Payload(said, PORT)


def _occupied(alarm: bytes) -> int | None:
    """Whether somebody is there when the alarm is raised, None for its other states."""
    kind = bounded(alarm[2], 0, ALARM_HIGH, "as an alarm")
    return int(kind != VACANT) if alarm[3] == RAISED else None


DRIVER = Driver(
    name="milesight_vs373",
    vendor="Milesight",
    models=("VS373",),
    kind="people_counter",
    link=LorawanLink(),
    decode=decode,
    encode=encode,
    raw_field="occupied",
    resolution=1.0,
    heartbeat_s=600,
)
