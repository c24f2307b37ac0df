"""The simulated disk forgets what a real one may forget, and nothing else."""

from __future__ import annotations

import random

import pytest

from tests.edge.disk.platter import (
    FATES,
    Platter,
    Rename,
    Sync,
    SyncFailed,
    SyncFolder,
    Truncate,
    Write,
    all_kept,
    all_lost,
    last_torn,
    only_the_last,
    some_sectors,
)

OLD, NEW = b"o" * 2048, b"n" * 2048


def after(*operations, fate=all_lost, seed=0):
    platter = Platter({"a": OLD})
    for operation in operations:
        platter.follow(operation)
    return platter.image(fate(platter.pending, random.Random(seed)))


def test_what_was_not_synced_may_be_lost_or_kept():
    assert after(Write(0, 0, NEW)) == {"a": OLD}
    assert after(Write(0, 0, NEW), fate=all_kept) == {"a": NEW}


@pytest.mark.parametrize("fate", FATES)
def test_what_was_synced_is_there_whatever_happens(fate):
    assert after(Write(0, 0, NEW), Truncate(0, 1024), Sync(0), fate=fate) == {"a": NEW[:1024]}


@pytest.mark.parametrize("fate", FATES)
def test_a_sync_is_of_one_file(fate):
    assert after(Write(0, 0, NEW), Sync(1), fate=all_lost) == {"a": OLD}


def test_a_sync_that_failed_is_not_made_good_by_the_next():
    assert after(Write(0, 0, NEW), SyncFailed(0), Sync(0), fate=all_kept) == {"a": OLD}


def test_a_torn_write_garbles_all_of_the_sector_under_the_head_and_nothing_else():
    pieces = {
        after(Write(0, 100, NEW[:1000]), fate=last_torn, seed=seed)["a"] for seed in range(50)
    }
    assert {len(piece) for piece in pieces} == {2048}
    garbled = {
        tuple(set(piece[start : start + 512]) <= set(b"on") for start in range(0, 2048, 512))
        for piece in pieces
    }
    narrow = {(False, True, True, True), (True, False, True, True), (True, True, False, True)}
    assert garbled == {*narrow, (False, False, False, False)}


def test_a_torn_write_at_the_end_makes_the_file_no_longer_than_it_would_be():
    lengths = {
        len(after(Write(0, 2000, NEW[:100]), fate=last_torn, seed=n)["a"]) for n in range(20)
    }
    assert lengths == {2048, 2100}


def test_writes_arrive_in_any_order_sector_by_sector():
    first, second = Write(0, 0, NEW[:1024]), Write(0, 1024, NEW[:1024])
    assert after(first, second, fate=only_the_last) == {"a": OLD[:1024] + NEW[:1024]}
    sectors = {
        tuple(found[start : start + 1] for start in range(0, 2048, 512))
        for seed in range(300)
        if set(found := after(first, second, fate=some_sectors, seed=seed)["a"]) <= set(b"on")
    }
    assert len(sectors) == 16


def test_names_are_old_until_the_folder_is_synced():
    made, written = Rename((("b", 1),)), Write(1, 0, b"new")
    assert after(made, written, Sync(1)) == {"a": OLD}
    assert after(made, written, Sync(1), SyncFolder()) == {"a": OLD, "b": b"new"}
    assert after(Rename((("a", None), ("b", 0)))) == {"a": OLD}
    assert after(Rename((("a", None), ("b", 0))), fate=all_kept) == {"b": OLD}


def test_a_hole_is_zeros():
    assert after(Write(0, 3000, b"x"), fate=all_kept)["a"] == OLD + bytes(952) + b"x"
