"""Nwave NCC405: magnetometer in a lane that counts vehicles.

Link: LoRaWAN class A; the port says what the message is.

    port 1  count      | vehicles u16 |              big-endian
                       | 06 AA        |              1706
    port 2  heartbeat  | health | battery | mean battery of a day |
    port 3  startup    | firmware, three bytes | reset |
    port 6  debug                                    known, nothing for a city in it

    battery  2.5 V and steps of 4 mV

Integrity is the LoRaWAN message code, checked by the network server.
Source: github.com/TheThingsNetwork/lorawan-devices vendor/nwave ncc405 (decoder, examples); no
second source found.
Not understood: the health's bits; when the counter starts again.
Heartbeat: a day, an assumption: set the device's own.
"""

from __future__ import annotations

from devices.bounds import sized, unsigned
from devices.driver import Driver, LorawanLink
from devices.reading import Payload, Refusal, Undecodable, Values

COUNT, HEARTBEAT, STARTUP, DEBUG = 1, 2, 3, 6
SIZES = {COUNT: 2, HEARTBEAT: 3, STARTUP: 4}
LOWEST_MV, STEP_MV = 2500, 4
POWER_ON = 2


def decode(payload: Payload) -> tuple[Values, ...]:
    """One message to one reading, or to nothing for a message without one."""
    data, port = payload.data, payload.port
    if port == DEBUG and data:
        return ()
    if port not in SIZES:
        raise Undecodable(Refusal.TYPE, f"port {port} with {len(data)} bytes")
    sized(data, SIZES[port])
    if port == COUNT:
        return (Values({"vehicle_count": unsigned(data)}),)
    if port == HEARTBEAT:
        return (Values({"battery_v": (LOWEST_MV + STEP_MV * data[1]) / 1000}),)
    return (Values({"firmware": ".".join(str(part) for part in data[:3])}),)


def encode(values: Values) -> Payload:
    """A startup for a firmware, a heartbeat for a battery, else a count."""
    fields = values.fields
    if "firmware" in fields:
        firmware = bytes(int(part) for part in str(fields["firmware"]).split("."))
        return Payload(firmware + bytes((POWER_ON,)), STARTUP)
    if "battery_v" in fields:
        battery_mv = round(1000 * float(fields["battery_v"]))
        steps = min(255, max(0, battery_mv - LOWEST_MV) // STEP_MV)
        return Payload(bytes((0, steps, steps)), HEARTBEAT)
    return Payload(int(fields.get("vehicle_count", 0)).to_bytes(2, "big"), COUNT)


DRIVER = Driver(
    name="nwave_ncc405",
    vendor="Nwave",
    models=("NCC405SM", "NCC405FM"),
    kind="traffic_counter",
    link=LorawanLink(),
    decode=decode,
    encode=encode,
    raw_field="vehicle_count",
    resolution=1.0,
    heartbeat_s=86_400,
)
