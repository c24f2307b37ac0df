"""Elsys ERS, ELT, EMS: the air of a room or a street, and who moves in it.

Link: LoRaWAN class A, port 5 unless configured otherwise (so the port isn't checked). A row of
types (devices/elsys.py), values big-endian:

    | 01 | 00 E2 | 02 | 29 | 04 | 00 27 | 05 | 06 |      22.6 °C, 41 %, 39 lx, 6 movements

What is told: temperature, humidity, light, movements, CO2, battery, probe, somebody, pressure,
sound, TVOC. "Coming or going" says neither that somebody is there nor that nobody is, and is left
out. The other types are skipped.

A pressure no weather has (under 300 or over 1200 hPa) is left out and `quality` says
`out_of_range`: TheThingsNetwork's ELT-2 example holds one of 100 729 hPa.
Integrity is the LoRaWAN message code, checked by the network server.
Sources: as devices/elsys.py, and TheThingsNetwork/lorawan-devices ers-, elt-2-codec.yaml,
chirpstack-device-profiles vendors/elsys test_elsys.
Heartbeat: 10 minutes, an assumption: set the device's own.
"""

from __future__ import annotations

from devices.bounds import unsigned
from devices.channels import channels
from devices.driver import Driver, LorawanLink
from devices.elsys import CHANNELS, PORT, add_air, say_air
from devices.reading import Payload, Value, Values

LOW_PRESSURE, HIGH_PRESSURE = 300_000, 1_200_000  # thousandths of a hectopascal
NOBODY, THERE = 0, 2
WORDS = {  # two bytes each: type, field
    "light": (b"\x04", "illuminance_lux"),
    "co2": (b"\x06", "co2_ppm"),
    "tvoc": (b"\x1c", "tvoc_ppb"),
}


def decode(payload: Payload) -> tuple[Values, ...]:
    """One message to one reading, or to nothing when it holds nothing for a city."""
    fields: dict[str, Value] = {}
    for channel, value in channels(payload.data, CHANNELS):
        match channel:
            case "light" | "co2" | "tvoc":
                fields[WORDS[channel][1]] = float(unsigned(value))
            case "motions":
                fields["motions"] = value[0]
            case "somebody" if value[0] in (NOBODY, THERE):
                fields["occupied"] = value[0] // THERE
            case "sound":
                fields["sound_peak_db"], fields["sound_average_db"] = map(float, value)
            case "pressure":
                _add_pressure(fields, unsigned(value))
            case _:
                add_air(fields, channel, value)
    return (Values(fields),) if fields else ()


def _add_pressure(fields: dict[str, Value], thousandths: int) -> None:
    if LOW_PRESSURE <= thousandths <= HIGH_PRESSURE:
        fields["atmospheric_pressure_hpa"] = thousandths / 1000
    else:
        fields["quality"] = "out_of_range"


def encode(values: Values) -> Payload:
    """The message of a sensor that has just these."""
    fields = dict(values.fields)
    said = say_air(fields)
    for type_, name in WORDS.values():
        if name in fields:
            said += type_ + round(float(fields[name])).to_bytes(2, "big")
    if "motions" in fields:
        said += b"\x05" + bytes((int(fields["motions"]),))
    if "occupied" in fields:
        said += b"\x11" + bytes((THERE * int(fields["occupied"]),))
    if "sound_peak_db" in fields:
        sound = (fields["sound_peak_db"], fields["sound_average_db"])
        said += b"\x15" + bytes(round(float(level)) for level in sound)
    if "quality" in fields:
        said += b"\x14" + bytes(4)
    if "atmospheric_pressure_hpa" in fields:
        thousandths = round(1000 * float(fields["atmospheric_pressure_hpa"]))
        said += b"\x14" + thousandths.to_bytes(4, "big")
    return Payload(said, PORT)


DRIVER = Driver(
    name="elsys_ers",
    vendor="Elsys",
    models=("ERS", "ERS CO2", "ERS Eye", "ERS Sound", "ERS VOC", "ELT-2", "ELT Lite", "EMS"),
    kind="environment",
    link=LorawanLink(),
    decode=decode,
    encode=encode,
    raw_field="temperature_c",
    resolution=0.1,
    heartbeat_s=600,
)
