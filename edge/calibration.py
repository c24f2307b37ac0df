"""What a burst of readings says about how a sensor is mounted: the keys to write, or why not.

In: a configured device, what stands there (an empty bin, a full one, a free bay), and a burst's
fields. Out: median, spread, a verdict, and the keys of `edge/mounting.py`. No IO, no clock.

    empty   container.empty_mm        a bin's bottom, a gauge's zero
    full    container.full_mm         a bin's brim, the highest flood
    free    bay.occupied_below_mm     by distance: nothing stands there
            magnet.free_ut            by field: the same

Distances are in the air that the meaning reckons with (`assumed_air_c`), and from the point that
the container is measured from (`mount_mm`), so that the same reading means 0 or 1 afterwards.

FEW 10      With fewer the median of noisy echoes is off by half their spread (1.25 σ/√n).
NOISY_MM 40, NOISY_SHARE 0.02   Deployed rangers scatter by 10 to 40 mm, 2 % of a bin (city §2).
    More is a lid that moves, a wall in the beam, or a loose connector; the spread is 1.4826 times
    the median deviation, so that single wild echoes don't count.
WILD_SHARE 0.2   Single wild echoes are 0.5 to 5 % (city §2); a fifth is two things in the beam.
MOVED_SHARE 0.25 Of the container's height. What is there already was measured or drawn: a quarter
    away from it the bin isn't empty, its lid hangs, or the figure was a guess. A person decides.
VEHICLE_MM 500   A small car's bonnet and a motorcycle's seat are 700 mm above the ground or more,
    so whatever parks comes nearer by more than that. Never less than half of the free distance.
BAY_MM 600       A free bay that is nearer isn't one.
NOISY_PART 4     The empty bay's field may scatter by this part of what a vehicle has to bend.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from statistics import median

import msgspec

from devices.reading import Value
from edge.configuration import Device
from edge.meaning_bay import MAGNETIC
from edge.meaning_level import HAMPEL_SIGMAS, MAD_TO_SIGMA, compensated_mm
from edge.mounting import Bay, Magnet
from wire.sentence import Told, told

FEW = 10
NOISY_MM, NOISY_SHARE, WILD_SHARE, MOVED_SHARE = 40.0, 0.02, 0.2, 0.25
VEHICLE_MM, BAY_MM = 500.0, 600.0
NOISY_PART = 4
HEIGHT_MM_MIN, HEIGHT_MM_MAX = 50.0, 100_000.0
"""Of a container. Less is metres, or a thousand as Indonesia writes it: 1.200."""

_WILD_MM = 10.0  # echoes of a quiet sensor are never wild for a centimetre


class Target(StrEnum):
    """What stands before the sensor during the burst."""

    EMPTY = "empty"
    FULL = "full"
    FREE = "free"


KINDS = {
    Target.EMPTY: ("waste_container", "water_level"),
    Target.FULL: ("waste_container", "water_level"),
    Target.FREE: ("parking_spot",),
}


class Verdict(StrEnum):
    GOOD = "good"
    NOISY = "noisy"
    FEW = "too few"
    CONTRADICTS = "contradicts what is there"


_NOTHING = told("")


class Judged(msgspec.Struct, frozen=True):
    """`seen` is the burst in figures, `why` and `remedy` are empty for a good one, `table` and
    `keys` what to write then."""

    verdict: Verdict
    seen: Told
    why: Told = _NOTHING
    remedy: Told = _NOTHING
    table: str = ""
    keys: Mapping[str, int | tuple[float, float, float]] = {}


def judge(
    device: Device,
    target: Target,
    readings: Sequence[Mapping[str, Value]],
    height_mm: float | None = None,
    anyway: bool = False,
) -> Judged:
    """The burst's verdict. `height_mm` is from bottom to brim, for a device without a container
    yet; `anyway` takes what contradicts the configuration but could be."""
    fields_ut = [field for each in readings if (field := _field(each))]
    if target is Target.FREE and (device.magnet or (fields_ut and not device.bay)):
        return _judge_field(device.magnet or Magnet(), fields_ut, anyway)
    distances_mm = [
        compensated_mm(float(value), each, device.assumed_air_c)
        for each in readings
        if isinstance(value := each.get("distance_mm"), int | float)
    ]
    if len(distances_mm) < FEW:
        return _too_few(told("{count} readings with a distance", count=len(distances_mm)))
    middle_mm, spread_mm = _middle(distances_mm)
    wild = sum(
        abs(one - middle_mm) > max(HAMPEL_SIGMAS * spread_mm, _WILD_MM) for one in distances_mm
    )
    seen = told(
        "{count} readings, median {middle_mm:.0f} mm, spread {spread_mm:.1f} mm, {wild} wild",
        count=len(distances_mm),
        middle_mm=middle_mm,
        spread_mm=spread_mm,
        wild=wild,
    )
    noisy = spread_mm > max(NOISY_MM, NOISY_SHARE * middle_mm)
    if noisy or wild > WILD_SHARE * len(distances_mm):
        why = told("the distance doesn't settle")
        remedy = told(
            "Hold still what moves, look for a wall or a lid in the beam, tighten the plug"
        )
        return Judged(Verdict.NOISY, seen, why, remedy)
    if target is Target.FREE:
        return _judge_bay(device.bay, middle_mm, seen, anyway)
    return _judge_container(device, target, middle_mm, seen, height_mm, anyway)


_REALLY = {
    Target.EMPTY: told("Is it really empty? Then say --anyway"),
    Target.FULL: told("Is it really full? Then say --anyway"),
}


def _judge_bay(bay: Bay | None, free_mm: float, seen: Told, anyway: bool) -> Judged:
    if free_mm < BAY_MM:
        why = told("a free bay isn't {free_mm:.0f} mm away", free_mm=free_mm)
        remedy = told("Is something under the sensor, or does its own bracket stand in the beam?")
        return Judged(Verdict.CONTRADICTS, seen, why, remedy)
    if bay and free_mm < bay.occupied_below_mm and not anyway:
        why = told(
            "nearer than occupied_below_mm = {below_mm:g}: something stands there",
            below_mm=bay.occupied_below_mm,
        )
        remedy = told("Clear the bay; if it is clear, say --anyway")
        return Judged(Verdict.CONTRADICTS, seen, why, remedy)
    below_mm = round(max(free_mm / 2, free_mm - VEHICLE_MM))
    return Judged(Verdict.GOOD, seen, table="bay", keys={"occupied_below_mm": below_mm})


def _judge_container(
    device: Device,
    target: Target,
    middle_mm: float,
    seen: Told,
    height_mm: float | None,
    anyway: bool,
) -> Judged:
    there = device.container
    new_mm = round(middle_mm - (there.mount_mm if there else 0.0))
    if there is None and height_mm is None:
        why = told("there is no container yet, and one burst gives one end of it")
        remedy = told("Measure from bottom to brim and say --height MM")
        return Judged(Verdict.CONTRADICTS, seen, why, remedy)
    empty_mm, full_mm = (there.empty_mm, there.full_mm) if there else (0.0, 0.0)
    old_mm = empty_mm if target is Target.EMPTY else full_mm
    if target is Target.EMPTY:
        empty_mm = new_mm
        full_mm = full_mm if height_mm is None else round(new_mm - height_mm)
    else:
        full_mm = new_mm
        empty_mm = empty_mm if height_mm is None else round(new_mm + height_mm)
    if not 0 <= full_mm < empty_mm:
        why = told(
            "then empty_mm would be {empty_mm:g} and full_mm {full_mm:g}",
            empty_mm=empty_mm,
            full_mm=full_mm,
        )
        remedy = told("Empty is the longer distance: is this bin what you said it is?")
        return Judged(Verdict.CONTRADICTS, seen, why, remedy)
    if there and not anyway and height_mm is None:
        moved_mm = abs(new_mm - old_mm)
        if moved_mm > MOVED_SHARE * (there.empty_mm - there.full_mm):
            key = f"{target}_mm"
            why = told(
                "{moved_mm:.0f} mm away from {key} = {old_mm:g}",
                moved_mm=moved_mm,
                key=key,
                old_mm=old_mm,
            )
            remedy = _REALLY[target]
            return Judged(Verdict.CONTRADICTS, seen, why, remedy)
    keys = {f"{target}_mm": new_mm}
    if height_mm is not None:
        keys = {"empty_mm": int(empty_mm), "full_mm": int(full_mm)}
    return Judged(Verdict.GOOD, seen, table="container", keys=keys)


def _judge_field(
    magnet: Magnet, fields_ut: Sequence[tuple[float, float, float]], anyway: bool
) -> Judged:
    if len(fields_ut) < FEW:
        return _too_few(told("{count} readings with a magnetic field", count=len(fields_ut)))
    x, y, z = (_middle(axis) for axis in zip(*fields_ut, strict=True))
    free_ut = (round(x[0], 2), round(y[0], 2), round(z[0], 2))
    spread_ut = math.hypot(x[1], y[1], z[1])
    seen = told(
        "{count} readings, median {free_ut} µT, spread {spread_ut:.2f} µT",
        count=len(fields_ut),
        free_ut=list(free_ut),
        spread_ut=spread_ut,
    )
    if spread_ut > magnet.occupied_above_ut / NOISY_PART:
        remedy = told("Wait until nobody drives by; look for a power cable or a motor near it")
        return Judged(Verdict.NOISY, seen, told("the field doesn't settle"), remedy)
    away_ut = math.dist(free_ut, magnet.free_ut) if magnet.free_ut else 0.0
    if away_ut > magnet.occupied_above_ut and not anyway:
        why = told(
            "{away_ut:.1f} µT away from free_ut: something stands there, or the sensor was moved",
            away_ut=away_ut,
        )
        remedy = told("Clear the bay; if it is clear, say --anyway")
        return Judged(Verdict.CONTRADICTS, seen, why, remedy)
    return Judged(Verdict.GOOD, seen, table="magnet", keys={"free_ut": free_ut})


def _too_few(seen: Told) -> Judged:
    remedy = told("See what it says: gampong probe; give it more time: --within")
    return Judged(Verdict.FEW, seen, told("{count} are needed", count=FEW), remedy)


def _middle(values: Sequence[float]) -> tuple[float, float]:
    """Median and spread (standard deviation of normal noise)."""
    middle = median(values)
    return middle, MAD_TO_SIGMA * median(abs(value - middle) for value in values)


def _field(fields: Mapping[str, Value]) -> tuple[float, float, float] | None:
    """The magnetic field, 0 for an axis that the sensor doesn't have; None when it has none."""
    axes = [fields.get(name) for name in MAGNETIC]
    if not any(isinstance(axis, int | float) for axis in axes):
        return None
    x, y, z = (float(axis) if isinstance(axis, int | float) else 0.0 for axis in axes)
    return x, y, z
