"""Where things stand: sites, their zones, and the way along a street.

Where the sites lie is city_patterns.md §6 (Al-Mahirah near 5.570, 95.329 [seed, ±1 km]; Lhokseumawe
5.188, 97.140 [knowpia]). The streets around them are drawn here [I].
"""

from __future__ import annotations

import math
from enum import StrEnum

import msgspec

_EARTH_M = 6_371_000.0


class Character(StrEnum):
    """What a zone lives by; chooses its profiles."""

    MARKET = "market"
    STREET = "street"
    MOSQUE = "mosque"


class Position(msgspec.Struct, frozen=True):
    """WGS 84 degrees."""

    latitude: float
    longitude: float

    def moved(self, metres: float, bearing_deg: float) -> Position:
        """A step away; flat earth, which a few hundred metres are."""
        north = metres * math.cos(math.radians(bearing_deg)) / _EARTH_M
        east = metres * math.sin(math.radians(bearing_deg)) / _EARTH_M
        east /= math.cos(math.radians(self.latitude))
        latitude = round(self.latitude + math.degrees(north), 6)
        return Position(latitude, round(self.longitude + math.degrees(east), 6))


class Zone(msgspec.Struct, frozen=True):
    """A street or a place: bays stand along it from `start` in direction `bearing_deg`."""

    name: str
    label: str
    character: Character
    start: Position
    bearing_deg: float


class Site(msgspec.Struct, frozen=True):
    """A market and the streets around it. Trucks come at `truck_hours` (local)."""

    name: str
    label: str
    zones: tuple[Zone, ...]
    truck_hours: tuple[float, ...]


def _zone(
    name: str, label: str, character: Character, at: tuple[float, float], bearing: float
) -> Zone:
    return Zone(name, label, character, Position(*at), bearing)


_MARKET, _STREET, _MOSQUE = Character.MARKET, Character.STREET, Character.MOSQUE
MAHIRAH = Site(
    "pasar-mahirah",
    "Pasar Al-Mahirah, Banda Aceh",
    (
        _zone("pelataran", "Pelataran Pasar Al-Mahirah", _MARKET, (5.5701, 95.3287), 78),
        _zone("syiah-kuala", "Jl. Syiah Kuala", _STREET, (5.5689, 95.3279), 12),
        _zone("masjid", "Masjid Lamdingin", _MOSQUE, (5.5714, 95.3299), 95),
    ),
    truck_hours=(5.5, 20.5),  # shifts from morning to night (§2, pon24)
)
INPRES = Site(
    "pasar-inpres",
    "Pasar Inpres, Lhokseumawe",
    (
        _zone("pasar", "Pelataran Pasar Inpres", _MARKET, (5.1880, 97.1398), 105),
        _zone("sukaramai", "Jl. Sukaramai", _STREET, (5.1872, 97.1406), 30),
        _zone("masjid", "Masjid Islamic Center", _MOSQUE, (5.1889, 97.1411), 15),
    ),
    truck_hours=(6.0, 13.0, 20.0),  # three rounds a day (§2, bidik)
)
SITES = (("mahirah", MAHIRAH), ("lhokseumawe", INPRES))
"""Each with the stem of its gateways' names."""
