"""Netvox R719A, R719B: magnet and radar in the floor of a bay.

Link: LoRaWAN class A, in Netvox's frame of eleven bytes (devices/netvox.py).

    | 01 | 59 | 01 | battery | car | 0 ... |      59 R719A, AF R719B
    | 01 | 59 | 01 | 24      | 01  | 0 ... |      3.6 V, a car stands there

    battery  0.1 V, bit 7 low
    car      0 free, 1 occupied
    port 7   81, 82: answers to downlinks, nothing for a city in them

Integrity is the LoRaWAN message code, checked by the network server.
Sources: github.com/TheThingsNetwork/lorawan-devices vendor/netvox payload/r719a.js,
r719a-codec.yaml;
github.com/ZennerIoT/element-parsers lib/netvox_multiparser.ex (device numbers).
Not understood: whether a change is told in another report than a periodic one; no message is an
event by itself, the gateway sees the change.
Heartbeat: an hour, an assumption: set the device's own.
"""

from __future__ import annotations

from devices import netvox
from devices.bounds import bounded
from devices.driver import Driver, LorawanLink
from devices.reading import Payload, Value, Values

R719A, R719B = 0x59, 0xAF
ANSWERS = (0x81, 0x82)


def decode(payload: Payload) -> tuple[Values, ...]:
    """One report to one state, an answer to nothing."""
    data = netvox.opened(payload, (R719A, R719B), ANSWERS)
    if not data:
        return ()
    if data[2] == netvox.STARTUP:
        return netvox.startup(data)
    fields: dict[str, Value] = {"occupied": bounded(data[4], 0, 1, "as a car")}
    netvox.add_battery(fields, data[3])
    return (Values(fields),)


def encode(values: Values) -> Payload:
    """A R719A's report."""
    if "firmware" in values.fields:
        return netvox.say_startup(R719A, values.fields["firmware"])
    car = int(values.fields.get("occupied", 0))
    head = bytes((netvox.VERSION, R719A, netvox.STATUS, netvox.say_battery(values), car))
    return Payload(head + bytes(netvox.SIZE - len(head)), netvox.REPORT_PORT)


DRIVER = Driver(
    name="netvox_r719a",
    vendor="Netvox",
    models=("R719A", "R719B"),
    kind="parking_spot",
    link=LorawanLink(),
    decode=decode,
    encode=encode,
    raw_field="occupied",
    resolution=1.0,
    heartbeat_s=3600,
)
