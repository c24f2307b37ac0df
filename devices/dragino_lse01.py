"""Dragino LSE01, SE01-LB, SE01-LS: moisture, temperature and conductivity of soil.

Link: LoRaWAN class A; the port says what the message is. Numbers are big-endian.

    port 2  | battery u16 | probe i16 | moisture u16 | soil i16 | conductivity u16 | flags |
            | 0C D0       | 00 00     | 03 3F        | 07 14    | 18 9C            | 01    |
              3.28 V        none        8.31 %         18.12 °C   6300 µS/cm
    port 5  device information (devices/dragino.py), of SE01-LB and SE01-LS

    battery       mV, 14 bits; the highest two mean something else
    probe         DS18B20 on a cable, 0.1 °C; 7FFF or anything that it can't measure: none. 0000 is
                  none as well: firmware that only reserves these bytes says so, and no city that
                  this is for is at 0.0 °C
    moisture      volumetric water content, 0.01 %, up to 10 000
    soil          temperature at the three rods, 0.01 °C, -40 to 85 °C
    conductivity  µS/cm at 25 °C; the sheet's range is 20 000, "can be greater"
    flags         bit 7 original values: dielectric constant and raw numbers stand in place of
                  moisture, soil and conductivity, and are passed over. Bit 4 the rods answered.
                  Bits 0 to 3 the interrupt pin sent this: an event

A moisture or temperature nobody can measure is left out and `quality` says `out_of_range`. Without
bit 4, and with nothing but 00 or FF in all six bytes, no rods answered: `sensor_fault`. Firmware
before 1.2 has no bit 4 but an 01 in every message, so an interrupt counts only beside bit 4.
Integrity is the LoRaWAN message code, checked by the network server.
Sources: LSE01 user manual 1.3, 2.3 and 2.4 (wiki.dragino.com; easymanua.ls/dragino/lse01): ranges,
units, 20 minutes; github.com/dragino/dragino-end-node-decoder LSE01 V1.2.1 and SE01-LB: flags;
github.com/TheThingsNetwork/lorawan-devices vendor/dragino lse01-121.js, lse01-codec.yaml.
Where they disagree: manual and decoders take FFFF from a soil temperature below zero, which gives
-1.29 °C for FF7E; two's complement here, -1.30, like the probe's. The oldest decoder of
helium/console-decoders has hundredths of µS/cm; the manual's 00C8 is 200.
Not understood: port 3, the SE01-LB's datalog, whose decoder has neither the order nor the scales of
port 2; a counting mode with more than eleven bytes.
Heartbeat: 20 minutes, as delivered.
"""

from __future__ import annotations

from devices import dragino
from devices.bounds import signed, sized, unsigned
from devices.driver import Driver, LorawanLink
from devices.reading import Payload, Refusal, Undecodable, Value, Values

SIZE = 11
MODEL = 0x26  # SE01-LB
ORIGINAL, ANSWERED, INTERRUPT = 0x80, 0x10, 0x0F
NO_PROBE, NOTHING = 0x7FFF, 0xFFFF
LOW_DC, HIGH_DC = -550, 1250  # tenths of a degree a DS18B20 can measure
HIGH_MOISTURE = 10_000
LOW_CC, HIGH_CC = -4_000, 8_500  # hundredths of a degree


def decode(payload: Payload) -> tuple[Values, ...]:
    """One message to one reading."""
    data, port = payload.data, payload.port
    if port == dragino.INFORMATION:
        return (dragino.information(data),)
    if port != dragino.DATA:
        raise Undecodable(Refusal.TYPE, f"port {port} with {len(data)} bytes")
    sized(data, SIZE)
    flags = data[10]
    fields: dict[str, Value] = {"battery_v": dragino.battery_v(data[:2])}
    probe_dc = signed(data[2:4])
    if probe_dc and LOW_DC <= probe_dc <= HIGH_DC:
        fields["probe_temperature_c"] = probe_dc / 10
    if not flags & ORIGINAL:
        _add_soil(fields, data[4:10], bool(flags & ANSWERED))
    return (Values(fields, event=bool(flags & ANSWERED and flags & INTERRUPT)),)


def _add_soil(fields: dict[str, Value], soil: bytes, answered: bool) -> None:
    if not answered and (not any(soil) or soil == b"\xff" * len(soil)):
        raise Undecodable(Refusal.SENSOR_FAULT, "the rods in the soil don't answer")
    moisture, soil_cc = unsigned(soil[:2]), signed(soil[2:4])
    fields["soil_conductivity_us_cm"] = float(unsigned(soil[4:]))
    if moisture <= HIGH_MOISTURE:
        fields["soil_moisture_vwc"] = moisture / HIGH_MOISTURE
    if LOW_CC <= soil_cc <= HIGH_CC:
        fields["soil_temperature_c"] = soil_cc / 100
    if "soil_moisture_vwc" not in fields or "soil_temperature_c" not in fields:
        fields["quality"] = "out_of_range"


def encode(values: Values) -> Payload:
    """What an SE01-LB sends; original values when there is no conductivity to say."""
    fields = values.fields
    if "firmware" in fields:
        return dragino.say_information(fields, MODEL)
    flags = ANSWERED | values.event
    if not fields.keys() & {"soil_moisture_vwc", "soil_temperature_c", "soil_conductivity_us_cm"}:
        flags |= ORIGINAL
    probe = _said(fields.get("probe_temperature_c"), 10, NO_PROBE)
    moisture = _said(fields.get("soil_moisture_vwc"), HIGH_MOISTURE, NOTHING)
    soil = _said(fields.get("soil_temperature_c"), 100, NO_PROBE)
    conductivity = _said(fields.get("soil_conductivity_us_cm"), 1, 0)
    said = dragino.say_battery(fields) + probe + moisture + soil + conductivity
    return Payload(said + bytes((flags,)), dragino.DATA)


def _said(value: Value | None, scale: int, missing: int) -> bytes:
    number = missing if value is None else round(scale * float(value))
    return (number & NOTHING).to_bytes(2, "big")


DRIVER = Driver(
    name="dragino_lse01",
    vendor="Dragino",
    models=("LSE01", "SE01-LB", "SE01-LS"),
    kind="soil_moisture",
    link=LorawanLink(),
    decode=decode,
    encode=encode,
    raw_field="soil_moisture_vwc",
    resolution=0.0001,
    heartbeat_s=1200,
)
