"""How a sensor is mounted: what the meaning of its raw values hangs on, a table each in
`gateway.toml`.

    Container   under the lid of a bin, or above a river: distances when empty and when full
    Bay         over a bay: the distance below which a vehicle stands there
    Magnet      in or beside a bay: how much a vehicle bends the earth's field

In: the tables. Out: frozen structs, and `mounting_fault`, which says what in them can't be.
"""

from __future__ import annotations

from wire.configuration import Configuration


class Container(Configuration, frozen=True):
    """A container's geometry: the distance to its empty bottom and to its full brim, both from the
    point that the container's drawing measures from; the sensor sits `mount_mm` above that point
    (negative: below it), 0 when the distances are the sensor's own.

    `taper` is the bottom's width by the brim's, in both directions: 1 is straight, 0 is a pyramid
    or a cone standing on its tip. A wheeled bin of 240 litres has about 0.8.
    """

    empty_mm: float
    full_mm: float
    mount_mm: float = 0.0
    taper: float = 1.0


class Bay(Configuration, frozen=True):
    """How distance becomes occupied: below `occupied_below_mm`, free again above it plus
    `hysteresis_mm`, and only after `debounce` equal judgements in a row."""

    occupied_below_mm: float
    hysteresis_mm: float = 100.0
    debounce: int = 2


class Magnet(Configuration, frozen=True):
    """How a raw magnetic field becomes occupied: further than `occupied_above_ut` from the empty
    bay's, free again below that less `hysteresis_ut`, and only after `debounce` equal judgements
    in a row. `free_ut` is the empty bay's field; without it the first reading is taken for that,
    so the bay has to be empty then."""

    occupied_above_ut: float = 8.0
    hysteresis_ut: float = 2.0
    debounce: int = 2
    free_ut: tuple[float, float, float] | None = None


def mounting_fault(
    container: Container | None,
    bay: Bay | None,
    magnet: Magnet | None,
    assumed_air_c: float | None,
) -> tuple[str, str, str] | None:
    """(key, what can't be, remedy) of the first thing that is wrong, or None."""
    checks = [
        (
            container is None or 0 <= container.full_mm < container.empty_mm,
            ("container", "full_mm not below empty_mm"),
            "full_mm is the shorter distance (waste near the sensor), empty_mm the longer",
        ),
        (
            container is None or 0 <= container.taper <= 1,
            ("container.taper", "not in 0..1"),
            "Give the bottom's width by the brim's, 1 for straight walls",
        ),
        (
            container is None or abs(container.mount_mm) <= 20_000,
            ("container.mount_mm", "not in -20000..20000"),
            "Give millimetres above the point that empty_mm is measured from",
        ),
        (
            bay is None or magnet is None,
            ("magnet", "beside bay"),
            "One sensor judges by distance or by field: keep one table",
        ),
        (
            all(1 <= one.debounce <= 100 for one in (bay, magnet) if one),
            ("debounce", "not in 1..100"),
            "Give how many judgements in a row must agree",
        ),
        (
            magnet is None or 0 <= magnet.hysteresis_ut < magnet.occupied_above_ut,
            ("magnet.hysteresis_ut", "not below occupied_above_ut"),
            "Choose it within 0 and occupied_above_ut",
        ),
        (
            assumed_air_c is None or -40 <= assumed_air_c <= 85,
            ("assumed_air_c", "not in -40..85"),
            "Give the air temperature that the sensor's sheet reckons with",
        ),
    ]
    for fits, (key, fault), remedy in checks:
        if not fits:
            return key, fault, remedy
    return None
