"""What a reading means for the city: interpret turns raw values into the state an operator reads.

In: one reading's values, its time, what the device's configuration says, and the device's state.
Out: the fields to store (or None: suppressed), the new state, and whether it is an event. No IO,
no clock: the reading's own time is the only time here.

    distance, field → occupied  hysteresis, then debounce (polled; an uplink was debounced by its
                                sensor, and the next one may be an hour away): meaning_bay.py
    distance → filling_level    Hampel filter, then the container's geometry: meaning_level.py
    distance → level_m          the same filter, and the height above the gauge's zero
    temperature → status        burning, with hysteresis
    the reading's own checks → quality: meaning_quality.py
    nothing new → suppressed    report by exception: dead band, condition, quality, heartbeat

What the sensor says itself (occupied, filling_level, status, quality) is kept as it is.

A reading that isn't newer than its device's state neither uses nor changes it: it is interpreted
as if it were the only one. A state older than the device's expiry is forgotten first: after a long
silence everything is unknown again, but for the empty bay's magnetic field. To leave unknown is a
change, so it is an event.

Thresholds, each with its reason ("city" is shared/city_patterns.md); the others stand in the file
that uses them:

BURNING_C 70, COOL_C 60   A heat detector for places of up to 65 °C (EN 54-5 class B) alarms from
    69 °C on, and a steel bin in the sun stays under that; the EM400 driver uses the same 70. It
    has to cool by 10 K before it stops burning, so that a flame at the limit is one event.
DEAD_BANDS   Parking: any change of occupied. Waste: 0.02, twenty millimetres of a bin's metre,
    below what a driver's route depends on. Counters: any change. Water: a centimetre, a gauge's
    own step. Air: 0.2 °C, twice the step of common sensors. Energy: 10 W, a street lamp's least;
    its counter misses nothing meanwhile. Soil: 0.01, a third of what common probes are exact to
    (±3 %). Others, WiFi among them: never suppressed.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from devices.kinds import KINDS
from devices.reading import Value, Values
from edge.meaning_bay import MAGNETIC, Field, judge_distance, judge_field
from edge.meaning_level import (
    POLLED_WINDOW,
    UPLINK_WINDOW,
    believed_mm,
    compensated_mm,
    height_m,
    is_beyond,
    level_of,
)
from edge.meaning_quality import CHECKED, quality_of, remember_raw
from edge.meaning_state import (
    Rules,
    State,
    load_state,
    rules_of,
    save_state,
    shift_state,
    unknown_state,
)

__all__ = ["Interpreted", "Rules", "State", "interpret", "load_state", "rules_of", "save_state",
           "shift_state"]  # fmt: skip

BURNING_C, COOL_C = 70.0, 60.0

LEVEL_DECIMALS = 4
ALARMS = frozenset({"burning", "dropped", "moved"})
NOT_LOOKING_IN = frozenset({"lid_open", "dropped", "moved"})
"""Conditions in which a distance says nothing about the waste."""


class Interpreted(msgspec.Struct, frozen=True):
    """`fields` is None when the reading is suppressed."""

    fields: Mapping[str, Value] | None
    state: State
    event: bool = False


def interpret(rules: Rules, values: Values, time_ms: int, state: State | None) -> Interpreted:
    """What the reading means, and what to remember of it.

    `values` must have passed `devices.reading.check_fields`; the fields given back pass it too.
    """
    if state is not None and time_ms <= state.time_ms:
        alone, _ = _understand(rules, values, unknown_state(time_ms, state), debounce=1)
        return Interpreted(alone, state, values.event or alone.get("status") == "burning")
    if state is None or time_ms - state.time_ms > rules.expiry_ms:
        state = unknown_state(time_ms, state)
    now = msgspec.structs.replace(state, time_ms=time_ms)
    place = rules.bay or rules.magnet
    debounce = place.debounce if place and rules.polled else 1
    fields, after = _understand(rules, values, now, debounce)
    main = _number(fields.get(rules.main))
    told = _told(after.condition, fields)
    event = values.event or _is_event(rules, state, after)
    if not event and _is_suppressed(rules, main, told, after):
        return Interpreted(None, after)
    reported = after.reported if main is None else main
    after = msgspec.structs.replace(after, reported_ms=time_ms, reported=reported, told=told)
    return Interpreted(fields, after, event)


def _understand(
    rules: Rules, values: Values, state: State, debounce: int
) -> tuple[dict[str, Value], State]:
    """The fields with all that follows from them, and the state after them."""
    fields = dict(values.fields)
    outlier = beyond = False
    _tell_status(fields, state, rules)
    distance_mm = _number(fields.get("distance_mm"))
    if "occupied" not in fields:
        state = _tell_occupied(fields, rules, distance_mm, debounce, state)
    if distance_mm is not None:
        if _looks_in(fields, rules):
            outlier, beyond, state = _tell_level(fields, rules, distance_mm, state)
        state = remember_raw(rules, distance_mm, state)
    main = _number(fields.get(rules.main))
    state = msgspec.structs.replace(
        state,
        main=state.main if main is None else main,
        condition=_condition(fields) or state.condition,
    )
    if "quality" not in fields and any(name in fields for name in CHECKED):
        fields["quality"] = quality_of(fields, rules, state, outlier=outlier, beyond=beyond)
    return fields, state


def _number(value: Value | None) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _tell_status(fields: dict[str, Value], state: State, rules: Rules) -> None:
    """Burning, or not burning, wherever a container's temperature is known."""
    celsius = _number(fields.get("temperature_c"))
    if celsius is None or "status" not in KINDS[rules.kind].fields:
        return
    limit_c = COOL_C if state.condition == "burning" else BURNING_C
    if celsius >= limit_c:
        fields["status"] = "burning"
    else:
        fields.setdefault("status", "ok")


def _tell_occupied(
    fields: dict[str, Value],
    rules: Rules,
    distance_mm: float | None,
    debounce: int,
    state: State,
) -> State:
    """Put in whether something stands there, by distance or by field."""
    if rules.bay and distance_mm is not None:
        near_mm = compensated_mm(distance_mm, fields, rules.assumed_air_c)
        state = judge_distance(rules.bay, debounce, near_mm, state)
    elif rules.magnet and (field_ut := _field(fields)):
        state = judge_field(rules.magnet, debounce, field_ut, state)
    else:
        return state
    if state.main is not None:
        fields["occupied"] = int(state.main)
    return state


def _field(fields: Mapping[str, Value]) -> Field | None:
    """The magnetic field, 0 for an axis that the sensor doesn't have; None when it has none."""
    axes = [_number(fields.get(name)) for name in MAGNETIC]
    if all(axis is None for axis in axes):
        return None
    x, y, z = (axis or 0.0 for axis in axes)
    return x, y, z


def _looks_in(fields: Mapping[str, Value], rules: Rules) -> bool:
    return (
        rules.container is not None
        and rules.main not in fields
        and fields.get("status") not in NOT_LOOKING_IN
    )


def _tell_level(
    fields: dict[str, Value], rules: Rules, distance_mm: float, state: State
) -> tuple[bool, bool, State]:
    """Put the level in; say whether the distance was an outlier, and whether it lies beyond."""
    container = rules.container
    if container is None:
        return False, False, state
    size = POLLED_WINDOW if rules.polled else UPLINK_WINDOW
    newest_mm = compensated_mm(distance_mm, fields, rules.assumed_air_c)
    window = (*state.window, newest_mm)[-size:]
    believed, outlier = believed_mm(window, container, polled=rules.polled)
    beyond = is_beyond(believed, container)
    if rules.main == "level_m" and not beyond:
        fields["level_m"] = round(height_m(believed, container), LEVEL_DECIMALS)
    elif not beyond:
        fields["filling_level"] = round(level_of(believed, container), LEVEL_DECIMALS)
    return outlier, beyond, msgspec.structs.replace(state, window=window)


def _condition(fields: Mapping[str, Value]) -> str:
    """What else an operator would call a change: a bin's status, a hotspot's link and portal."""
    said = (fields.get(name) for name in ("status", "up", "portal"))
    return "/".join(str(part) for part in said if part is not None)


def _is_event(rules: Rules, before: State, after: State) -> bool:
    """A bay changes, a bin burns, a link goes down; or the device becomes known."""
    if after.main is not None and before.main is None:
        return True
    if rules.main == "occupied" and after.main != before.main:
        return True
    was, now = before.condition, after.condition
    alarm = was in ALARMS or now in ALARMS or "up" in KINDS[rules.kind].fields
    return was != now and alarm and (was != "" or now in ALARMS)


def _told(condition: str, fields: Mapping[str, Value]) -> str:
    """What a reader was told beside the main field; one wild reading is not worth telling."""
    quality = fields.get("quality", "")
    return f"{condition} {'ok' if quality == 'noisy' else quality}"


def _is_suppressed(rules: Rules, main: float | None, told: str, after: State) -> bool:
    """Whether nothing is new. `after` still says what was reported last."""
    if not rules.polled or rules.dead_band is None or after.reported_ms is None:
        return False
    if told != after.told or after.time_ms - after.reported_ms >= rules.heartbeat_ms:
        return False
    if main is None:
        return True
    if after.reported is None:
        return False
    return round(abs(main - after.reported), LEVEL_DECIMALS) <= rules.dead_band
