"""Tekelek TEK766: ultrasonic level of a tank, measured often and told four at a time.

Link: LoRaWAN class A; the first byte says what the message is. Numbers are big-endian.

    10 measurement  | 10 | 00 | alarms | 0 | four records, newest first |           20 bytes
                    | 10 | 00 | 01     | 0 | 01 8D F8 AA | ...          |    397 cm, -8 °C
    45 alarm        | 45 | 00 | alarms | 0 | two records, newest first  |           12 bytes
    30 status       | 30 | 00 | 0 | hardware | software u16 | 0 0 | radio | 0 | battery |
                    | steps u16 | period | one record |                             18 bytes

    record   | distance u16 | celsius i8 | signal |      distance in cm; all zero: none yet
    alarms   a bit for each of eight limits
    radio    its sign is dropped: 59 is -89 dBm          skipped, the network knows it
    battery  %
    period   hours between messages

Only the newest record is told: when the older ones were measured isn't in the message (the period
between measurements is a setting). An alarm message is an event.
Integrity is the LoRaWAN message code, checked by the network server.
Sources: github.com/ZennerIoT/element-parsers lib/tekelek_766_rf.ex (from Tekelek CF-5004-01, with
messages); a second public decoder (ports 16 and 48 for 10 and 30; the port isn't checked here).
The two disagree on which half of the signal is the strength; it isn't told.
Not understood: what an unusable echo looks like beside the zero record.
Heartbeat: 6 hours, the status in the examples.
"""

from __future__ import annotations

from devices.bounds import add_distance, bounded, signed, sized, unsigned
from devices.driver import Driver, LorawanLink
from devices.reading import Payload, Refusal, Undecodable, Value, Values

MEASUREMENT, STATUS, ALARM = 0x10, 0x30, 0x45
SIZES = {MEASUREMENT: (8, 12, 16, 20), ALARM: (8, 12), STATUS: (18,)}
PORTS = {MEASUREMENT: 16, STATUS: 48, ALARM: 69}
RECORD_SIZE = 4
NO_RECORD = bytes(RECORD_SIZE)
HIGH_MM = 20_000
LOW_C, HIGH_C = -60, 127
BATTERY_AT, RECORD_AT = 10, 14  # places in a status


def decode(payload: Payload) -> tuple[Values, ...]:
    """One message to its newest record."""
    data = payload.data
    type_ = data[0] if data else None
    if len(data) < 2:
        raise Undecodable(Refusal.LENGTH, f"{len(data)} bytes")
    if type_ not in SIZES or data[1] != 0:
        raise Undecodable(Refusal.TYPE, f"message {data[:2].hex()}")
    sized(data, *SIZES[type_])
    fields: dict[str, Value] = {}
    record = data[4:8]
    if type_ == STATUS:
        fields["battery_level"] = bounded(data[BATTERY_AT], 0, 100, "% battery") / 100
        record = data[RECORD_AT:]
    if record != NO_RECORD:
        fields["temperature_c"] = float(bounded(signed(record[2:3]), LOW_C, HIGH_C, "°C"))
        add_distance(fields, 10 * unsigned(record[:2]), HIGH_MM)
    return (Values(fields, event=type_ == ALARM),) if fields else ()


def encode(values: Values) -> Payload:
    """An alarm for an event, a status when there is a battery, else a measurement."""
    fields = values.fields
    record = NO_RECORD
    if "temperature_c" in fields or "distance_mm" in fields:
        centimetres = round(float(fields.get("distance_mm", 0)) / 10)
        celsius = round(float(fields.get("temperature_c", 0)))
        record = centimetres.to_bytes(2, "big") + celsius.to_bytes(1, "big", signed=True) + b"\xaa"
    if "battery_level" in fields:
        percent = round(100 * float(fields["battery_level"]))
        head = bytes((STATUS, 0, 0, 2, 0, 1, 0, 0, 0x59, 0, percent, 0, 0x5A, 6))
        return Payload(head + record, PORTS[STATUS])
    type_, older = (ALARM, 1) if values.event else (MEASUREMENT, 3)
    head = bytes((type_, 0, values.event, 0))
    return Payload(head + record + older * NO_RECORD, PORTS[type_])


DRIVER = Driver(
    name="tekelek_tek766",
    vendor="Tekelek",
    models=("TEK766",),
    kind="waste_container",
    link=LorawanLink(),
    decode=decode,
    encode=encode,
    raw_field="distance_mm",
    resolution=10.0,
    heartbeat_s=21_600,
)
