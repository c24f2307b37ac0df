"""A position as people write it down or copy it from a map, to degrees.

5.5703, 95.3291            a map's share sheet; also with a decimal comma and a semicolon
5°34'13.1"N 95°19'44.8"E   a map's search field; LS and BT as on Indonesian maps, too
geo:5.5703,95.3291         a link
"""

from __future__ import annotations

import re

from wire.messages import Place

DECIMALS = 6
"""A tenth of a metre."""

LETTERS_MAX = 64
"""No position is longer; the patterns take quadratic time over a long row of spaces."""

_PLAIN = re.compile(r"(?:geo:)?\s*(-?\d{1,3}(?:\.\d+)?)\s*[,; ]\s*(-?\d{1,3}(?:\.\d+)?)")
_COMMAS = re.compile(r"(-?\d{1,3},\d+)\s*[; ]\s*(-?\d{1,3},\d+)")
_PART = r"(\d{1,3})\s*°\s*(\d{1,2})\s*['′]\s*(\d{1,2}(?:[.,]\d+)?)\s*(?:\"|″|'')\s*"
_SIXTIETHS = re.compile(rf"{_PART}(N|S|LU|LS)\s*[,; ]?\s*{_PART}(E|W|BT|BB)", re.IGNORECASE)
_SOUTH_WEST = ("S", "LS", "W", "BB")


def place_of(text: str) -> Place | None:
    """The position, None where the text isn't one."""
    text = text.strip()
    if len(text) > LETTERS_MAX:
        return None
    if found := _SIXTIETHS.fullmatch(text):
        return _place(_degrees(*found.group(1, 2, 3, 4)), _degrees(*found.group(5, 6, 7, 8)))
    if found := _COMMAS.fullmatch(text):
        return _place(*(float(part.replace(",", ".")) for part in found.groups()))
    if found := _PLAIN.fullmatch(text):
        return _place(*(float(part) for part in found.groups()))
    return None


def _degrees(whole: str, minutes: str, seconds: str, side: str) -> float:
    degrees = int(whole) + int(minutes) / 60 + float(seconds.replace(",", ".")) / 3600
    return -degrees if side.upper() in _SOUTH_WEST else degrees


def _place(latitude: float, longitude: float) -> Place | None:
    if abs(latitude) > 90 or abs(longitude) > 180:
        return None
    return Place(round(latitude, DECIMALS), round(longitude, DECIMALS))
