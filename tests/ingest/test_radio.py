"""Radio loss is what the counters say, apart from what the pipeline hasn't brought."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.radio import STEP_MAX, Radio, count_uplinks

HOUR_MS = 3_600_000


def counted(counters: list[int], unsure: tuple[tuple[int, int], ...] = (), start: int = 0) -> Radio:
    """Uplinks an hour apart."""
    return count_uplinks(
        [(n * HOUR_MS, c) for n, c in enumerate(counters)], start * HOUR_MS, unsure
    )


@pytest.mark.parametrize(
    ("counters", "expected", "heard"),
    [
        ([], 0, 0),
        ([7], 1, 1),
        ([7, 8, 9], 3, 3),
        ([7, 10], 4, 2),
        ([7, 7, 8], 2, 2),
        ([65_534, 65_535, 0, 1], 4, 4),
        ([65_534, 1], 4, 2),
        ([900, 3, 4], 3, 3),
        ([70_000, 3], 2, 2),
        ([7, 7 + STEP_MAX + 1], 2, 2),
        ([2**32 - 1, 0], 2, 2),
    ],
    ids=[
        "none", "one", "all", "two lost", "a repeat", "rolled over", "rolled over with loss",
        "a new session", "a 32-bit session", "another device", "32 bits rolled over",
    ],
)  # fmt: skip
def test_counters_say_what_was_sent(counters, expected, heard):
    assert counted(counters) == Radio(expected, heard, 0)


def test_a_jump_while_batches_are_not_in_the_store_counts_as_neither():
    gap = (int(1.5 * HOUR_MS), int(1.6 * HOUR_MS))
    assert counted([7, 8, 12, 14], (gap,)) == Radio(5, 4, 3)
    assert counted([7, 8, 9, 10], (gap,)) == Radio(4, 4, 0)


def test_uplinks_before_the_day_only_say_where_counting_begins():
    assert counted([7, 9, 10], start=2) == Radio(1, 1, 0)
    assert counted([7, 8, 11], start=2) == Radio(3, 1, 0)


def test_the_order_in_which_uplinks_were_stored_does_not_matter():
    uplinks = [(n * HOUR_MS, c) for n, c in enumerate([5, 6, 9])]
    assert count_uplinks(reversed(uplinks), 0, ()) == count_uplinks(uplinks, 0, ())


@given(st.lists(st.booleans(), min_size=1, max_size=300), st.integers(0, 2**16 - 1))
def test_what_is_expected_is_what_was_sent_between_the_first_and_the_last_heard(heard, begin):
    sent = [(n * HOUR_MS, (begin + n) % 2**16) for n, _ in enumerate(heard)]
    stored = [uplink for uplink, is_heard in zip(sent, heard, strict=True) if is_heard]
    radio = count_uplinks(stored, 0, ())
    first = heard.index(True) if any(heard) else 0
    last = len(heard) - heard[::-1].index(True) if any(heard) else 0
    assert radio == Radio(last - first, len(stored), 0)
