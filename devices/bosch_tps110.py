"""Bosch TPS110 Parking Lot Sensor, Nwave NPS310: magnetometer in or on a bay.

Link: LoRaWAN class A; the port says what the message is.

    port 1  status     | state |                                  the bay has changed: an event
    port 2  heartbeat  | state | temperature |                    temperature on newer firmware
    port 3  startup    | 12 debug | 3 firmware | reset | state |  17 bytes, NPS310 without debug: 5
    port 4 info, 5 usage, 6 debug                                 known, nothing for a city in them

    state        bit 0: 1 occupied, 0 free; the other bits are reserved
    temperature  i8, °C
    firmware     major, minor, patch, one byte each
    reset        1 watchdog, 2 power on, 3 on request, 4 other (NPS310: brownout, 5 other)
    debug        three u32 little-endian, 12 bits of code each

Integrity is the LoRaWAN message code, checked by the network server.
Sources: Bosch "Parking Lot Sensor, Communication Interface", as read by
github.com/TheThingsNetwork/lorawan-devices vendor/bosch/tpl110-0292.js and
github.com/ZennerIoT/element-parsers lib/bosch_parksensor.ex; for the NPS310 the first one's
vendor/nwave/nps310sm.js.
Not understood: what ports 4 and 5 hold; the factory's heartbeat interval, which the sources read
don't give. A day is assumed: set `heartbeat_s` of the device to what it was configured with.
"""

from __future__ import annotations

from devices.driver import Driver, LorawanLink
from devices.reading import Payload, Refusal, Undecodable, Value, Values

STATUS, HEARTBEAT, STARTUP = 1, 2, 3
SILENT_PORTS = (4, 5, 6)
SIZES = {STATUS: (1,), HEARTBEAT: (1, 2), STARTUP: (17, 5)}
LOW_C, HIGH_C = -60, 127
RESET_ON_REQUEST = 3


def decode(payload: Payload) -> tuple[Values, ...]:
    """One message to one state, or to nothing for a message without one."""
    data, port = payload.data, payload.port
    if port in SILENT_PORTS and data:
        return ()
    if port in SIZES and len(data) not in SIZES[port]:
        raise Undecodable(Refusal.LENGTH, f"{len(data)} bytes on port {port}")
    if port == STATUS:
        return (Values({"occupied": data[0] & 1}, event=True),)
    if port == HEARTBEAT:
        return (Values(_heartbeat(data)),)
    if port == STARTUP:
        firmware = ".".join(str(part) for part in data[-5:-2])
        return (Values({"occupied": data[-1] & 1, "firmware": firmware}),)
    raise Undecodable(Refusal.TYPE, f"port {port} with {len(data)} bytes")


def _heartbeat(data: bytes) -> dict[str, Value]:
    fields: dict[str, Value] = {"occupied": data[0] & 1}
    if len(data) > 1:
        celsius = int.from_bytes(data[1:2], "big", signed=True)
        if not LOW_C <= celsius <= HIGH_C:
            raise Undecodable(Refusal.RANGE, f"{celsius} °C")
        fields["temperature_c"] = float(celsius)
    return fields


def encode(values: Values) -> Payload:
    """A status for an event, a startup when there is a firmware to tell, else a heartbeat."""
    state = bytes((int(values.fields.get("occupied", 0)),))
    if values.event:
        return Payload(state, STATUS)
    if "firmware" in values.fields:
        version = bytes(int(part) for part in str(values.fields["firmware"]).split("."))
        return Payload(bytes(12) + version + bytes((RESET_ON_REQUEST,)) + state, STARTUP)
    if "temperature_c" in values.fields:
        celsius = round(float(values.fields["temperature_c"]))
        state += celsius.to_bytes(1, "big", signed=True)
    return Payload(state, HEARTBEAT)


DRIVER = Driver(
    name="bosch_tps110",
    vendor="Bosch",
    models=("TPS110", "Nwave NPS310"),
    kind="parking_spot",
    link=LorawanLink(),
    decode=decode,
    encode=encode,
    raw_field="occupied",
    resolution=1.0,
    heartbeat_s=86_400,
)
