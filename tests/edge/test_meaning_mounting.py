"""What the mounting makes of raw values: tapered containers, warm air, raw magnetic fields."""

from __future__ import annotations

import math
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.reading import Values
from edge.configuration import load_configuration
from edge.meaning import Rules, State, interpret, load_state, save_state, shift_state
from edge.meaning_bay import FOLLOW_MS
from edge.meaning_level import compensated_mm, level_of, volume_share
from edge.meaning_state import STATE_VERSION
from edge.mounting import Bay, Container, Magnet, mounting_fault
from wire.configuration import ConfigurationError

T0 = 1_790_000_000_000
MINUTE = 60_000
BAY = Rules(
    kind="parking_spot",
    main="occupied",
    raw_field="magnetic_z_ut",
    resolution=0.1,
    polled=True,
    heartbeat_ms=10 * MINUTE,
    expiry_ms=26 * MINUTE,
    dead_band=0.0,
    magnet=Magnet(occupied_above_ut=8.0, hysteresis_ut=2.0, debounce=2),
)
BIN = msgspec.structs.replace(
    BAY,
    kind="waste_container",
    main="filling_level",
    raw_field="distance_mm",
    magnet=None,
    heartbeat_ms=0,
    container=Container(empty_mm=1000, full_mm=200),
)
EMPTY = (38.0, 2.0, -22.0)


def told(rules, readings, state=None, step_ms=10_000, start_ms=T0):
    """What each reading says, and the state after the last."""
    said = []
    for nth, fields in enumerate(readings):
        one = interpret(rules, Values(fields), start_ms + nth * step_ms, state)
        said.append(one)
        state = one.state
    return said, state


def field(x, y, z):
    return {"magnetic_x_ut": x, "magnetic_y_ut": y, "magnetic_z_ut": z}


def moved(by_ut, base=EMPTY):
    return field(base[0], base[1] + by_ut, base[2])


# Containers


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_tapered_containers_level_is_its_frustums_volume(height_share, taper):
    steps = 400
    widths = [taper + (1 - taper) * (n + 0.5) / steps for n in range(steps)]
    total = sum(width**2 for width in widths)
    under = sum(width**2 for n, width in enumerate(widths) if (n + 0.5) / steps < height_share)
    assert volume_share(height_share, taper) == pytest.approx(under / total, abs=0.008)


@given(st.floats(0, 1))
def test_an_empty_container_is_empty_and_a_full_one_full_whatever_its_shape(taper):
    assert volume_share(0.0, taper) == 0
    assert volume_share(1.0, taper) == pytest.approx(1)


def test_half_the_height_of_a_tapered_bin_is_less_than_half_its_volume():
    straight, tapered = Container(1000, 200), Container(1000, 200, taper=0.8)
    assert level_of(600, straight) == 0.5
    assert level_of(600, tapered) == pytest.approx(0.5 * (0.64 + 0.08 + 0.01 / 3) / (2.44 / 3))


def test_a_sensor_mounted_above_the_lid_sees_the_same_level_from_further_away():
    under, above = Container(1000, 200), Container(1000, 200, mount_mm=150)
    for distance_mm in (200, 450, 1000):
        assert level_of(distance_mm + 150, above) == level_of(distance_mm, under)


def test_a_rivers_level_is_its_height_over_the_gauges_zero_and_may_be_below_it():
    river = msgspec.structs.replace(
        BIN, kind="water_level", main="level_m", container=Container(8000, 2000, mount_mm=300)
    )
    said = [told(river, [{"distance_mm": mm}])[0][0] for mm in (6800.0, 8400.0, 1300.0)]
    assert [one.fields["level_m"] for one in said] == [1.5, -0.1, 7.0]
    assert not any("filling_level" in one.fields for one in said)


# Air


def test_a_sensor_without_compensation_is_right_in_hot_air_once_its_sheet_is_configured():
    hot = msgspec.structs.replace(BIN, assumed_air_c=20.0)
    true_mm, celsius = 600.0, 55.0
    raw_mm = true_mm / math.sqrt((celsius + 273.15) / 293.15)  # sound was faster: it seems nearer
    fields = {"distance_mm": raw_mm, "temperature_c": celsius}
    [wrong], _ = told(BIN, [fields])
    [right], _ = told(hot, [fields])
    assert right.fields["filling_level"] == pytest.approx(0.5, abs=0.0002)
    assert wrong.fields["filling_level"] > 0.53
    assert right.fields["distance_mm"] == raw_mm  # what the sensor said stays as it is


def test_without_a_temperature_or_in_a_fire_the_distance_is_taken_as_it_is():
    assert compensated_mm(600.0, {}, 20.0) == 600.0
    assert compensated_mm(600.0, {"temperature_c": 90.0}, 20.0) == 600.0
    assert compensated_mm(600.0, {"temperature_c": 30.0}, None) == 600.0
    assert compensated_mm(600.0, {"probe_temperature_c": 30.0}, 20.0) == pytest.approx(610.1, 1e-3)


# Raw magnetic fields


def test_a_bay_is_occupied_when_its_field_is_bent_in_any_direction():
    for bent in (moved(9.0), moved(-9.0), field(EMPTY[0] - 7, EMPTY[1], EMPTY[2] - 7)):
        said, _ = told(BAY, [moved(0), moved(0), bent, bent])
        assert said[1].fields["occupied"] == 0
        assert said[3].fields["occupied"] == 1 and said[3].event


def test_one_odd_field_changes_nothing_and_freedom_needs_the_hysteresis_too():
    _, state = told(BAY, [moved(0), moved(0), moved(30), moved(0)])
    assert state.main == 0
    said, state = told(BAY, [moved(30), moved(30), moved(7), moved(7)], state, start_ms=T0 + MINUTE)
    assert state.main == 1
    said, state = told(BAY, [moved(5), moved(5)], state, start_ms=T0 + 2 * MINUTE)
    assert said[-1].fields["occupied"] == 0 and said[-1].event


def test_a_baseline_follows_the_heat_of_a_day_and_no_car():
    day = [moved(6 * math.sin(2 * math.pi * n / 8640)) for n in range(8640)]  # 12 µT there and back
    said, state = told(BAY, day)
    assert not any((one.fields or {}).get("occupied") for one in said)
    empty_ut = state.baseline_ut
    week, state = told(BAY, [moved(20)] * 1000, state, step_ms=10 * MINUTE, start_ms=T0 + 10**8)
    assert state.main == 1 and week[-1].fields["occupied"] == 1
    assert math.dist(state.baseline_ut, empty_ut) < 0.1


def test_a_long_silence_forgets_the_state_and_keeps_the_empty_bays_field():
    _, state = told(BAY, [moved(0), moved(0)])
    later = T0 + BAY.expiry_ms * 3
    said, state = told(BAY, [moved(25), moved(25)], state, start_ms=later)
    assert "occupied" not in said[0].fields
    assert said[1].fields["occupied"] == 1


def test_a_late_reading_is_judged_by_the_known_field():
    _, state = told(BAY, [moved(0), moved(0)])
    late = interpret(BAY, Values(moved(25)), T0 - MINUTE, state)
    assert late.fields is not None and late.fields["occupied"] == 1
    assert late.state is state


def test_a_configured_field_counts_from_the_first_reading_and_a_new_one_at_once():
    calibrated = msgspec.structs.replace(BAY, magnet=Magnet(free_ut=EMPTY, debounce=1))
    [said], state = told(calibrated, [moved(25)])
    assert said.fields["occupied"] == 1
    there = (EMPTY[0], EMPTY[1] + 25, EMPTY[2])
    again = msgspec.structs.replace(BAY, magnet=Magnet(free_ut=there, debounce=1))
    [said], _ = told(again, [moved(25)], state, start_ms=T0 + MINUTE)
    assert said.fields["occupied"] == 0


def test_a_sensor_with_one_axis_is_judged_by_it():
    said, _ = told(BAY, [{"magnetic_z_ut": z} for z in (-20.0, -20.0, -40.0, -40.0)])
    assert [one.fields["occupied"] for one in said if one.fields and "occupied" in one.fields] == [
        0,
        1,
    ]


@given(st.integers(0, 2**32 - 1))
def test_a_magnets_state_survives_its_bytes_and_a_clock_that_was_set(seed):
    draw = random.Random(seed)
    state = None
    for nth in range(20):
        time_ms = T0 + nth * draw.randrange(1, FOLLOW_MS)
        now = Values(moved(draw.uniform(-30, 30)))
        said = interpret(BAY, now, max(time_ms, state.time_ms + 1 if state else 0), state)
        assert load_state(save_state(said.state)) == said.state
        assert shift_state(shift_state(said.state, 5000), -5000) == said.state
        state = said.state


# States


def test_a_state_of_the_version_before_is_read_as_it_was():
    old = msgspec.msgpack.encode(
        [2, T0, 0.5, "ok", None, 0, [600, 601.5, 600], 600, 1000, 2000, 0.5, "ok ok"]
    )
    state = load_state(old)
    assert state == State(
        STATE_VERSION,
        T0,
        0.5,
        "ok",
        window=(600.0, 601.5, 600.0),
        raw=600.0,
        raw_since_ms=T0 - 1000,
        reported_ms=T0 - 2000,
        reported=0.5,
        told="ok ok",
    )
    assert load_state(save_state(state)) == state


# Configuration

CONFIGURATION = """
[gateway]
name = "g"
site = "s"
[[link]]
type = "modbus"
name = "bus"
port = "/dev/ttyUSB0"
[[device]]
name = "bay-1"
driver = "dfrobot_sen0591"
link = "bus"
unit = 1
"""


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ("container = { empty_mm = 100, full_mm = 200 }", "container"),
        ("container = { empty_mm = 1000, full_mm = 200, taper = 1.5 }", "container.taper"),
        ("container = { empty_mm = 1000, full_mm = 200, mount_mm = 1e9 }", "container.mount_mm"),
        ("bay = { occupied_below_mm = 1000 }\nmagnet = {}", "magnet"),
        ("bay = { occupied_below_mm = 1000, debounce = 0 }", "debounce"),
        ("magnet = { hysteresis_ut = 9 }", "magnet.hysteresis_ut"),
        ("assumed_air_c = 300", "assumed_air_c"),
    ],
)
def test_a_mounting_that_can_not_be_is_refused_with_its_key(table, key):
    with pytest.raises(ConfigurationError, match=key):
        load_configuration(CONFIGURATION + table, "gateway.toml")


def test_a_mounting_that_can_be_is_taken():
    assert mounting_fault(Container(1000, 200, -50, 0.8), None, Magnet(), 20.0) is None
    assert mounting_fault(None, Bay(1000), None, None) is None
