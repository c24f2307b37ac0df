"""Elsys' row of types: what all its LoRaWAN sensors' messages are made of.

    | type | value ... | type | value ... |        values big-endian
    | 01   | 00 E2     | 02   | 29        |        22.6 °C, 41 %

    01  2  temperature i16, 0.1 °C        0F  1  movements, by acceleration
    02  1  humidity, %                    10  4  infrared: own and seen i16, 0.1 °C
    03  3  acceleration x y z i8          11  1  somebody: 0 nobody, 1 coming or going, 2 there
    04  2  light, lx                      12  1  water leak
    05  1  movements                      13 65  infrared picture
    06  2  CO2, ppm                       14  4  pressure, 0.001 hPa
    07  2  battery, mV                    15  2  sound: loudest, average, dB
    08  2  analog input, mV               16  2  pulses of input 2
    09  6  position, 1/10 000 °           17  4  pulses of input 2, ever
    0A  2  pulses of input 1              18  2  analog input 2, mV
    0B  4  pulses of input 1, ever        19  2  probe 2 i16, 0.1 °C
    0C  2  probe i16, 0.1 °C              1A  1  digital input 2
    0D  1  digital input                  1B  4  load cell, microvolts
    0E  2  distance, mm                   1C  2  TVOC, ppb
    3D  4  debug                          3E     settings, to the end of the message

Sources: elsys.se payload document, as read by github.com/TheThingsNetwork/lorawan-devices
vendor/elsys/elsys.js and the chirpstack-device-profiles' elsys codec.
"""

from __future__ import annotations

from devices.bounds import bounded, signed, unsigned
from devices.channels import Table
from devices.reading import Value

PORT = 5
CHANNELS: Table = {
    b"\x01": ("temperature", 2),
    b"\x02": ("humidity", 1),
    b"\x03": ("acceleration", 3),
    b"\x04": ("light", 2),
    b"\x05": ("motions", 1),
    b"\x06": ("co2", 2),
    b"\x07": ("battery", 2),
    b"\x08": ("analog", 2),
    b"\x09": ("position", 6),
    b"\x0a": ("pulses", 2),
    b"\x0b": ("pulses", 4),
    b"\x0c": ("probe", 2),
    b"\x0d": ("digital", 1),
    b"\x0e": ("distance", 2),
    b"\x0f": ("movements", 1),
    b"\x10": ("infrared", 4),
    b"\x11": ("somebody", 1),
    b"\x12": ("leak", 1),
    b"\x13": ("picture", 65),
    b"\x14": ("pressure", 4),
    b"\x15": ("sound", 2),
    b"\x16": ("pulses", 2),
    b"\x17": ("pulses", 4),
    b"\x18": ("analog", 2),
    b"\x19": ("second probe", 2),
    b"\x1a": ("digital", 1),
    b"\x1b": ("load", 4),
    b"\x1c": ("tvoc", 2),
    b"\x3d": ("debug", 4),
    b"\x3e": ("settings", len),
}
LOW_DC, HIGH_DC = -600, 2000  # tenths of a degree


def add_air(fields: dict[str, Value], channel: str, value: bytes) -> bool:
    """Put in what every model may have; False when the channel says something else."""
    match channel:
        case "temperature" | "probe":
            tenths = bounded(signed(value), LOW_DC, HIGH_DC, "tenths of °C")
            name = "temperature_c" if channel == "temperature" else "probe_temperature_c"
            fields[name] = tenths / 10
        case "humidity":
            fields["relative_humidity"] = bounded(value[0], 0, 100, "%") / 100
        case "battery":
            fields["battery_v"] = bounded(unsigned(value), 0, 60_000, "mV") / 1000
        case _:
            return False
    return True


def say_air(fields: dict[str, Value]) -> bytes:
    """The inverse of `add_air`."""
    said = b""
    for type_, name in ((b"\x01", "temperature_c"), (b"\x0c", "probe_temperature_c")):
        if name in fields:
            said += type_ + round(10 * float(fields[name])).to_bytes(2, "big", signed=True)
    if "relative_humidity" in fields:
        said += b"\x02" + bytes((round(100 * float(fields["relative_humidity"])),))
    if "battery_v" in fields:
        said += b"\x07" + round(1000 * float(fields["battery_v"])).to_bytes(2, "big")
    return said
