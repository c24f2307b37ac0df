"""Benewake TFmini-S, TFmini Plus, TF-Luna: laser ranger by time of flight, on a serial port.

Link: UART 115200 8N1, TTL level; sends by itself, a hundred frames a second.

    | 59 59 | distance | signal | celsius | sum |       numbers u16, little-endian
    | 59 59 | E8 03    | 40 00  | 10 09   | F6  |       1000 cm, too weak to rely on, 34 °C

    distance  cm
    signal    below 100 or FFFF the distance can't be relied on
    celsius   eighths of a degree, 256 added; out of -40..85 it is left out
    sum       low byte of the sum of the eight before it

    10..1200 cm   what the Plus and the S can measure; TF-Luna 20..800

Sources: Benewake TF-Luna A03 and A05 manual, TFmini-S and TFmini Plus manuals (frame, signal), as
collected in public drivers. The first TFmini has its integration time where the temperature is,
and isn't among the models. A sensor set to millimetres can't be told from its frames: leave it at
centimetres, as delivered.
"""

from __future__ import annotations

from functools import partial

from devices.driver import Driver, UartLink
from devices.header_framer import HeaderFramer, ends_with_sum, of_size
from devices.reading import Payload, Refusal, Undecodable, Value, Values

HEADER = b"\x59\x59"
SIZE = 9
LOW_CM, HIGH_CM = 10, 1200
WEAK, BLINDED = 100, 0xFFFF
GOOD_SIGNAL = 1000
LOW_C, HIGH_C = -40.0, 85.0
EIGHTHS, ZERO_C = 8, 256


def decode(payload: Payload) -> tuple[Values, ...]:
    """One frame to one distance."""
    frame = payload.data
    if len(frame) != SIZE:
        raise Undecodable(Refusal.LENGTH, f"{len(frame)} bytes, a frame has {SIZE}")
    if not ends_with_sum(frame):
        raise Undecodable(Refusal.CHECKSUM, f"sum {frame[-1]:02x}")
    if not frame.startswith(HEADER):
        raise Undecodable(Refusal.FORMAT, f"header {frame[:2].hex()}")
    centimetres, signal, eighths = (
        int.from_bytes(frame[at : at + 2], "little") for at in (2, 4, 6)
    )
    if not WEAK <= signal < BLINDED:
        raise Undecodable(Refusal.NO_TARGET, f"signal {signal}")
    if not LOW_CM <= centimetres <= HIGH_CM:
        raise Undecodable(Refusal.RANGE, f"{centimetres} cm not in {LOW_CM}..{HIGH_CM}")
    fields: dict[str, Value] = {"distance_mm": 10.0 * centimetres}
    celsius = eighths / EIGHTHS - ZERO_C
    if LOW_C <= celsius <= HIGH_C:
        fields["temperature_c"] = celsius
    return (Values(fields),)


def encode(values: Values) -> Payload:
    """The frame for a distance, with a good signal; without one the signal is 0."""
    fields = values.fields
    centimetres = round(float(fields.get("distance_mm", 0)) / 10)
    eighths = 0
    if "temperature_c" in fields:
        eighths = round(EIGHTHS * (float(fields["temperature_c"]) + ZERO_C))
    signal = GOOD_SIGNAL if "distance_mm" in fields else 0
    numbers = (centimetres, signal, eighths)
    body = HEADER + b"".join(number.to_bytes(2, "little") for number in numbers)
    return Payload(body + bytes((sum(body) & 0xFF,)))


DRIVER = Driver(
    name="benewake_tfmini",
    vendor="Benewake",
    models=("TFmini-S", "TFmini Plus", "TF-Luna"),
    kind="waste_container",
    link=UartLink(
        framer=partial(HeaderFramer, HEADER, of_size(SIZE), ends_with_sum), baudrate=115_200
    ),
    decode=decode,
    encode=encode,
    raw_field="distance_mm",
    resolution=10.0,
    heartbeat_s=900,
)
