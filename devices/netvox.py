"""The frame of Netvox's LoRaWAN sensors: eleven bytes, a report or the answer to a downlink.

    port 6  | 01 | device | report | ... |      report 0: | software | hardware | date, 4 bytes |
    port 7  | command | device | ... |              command 81 and more answers a downlink

    device    one number a model
    software  0.1; the date is binary coded decimal

Source: Netvox LoRaWAN Application Command document, as read by
github.com/TheThingsNetwork/lorawan-devices vendor/netvox and
github.com/ZennerIoT/element-parsers lib/netvox_multiparser.ex (device numbers).
"""

from __future__ import annotations

from devices.bounds import sized
from devices.reading import Payload, Refusal, Undecodable, Value, Values

REPORT_PORT, ANSWER_PORT = 6, 7
SIZE = 11
VERSION = 0x01  # of the frame
STARTUP, STATUS = 0, 1  # reports
BATTERY_LOW = 0x80


def opened(payload: Payload, devices: tuple[int, ...], answers: tuple[int, ...]) -> bytes:
    """A report's bytes, empty for an answer.

    Raises:
        Undecodable: `type` for another port, device, report or command, or `length`.
    """
    data = payload.data
    if payload.port not in (REPORT_PORT, ANSWER_PORT):
        raise Undecodable(Refusal.TYPE, f"port {payload.port} with {len(data)} bytes")
    sized(data, SIZE)
    is_answer = payload.port == ANSWER_PORT
    known = data[0] in answers if is_answer else data[0] == VERSION and data[2] in (0, STATUS)
    if data[1] not in devices or not known:
        raise Undecodable(Refusal.TYPE, f"{data[:3].hex()} on port {payload.port}")
    return b"" if is_answer else data


def startup(data: bytes) -> tuple[Values, ...]:
    """What report 0 says."""
    return (Values({"firmware": f"{data[3] / 10:.1f}"}),)


def say_startup(device: int, firmware: Value) -> Payload:
    """Report 0."""
    tenths = round(10 * float(firmware))
    head = bytes((VERSION, device, STARTUP, tenths, 1))
    return Payload(head + bytes(SIZE - len(head)), REPORT_PORT)


def add_battery(fields: dict[str, Value], byte: int) -> None:
    """Tenths of a volt, with the bit that calls them low."""
    fields["battery_v"] = (byte & ~BATTERY_LOW & 0xFF) / 10
    if byte & BATTERY_LOW:
        fields["quality"] = "battery_low"


def say_battery(values: Values) -> int:
    """The inverse of `add_battery`."""
    tenths = round(10 * float(values.fields.get("battery_v", 0.0)))
    return tenths | BATTERY_LOW * (values.fields.get("quality") == "battery_low")
