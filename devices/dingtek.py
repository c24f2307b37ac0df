"""The frame that all of Dingtek's LoRaWAN sensors send, whatever is in it.

    | 80 | 00 | product | type | size | ... | 81 |

    product  01 bins, 02 and 31, 32 bays, 02, 15, 52 people
    type     1 and 2 a report (which of the two is which, the documents don't agree on), 3 settings
    size     of the whole message

Settings begin with the firmware, two numbers; nothing else in them is for a city.
Numbers are big-endian. Source: github.com/TheThingsNetwork/lorawan-devices vendor/dingtek.
"""

from __future__ import annotations

from devices.bounds import sized
from devices.reading import Payload, Refusal, Undecodable, Values

PORT = 3
HEAD, TAIL = 0x80, 0x81
SETTINGS, REPORT = 3, 2
TYPES = (1, 2, 3)
BATTERY_LOW = 0x0F  # the low half of its byte


def opened(payload: Payload, sizes: tuple[int, ...], heads: tuple[int, ...] = (HEAD,)) -> bytes:
    """The message's bytes when port, size, head, tail and type are right.

    Raises:
        Undecodable: `type` for another port or type, `length`, or `format`.
    """
    data = payload.data
    if payload.port != PORT:
        raise Undecodable(Refusal.TYPE, f"port {payload.port} with {len(data)} bytes")
    sized(data, *sizes)
    if data[0] not in heads or data[-1] != TAIL or data[4] != len(data):
        raise Undecodable(Refusal.FORMAT, f"{data[0]:02x} .. {data[4]:02x} .. {data[-1]:02x}")
    if data[3] not in TYPES:
        raise Undecodable(Refusal.TYPE, f"message type {data[3]}")
    return data


def firmware(data: bytes) -> tuple[Values, ...]:
    """What a settings message says."""
    return (Values({"firmware": f"{data[5]}.{data[6]}"}),)


def sealed(product: int, type_: int, body: bytes) -> Payload:
    """A message with this between its size and its tail."""
    size = len(body) + 6
    return Payload(bytes((HEAD, 0, product, type_, size)) + body + bytes((TAIL,)), PORT)


def say_firmware(product: int, text: str, size: int) -> Payload:
    """A settings message of that whole size."""
    version = bytes(int(part) for part in text.split("."))
    return sealed(product, SETTINGS, version + bytes(size - 6 - len(version)))
