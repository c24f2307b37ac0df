"""A state is decided from what is fresh, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.states import (
    FOREVER_MS,
    LOOKS,
    STATES,
    State,
    Timed,
    holds_until_ms,
    state_of,
)
from devices.reading import Value

NOW = 1_790_000_000_000
OKABE_ITO = {
    "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7",
}  # fmt: skip


def state(kind: str, values: Mapping[str, Value], age_s: float = 10, closed: bool = False) -> State:
    fields = {name: Timed(value, NOW - int(age_s * 1000)) for name, value in values.items()}
    return state_of(kind, fields, expiry_s=300, now_ms=NOW, maintenance=closed)


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("parking_spot", {"occupied": 0}, State.FREE),
        ("parking_spot", {"occupied": 1}, State.OCCUPIED),
        ("parking_spot", {"battery_v": 3.6}, State.UNKNOWN),
        ("parking_spot", {}, State.UNKNOWN),
        ("waste_container", {"filling_level": 0.0}, State.OK),
        ("waste_container", {"filling_level": 0.699}, State.OK),
        ("waste_container", {"filling_level": 0.7}, State.FILLING),
        ("waste_container", {"filling_level": 0.85}, State.FILLING),
        ("waste_container", {"filling_level": 0.851}, State.FULL),
        ("waste_container", {"filling_level": 0.9, "status": "ok"}, State.FULL),
        ("waste_container", {"filling_level": 0.9, "status": "lid_open"}, State.LID_OPEN),
        ("waste_container", {"status": "dropped"}, State.MOVED),
        ("waste_container", {"status": "moved"}, State.MOVED),
        ("waste_container", {"filling_level": 0.1, "status": "burning"}, State.BURNING),
        ("waste_container", {"status": "ok"}, State.UNKNOWN),
        ("wifi_access_point", {"up": 1, "clients": 3}, State.UP),
        ("wifi_access_point", {"up": 1, "portal": "portal"}, State.UP),
        ("wifi_access_point", {"up": 1, "portal": "down"}, State.PORTAL_DOWN),
        ("wifi_access_point", {"up": 0, "portal": "down"}, State.AP_DOWN),
        ("wifi_access_point", {"portal": "open"}, State.UNKNOWN),
        ("gateway", {"online": 1}, State.ONLINE),
        ("gateway", {"online": 0, "sealed_ms": NOW}, State.OFFLINE),
        ("gateway", {"sealed_ms": NOW}, State.ONLINE),
        ("gateway", {}, State.UNKNOWN),
        ("water_level", {"level": 1}, State.OK),
        ("water_level", {}, State.UNKNOWN),
    ],
)
def test_fresh_fields_decide_the_state(kind, values, expected):
    assert state(kind, values) is expected


def test_a_reading_counts_to_the_millisecond_of_its_expiry_and_no_longer():
    assert state("parking_spot", {"occupied": 1}, age_s=300) is State.OCCUPIED
    assert state("parking_spot", {"occupied": 1}, age_s=300.001) is State.UNKNOWN


def test_closed_for_work_hides_everything_but_a_fire():
    assert state("parking_spot", {"occupied": 1}, closed=True) is State.CLOSED
    assert state("waste_container", {"filling_level": 0.9}, closed=True) is State.CLOSED
    assert state("waste_container", {"status": "burning"}, closed=True) is State.BURNING
    assert state("waste_container", {"status": "burning"}, 400, closed=True) is State.CLOSED


def test_an_old_alarm_expires_beside_a_fresh_level():
    fields = {
        "status": Timed("burning", NOW - 400_000),
        "filling_level": Timed(0.2, NOW - 1000),
    }
    assert state_of("waste_container", fields, expiry_s=300, now_ms=NOW) is State.OK


VALUES = {
    "occupied": st.integers(0, 1),
    "filling_level": st.floats(0, 1),
    "status": st.sampled_from(["ok", "lid_open", "dropped", "moved", "burning", "unknown"]),
    "up": st.integers(0, 1),
    "clients": st.integers(0, 50),
    "portal": st.sampled_from(["open", "portal", "down"]),
    "online": st.integers(0, 1),
    "sealed_ms": st.just(NOW),
}
AGES_MS = st.integers(0, 1_000_000)


def timed(found: Mapping[str, tuple[Any, int]]) -> dict[str, Timed]:
    return {name: Timed(value, NOW - age) for name, (value, age) in found.items()}


FIELDS = st.fixed_dictionaries(
    {}, optional={name: st.tuples(value, AGES_MS) for name, value in VALUES.items()}
).map(timed)


@given(st.sampled_from(sorted(STATES)), FIELDS, st.floats(1, 2000))
def test_stale_never_looks_fresh(kind, fields, expiry_s):
    late = NOW + int(expiry_s * 1000) + 1
    assert state_of(kind, fields, expiry_s=expiry_s, now_ms=late) is State.UNKNOWN


@given(
    st.sampled_from(sorted(STATES)), FIELDS, st.floats(1, 2000), st.integers(0, 10**12),
    st.booleans(),
)  # fmt: skip
def test_a_state_holds_as_long_as_it_is_said_to(kind, fields, expiry_s, later, closed):
    def at(now_ms: int) -> State:
        return state_of(kind, fields, expiry_s=expiry_s, now_ms=now_ms, maintenance=closed)

    until = holds_until_ms(fields, expiry_s=expiry_s, now_ms=NOW)
    assert until >= NOW
    assert at(min(NOW + later, until)) is at(NOW)


@given(st.sampled_from(sorted(STATES)), FIELDS, st.booleans())
def test_every_state_is_one_of_its_kind(kind, fields, closed):
    found = state_of(kind, fields, expiry_s=300, now_ms=NOW, maintenance=closed)
    assert found in STATES[kind] or (kind == "gateway" and found is State.CLOSED)


def test_what_never_expires_holds_for_ever():
    assert holds_until_ms({}, expiry_s=300, now_ms=NOW) == FOREVER_MS


@pytest.mark.parametrize("kind", STATES)
def test_colour_is_never_the_only_sign(kind):
    looks = [LOOKS[found] for found in STATES[kind]]
    assert len({look.glyph for look in looks}) == len(looks)
    assert len({look.fill for look in looks}) == len(looks)
    greys = {LOOKS[State.UNKNOWN].fill, LOOKS[State.CLOSED].fill}
    assert {look.fill for look in looks} <= OKABE_ITO | greys
