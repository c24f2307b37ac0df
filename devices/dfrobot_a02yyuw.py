"""DFRobot A02YYUW (SEN0311): waterproof ultrasonic ranger under a bin's lid, on a serial port.

Link: UART 9600 8N1, TTL level; sends by itself, about ten frames a second (RX left high: filtered).

    | FF | distance u16 | sum |
    | FF |   07     A1  | A7  |   1953 mm

    distance  mm, big-endian
    sum       low byte of FF + high + low

    31..4500 mm   what the sensor can measure; 30 mm and less is its blind zone
    FFFD          nothing reflects
    FFFE          another ranger's sound is heard

Sources: wiki.dfrobot.com sen0311/docs/21651 (frame, range); github.com/esphome/esphome, component
a02yyuw (30 mm and less is refused); wiki.dfrobot.com sen0754/docs/24696 (FFFD, FFFE).
Not understood: whether this model ever sends FFFD or FFFE, which its sheet doesn't name; both are
far out of its range, so only the reason for refusing hangs on it.
"""

from __future__ import annotations

from devices.driver import Driver, UartLink
from devices.ff_frame import FRAME_SIZE, HEADER, FfFramer, frame_sum
from devices.reading import Payload, Refusal, Undecodable, Values

BLIND_MM, HIGH_MM = 30, 4500
NO_TARGET, INTERFERENCE = 0xFFFD, 0xFFFE


def decode(payload: Payload) -> tuple[Values, ...]:
    """One frame to one distance."""
    frame = payload.data
    if len(frame) != FRAME_SIZE:
        raise Undecodable(Refusal.LENGTH, f"{len(frame)} bytes, a frame has {FRAME_SIZE}")
    if frame[-1] != frame_sum(frame):
        raise Undecodable(Refusal.CHECKSUM, f"sum {frame[-1]:02x}, not {frame_sum(frame):02x}")
    if frame[0] != HEADER:
        raise Undecodable(Refusal.FORMAT, f"header {frame[0]:02x}, not ff")
    distance_mm = int.from_bytes(frame[1:3], "big")
    if distance_mm == NO_TARGET:
        raise Undecodable(Refusal.NO_TARGET, "nothing reflects")
    if distance_mm == INTERFERENCE:
        raise Undecodable(Refusal.SENSOR_FAULT, "another ranger's sound")
    if not BLIND_MM < distance_mm <= HIGH_MM:
        raise Undecodable(Refusal.RANGE, f"{distance_mm} mm not in {BLIND_MM + 1}..{HIGH_MM}")
    return (Values({"distance_mm": float(distance_mm)}),)


def encode(values: Values) -> Payload:
    """The frame for a distance; without one it says that nothing reflects."""
    distance_mm = round(float(values.fields.get("distance_mm", NO_TARGET)))
    body = bytes((HEADER,)) + distance_mm.to_bytes(2, "big")
    return Payload(body + bytes((frame_sum(body),)))


DRIVER = Driver(
    name="dfrobot_a02yyuw",
    vendor="DFRobot",
    models=("A02YYUW", "SEN0311"),
    kind="waste_container",
    link=UartLink(framer=FfFramer),
    decode=decode,
    encode=encode,
    raw_field="distance_mm",
    resolution=1.0,
    heartbeat_s=900,
)
