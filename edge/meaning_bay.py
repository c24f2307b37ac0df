"""Distance or magnetic field → occupied: hysteresis, debounce, and a baseline that follows slowly.

In: one reading's raw values and the device's state. Out: the state with a judgement, which counts
once `debounce` in a row agree.

Hysteresis and debounce are the bay's own (`edge/mounting.py`): a car's roof, a tailgate that opens
and a pedestrian are metres and seconds that only the place knows. Defaults: two judgements, since
single wild echoes are independent (0.5 % each, city §1, then one in 40,000 polls).

Magnetometers   A vehicle bends the earth's field (45 µT at Aceh) by 10 to 100 µT under it and by a
    few beside it; what counts is how far the field is from the empty bay's, whatever its direction
    (Cheung and Varaiya, "Traffic Surveillance by Wireless Sensor Networks", UCB-ITS-PRR-2007-4, ch.
    3: an adaptive baseline, updated only while nothing is detected).
FOLLOW_MS 1 h   The baseline goes 1 − e^(−t/1h) of the way to the field of an empty bay. A
    magnetoresistor's offset and gain move by about 0.3 % a kelvin, 0.15 µT, and asphalt by 2 to 3
    kelvin an hour at most (our reckoning), so the lag stays under 0.5 µT; a car that rolls in takes
    seconds and isn't followed.
A judgement that isn't free stops it: a car that stands for a week doesn't become the empty bay.
    Where `free_ut` is configured, the baseline may not wander further from it than half of
    `occupied_above_ut`: then it begins there again, so that a new calibration counts at once.
"""

from __future__ import annotations

import math

import msgspec

from edge.meaning_state import State
from edge.mounting import Bay, Magnet

FOLLOW_MS = 3600 * 1000
MAGNETIC = ("magnetic_x_ut", "magnetic_y_ut", "magnetic_z_ut")

Field = tuple[float, float, float]
"""x, y, z in microtesla."""


def judge_distance(bay: Bay, debounce: int, distance_mm: float, state: State) -> State:
    """Something stands there when it is nearer than the bay's threshold."""
    free_from_mm = bay.occupied_below_mm + (bay.hysteresis_mm if state.main == 1 else 0.0)
    return _settled(int(distance_mm < free_from_mm), debounce, state)


def judge_field(magnet: Magnet, debounce: int, field_ut: Field, state: State) -> State:
    """Something stands there when the field is far from the empty bay's."""
    baseline_ut = _baseline(magnet, field_ut, state)
    limit_ut = magnet.occupied_above_ut - (magnet.hysteresis_ut if state.main == 1 else 0.0)
    judged = int(math.dist(field_ut, baseline_ut) > limit_ut)
    after = _settled(judged, debounce, state)
    if judged == 0 and after.main != 1:
        baseline_ut = _followed(baseline_ut, field_ut, state)
    return msgspec.structs.replace(after, baseline_ut=baseline_ut, baseline_ms=state.time_ms)


def _settled(judged: int, debounce: int, state: State) -> State:
    """Occupied or free, once enough judgements in a row agree."""
    if judged == state.main:
        return msgspec.structs.replace(state, candidate=None, agreeing=0)
    agreeing = state.agreeing + 1 if judged == state.candidate else 1
    if agreeing >= debounce:
        return msgspec.structs.replace(state, main=float(judged), candidate=None, agreeing=0)
    return msgspec.structs.replace(state, candidate=judged, agreeing=agreeing)


def _baseline(magnet: Magnet, field_ut: Field, state: State) -> Field:
    free_ut, known_ut = magnet.free_ut, state.baseline_ut
    if known_ut is None:
        return free_ut or field_ut
    if free_ut and math.dist(known_ut, free_ut) > magnet.occupied_above_ut / 2:
        return free_ut
    return known_ut


def _followed(baseline_ut: Field, field_ut: Field, state: State) -> Field:
    if state.baseline_ut is None:
        return baseline_ut
    share = 1 - math.exp(-max(0, state.time_ms - state.baseline_ms) / FOLLOW_MS)
    x, y, z = (old + share * (new - old) for old, new in zip(baseline_ut, field_ut, strict=True))
    return x, y, z
