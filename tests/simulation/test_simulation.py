"""Schedules of faults on the real line, in virtual time; `python -m tests.simulation` runs more."""

from __future__ import annotations

import logging
import multiprocessing
import os
from functools import partial

import pytest

from tests.simulation.__main__ import quiet, tell, tell_mutants
from tests.simulation.mutants import Caught, catch
from tests.simulation.schedule import simulate

SCHEDULES = 100
FIRST = 1_000_000

QUICKLY_CAUGHT = (
    "confirm before the write",
    "acknowledge before commit",
    "synchronous=NORMAL",
    "sent before the time is known",
    "deleted when sent",
    "lost copies hold the live lane",
    "back-fill sent as live",
)
"""Those that the first schedules catch; `--mutants` tries them all."""


@pytest.fixture(autouse=True)
def no_log():
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(scope="module")
def pool():
    with multiprocessing.get_context("spawn").Pool(os.cpu_count(), quiet) as pool:
        yield pool


def test_nothing_is_lost_and_nothing_is_there_twice_whatever_happens(pool):
    seeds = range(FIRST, FIRST + SCHEDULES)
    failed = [outcome for outcome in pool.imap(simulate, seeds, 4) if outcome.problems]
    assert [f"seed {one.seed}: {one.problems[:3]}" for one in failed] == []


def test_a_seed_replays_to_the_same_trace():
    first, second = simulate(7), simulate(7)
    assert first.trace == second.trace
    assert first.problems == second.problems


def test_a_fault_put_in_by_hand_is_caught_within_the_first_schedules(pool):
    caught = pool.map(partial(catch, first=FIRST, most=40), QUICKLY_CAUGHT, 1)
    assert [each.mutant for each in caught if each.seed is None] == []


def test_a_failed_schedule_is_told_with_the_command_that_replays_it(capsys):
    outcome = simulate(7)
    outcome.problems.append("made up")
    assert tell([outcome, simulate(8)], began=0.0) == 1
    told = capsys.readouterr().out
    assert "python -m tests.simulation --seed 7 -v" in told
    assert "2 schedules" in told
    assert "failed: 1: [7]" in told


def test_a_mutant_that_escapes_fails_the_run(capsys):
    assert tell_mutants([Caught("harmless", None, 9, 1.0, "")]) == 1
    assert "ESCAPED" in capsys.readouterr().out
