"""The picture of the city: newest wins, silence expires, everything is counted once."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from dashboards.board import READINGS_SHOWN, Board
from dashboards.device import Mark
from dashboards.headline import Tile
from dashboards.states import State
from ingest.stores import Row
from ingest.stores.live import Change
from tests.dashboards.small_city import bay, place, reading, removal, tags, whole_city

NOW = 1_790_000_000_000


def board_of(*changes: Change, now_ms: int = NOW) -> Board:
    board = Board()
    board.apply(changes, now_ms)
    return board


def mark_of(board: Board, id_: str, now_ms: int = NOW) -> Mark:
    (mark,) = [mark for mark in board.snapshot(now_ms).marks if mark.id == id_]
    return mark


def tile_of(board: Board, kind: str, now_ms: int = NOW) -> Tile:
    (tile,) = [tile for tile in board.snapshot(now_ms).tiles or [] if tile.kind == kind]
    return tile


def test_late_data_never_replaces_newer():
    board = board_of(bay("bay-01", NOW - 1000, 1))
    board.patch(NOW)
    board.apply([bay("bay-01", NOW - 60_000, 0)], NOW)
    assert mark_of(board, "bay-01").state is State.OCCUPIED
    (late,) = board.patch(NOW).readings
    assert late.late
    assert late.state is State.FREE


def test_a_field_keeps_its_newest_value_when_readings_bring_different_ones():
    board = board_of(
        reading("wifi-01", "wifi_access_point", NOW - 9000, up=1, clients=7),
        reading("wifi-01", "wifi_access_point", NOW - 1000, portal="down", latency_ms=30.0),
    )
    mark = mark_of(board, "wifi-01")
    assert mark.state is State.PORTAL_DOWN
    assert mark.fields == {"clients": 7, "latency_ms": 30.0, "portal": "down", "up": 1}


def test_silence_turns_a_bay_unknown_by_city_time_alone():
    board = board_of(
        place("bay-01", "parking_spot", NOW, expiry_s=60.0), bay("bay-01", NOW - 1000, 0)
    )
    assert board.patch(NOW).marks[0].state is State.FREE
    assert not board.patch(NOW + 59_000).news
    (mark,) = board.patch(NOW + 59_001).marks
    assert mark.state is State.UNKNOWN
    assert mark.fields == {"occupied": 0}  # what it said last is still told, with its age


def test_the_registry_gives_place_label_expiry_and_work_whenever_it_comes():
    board = board_of(bay("bay-01", NOW - 400_000, 1))
    assert mark_of(board, "bay-01").state is State.UNKNOWN  # the kind's own expiry is 300 s
    board.apply([place("bay-01", "parking_spot", NOW, expiry_s=1560.0)], NOW)
    mark = mark_of(board, "bay-01")
    assert (mark.state, mark.label, mark.latitude) == (State.OCCUPIED, "Label bay-01", 5.5701)
    board.apply([place("bay-01", "parking_spot", NOW + 1, maintenance=1)], NOW)
    assert mark_of(board, "bay-01").state is State.CLOSED
    board.apply([place("bay-01", "parking_spot", NOW - 1)], NOW)  # an older row, late
    assert mark_of(board, "bay-01").state is State.CLOSED


def test_a_device_without_a_reading_is_on_the_board_as_unknown():
    board = board_of(place("bay-01", "parking_spot", NOW))
    assert mark_of(board, "bay-01").state is State.UNKNOWN
    tile = tile_of(board, "parking_spot")
    assert (tile.total, tile.number, tile.newest_ms) == (1, None, 0)


def test_a_patch_holds_only_what_changed():
    board = board_of(*whole_city(NOW))
    assert len(board.patch(NOW).marks) == 11
    nothing = board.patch(NOW)
    assert (nothing.marks, nothing.readings, nothing.tiles, nothing.news) == ([], [], None, False)
    board.apply([bay("bay-01", NOW, 0)], NOW)
    patch = board.patch(NOW)
    assert [mark.id for mark in patch.marks] == ["bay-01"]
    assert [seen.id for seen in patch.readings] == ["bay-01"]
    assert patch.tiles is not None
    assert patch.news


def test_a_point_that_comes_twice_is_one_reading():
    board = board_of(bay("bay-01", NOW, 1), bay("bay-01", NOW, 1))
    board.apply([bay("bay-01", NOW, 1)], NOW)
    assert [seen.number for seen in board.snapshot(NOW).readings] == [1]


def test_the_table_keeps_the_last_readings_in_order_of_arrival():
    board = board_of(*(bay("bay-01", NOW - 100_000 + n, n % 2) for n in range(100)))
    numbers = [seen.number for seen in board.snapshot(NOW).readings]
    assert numbers == list(range(101 - READINGS_SHOWN, 101))


def test_a_reading_from_the_future_is_told_but_decides_nothing():
    board = board_of(bay("bay-01", NOW + 7_200_000, 1), bay("bay-01", NOW, 0))
    assert mark_of(board, "bay-01").state is State.FREE
    assert len(board.snapshot(NOW).readings) == 2


def test_a_stranger_counts_while_it_speaks_and_not_from_ancient_points():
    board = board_of(bay("bay-09", NOW - 90_000_000, 1), bay("bay-10", NOW - 1000, 1))
    assert [mark.id for mark in board.snapshot(NOW).marks] == ["bay-10"]


def test_a_name_that_now_means_another_thing_starts_anew():
    board = board_of(bay("x-1", NOW - 5000, 1))
    board.apply([place("x-1", "waste_container", NOW)], NOW)
    mark = mark_of(board, "x-1")
    assert (mark.kind, mark.state, mark.fields) == ("waste_container", State.UNKNOWN, {})
    board.apply([bay("x-1", NOW, 1)], NOW)
    assert mark_of(board, "x-1").state is State.UNKNOWN


def test_what_was_taken_out_of_the_configuration_leaves_the_board():
    board = board_of(place("bay-01", "parking_spot", NOW - 9000), bay("bay-01", NOW - 1000, 1))
    board.patch(NOW)
    board.apply([removal("bay-01", NOW)], NOW)
    patch = board.patch(NOW)
    assert (patch.removed, patch.marks, patch.news) == (["bay-01"], [], True)
    assert tile_of(board, "parking_spot").total == 0
    board.apply([bay("bay-01", NOW - 500, 0)], NOW)  # its last reading comes late
    assert board.snapshot(NOW).marks == []
    assert not board.patch(NOW).news
    board.apply([place("bay-01", "parking_spot", NOW + 1)], NOW + 1)
    patch = board.patch(NOW + 1)
    assert ([mark.id for mark in patch.marks], patch.removed) == (["bay-01"], [])


def test_a_page_that_opens_afterwards_shows_nothing_of_what_is_removed():
    old = [place("bay-01", "parking_spot", NOW - 9000), bay("bay-01", NOW - 1000, 1)]
    for changes in ([removal("bay-01", NOW), *old], [*old, removal("bay-01", NOW)]):
        assert board_of(*changes).snapshot(NOW).marks == []


def test_what_moves_to_another_zone_keeps_its_state():
    board = board_of(place("bay-01", "parking_spot", NOW - 9000), bay("bay-01", NOW - 1000, 1))
    moved = place("bay-01", "parking_spot", NOW)
    moved = Change(moved.kind, Row(NOW, tags("bay-01", zone="timur"), moved.row.fields))
    board.apply([removal("bay-01", NOW - 1), moved], NOW)
    mark = mark_of(board, "bay-01")
    assert (mark.zone, mark.state) == ("timur", State.OCCUPIED)


def test_a_gateway_may_have_the_name_of_a_device_that_is_removed():
    board = board_of(*whole_city(NOW))
    board.apply([removal("mahirah-01", NOW)], NOW)
    assert mark_of(board, "gateway/mahirah-01").state is State.ONLINE


def test_a_retired_gateway_leaves_the_board_with_its_last_words():
    changes = whole_city(NOW)
    own = tags("mahirah-01", zone="main")
    gone = Change("device_registry", Row(NOW, own, {"kind": "gateway_removed"}))
    for board in (board_of(*changes, gone), board_of(*changes)):
        board.apply([gone], NOW)
        health = next(each for each in changes if each.kind == "gateway_health")
        board.apply([health], NOW)
        assert tile_of(board, "gateway").total == 1


def test_the_four_numbers_of_a_small_city():
    board = board_of(*whole_city(NOW))
    bays, bins, people, gateways = board.snapshot(NOW).tiles or []
    assert (bays.number, bays.total, bays.newest_ms) == (2, 4, NOW - 3000)
    assert (bins.number, bins.total, bins.states[State.BURNING]) == (1, 3, 1)
    assert (people.number, people.total, people.states[State.PORTAL_DOWN]) == (17, 2, 1)
    assert (gateways.number, gateways.total, gateways.behind_ms) == (2, 2, NOW - 5000)


def test_unknown_is_counted_as_unknown_and_never_as_free_or_nobody():
    board = board_of(*whole_city(NOW))
    later = NOW + 1_600_000
    for tile in board.snapshot(later).tiles or []:
        assert tile.number is None
        assert tile.states[State.UNKNOWN] == tile.total
        assert sum(tile.states.values()) == tile.total


def test_closed_and_silent_bays_do_not_say_that_none_is_free_and_closed_ones_alone_do():
    closed = place("bay-01", "parking_spot", NOW, maintenance=1)
    silent = place("bay-02", "parking_spot", NOW)
    assert tile_of(board_of(closed, silent), "parking_spot").number is None
    assert tile_of(board_of(closed), "parking_spot").number == 0


def test_people_are_counted_only_from_fresh_numbers():
    board = board_of(
        place("wifi-01", "wifi_access_point", NOW, expiry_s=180.0),
        reading("wifi-01", "wifi_access_point", NOW - 200_000, up=1, clients=9),
        reading("wifi-01", "wifi_access_point", NOW - 1000, up=1),
    )
    assert tile_of(board, "wifi_access_point").number == 0
    assert mark_of(board, "wifi-01").state is State.UP


def test_a_gateway_is_heard_by_its_health_or_by_its_batches():
    own = tags("mahirah-01", "mahirah-01", "main")
    board = board_of(Change("gateway_batch", Row(NOW - 30_000, own, {"lag_ms": 400})))
    mark = mark_of(board, "gateway/mahirah-01")
    assert mark.state is State.ONLINE
    assert mark.fields == {"sealed_ms": NOW - 30_000, "lag_ms": 400}
    board.apply([Change("gateway_health", Row(NOW, own, {"online": 0, "waiting": 40}))], NOW)
    assert mark_of(board, "gateway/mahirah-01").state is State.OFFLINE
    assert mark_of(board, "gateway/mahirah-01", NOW + 200_000).state is State.UNKNOWN


def test_a_gateway_that_never_sent_a_batch_is_the_farthest_behind():
    own = tags("lhokseumawe-01", "lhokseumawe-01", "main")
    silent = Change("device_registry", Row(NOW, own, {"kind": "gateway", "label": "G"}))
    board = board_of(*whole_city(NOW)[:3], silent)
    tile = tile_of(board, "gateway")
    assert (tile.behind, tile.behind_ms) == ("lhokseumawe-01", 0)


def test_an_empty_store_is_an_empty_board():
    snapshot = Board().snapshot(NOW)
    assert snapshot.marks == []
    assert [tile.number for tile in snapshot.tiles or []] == [None] * 4


CHANGES = st.lists(
    st.tuples(st.integers(1, 3), st.integers(0, 1), st.integers(0, 900_000)),
    unique_by=lambda made: (made[0], made[2]),
    max_size=12,
)


@given(CHANGES, st.integers(0, 2**32), st.integers(0, 1_200_000))
def test_the_order_of_arrival_changes_nothing_but_the_table(made, seed, later):
    changes = [bay(f"bay-{n:02d}", NOW - age, occupied) for n, occupied, age in made]
    shuffled = random.Random(seed).sample(changes, len(changes))
    first, second = board_of(*changes), Board()
    for change in shuffled:
        second.apply([change], NOW)
        second.patch(NOW)
    assert first.snapshot(NOW + later).marks == second.snapshot(NOW + later).marks
    assert first.snapshot(NOW + later).tiles == second.snapshot(NOW + later).tiles


def test_what_the_store_gives_again_is_no_news():
    everything = whole_city(NOW)
    board = board_of(*everything)
    board.patch(NOW)
    later = NOW + 1000
    again = [
        Change(change.kind, Row(later, change.row.tags, change.row.fields))
        if change.kind == "device_registry"  # written each hour
        else change
        for change in everything
    ]
    board.apply(again, later)
    patch = board.patch(later)
    assert (patch.marks, patch.readings, patch.tiles, patch.news) == ([], [], None, False)


def test_a_reading_given_again_after_thousands_of_others_is_told_once():
    board = board_of(bay("bay-01", NOW - 9000, 1))
    for n in range(6000):
        board.apply([bay(f"bay-{n % 50 + 10}", NOW - 8000 + n, n % 2)], NOW)
    board.patch(NOW)
    board.apply([bay("bay-01", NOW - 9000, 1)], NOW)
    assert board.patch(NOW).readings == []


def test_what_was_before_the_page_counts_and_is_not_told_as_new():
    board = board_of(reading("bay-01", "parking_spot", NOW - 1000, battery_v=3.6))
    board.patch(NOW)
    board.recall([bay("bay-01", NOW - 60_000, 1), bay("bay-77", NOW - 60_000, 1)], NOW)
    patch = board.patch(NOW)
    assert [mark.state for mark in patch.marks] == [State.OCCUPIED]
    assert patch.readings == []
    assert "bay-77" not in board.devices


def test_people_are_no_longer_counted_once_their_number_is_old_though_the_corner_is_up():
    board = board_of(
        place("wifi-01", "wifi_access_point", NOW, expiry_s=60.0),
        reading("wifi-01", "wifi_access_point", NOW, clients=7, up=1),
        reading("wifi-01", "wifi_access_point", NOW + 50_000, up=1),
        now_ms=NOW + 50_000,
    )
    assert tile_of(board, "wifi_access_point", NOW + 50_000).number == 7
    assert mark_of(board, "wifi-01", NOW + 61_000).state is State.UP
    assert tile_of(board, "wifi_access_point", NOW + 61_000).number == 0


def test_a_sensor_of_a_kind_without_states_of_its_own_is_heard_or_not():
    assert [tile.kind for tile in Board().snapshot(NOW).tiles or []][-1] == "gateway"
    board = board_of(reading("meter-01", "energy_meter", NOW - 1000, power_w=12.5))
    assert mark_of(board, "meter-01").state is State.OK
    assert tile_of(board, "other").number == 1
    a_day_later = tile_of(board, "other", NOW + 86_400_000)
    assert (a_day_later.number, a_day_later.states[State.UNKNOWN]) == (None, 1)
