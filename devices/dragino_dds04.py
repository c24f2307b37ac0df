"""Dragino LDDS04, DDS04-LB: four ultrasonic distances, four bins on one radio.

Link: LoRaWAN class A; the port says what the message is. Numbers are big-endian.

    port 2  data  | battery u16 | distance u16, four times | message |           11 bytes
                  | 0D 4A       | 03 16 03 18 03 1A 03 15  | 01      |  3.402 V; 790, 792, 794, 789
    port 3  datalog, records of | flags | distance u16, three times | time u32 |
    port 5  device information (devices/dragino.py)

    battery   mV, 14 bits; bit 15 or 14: sent by the interrupt pin, an event
    distance  mm; 0 where no sensor is
    message   1 normal; 2 an answer to a downlink, which holds no distance
    flags     bit 0 sent by the interrupt pin, bit 7 answer to a poll

Sensor 1 is the device itself; the others are its channels "2", "3" and "4". The datalog has only
three of them. A sensor that isn't there says nothing; when none says anything, the battery goes
with `quality` `out_of_range`.
Integrity is the LoRaWAN message code, checked by the network server.
Sources: LDDS04 user manual 2.4 (manualshive.com); github.com/dragino/dragino-end-node-decoder
LDDS04, DDS04-LB; github.com/TheThingsNetwork/lorawan-devices ldds04-codec.yaml.
Where they disagree: bit 15 is the interrupt in the manual and the pin's level in the DDS04-LB
decoder, whose interrupt is bit 14; both count as an event, which only makes the message travel
sooner.
Heartbeat: 20 minutes, as delivered.
"""

from __future__ import annotations

from devices import dragino
from devices.bounds import sized, unsigned
from devices.driver import Driver, LorawanLink
from devices.reading import Payload, Refusal, Undecodable, Value, Values

SIZE = 11
CHANNELS = ("", "2", "3", "4")
ANSWER_MESSAGE, ANSWER_BATTERY = 2, 0x03
EVENT_BITS = 0xC0
HIGH_MM = 7500
MODEL = 0x23  # DDS04-LB


def decode(payload: Payload) -> tuple[Values, ...]:
    """One message to a reading for each sensor, a datalog to one for each sensor and time."""
    data, port = payload.data, payload.port
    if port == dragino.DATA:
        return _data(sized(data, SIZE))
    if port == dragino.DATALOG:
        return tuple(
            Values({"distance_mm": distance_mm}, time_ms, channel, bool(record[0] & 1))
            for record, time_ms in dragino.records(data)
            for channel, distance_mm in _distances(record[1:])
        )
    if port == dragino.INFORMATION:
        return (dragino.information(data),)
    raise Undecodable(Refusal.TYPE, f"port {port} with {len(data)} bytes")


def _data(data: bytes) -> tuple[Values, ...]:
    if data[0] == ANSWER_BATTERY and data[10] == ANSWER_MESSAGE:
        return ()
    battery, event = dragino.battery_v(data[:2]), bool(data[0] & EVENT_BITS)
    readings = tuple(
        Values({"battery_v": battery, "distance_mm": distance_mm}, channel=channel, event=event)
        for channel, distance_mm in _distances(data[2:10])
    )
    fields: dict[str, Value] = {"battery_v": battery, "quality": "out_of_range"}
    return readings or (Values(fields, event=event),)


def _distances(data: bytes) -> list[tuple[str, float]]:
    numbers = (unsigned(data[at : at + 2]) for at in range(0, len(data), 2))
    return [
        (channel, float(number))
        for channel, number in zip(CHANNELS, numbers, strict=False)
        if 0 < number <= HIGH_MM
    ]


def encode(values: Values) -> Payload:
    """The data of a device with one sensor; its datalog for values with a time."""
    fields = values.fields
    if "firmware" in fields:
        return dragino.say_information(fields, MODEL)
    distances = [0] * len(CHANNELS)
    distances[CHANNELS.index(values.channel)] = round(float(fields.get("distance_mm", 0)))
    said = b"".join(distance.to_bytes(2, "big") for distance in distances)
    if values.time_ms is not None:
        return Payload(
            bytes((values.event,)) + said[:6] + dragino.say_time(values), dragino.DATALOG
        )
    battery = bytearray(dragino.say_battery(fields))
    battery[0] |= 0x80 * values.event
    return Payload(bytes(battery) + said + b"\x01", dragino.DATA)


DRIVER = Driver(
    name="dragino_dds04",
    vendor="Dragino",
    models=("LDDS04", "DDS04-LB", "DDS04-LS"),
    kind="waste_container",
    link=LorawanLink(),
    decode=decode,
    encode=encode,
    raw_field="distance_mm",
    resolution=1.0,
    heartbeat_s=1200,
)
