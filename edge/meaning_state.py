"""What interpreting knows of a device (`Rules`) and remembers of it (`State`), and a state's bytes.

In: a configured device and its driver. Out: its rules, made once. A state travels as MessagePack in
the outbox: each seal writes the changed ones, so they are few bytes. A state of the version before
is read as it was; of any other it is forgotten, and the device begins unknown.
"""

from __future__ import annotations

import msgspec

from devices.driver import Driver, LorawanLink
from devices.kinds import KINDS
from edge.configuration import Device, expiry_s, heartbeat_s
from edge.mounting import Bay, Container, Magnet
from wire.malformed import MALFORMED

STATE_VERSION = 3
_READ_AS_THIS = (2,)
"""Versions that lack only fields appended since, which then have their defaults."""

_WHOLE_MAX = 2.0**53

PUT_OFF_SHARE = 1 / 3
"""Of its expiry: so long a polled device's state that only grew older isn't saved again."""

DEAD_BANDS = {
    "parking_spot": 0.0,
    "waste_container": 0.02,
    "water_level": 0.01,
    "people_counter": 0.0,
    "traffic_counter": 0.0,
    "environment": 0.2,
    "energy_meter": 10.0,
    "soil_moisture": 0.01,
}
"""The change of a kind's main field that isn't news, when the device's configuration doesn't say;
each with its reason in `edge/meaning.py`. Kinds that aren't here are never suppressed."""


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
    magnet: Magnet | None = None
    assumed_air_c: float | None = None


class State(msgspec.Struct, frozen=True, array_like=True):
    """What is remembered of one device between two readings. None is unknown or never.

    `time_ms` is the newest reading's. `main` is the main field as last known, `reported` as last
    sent, with `told`: condition
    and quality at that time. `candidate` is a judgement that `agreeing` readings in a row made,
    too few yet. `window` holds the last distances, newest last. `raw` is the distance that hasn't
    changed since `raw_since_ms`. `baseline_ut` is the empty bay's field as it was followed until
    `baseline_ms`; unlike the rest it outlives the expiry.
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
    baseline_ut: tuple[float, float, float] | None = None
    baseline_ms: int = 0


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
        magnet=device.magnet,
        assumed_air_c=device.assumed_air_c,
    )


def unknown_state(time_ms: int, before: State | None = None) -> State:
    """A device that nothing is known of, but what was learnt of its place."""
    if before is None:
        return State(STATE_VERSION, time_ms)
    return State(
        STATE_VERSION, time_ms, baseline_ut=before.baseline_ut, baseline_ms=before.baseline_ms
    )


def save_state(state: State) -> bytes:
    """The bytes of a state (MessagePack): past moments as milliseconds before `time_ms`, whole
    numbers as such, and nothing of a magnet for a device without one."""
    values = [_short(value) for value in msgspec.structs.astuple(_turned(state))]
    if state.baseline_ut is None:
        values = values[:-2]
    return msgspec.msgpack.encode(values)


def load_state(data: bytes) -> State | None:
    """The inverse of `save_state`; None for another version or anything unreadable."""
    try:
        state = _STATE.decode(data)
    except MALFORMED:
        return None
    if state.version in _READ_AS_THIS:
        state = msgspec.structs.replace(state, version=STATE_VERSION)
    if state.version != STATE_VERSION:
        return None
    if state.baseline_ut is None:
        state = msgspec.structs.replace(state, baseline_ms=state.time_ms)
    return _turned(state)


def says_more(rules: Rules, state: State, saved: State | None) -> bool:
    """Whether a state is worth the card's next page: it says something new, or is later than the
    saved one by a good part of the expiry. A radio's always is: by it is judged what comes late.

    After a crash a polled device so begins unknown a little early, and tells what it told again.
    """
    if saved is None or not rules.polled:
        return True
    later_ms = state.time_ms - saved.time_ms
    if not 0 <= later_ms < rules.expiry_ms * PUT_OFF_SHARE:
        return True
    of_now = {"time_ms": saved.time_ms, "reported_ms": saved.reported_ms}
    return msgspec.structs.replace(state, **of_now) != saved


def shift_state(state: State, by_ms: int) -> State:
    """The same state on a clock that was set: all its times move."""
    followed = state.baseline_ut is not None
    return msgspec.structs.replace(
        state,
        time_ms=state.time_ms + by_ms,
        raw_since_ms=state.raw_since_ms + by_ms,
        reported_ms=None if state.reported_ms is None else state.reported_ms + by_ms,
        baseline_ms=state.baseline_ms + by_ms if followed else 0,
    )


def _turned(state: State) -> State:
    """Moments as milliseconds before `time_ms`, and back again."""
    reported_ms = None if state.reported_ms is None else state.time_ms - state.reported_ms
    return msgspec.structs.replace(
        state,
        raw_since_ms=state.time_ms - state.raw_since_ms,
        reported_ms=reported_ms,
        baseline_ms=state.time_ms - state.baseline_ms,
    )


def _short(value: object) -> object:
    """A whole number without the eight bytes of a float."""
    if isinstance(value, tuple):
        return [_short(one) for one in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < _WHOLE_MAX:
        return int(value)
    return value
