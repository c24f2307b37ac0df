"""The gateway's self-check of a reading: out of range, stuck, noisy, a low battery; the worst wins.

STUCK_MS 24 h, DRIFT_SHARE 0.009   Between night and day the air changes by 5 °C at least, which
    moves every uncompensated distance by 0.9 % (city §2). A distance that stays the same for a
    whole day although that is more than a step of the sensor's is a web, ice, or dead electronics.
BATTERY_LOW 0.2   Our judgement: a LoRaWAN sensor lasts years, so a fifth is months: time to plan
    the ladder. Volts alone say nothing without the chemistry; a driver that knows it sets quality.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from devices.reading import Value
from edge.meaning_state import Rules, State

STUCK_MS, DRIFT_SHARE = 24 * 3600 * 1000, 0.009
BATTERY_LOW = 0.2
CHECKED = ("distance_mm", "battery_level", "magnetic_z_ut")
"""A reading with one of these is checked, unless its sensor gave a quality of its own."""


def remember_raw(rules: Rules, distance_mm: float, state: State) -> State:
    """Since when the distance hasn't moved by a step of the sensor's."""
    if state.raw is not None and abs(distance_mm - state.raw) < rules.resolution / 2:
        return state
    return msgspec.structs.replace(state, raw=distance_mm, raw_since_ms=state.time_ms)


def quality_of(
    fields: Mapping[str, Value], rules: Rules, state: State, *, outlier: bool, beyond: bool
) -> str:
    """The worst that can be said of this reading."""
    if beyond:
        return "out_of_range"
    unmoved_ms = state.time_ms - state.raw_since_ms
    drifts = state.raw is not None and state.raw * DRIFT_SHARE >= rules.resolution
    if "distance_mm" in fields and drifts and unmoved_ms >= STUCK_MS:
        return "stuck"
    if outlier:
        return "noisy"
    battery_level = fields.get("battery_level")
    if isinstance(battery_level, int | float) and battery_level < BATTERY_LOW:
        return "battery_low"
    return "ok"
