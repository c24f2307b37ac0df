"""Libelium Smart Parking, firmware 2 and 3: magnetometer in a bay.

Link: LoRaWAN class A, any port. Eleven bytes; what stands after the first two hangs on the type.

    | state | counter | error | celsius | ... |          types 0 and 1 of firmware 3
    | 80    | 5B      | 00    | 09      | ... |          occupied, 9 °C

    state    bit 7 occupied, bit 6 the battery is to be changed, bit 5 a setting was refused,
             bit 4 calibrated anew, bits 3 to 0 the type:
             0 the bay has changed (an event)   1 keep-alive   2 daily summary   3 error
             4 start, byte 2 the firmware       5 start, settings
             6 service   7 answer to a downlink   8 radio test
    counter  of messages, for gaps
    celsius  i8

Every type carries the state. A battery to be changed is told as `quality`.
Integrity is the LoRaWAN message code, checked by the network server.
Sources: Libelium Smart Parking user manual, 7.1 (firmware 2: state, types, daily summary);
github.com/ZennerIoT/element-parsers lib/libelium_smart-parking_v3.ex (firmware 3, with messages).
Where they disagree: firmware 2 has the temperature in byte 2 of type 0, and the hour, the minute
and the temperature in bytes 2 to 4 of type 1; nothing in the message says which firmware sent it.
Firmware 3 is followed, and only when its error byte is 0: in firmware 2 that means 0 °C, or the
hour after midnight. Firmware 1 sends twelve bytes and is refused.
Not understood: the error's bits. Heartbeat: 2 hours, the keep-alive as delivered (manual, 5).
"""

from __future__ import annotations

from devices.bounds import bounded, signed, sized
from devices.driver import Driver, LorawanLink
from devices.reading import Payload, Refusal, Undecodable, Value, Values

PORT = 2
SIZE = 11
OCCUPIED, BATTERY_LOW, TYPE = 0x80, 0x40, 0x0F
CHANGE, KEEP_ALIVE, DAILY, START, LAST = 0, 1, 2, 4, 8
LOW_C, HIGH_C = -60, 127
ANOTHER_FIRMWARE = 0xFF  # in the error's place: no temperature follows


def decode(payload: Payload) -> tuple[Values, ...]:
    """One message to one state."""
    data = sized(payload.data, SIZE)
    type_ = data[0] & TYPE
    if type_ > LAST:
        raise Undecodable(Refusal.TYPE, f"message type {type_}")
    fields: dict[str, Value] = {"occupied": int(bool(data[0] & OCCUPIED))}
    if data[0] & BATTERY_LOW:
        fields["quality"] = "battery_low"
    if type_ in (CHANGE, KEEP_ALIVE) and data[2] == 0:
        fields["temperature_c"] = float(bounded(signed(data[3:4]), LOW_C, HIGH_C, "°C"))
    if type_ == START:
        fields["firmware"] = str(data[2])
    return (Values(fields, event=type_ == CHANGE),)


def encode(values: Values) -> Payload:
    """A change for an event, a start for a firmware, a keep-alive for a temperature, else a daily
    summary."""
    fields = values.fields
    state = OCCUPIED * int(fields.get("occupied", 0))
    state |= BATTERY_LOW * (fields.get("quality") == "battery_low")
    error, celsius = ANOTHER_FIRMWARE, 0
    if "temperature_c" in fields:
        error, celsius = 0, round(float(fields["temperature_c"]))
    if values.event:
        type_ = CHANGE
    elif "firmware" in fields:
        type_, error = START, int(str(fields["firmware"]))
    else:
        type_ = KEEP_ALIVE if "temperature_c" in fields else DAILY
    head = bytes((state | type_, 0, error)) + celsius.to_bytes(1, "big", signed=True)
    return Payload(head + bytes(SIZE - len(head)), PORT)


DRIVER = Driver(
    name="libelium_parking",
    vendor="Libelium",
    models=("Smart Parking",),
    kind="parking_spot",
    link=LorawanLink(),
    decode=decode,
    encode=encode,
    raw_field="occupied",
    resolution=1.0,
    heartbeat_s=7200,
)
