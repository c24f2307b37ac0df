"""What a reading means for the city: interpret turns raw values into the state an operator reads.

In: one reading's values, its time, what the device's configuration says, and the device's state.
Out: the fields to store (or None: suppressed), the new state, and whether it is an event. No IO,
no clock: the reading's own time is the only time here.

    distance → occupied        hysteresis, then debounce (polled; an uplink was debounced by its
                               sensor, and the next one may be an hour away)
    distance → filling_level   Hampel filter, then the container's geometry
    temperature → status       burning, with hysteresis
    the reading's own checks → quality
    nothing new → suppressed   report by exception: dead band, condition, quality, heartbeat

What the sensor says itself (occupied, filling_level, status, quality) is kept as it is.

A reading that isn't newer than its device's state neither uses nor changes it: it is interpreted
as if it were the only one. A state older than the device's expiry is forgotten first: after a long
silence everything is unknown again. To leave unknown is a change, so it is an event.

Thresholds, each with its reason ("city" is shared/city_patterns.md):

BURNING_C 70, COOL_C 60   A heat detector for places of up to 65 °C (EN 54-5 class B) alarms from
    69 °C on, and a steel bin in the sun stays under that; the EM400 driver uses the same 70. It
    has to cool by 10 K before it stops burning, so that a flame at the limit is one event.
POLLED_WINDOW 5, UPLINK_WINDOW 3   Deployed rangers give single wild readings ("outlier-prone",
    city §2). 5 readings outvote two of them, and a bin that was emptied is believed at the third
    poll. Uplinks are 15 to 60 minutes apart: 3 outvote one and believe the second.
HAMPEL_SIGMAS 3, MAD_TO_SIGMA 1.4826   Hampel's usual limit; 1.4826 makes the median deviation
    of normal noise its standard deviation.
STEP_SHARE 0.05   Steps under 5 % of the container's height pass at once: that is a bag of waste
    and no harm if wrong. Laboratory noise is 0.1 % of the range (city §2), far below.
OUT_OF_RANGE_SHARE 0.1   Sound is 3.4 % faster at +20 °C (city §2), a lid adds some centimetres;
    a tenth beyond the bottom is neither: the sensor looks past the container. No level is given
    then, since it would say "empty". Nearer than full is a heap, which is full.
STUCK_MS 24 h, DRIFT_SHARE 0.009   Between night and day the air changes by 5 °C at least, which
    moves every uncompensated distance by 0.9 % (city §2). A distance that stays the same for a
    whole day although that is more than a step of the sensor's is a web, ice, or dead electronics.
BATTERY_LOW 0.2   Our judgement: a LoRaWAN sensor lasts years, so a fifth is months: time to plan
    the ladder. Volts alone say nothing without the chemistry; a driver that knows it sets quality.
DEAD_BANDS   Parking: any change of occupied. Waste: 0.02, twenty millimetres of a bin's metre,
    below what a driver's route depends on. Others, WiFi among them: never suppressed.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median

import msgspec

from devices.driver import Driver, LorawanLink
from devices.kinds import KINDS
from devices.reading import Value, Values
from edge.configuration import Bay, Container, Device, expiry_s, heartbeat_s

BURNING_C, COOL_C = 70.0, 60.0
POLLED_WINDOW, UPLINK_WINDOW = 5, 3
HAMPEL_SIGMAS, MAD_TO_SIGMA = 3.0, 1.4826
STEP_SHARE = 0.05
OUT_OF_RANGE_SHARE = 0.1
STUCK_MS, DRIFT_SHARE = 24 * 3600 * 1000, 0.009
BATTERY_LOW = 0.2
DEAD_BANDS = {"parking_spot": 0.0, "waste_container": 0.02}

LEVEL_DECIMALS = 4
ALARMS = frozenset({"burning", "dropped", "moved"})
NOT_LOOKING_IN = frozenset({"lid_open", "dropped", "moved"})
"""Conditions in which a distance says nothing about the waste."""

STATE_VERSION = 2
_WHOLE_MAX = 2.0**53


class Rules(msgspec.Struct, frozen=True):
    """What interpreting needs to know of one device; made once by `rules_of`."""

    kind: str
    main: str
    raw_field: str
    resolution: float
    polled: bool
    heartbeat_ms: int
    expiry_ms: int
    dead_band: float | None = None
    bay: Bay | None = None
    container: Container | None = None


class State(msgspec.Struct, frozen=True, array_like=True):
    """What is remembered of one device between two readings. None is unknown or never.

    `time_ms` is the newest reading's. `main` is the main field as last known, `reported` as last
    sent, with `told`: condition
    and quality at that time. `candidate` is a judgement that `agreeing` readings in a row made,
    too few yet. `window` holds the last raw distances, newest last. `raw` is the distance that
    hasn't changed since `raw_since_ms`.
    """

    version: int
    time_ms: int
    main: float | None = None
    condition: str = ""
    candidate: int | None = None
    agreeing: int = 0
    window: tuple[float, ...] = ()
    raw: float | None = None
    raw_since_ms: int = 0
    reported_ms: int | None = None
    reported: float | None = None
    told: str = ""


class Interpreted(msgspec.Struct, frozen=True):
    """`fields` is None when the reading is suppressed."""

    fields: Mapping[str, Value] | None
    state: State
    event: bool = False


_STATE = msgspec.msgpack.Decoder(State)


def rules_of(device: Device, driver: Driver, seal_interval_s: float) -> Rules:
    """The rules of a configured device."""
    dead_band = DEAD_BANDS.get(driver.kind) if device.dead_band is None else device.dead_band
    return Rules(
        kind=driver.kind,
        main=KINDS[driver.kind].state,
        raw_field=driver.raw_field,
        resolution=driver.resolution,
        polled=not isinstance(driver.link, LorawanLink),
        heartbeat_ms=int(1000 * heartbeat_s(device, driver)),
        expiry_ms=int(1000 * expiry_s(device, driver, seal_interval_s)),
        dead_band=dead_band,
        bay=device.bay,
        container=device.container,
    )


def save_state(state: State) -> bytes:
    """The bytes of a state (MessagePack). Every seal writes them, so they are few: past moments as
    milliseconds before `time_ms`, whole numbers as such."""
    values = msgspec.structs.astuple(_turned(state))
    return msgspec.msgpack.encode([_short(value) for value in values])


def load_state(data: bytes) -> State | None:
    """The inverse of `save_state`; None for another version or anything unreadable."""
    try:
        state = _STATE.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return _turned(state) if state.version == STATE_VERSION else None


def _turned(state: State) -> State:
    """Moments as milliseconds before `time_ms`, and back again."""
    reported_ms = None if state.reported_ms is None else state.time_ms - state.reported_ms
    since_ms = state.time_ms - state.raw_since_ms
    return msgspec.structs.replace(state, raw_since_ms=since_ms, reported_ms=reported_ms)


def _short(value: object) -> object:
    """A whole number without the eight bytes of a float."""
    if isinstance(value, tuple):
        return [_short(one) for one in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < _WHOLE_MAX:
        return int(value)
    return value


def shift_state(state: State, by_ms: int) -> State:
    """The same state on a clock that was set: all its times move."""
    return msgspec.structs.replace(
        state,
        time_ms=state.time_ms + by_ms,
        raw_since_ms=state.raw_since_ms + by_ms,
        reported_ms=None if state.reported_ms is None else state.reported_ms + by_ms,
    )


def interpret(rules: Rules, values: Values, time_ms: int, state: State | None) -> Interpreted:
    """What the reading means, and what to remember of it.

    `values` must have passed `devices.reading.check_fields`; the fields given back pass it too.
    """
    if state is not None and time_ms <= state.time_ms:
        alone, _ = _understand(rules, values, State(STATE_VERSION, time_ms), debounce=1)
        return Interpreted(alone, state, values.event or alone.get("status") == "burning")
    if state is None or time_ms - state.time_ms > rules.expiry_ms:
        state = State(STATE_VERSION, time_ms)
    now = msgspec.structs.replace(state, time_ms=time_ms)
    debounce = rules.bay.debounce if rules.bay and rules.polled else 1
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
    if distance_mm is not None:
        if rules.bay and "occupied" not in fields:
            state = _judge(rules.bay, debounce, distance_mm, state)
            if state.main is not None:
                fields["occupied"] = int(state.main)
        elif _looks_in(fields, rules):
            outlier, beyond, state = _tell_level(fields, rules, distance_mm, state)
        state = _remember_raw(rules, distance_mm, state)
    main = _number(fields.get(rules.main))
    state = msgspec.structs.replace(
        state,
        main=state.main if main is None else main,
        condition=_condition(fields) or state.condition,
    )
    if "quality" not in fields and ("distance_mm" in fields or "battery_level" in fields):
        fields["quality"] = _quality(fields, rules, state, outlier=outlier, beyond=beyond)
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


def _judge(bay: Bay, debounce: int, distance_mm: float, state: State) -> State:
    """Occupied or free, once enough judgements in a row agree."""
    free_from_mm = bay.occupied_below_mm + (bay.hysteresis_mm if state.main == 1 else 0.0)
    judged = int(distance_mm < free_from_mm)
    if judged == state.main:
        return msgspec.structs.replace(state, candidate=None, agreeing=0)
    agreeing = state.agreeing + 1 if judged == state.candidate else 1
    if agreeing >= debounce:
        return msgspec.structs.replace(state, main=float(judged), candidate=None, agreeing=0)
    return msgspec.structs.replace(state, candidate=judged, agreeing=agreeing)


def _looks_in(fields: Mapping[str, Value], rules: Rules) -> bool:
    return (
        rules.container is not None
        and "filling_level" not in fields
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
    window = (*state.window, distance_mm)[-size:]
    height_mm = container.empty_mm - container.full_mm
    believed_mm, outlier = _hampel(window, STEP_SHARE * height_mm)
    beyond = believed_mm > (1 + OUT_OF_RANGE_SHARE) * container.empty_mm
    if not beyond:
        level = (container.empty_mm - believed_mm) / height_mm
        fields["filling_level"] = round(min(1.0, max(0.0, level)), LEVEL_DECIMALS)
    return outlier, beyond, msgspec.structs.replace(state, window=window)


def _hampel(window: tuple[float, ...], floor: float) -> tuple[float, bool]:
    """The newest value, or the median when it lies too far from it; and whether it does.

    Two values can't outvote each other, so the first two are believed.
    """
    newest, middle = window[-1], median(window)
    spread = MAD_TO_SIGMA * median(abs(value - middle) for value in window)
    if len(window) < UPLINK_WINDOW or abs(newest - middle) <= max(HAMPEL_SIGMAS * spread, floor):
        return newest, False
    return middle, True


def _remember_raw(rules: Rules, distance_mm: float, state: State) -> State:
    """Since when the distance hasn't moved by a step of the sensor's."""
    if state.raw is not None and abs(distance_mm - state.raw) < rules.resolution / 2:
        return state
    return msgspec.structs.replace(state, raw=distance_mm, raw_since_ms=state.time_ms)


def _condition(fields: Mapping[str, Value]) -> str:
    """What else an operator would call a change: a bin's status, a hotspot's link and portal."""
    said = (fields.get(name) for name in ("status", "up", "portal"))
    return "/".join(str(part) for part in said if part is not None)


def _quality(
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
    battery_level = _number(fields.get("battery_level"))
    if battery_level is not None and battery_level < BATTERY_LOW:
        return "battery_low"
    return "ok"


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
