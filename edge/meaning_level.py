"""Distance → level: filtered, compensated for the air, and turned into a share of the volume.

In: a raw distance, the container's geometry, the last distances. Out: how full, or why nobody can
say. A river's gauge is a container too: its bottom is the gauge's zero, its brim the highest flood.

POLLED_WINDOW 5, UPLINK_WINDOW 3   Deployed rangers give single wild readings ("outlier-prone",
    city §2). 5 readings outvote two of them, and a bin that was emptied is believed at the third
    poll. Uplinks are 15 to 60 minutes apart: 3 outvote one and believe the second.
HAMPEL_SIGMAS 3, MAD_TO_SIGMA 1.4826   Hampel's usual limit; 1.4826 makes the median deviation
    of normal noise its standard deviation.
Burst    A polled ranger gives single echoes that scatter by 10 to 40 mm (city §2), 2 % of a bin:
    the mean of the five that agree halves that. A ranger by radio sends the median of a burst of
    its own, and the mean of three uplinks would be half an hour late: its newest is taken.
STEP_SHARE 0.05   Distances within 5 % of the container's height of the median always agree: that is
    a bag of waste, and no harm if wrong.
OUT_OF_RANGE_SHARE 0.1   Sound is 3.4 % faster at +20 °C (city §2), a lid adds some centimetres;
    a tenth beyond the bottom is neither: the sensor looks past the container. No level is given
    then, since it would say "empty". Nearer than full is a heap, which is full.
KELVIN 273.15   Sound in dry air runs at 331.3 m/s · √(1 + c/273.15) (Cramer 1993 within 0.1 %;
    humidity adds under 0.4 %, city §2), so a sensor that reckons with another temperature is wrong
    by √(T/T'): 0.18 % a kelvin. Only sensors that don't compensate themselves have `assumed_air_c`
    in the configuration; the temperature comes with the same reading. Above AIR_C_MAX something
    burns, and the hot air isn't all of the way.
Taper   A container whose bottom is narrower than its brim holds less in its lower half. With the
    width growing straight from t at the bottom to 1 at the brim, in both directions, the volume
    under the height h is ∫(t + (1−t)x)² dx from 0 to h, by the whole (1 + t + t²)/3: a frustum.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import fmean, median

from devices.reading import Value
from edge.mounting import Container

POLLED_WINDOW, UPLINK_WINDOW = 5, 3
HAMPEL_SIGMAS, MAD_TO_SIGMA = 3.0, 1.4826
STEP_SHARE = 0.05
OUT_OF_RANGE_SHARE = 0.1
KELVIN = 273.15
AIR_C_MIN, AIR_C_MAX = -40.0, 69.0


def compensated_mm(
    distance_mm: float, fields: Mapping[str, Value], assumed_air_c: float | None
) -> float:
    """The distance in the air that the reading itself tells of, else as the sensor gave it."""
    if assumed_air_c is None:
        return distance_mm
    celsius = fields.get("temperature_c", fields.get("probe_temperature_c"))
    if not isinstance(celsius, int | float) or not AIR_C_MIN <= celsius <= AIR_C_MAX:
        return distance_mm
    return distance_mm * math.sqrt((celsius + KELVIN) / (assumed_air_c + KELVIN))


def believed_mm(
    window: tuple[float, ...], container: Container, *, polled: bool
) -> tuple[float, bool]:
    """The distance to believe, and whether the newest is an outlier.

    Polled: the mean of the last distances that agree. An uplink: the newest, or the median when it
    lies too far from it. Two values can't outvote each other, so the first two are believed.
    """
    newest, middle = window[-1], median(window)
    if len(window) < UPLINK_WINDOW:
        return newest, False
    spread = MAD_TO_SIGMA * median(abs(value - middle) for value in window)
    floor = STEP_SHARE * (container.empty_mm - container.full_mm)
    limit = max(HAMPEL_SIGMAS * spread, floor)
    is_outlier = abs(newest - middle) > limit
    if polled:
        return fmean(value for value in window if abs(value - middle) <= limit), is_outlier
    return (middle if is_outlier else newest), is_outlier


def is_beyond(distance_mm: float, container: Container) -> bool:
    """Whether the sensor looks past the container."""
    bottom_mm = container.empty_mm + container.mount_mm
    return distance_mm > bottom_mm + OUT_OF_RANGE_SHARE * container.empty_mm


def level_of(distance_mm: float, container: Container) -> float:
    """How full by volume, 0 empty to 1 full."""
    height_mm = container.empty_mm - container.full_mm
    share = (container.empty_mm + container.mount_mm - distance_mm) / height_mm
    return volume_share(min(1.0, max(0.0, share)), container.taper)


def height_m(distance_mm: float, container: Container) -> float:
    """The height of the water over the gauge's zero, which lies at the container's bottom."""
    return (container.empty_mm + container.mount_mm - distance_mm) / 1000


def volume_share(height_share: float, taper: float) -> float:
    """The share of a frustum's volume that lies under a share of its height."""
    if taper == 1:
        return height_share
    slope = 1 - taper
    under = taper**2 + taper * slope * height_share + slope**2 * height_share**2 / 3
    return height_share * under / ((1 + taper + taper**2) / 3)
