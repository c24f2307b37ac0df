"""Dragino LMDS200, MDS200-LB: radar distance to the nearest thing, and to the next behind it.

Link: LoRaWAN class A; the port says what the message is. Numbers are big-endian.

    port 2  data  | battery u16 | nearest u16 | next u16 | alarms |               7 bytes
                  | 0B 88       | 01 00       | 25 00    | 01     |   2.952 V, 256 mm, 9472 mm
    port 3  datalog, records of | battery | nearest | next | flags | time u32 |
    port 4  settings, 8 or 9 bytes          known, nothing for a city in them
    port 5  device information (devices/dragino.py)

    battery   mV
    nearest   mm, up to 20 000
    alarms    bit 0 sent by the interrupt pin, bit 1 distance out of the set range, rest a count
    flags     bits 0 and 1 as above, bit 6 answer to a poll

Only the nearest thing is told: in a bin that's the waste. An alarm is an event.
A distance nobody can measure is left out and `quality` says `out_of_range`.
Integrity is the LoRaWAN message code, checked by the network server.
Sources: github.com/dragino/dragino-end-node-decoder LMDS200, MDS200-LB (no unit in them);
wiki.dragino.com MDS200-LB (nearest and next, 20 m); mm as in TagoIO's MDS200-LB decoder and one
more independent codec; github.com/TheThingsNetwork/lorawan-devices
lmds200-codec.yaml, whose example says 2.952 V.
Heartbeat: 20 minutes, as delivered.
"""

from __future__ import annotations

from devices import dragino
from devices.bounds import add_distance, sized, unsigned
from devices.driver import Driver, LorawanLink
from devices.reading import Payload, Refusal, Undecodable, Value, Values

SIZE = 7
SETTINGS_SIZES = (8, 9)
HIGH_MM = 20_000
ALARMS, DISTANCE_ALARM, POLLED = 0x03, 0x02, 0x40
MODEL = 0x2B  # MDS200-LB


def decode(payload: Payload) -> tuple[Values, ...]:
    """One message to one reading, a datalog to one for each record."""
    data, port = payload.data, payload.port
    if port == dragino.DATA:
        return (_reading(sized(data, SIZE), None),)
    if port == dragino.DATALOG:
        return tuple(_reading(record, time_ms) for record, time_ms in dragino.records(data))
    if port == dragino.SETTINGS:
        sized(data, *SETTINGS_SIZES)
        return ()
    if port == dragino.INFORMATION:
        return (dragino.information(data),)
    raise Undecodable(Refusal.TYPE, f"port {port} with {len(data)} bytes")


def _reading(data: bytes, time_ms: int | None) -> Values:
    fields: dict[str, Value] = {"battery_v": unsigned(data[:2]) / 1000}
    if float(fields["battery_v"]) > dragino.BATTERY_BITS / 1000:
        raise Undecodable(Refusal.RANGE, f"{fields['battery_v']} V")
    add_distance(fields, unsigned(data[2:4]), HIGH_MM)
    return Values(fields, time_ms, event=bool(data[6] & ALARMS))


def encode(values: Values) -> Payload:
    """The data of a sensor that sees one thing; its datalog for values with a time."""
    fields = values.fields
    if "firmware" in fields:
        return dragino.say_information(fields, MODEL)
    distance_mm = round(float(fields.get("distance_mm", 0)))
    body = dragino.say_battery(fields) + distance_mm.to_bytes(2, "big") + bytes(2)
    alarm = DISTANCE_ALARM * values.event
    if values.time_ms is not None:
        record = body + bytes((POLLED | alarm,)) + dragino.say_time(values)
        return Payload(record, dragino.DATALOG)
    return Payload(body + bytes((alarm,)), dragino.DATA)


DRIVER = Driver(
    name="dragino_mds200",
    vendor="Dragino",
    models=("LMDS200", "MDS200-LB", "MDS200-LS"),
    kind="waste_container",
    link=LorawanLink(),
    decode=decode,
    encode=encode,
    raw_field="distance_mm",
    resolution=1.0,
    heartbeat_s=1200,
)
