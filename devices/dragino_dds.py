"""Dragino LDDS20, LDDS45, LDDS75, their -LB and -LS successors, MDS120: one distance.

Link: LoRaWAN class A; the port says what the message is. Numbers are big-endian.

    port 2  data  | battery u16 | distance u16 | interrupt | probe i16 | sensor |    8 bytes
                  | 0D 3B       | 0A EF        | 00        | 00 00     | 01     |  3.387 V, 2799 mm
            5 bytes, firmware before 1.1.4: without probe and sensor
            4 bytes, the same firmware: no sensor answered
            14 bytes and more, byte 0 has bit 10: several distances
                  | battery | 6 bytes | distance ... | interrupt | probe | sensor |
    port 3  datalog, records of | battery | distance | probe | flags | time u32 |
    port 5  device information (devices/dragino.py); LMDS120: 6 bytes, the last one 18
    port 6  distances u16 and nothing else

    battery    mV, 14 bits (several distances: 12)
    distance   mm; 0 no sensor, 20 and less and 3FFF (MDS120) invalid
    interrupt  1 when the message was sent by the interrupt pin: an event
    probe      DS18B20 on a cable, 0.1 °C; 7FFF none. The sheets' examples without one hold 0000,
               which can't be told from 0.0 °C and is passed on
    flags      bit 0 interrupt, bit 6 answer to a poll

Of several distances of one moment the median is told (of an even number the lower middle one).
A distance nobody can measure is told as `devices/bounds.py` says.
Integrity is the LoRaWAN message code, checked by the network server.
Sources: wiki.dragino.com, DDS75-LB manual 2.3; github.com/dragino/dragino-end-node-decoder
DDS20-LB, DDS45-LB, DDS75-LB, LDDS20, LDDS45, LDDS75, LMDS120, MDS120-LB;
github.com/TheThingsNetwork/lorawan-devices vendor/dragino ldds20, ldds45, ldds75.
Where they disagree: the probe is in tenths in every decoder that divides, although the DDS75-LB's
own comment says hundredths and DDS20-LB's datalog doesn't divide; tenths here. The port isn't
looked at by the oldest decoders; here it is. The DDS75-LB's takes eight bytes from a solar battery
of 4.1 V and more for several distances; here those are fourteen bytes at least.
Not understood: bytes 2 to 7 of the message with several distances.
Heartbeat: 20 minutes, as delivered.
"""

from __future__ import annotations

from devices import dragino
from devices.bounds import add_distance, signed, sized, unsigned
from devices.driver import Driver, LorawanLink
from devices.reading import Payload, Refusal, Undecodable, Value, Values

DISTANCES = 6
WHOLE, OLD, SENSORLESS = 8, 5, 4
SEVERAL_FLAG, SEVERAL_LEAST = 0x10, 14
SEVERAL_BATTERY_BITS = 0x0FFF
LMDS120_SIZE, LMDS120_MODEL = 6, 0x18
MODEL = 0x27  # DDS75-LB
INVALID_MM, HIGH_MM = 20, 12_000  # MDS120 reaches 12 m, the ultrasonic ones 7.5 m
NO_PROBE = 0x7FFF
LOW_DC, HIGH_DC = -550, 1250  # tenths of a degree a DS18B20 can measure
INTERRUPT, POLLED = 0x01, 0x40


def decode(payload: Payload) -> tuple[Values, ...]:
    """One message to one reading, a datalog to one for each record."""
    data, port = payload.data, payload.port
    if port == dragino.DATA:
        return (_several(data) if _is_several(data) else _data(data),)
    if port == dragino.DATALOG:
        return tuple(
            _reading(record[:2], record[2:4], record[4:6], record[6], time_ms)
            for record, time_ms in dragino.records(data)
        )
    if port == dragino.INFORMATION:
        if len(data) == LMDS120_SIZE and data[-1] == LMDS120_MODEL:
            return ()
        return (dragino.information(data),)
    if port == DISTANCES:
        fields: dict[str, Value] = {}
        _add(fields, _median(data))
        return (Values(fields),)
    raise Undecodable(Refusal.TYPE, f"port {port} with {len(data)} bytes")


def _is_several(data: bytes) -> bool:
    return len(data) >= SEVERAL_LEAST and bool(data[0] & SEVERAL_FLAG)


def _data(data: bytes) -> Values:
    if len(data) == SENSORLESS:
        raise Undecodable(Refusal.SENSOR_FAULT, "four bytes: no sensor answered")
    sized(data, WHOLE, OLD)
    return _reading(data[:2], data[2:4], data[5:7], data[4])


def _several(data: bytes) -> Values:
    battery = (unsigned(data[:2]) & SEVERAL_BATTERY_BITS).to_bytes(2, "big")
    return _reading(battery, _median(data[8:-4]), data[-3:-1], data[-4])


def _median(data: bytes) -> bytes:
    if not data or len(data) % 2:
        raise Undecodable(Refusal.LENGTH, f"{len(data)} bytes are no distances")
    distances = sorted(unsigned(data[at : at + 2]) for at in range(0, len(data), 2))
    measured = [d for d in distances if INVALID_MM < d <= HIGH_MM] or distances
    return measured[(len(measured) - 1) // 2].to_bytes(2, "big")


def _reading(
    battery: bytes, distance: bytes, probe: bytes, interrupt: int, time_ms: int | None = None
) -> Values:
    fields: dict[str, Value] = {"battery_v": dragino.battery_v(battery)}
    if probe and unsigned(probe) != NO_PROBE and LOW_DC <= signed(probe) <= HIGH_DC:
        fields["probe_temperature_c"] = signed(probe) / 10
    _add(fields, distance)
    return Values(fields, time_ms, event=bool(interrupt & INTERRUPT))


def _add(fields: dict[str, Value], distance: bytes) -> None:
    distance_mm = unsigned(distance)
    add_distance(fields, distance_mm if distance_mm > INVALID_MM else 0, HIGH_MM)


def encode(values: Values) -> Payload:
    """A DDS75-LB's data, its datalog for values with a time; older firmware's data without a probe,
    and a lone distance on port 6."""
    fields = values.fields
    if "firmware" in fields:
        return dragino.say_information(fields, MODEL)
    distance = round(float(fields.get("distance_mm", 0))).to_bytes(2, "big")
    if "battery_v" not in fields and "probe_temperature_c" not in fields:
        return Payload(distance, DISTANCES)
    probe = NO_PROBE.to_bytes(2, "big")
    if "probe_temperature_c" in fields:
        tenths = round(10 * float(fields["probe_temperature_c"]))
        probe = tenths.to_bytes(2, "big", signed=True)
    head = dragino.say_battery(fields) + distance
    if values.time_ms is not None:
        flags = bytes((POLLED | values.event,))
        return Payload(head + probe + flags + dragino.say_time(values), dragino.DATALOG)
    return Payload(head + bytes((values.event,)) + probe + b"\x01", dragino.DATA)


DRIVER = Driver(
    name="dragino_dds",
    vendor="Dragino",
    models=(
        "LDDS20",
        "LDDS45",
        "LDDS75",
        "DDS20-LB",
        "DDS20-LS",
        "DDS45-LB",
        "DDS45-LS",
        "DDS75-LB",
        "DDS75-LS",
        "LMDS120",
        "MDS120-LB",
    ),
    kind="waste_container",
    link=LorawanLink(),
    decode=decode,
    encode=encode,
    raw_field="distance_mm",
    resolution=1.0,
    heartbeat_s=1200,
)
