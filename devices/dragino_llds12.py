"""Dragino LLDS12: laser distance by time of flight, 12 m.

Link: LoRaWAN class A, port 2. Numbers are big-endian.

    | battery u16 | probe i16 | distance u16 | signal u16 | interrupt | own i8 | message |
    | 0D 5C       | 00 00     | 0B 18        | 01 B1      | 00        | 1E     | 01      |
      3.42 V                    2840 mm        433                      30 °C

    battery    mV, 14 bits; it runs from 2.1 V up
    probe      DS18B20 on a cable, 0.1 °C; 7FFF none. The sheet's example without one holds 0000,
               which can't be told from 0.0 °C and is passed on
    distance   mm, up to 12 000
    signal     below 100 or FFFF the distance can't be relied on
    interrupt  1 when the message was sent by the interrupt pin: an event
    own        the laser's own temperature, °C
    message    1 normal; 2 an answer to a downlink, which holds no distance, like a message that
               starts with 03

A distance nobody can rely on is left out and `quality` says `out_of_range`.
Integrity is the LoRaWAN message code, checked by the network server.
Sources: LLDS12 user manual 2.3 (manualshive.com: scales, range); github.com/dragino/
dragino-end-node-decoder LLDS12; github.com/TheThingsNetwork/lorawan-devices llds12-codec.yaml;
the signal's limits are those of the laser inside (Benewake TFmini).
Heartbeat: 20 minutes, as delivered.
"""

from __future__ import annotations

from devices import dragino
from devices.bounds import add_distance, bounded, signed, sized, unsigned
from devices.driver import Driver, LorawanLink
from devices.reading import Payload, Refusal, Undecodable, Value, Values

SIZE = 11
ANSWER_MESSAGE, ANSWER_BATTERY = 2, 0x03
HIGH_MM = 12_000
LOW_MV, HIGH_MV = 1500, 6000
WEAK, BLINDED = 100, 0xFFFF
GOOD_SIGNAL = 433  # the sheet's example
NO_PROBE = 0x7FFF
LOW_DC, HIGH_DC = -550, 1250  # tenths of a degree a DS18B20 can measure
LOW_C, HIGH_C = -60, 127


def decode(payload: Payload) -> tuple[Values, ...]:
    """One message to one reading, or to nothing when it answers a downlink."""
    data = payload.data
    if payload.port != dragino.DATA:
        raise Undecodable(Refusal.TYPE, f"port {payload.port} with {len(data)} bytes")
    sized(data, SIZE)
    if data[0] == ANSWER_BATTERY or data[10] == ANSWER_MESSAGE:
        return ()
    celsius = bounded(signed(data[9:10]), LOW_C, HIGH_C, "°C")
    battery_mv = unsigned(data[:2]) & dragino.BATTERY_BITS
    fields: dict[str, Value] = {
        "battery_v": bounded(battery_mv, LOW_MV, HIGH_MV, "mV") / 1000,
        "temperature_c": float(celsius),
    }
    probe = data[2:4]
    if unsigned(probe) != NO_PROBE and LOW_DC <= signed(probe) <= HIGH_DC:
        fields["probe_temperature_c"] = signed(probe) / 10
    seen = WEAK <= unsigned(data[6:8]) < BLINDED
    add_distance(fields, unsigned(data[4:6]) if seen else 0, HIGH_MM)
    return (Values(fields, event=bool(data[8])),)


def encode(values: Values) -> Payload:
    """The message of a sensor, with a good signal when it has a distance."""
    fields = values.fields
    probe = NO_PROBE.to_bytes(2, "big")
    if "probe_temperature_c" in fields:
        tenths = round(10 * float(fields["probe_temperature_c"]))
        probe = tenths.to_bytes(2, "big", signed=True)
    distance_mm = round(float(fields.get("distance_mm", 0)))
    signal = GOOD_SIGNAL if distance_mm else 0
    celsius = round(float(fields.get("temperature_c", 0.0)))
    return Payload(
        dragino.say_battery(fields)
        + probe
        + distance_mm.to_bytes(2, "big")
        + signal.to_bytes(2, "big")
        + bytes((values.event,))
        + celsius.to_bytes(1, "big", signed=True)
        + b"\x01",
        dragino.DATA,
    )


DRIVER = Driver(
    name="dragino_llds12",
    vendor="Dragino",
    models=("LLDS12",),
    kind="waste_container",
    link=LorawanLink(),
    decode=decode,
    encode=encode,
    raw_field="distance_mm",
    resolution=1.0,
    heartbeat_s=1200,
)
