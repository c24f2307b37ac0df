"""What many drivers ask of a payload in the same words: its length, a number's range, a text.

In: bytes and numbers as a device sent them. Out: the same, or `Undecodable` with the reason.

The rule for a ranger's message that holds more than its distance: a distance nobody can measure
doesn't silence what came with it (a fire, a low battery). It is left out and `quality` says
`out_of_range`; alone in a message it is refused, with the sensor's own reason.
"""

from __future__ import annotations

import math

from devices.reading import Refusal, Undecodable, Value


def sized(data: bytes, *sizes: int) -> bytes:
    """`data` when it has one of these sizes; else refused with `length`."""
    if len(data) not in sizes:
        wanted = " or ".join(str(size) for size in sizes)
        raise Undecodable(Refusal.LENGTH, f"{len(data)} bytes, not {wanted}")
    return data


def bounded(number: int, low: int, high: int, unit: str) -> int:
    """`number` when it is in `low..high`, both included; else refused with `range`."""
    if not low <= number <= high:
        raise Undecodable(Refusal.RANGE, f"{number} {unit} not in {low}..{high}")
    return number


def signed(data: bytes) -> int:
    """A big-endian two's complement number of as many bytes as there are."""
    return int.from_bytes(data, "big", signed=True)


def unsigned(data: bytes) -> int:
    """A big-endian number of as many bytes as there are."""
    return int.from_bytes(data, "big")


def add_distance(
    fields: dict[str, Value], distance_mm: int, high_mm: int, lost: Refusal | None = None
) -> None:
    """Put a distance of 1..`high_mm` in; what can't be measured as the module's rule says.

    Args:
        fields: what else the message says; changed here.
        lost: the reason when the sensor itself says that it has no distance.
    """
    if lost is None and 0 < distance_mm <= high_mm:
        fields["distance_mm"] = float(distance_mm)
    elif not fields:
        reason = lost or Refusal.RANGE
        raise Undecodable(reason, f"{distance_mm} mm, and nothing else in the message")
    else:
        fields["quality"] = "out_of_range"


def add_place(fields: dict[str, Value], latitude_deg: float, longitude_deg: float) -> None:
    """Put a position in, to a millionth of a degree (11 cm).

    0, 0 is a receiver without a fix and is left out, like any nonsense.
    """
    if math.isfinite(latitude_deg) and math.isfinite(longitude_deg):
        place = round(latitude_deg, 6), round(longitude_deg, 6)
        if any(place) and abs(place[0]) <= 90 and abs(place[1]) <= 180:
            fields["latitude_deg"], fields["longitude_deg"] = place
