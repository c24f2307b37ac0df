"""Teneo IoT Filling Degree Sensor: laser level of a waste bin.

Link: LoRaWAN class A; the port says what the message is. Numbers are big-endian.

    port 1  | volts | distance u16 |                                       3 bytes
            | volts | distance u16 | state |                               4
            | volts | distance u16 |       | celsius i16 | humidity u16 |  7
            | volts | distance u16 | state | celsius i16 | humidity u16 |  8
            | 0E    | 00 78        | 00    | 07 53       | 11 4D        |
              3.4 V   120 cm                 18.75 °C      44.29 %
    port 2  | volts | state |              no distance
    port 3  charging                       nothing for a city in it

    volts     2 V and steps of 0.1
    distance  cm
    state     0 good, 4 measured but nothing in range, else an error
    celsius, humidity   hundredths

A distance nobody can measure is told as `devices/bounds.py` says.
Integrity is the LoRaWAN message code, checked by the network server.
Source: github.com/TheThingsNetwork/lorawan-devices vendor/teneo-iot filling-degree-sensor (decoder,
examples), which reads the temperature unsigned; no second source found.
Not understood: the errors' numbers. Heartbeat: 6 hours, an assumption: set the device's own.
"""

from __future__ import annotations

from devices.bounds import add_distance, bounded, signed, sized, unsigned
from devices.driver import Driver, LorawanLink
from devices.reading import Payload, Refusal, Undecodable, Value, Values

DATA, STATE, CHARGING = 1, 2, 3
PLAIN, WITH_STATE, WITH_AIR, WHOLE = 3, 4, 7, 8
STATE_SIZE = 2
GOOD, FAULT = 0, 1
LOWEST_DV = 20  # tenths of a volt
HIGH_MM = 10_000
LOW_CC, HIGH_CC = -6000, 20_000  # hundredths of a degree


def decode(payload: Payload) -> tuple[Values, ...]:
    """One message to one reading, charging to nothing."""
    data, port = payload.data, payload.port
    if port == CHARGING and data:
        return ()
    if port not in (DATA, STATE):
        raise Undecodable(Refusal.TYPE, f"port {port} with {len(data)} bytes")
    sized(data, *((PLAIN, WITH_STATE, WITH_AIR, WHOLE) if port == DATA else (STATE_SIZE,)))
    fields: dict[str, Value] = {"battery_v": (LOWEST_DV + data[0]) / 10}
    if len(data) in (WITH_AIR, WHOLE):
        hundredths = bounded(signed(data[-4:-2]), LOW_CC, HIGH_CC, "hundredths of °C")
        fields["temperature_c"] = hundredths / 100
        humidity = bounded(unsigned(data[-2:]), 0, 10_000, "hundredths of %")
        fields["relative_humidity"] = humidity / 10_000
    has_state = len(data) in (STATE_SIZE, WITH_STATE, WHOLE)
    state = data[1 if port == STATE else 3] if has_state else GOOD
    measured = port == DATA and state == GOOD
    add_distance(fields, 10 * unsigned(data[1:3]) if measured else 0, HIGH_MM)
    return (Values(fields),)


def encode(values: Values) -> Payload:
    """The message with a state, and with the air when there is any."""
    fields = values.fields
    tenths = round(10 * float(fields.get("battery_v", 3.3))) - LOWEST_DV
    centimetres = round(float(fields.get("distance_mm", 0)) / 10)
    state = GOOD if "distance_mm" in fields else FAULT
    said = bytes((min(255, max(0, tenths)),)) + centimetres.to_bytes(2, "big") + bytes((state,))
    if "temperature_c" in fields:
        hundredths = round(100 * float(fields["temperature_c"]))
        humidity = round(10_000 * float(fields.get("relative_humidity", 0.0)))
        said += hundredths.to_bytes(2, "big", signed=True) + humidity.to_bytes(2, "big")
    return Payload(said, DATA)


DRIVER = Driver(
    name="teneo_filling_degree",
    vendor="Teneo IoT",
    models=("Filling Degree Sensor",),
    kind="waste_container",
    link=LorawanLink(),
    decode=decode,
    encode=encode,
    raw_field="distance_mm",
    resolution=10.0,
    heartbeat_s=21_600,
)
