"""What readings mean: pure, so every sentence of the module's docstring is a test here."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.driver import load_driver
from devices.kinds import KINDS
from devices.reading import Values, check_fields
from edge.configuration import Device
from edge.meaning import (
    Interpreted,
    Rules,
    State,
    interpret,
    load_state,
    rules_of,
    save_state,
    shift_state,
)
from edge.meaning_quality import STUCK_MS
from edge.mounting import Bay, Container

T0 = 1_790_000_000_000
MINUTE = 60_000
BAY = Rules(
    kind="parking_spot",
    main="occupied",
    raw_field="distance_mm",
    resolution=1.0,
    polled=True,
    heartbeat_ms=10 * MINUTE,
    expiry_ms=26 * MINUTE,
    dead_band=0.0,
    bay=Bay(occupied_below_mm=1500, hysteresis_mm=100, debounce=2),
)
BIN = msgspec.structs.replace(
    BAY,
    kind="waste_container",
    main="filling_level",
    dead_band=0.02,
    bay=None,
    container=Container(empty_mm=1100, full_mm=100),
)
LORA_BIN = msgspec.structs.replace(BIN, polled=False)
LORA_BAY = msgspec.structs.replace(BAY, polled=False, bay=None)
WIFI = msgspec.structs.replace(
    BAY, kind="wifi_access_point", main="clients", raw_field="clients", dead_band=None, bay=None
)


class Told:
    """One device over time: interprets each reading with the state of the one before."""

    def __init__(self, rules: Rules, step_ms: int = 10_000) -> None:
        self.rules, self.step_ms = rules, step_ms
        self.time_ms = T0
        self.state: Any = None

    def tell(self, event=False, **fields):
        self.time_ms += self.step_ms
        values = Values(fields, event=event)
        said = interpret(self.rules, values, self.time_ms, self.state)
        self.state = said.state
        return said

    def distances(self, *distances_mm):
        return [self.tell(distance_mm=float(mm)) for mm in distances_mm]


def main_of(said: Interpreted, rules: Rules):
    return (said.fields or {}).get(rules.main)


# Parking


def test_a_bay_is_occupied_after_as_many_equal_judgements_as_debounce_asks():
    bay = Told(BAY)
    first, second = bay.distances(500, 500)
    assert first.fields == {"distance_mm": 500.0, "quality": "ok"}
    assert second.fields["occupied"] == 1 and second.event


def test_one_odd_echo_changes_nothing():
    bay = Told(BAY)
    bay.distances(500, 500)
    assert all(said.fields is None and not said.event for said in bay.distances(3000, 500, 3000))
    assert bay.state.main == 1


def test_a_bay_is_free_again_only_above_the_threshold_and_its_hysteresis():
    bay = Told(BAY)
    bay.distances(1400, 1400)
    bay.distances(1550, 1599, 1550)
    assert bay.state.main == 1
    *_, free = bay.distances(1600, 1600)
    assert free.fields["occupied"] == 0 and free.event
    bay.distances(1550, 1550)
    assert bay.state.main == 0


def test_a_bay_that_does_not_change_is_told_once_a_heartbeat():
    bay = Told(BAY, step_ms=MINUTE)
    said = bay.distances(*[500] * 42)
    told = [nth for nth, each in enumerate(said) if each.fields is not None]
    assert told == [0, 1, 11, 21, 31, 41]


def test_what_the_sensor_says_of_the_bay_is_kept_and_a_change_is_an_event():
    bay = Told(LORA_BAY)
    said = [bay.tell(occupied=occupied) for occupied in (1, 1, 0, 0)]
    assert [each.fields for each in said] == [{"occupied": n} for n in (1, 1, 0, 0)]
    assert [each.event for each in said] == [True, False, True, False]
    assert bay.tell(occupied=0, event=True).event


def test_a_bay_unheard_of_for_longer_than_its_expiry_is_unknown_again():
    bay = Told(BAY)
    bay.distances(500, 500)
    bay.time_ms += BAY.expiry_ms
    first, second = bay.distances(500, 500)
    assert "occupied" not in first.fields and not first.event
    assert second.fields["occupied"] == 1 and second.event


# Waste


def test_a_level_follows_from_the_containers_geometry():
    for distance_mm, level in ((1100, 0.0), (600, 0.5), (100, 1.0), (50, 1.0), (1150, 0.0)):
        said = Told(BIN).tell(distance_mm=float(distance_mm))
        assert said.fields == {
            "distance_mm": float(distance_mm),
            "filling_level": level,
            "quality": "ok",
        }


def test_a_wild_reading_is_not_believed_and_says_so():
    bin_ = Told(msgspec.structs.replace(BIN, heartbeat_ms=0))
    *_, wild, after = bin_.distances(600, 601, 599, 4000, 600)
    assert main_of(wild, BIN) == pytest.approx(0.5, abs=0.01)
    assert wild.fields["quality"] == "noisy" and wild.fields["distance_mm"] == 4000.0
    assert after.fields["quality"] == "ok"


@pytest.mark.parametrize(("rules", "polls"), [(BIN, 3), (LORA_BIN, 2)])
def test_a_bin_that_was_emptied_is_believed_soon(rules, polls):
    bin_ = Told(rules)
    bin_.distances(*[200] * 6)
    assert bin_.state.main == pytest.approx(0.9)
    said = bin_.distances(*[1100] * polls)
    assert main_of(said[-1], rules) == 0.0
    assert all(main_of(each, rules) in (None, pytest.approx(0.9)) for each in said[:-1])


@given(st.integers(0, 2**32 - 1))
def test_two_percent_of_outliers_never_move_a_level_by_more_than_the_noise(seed):
    draw = random.Random(seed)
    bin_ = Told(msgspec.structs.replace(BIN, heartbeat_ms=0))
    bin_.distances(600, 600, 600)
    since = 3
    for _ in range(300):
        since += 1
        wild = since > 2 and draw.random() < 0.02
        since = 0 if wild else since
        distance_mm = draw.uniform(31, 4500) if wild else draw.gauss(600, 3)
        (said,) = bin_.distances(distance_mm)
        # A step under 5 % of the height may pass; more never does.
        assert abs((main_of(said, BIN)) - 0.5) <= 0.065


def test_a_slow_fill_is_told_each_time_it_has_grown_by_more_than_the_dead_band():
    bin_ = Told(msgspec.structs.replace(BIN, heartbeat_ms=10**9))
    said = bin_.distances(*range(1100, 900, -1))
    told = [main_of(each, BIN) for each in said if each.fields is not None]
    assert told == pytest.approx([0.021 * n for n in range(10)], abs=1e-6)


def test_a_sensor_that_looks_past_its_container_claims_no_level():
    bin_ = Told(BIN)
    bin_.distances(600, 600, 600)
    said = bin_.distances(2000, 2000, 2000)
    assert said[-1].fields == {"distance_mm": 2000.0, "quality": "out_of_range"}
    assert bin_.distances(2000)[0].fields is None


def test_an_open_lid_claims_no_level():
    said = Told(LORA_BIN).tell(distance_mm=1000.0, status="lid_open")
    assert "filling_level" not in said.fields


def test_a_level_that_the_sensor_gives_is_kept():
    said = Told(LORA_BIN).tell(distance_mm=600.0, filling_level=0.8)
    assert said.fields["filling_level"] == 0.8


def test_a_fire_is_an_event_once_and_its_end_is_one():
    bin_ = Told(BIN)
    celsius = [30.0, 69.9, 70.0, 90.0, 65.0, 61.0, 59.9, 30.0]
    said = [bin_.tell(distance_mm=600.0, temperature_c=c) for c in celsius]
    assert [each.event for each in said] == [True, False, True, False, False, False, True, False]
    assert said[2].fields["status"] == "burning" and said[6].fields["status"] == "ok"


def test_a_fire_at_the_first_reading_is_an_event():
    said = Told(LORA_BIN).tell(temperature_c=120.0)
    assert said.fields == {"temperature_c": 120.0, "status": "burning"} and said.event


# Quality


@pytest.mark.parametrize(
    ("rules", "distance_mm", "quality"),
    [(BIN, 600, "stuck"), (BAY, 2500, "stuck"), (BIN, 105, "ok")],
)
def test_a_distance_that_never_moves_is_stuck_where_the_air_alone_would_move_it(
    rules, distance_mm, quality
):
    device = Told(rules, step_ms=9 * MINUTE)
    device.distances(*[distance_mm] * (STUCK_MS // device.step_ms + 3))
    device.step_ms = 11 * MINUTE
    assert device.distances(distance_mm)[0].fields["quality"] == quality
    if quality == "stuck":
        moved = device.distances(distance_mm + 1)[0]
        assert moved.fields["quality"] == "ok"


def test_a_battery_under_a_fifth_is_low_and_a_drivers_own_word_is_kept():
    assert Told(LORA_BIN).tell(battery_level=0.19).fields["quality"] == "battery_low"
    assert Told(LORA_BIN).tell(battery_level=0.2).fields["quality"] == "ok"
    said = Told(LORA_BIN).tell(battery_level=0.1, quality="out_of_range")
    assert said.fields["quality"] == "out_of_range"


def test_a_change_of_quality_is_told_before_the_heartbeat():
    bin_ = Told(BIN)
    bin_.tell(distance_mm=600.0, battery_level=0.5)
    assert bin_.tell(distance_mm=600.0, battery_level=0.5).fields is None
    assert bin_.tell(distance_mm=600.0, battery_level=0.1).fields["quality"] == "battery_low"


# WiFi


def test_a_hotspot_is_never_suppressed_and_going_down_is_an_event():
    corner = Told(WIFI)
    said = [
        corner.tell(up=1, clients=3, portal="open"),
        corner.tell(up=1, clients=3, portal="open"),
        corner.tell(up=0, portal="open"),
        corner.tell(up=1, clients=3, portal="open"),
    ]
    assert [each.event for each in said] == [True, False, True, True]
    assert all(each.fields is not None for each in said)
    assert "quality" not in said[0].fields


# Late readings, states


@given(st.integers(-(10**9), 0), st.sampled_from([0, 1]))
def test_a_reading_not_newer_than_the_state_neither_uses_nor_changes_it(late_ms, occupied):
    bay = Told(BAY)
    bay.distances(500, 500)
    distance_mm = 500.0 if occupied else 3000.0
    said = interpret(BAY, Values({"distance_mm": distance_mm}), bay.time_ms + late_ms, bay.state)
    assert said.state is bay.state
    assert not said.event
    assert said.fields == {"distance_mm": distance_mm, "occupied": occupied, "quality": "ok"}


def test_a_late_fire_is_still_an_event():
    bin_ = Told(LORA_BIN)
    bin_.tell(temperature_c=20.0)
    assert interpret(LORA_BIN, Values({"temperature_c": 90.0}), T0, bin_.state).event


NUMBERS = st.floats(0, 20_000)
READINGS = st.tuples(
    st.integers(-STUCK_MS, STUCK_MS),
    st.fixed_dictionaries(
        {},
        optional={
            "distance_mm": NUMBERS,
            "temperature_c": st.floats(-60, 200),
            "battery_level": st.floats(0, 1),
            "status": st.sampled_from(KINDS["waste_container"].fields["status"].choices),
            "filling_level": st.floats(0, 1),
        },
    ).filter(bool),
)


@given(st.lists(READINGS, max_size=30), st.sampled_from([BIN, LORA_BIN]))
def test_whatever_comes_the_fields_fit_the_kind_and_the_state_survives_its_bytes(readings, rules):
    time_ms, state = T0, None
    for step_ms, fields in readings:
        time_ms += step_ms
        said = interpret(rules, Values(fields), time_ms, state)
        if said.fields is not None:
            check_fields(rules.kind, said.fields)
            assert fields.items() <= {**said.fields, "status": fields.get("status")}.items()
        assert rules.polled or said.fields is not None
        assert load_state(save_state(said.state)) == said.state
        state = said.state


@given(st.lists(st.tuples(st.integers(1, 30 * MINUTE), NUMBERS), max_size=40), st.integers(0, 39))
def test_a_restart_between_two_readings_changes_nothing(readings, at):
    time_ms, straight, restarted = T0, None, None
    for nth, (step_ms, distance_mm) in enumerate(readings):
        time_ms += step_ms
        if nth == at and restarted:
            restarted = load_state(save_state(restarted))
        values = Values({"distance_mm": distance_mm})
        one, other = (interpret(BAY, values, time_ms, s) for s in (straight, restarted))
        assert one == other
        straight, restarted = one.state, other.state


@given(st.lists(st.tuples(st.integers(1, 30 * MINUTE), NUMBERS), max_size=40), st.integers())
def test_a_clock_that_was_set_changes_nothing_when_the_state_is_shifted(readings, offset_ms):
    offset_ms %= 10**12
    time_ms, state, moved = T0, None, None
    for step_ms, distance_mm in readings:
        time_ms += step_ms
        values = Values({"distance_mm": distance_mm})
        said = interpret(BAY, values, time_ms, state)
        other = interpret(BAY, values, time_ms + offset_ms, moved)
        assert (said.fields, said.event) == (other.fields, other.event)
        state, moved = said.state, shift_state(said.state, offset_ms)
        assert moved == other.state


@given(st.binary(max_size=200))
def test_bytes_that_are_no_state_are_an_unknown_state(data):
    assert load_state(data) is None or isinstance(load_state(data), State)


def test_a_state_of_another_version_is_an_unknown_state():
    assert load_state(save_state(State(version=99, time_ms=T0))) is None


def test_rules_come_from_the_device_its_driver_and_its_kind():
    device = Device(name="bay-1", driver="dfrobot_sen0591", link="bus", heartbeat_s=120.0)
    rules = rules_of(device, load_driver("dfrobot_sen0591"), 60)
    assert (rules.main, rules.polled, rules.dead_band) == ("occupied", True, 0.0)
    assert (rules.heartbeat_ms, rules.expiry_ms) == (120_000, 360_000)
    device = Device(name="bin-1", driver="milesight_em400", link="lns", dead_band=0.1)
    rules = rules_of(device, load_driver("milesight_em400"), 60)
    assert (rules.main, rules.polled, rules.dead_band) == ("filling_level", False, 0.1)
