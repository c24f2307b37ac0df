"""Schedules of faults on the real line, in virtual time; `python -m tests.simulation` runs more."""

from __future__ import annotations

import itertools
import logging
import multiprocessing
import os

import pytest

from tests.simulation.__main__ import quiet
from tests.simulation.mutants import MUTANTS, put_in
from tests.simulation.schedule import simulate
from tests.simulation.world import Outcome

SCHEDULES = 150
FIRST = 1_000_000

# Seeds that found something, each with what it was.
FOUND = {
    17: "copies of a lost link held the live lane's places: 15 s until a live reading was there",
    54: "the same, 22 s",
    46: "the same, 23 s",
    4: "poison alone in its batches was never isolated, and 448 readings waited behind it",
    52: "the same, 308",
}


@pytest.fixture(autouse=True)
def no_log():
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_nothing_is_lost_and_nothing_is_there_twice_whatever_happens():
    with multiprocessing.get_context("spawn").Pool(os.cpu_count(), quiet) as pool:
        seeds = range(FIRST, FIRST + SCHEDULES)
        failed = [outcome for outcome in pool.imap(simulate, seeds, 4) if outcome.problems]
    assert [f"seed {one.seed}: {one.problems[:3]}" for one in failed] == []


@pytest.mark.parametrize("seed", FOUND)
def test_what_was_found_once_stays_mended(seed):
    assert simulate(seed).problems == []


def test_a_seed_replays_to_the_same_trace():
    first, second = simulate(7), simulate(7)
    assert first.trace == second.trace
    assert first.problems == second.problems


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_fault_put_in_by_hand_is_caught_within_forty_schedules(mutant):
    with put_in(mutant):
        outcomes = map(simulate, itertools.count(FIRST))
        caught: Outcome | None = next(
            (one for one in itertools.islice(outcomes, 40) if one.problems), None
        )
    assert caught is not None
