"""Nwave NPS405: magnetometer in or on a bay that tells how long the last state lasted.

Link: LoRaWAN class A; the port says what the message is.

    port 1   status        | lasted, occupied |                             a change: an event
                           | 95               |     occupied, free for 74 minutes before
    port 2   heartbeat     | health, occupied | battery | celsius |          3 bytes, or 6
    port 3   startup       | firmware, three bytes | reset | occupied |
    port 6   debug                                    known, nothing for a city in it
    port 10  registration  | lasted, occupied | tag u32 |

    occupied  bit 0
    lasted    bits 1 to 7, minutes: 0..89 as they are, 90..119 are 90 and steps of 5,
              120..126 are 240 and steps of 60, 127 is 660 or longer
    battery   2.5 V and steps of 4 mV
    celsius   10 °C and steps of 0.5, i8
    reset     0 joined again, 1 watchdog, 2 power on, 3 on request, 6 brownout, 7 other

A registration is a driver's tag: a person's, so it doesn't leave this file. Of one whose bit 0 is
clear nothing else is left.
A battery under 3.0 V (2.9 V below -5 °C) is the vendor's "low", told as `quality`.
Integrity is the LoRaWAN message code, checked by the network server.
Source: github.com/TheThingsNetwork/lorawan-devices vendor/nwave nps405 (decoder, examples); no
second source found.
Not understood: the health's bits; the last three bytes of a heartbeat of six.
Heartbeat: a day, an assumption: set the device's own.
"""

from __future__ import annotations

from devices.bounds import signed, sized
from devices.driver import Driver, LorawanLink
from devices.reading import Payload, Refusal, Undecodable, Value, Values

STATUS, HEARTBEAT, STARTUP, DEBUG, REGISTRATION = 1, 2, 3, 6, 10
SIZES = {STATUS: (1,), HEARTBEAT: (3, 6), STARTUP: (5,), REGISTRATION: (5,)}
STEPS = ((0, 0, 1), (90, 90, 5), (120, 240, 60), (127, 660, 1))  # from code, minutes, a step
LOWEST_MV, STEP_MV = 2500, 4
NEW_V = 3.5
LOW_MV, LOW_COLD_MV, COLD_C = 3000, 2900, -5.0
MIDDLE_C = 10
POWER_ON = 2


def decode(payload: Payload) -> tuple[Values, ...]:
    """One message to one state, or to nothing for a message without one."""
    data, port = payload.data, payload.port
    if port == DEBUG and data:
        return ()
    if port not in SIZES:
        raise Undecodable(Refusal.TYPE, f"port {port} with {len(data)} bytes")
    sized(data, *SIZES[port])
    if port == STARTUP:
        firmware = ".".join(str(part) for part in data[:3])
        return (Values({"occupied": data[4] & 1, "firmware": firmware}),)
    if port == HEARTBEAT:
        return (Values(_heartbeat(data)),)
    if port == REGISTRATION and not data[0] & 1:
        return ()
    lasted_s = _minutes(data[0] >> 1) * 60.0
    return (Values({"occupied": data[0] & 1, "previous_state_s": lasted_s}, event=True),)


def _minutes(code: int) -> int:
    first, minutes, step = next(row for row in reversed(STEPS) if code >= row[0])
    return minutes + (code - first) * step


def _code(minutes: float) -> int:
    first, low, step = next(row for row in reversed(STEPS) if minutes >= row[1])
    return min(127, first + int((minutes - low) // step))


def _heartbeat(data: bytes) -> dict[str, Value]:
    celsius = signed(data[2:3]) / 2 + MIDDLE_C
    battery_mv = LOWEST_MV + STEP_MV * data[1]
    fields: dict[str, Value] = {
        "occupied": data[0] & 1,
        "battery_v": battery_mv / 1000,
        "temperature_c": celsius,
    }
    if battery_mv < (LOW_MV if celsius >= COLD_C else LOW_COLD_MV):
        fields["quality"] = "battery_low"
    return fields


def encode(values: Values) -> Payload:
    """A status for an event, a startup when there is a firmware, else a heartbeat."""
    fields = values.fields
    occupied = int(fields.get("occupied", 0))
    if values.event:
        code = _code(float(fields.get("previous_state_s", 0.0)) / 60)
        return Payload(bytes((code << 1 | occupied,)), STATUS)
    if "firmware" in fields:
        firmware = bytes(int(part) for part in str(fields["firmware"]).split("."))
        return Payload(firmware + bytes((POWER_ON, occupied)), STARTUP)
    battery_mv = round(1000 * float(fields.get("battery_v", NEW_V)))
    steps = min(255, max(0, battery_mv - LOWEST_MV) // STEP_MV)
    halves = round(2 * (float(fields.get("temperature_c", 25.0)) - MIDDLE_C))
    return Payload(bytes((occupied, steps)) + halves.to_bytes(1, "big", signed=True), HEARTBEAT)


DRIVER = Driver(
    name="nwave_nps405",
    vendor="Nwave",
    models=("NPS405SM", "NPS405FM"),
    kind="parking_spot",
    link=LorawanLink(),
    decode=decode,
    encode=encode,
    raw_field="occupied",
    resolution=1.0,
    heartbeat_s=86_400,
)
