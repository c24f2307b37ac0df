"""Tekzitel Tekzipark: radar and magnetometer on a bay.

Link: LoRaWAN class A; the port says what the message is.

    port 1  | state | celsius i8 | bay |                                    3 bytes
            | state | celsius i8 | bay | strongest i8 | beacons u16 ... |    4 and more
            | A8    | 2D         | 63  |              occupied, good battery, 45 °C
    port 2  | state | celsius i8 | bay | nine bytes of diagnosis |           12 bytes

    state    bit 7 occupied, 5 good battery, 4 obstructed, 3 seen by radar, 2 no beacon,
             1 restarted, 0 keep-alive; without bit 0 the bay has changed: an event
    bay      a number set by hand: the configuration names the bay
    beacons  tags of the cars near by: persons', so they don't leave this file

A battery that isn't good is told as `quality`.
Integrity is the LoRaWAN message code, checked by the network server.
Source: github.com/TheThingsNetwork/lorawan-devices vendor/tekzitel tekzipark (decoder, examples);
no second source found.
Not understood: the fault's numbers. Heartbeat: a day, an assumption: set the device's own.
"""

from __future__ import annotations

from devices.bounds import bounded, signed, sized
from devices.driver import Driver, LorawanLink
from devices.reading import Payload, Refusal, Undecodable, Value, Values

STATE, DIAGNOSIS = 1, 2
PLAIN, DIAGNOSIS_SIZE = 3, 12
OCCUPIED, GOOD_BATTERY, KEEP_ALIVE = 0x80, 0x20, 0x01
LOW_C, HIGH_C = -60, 127


def decode(payload: Payload) -> tuple[Values, ...]:
    """One message to one state."""
    data, port = payload.data, payload.port
    if port == DIAGNOSIS:
        sized(data, DIAGNOSIS_SIZE)
    elif port != STATE:
        raise Undecodable(Refusal.TYPE, f"port {port} with {len(data)} bytes")
    elif len(data) < PLAIN or (len(data) > PLAIN and len(data) % 2):
        raise Undecodable(Refusal.LENGTH, f"{len(data)} bytes: no state with whole beacons")
    fields: dict[str, Value] = {
        "occupied": int(bool(data[0] & OCCUPIED)),
        "temperature_c": float(bounded(signed(data[1:2]), LOW_C, HIGH_C, "°C")),
    }
    if not data[0] & GOOD_BATTERY:
        fields["quality"] = "battery_low"
    return (Values(fields, event=not data[0] & KEEP_ALIVE),)


def encode(values: Values) -> Payload:
    """The state of bay 0, no car's tag near by."""
    fields = values.fields
    state = OCCUPIED * int(fields.get("occupied", 0)) | KEEP_ALIVE * (not values.event)
    state |= GOOD_BATTERY * (fields.get("quality") != "battery_low")
    celsius = round(float(fields.get("temperature_c", 25.0)))
    return Payload(bytes((state,)) + celsius.to_bytes(1, "big", signed=True) + b"\0", STATE)


DRIVER = Driver(
    name="tekzitel_tekzipark",
    vendor="Tekzitel",
    models=("Tekzipark",),
    kind="parking_spot",
    link=LorawanLink(),
    decode=decode,
    encode=encode,
    raw_field="occupied",
    resolution=1.0,
    heartbeat_s=86_400,
)
