"""What is missing is said, what waits isn't called lost, and what only looks like a gap is none."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from ingest.completeness import DAY_MS, Day, Given, Hole, Mark, Note, account, day_of, ranges_text
from wire.messages import Ledger, Status

TODAY = day_of(1_790_000_000_000)
MINUTE_MS = 60_000
A, B, C = "a" * 32, "b" * 32, "c" * 32


def note(sequence: int, epoch: str = A, seal_ms: int = 0, readings: int = 60, rejected: int = 0):
    """A batch a minute from midnight on."""
    return Note(epoch, sequence, seal_ms or TODAY + sequence * MINUTE_MS, readings, rejected)


def mark(newest: int, oldest: int = 0, epoch: str = A, oldest_ms: int = 0) -> Mark:
    waiting_ms = oldest_ms or TODAY + oldest * MINUTE_MS
    return Mark(epoch, oldest, newest, waiting_ms if oldest else 0, TODAY + 99 * MINUTE_MS, {})


def today(notes: list[Note], said: Mark, *earlier: Given) -> Day:
    return account(notes, said, [TODAY], earlier)[0][TODAY]


def missing(day: Day) -> str:
    return ranges_text(day.missing, 64)


def test_a_day_of_which_everything_is_stored_is_whole():
    day = today([note(n) for n in range(1, 11)], mark(10))
    assert (day.sealed, day.stored, day.share, missing(day)) == (10, 10, 1.0, "")
    assert (day.readings, day.readings_rejected) == (600, 0)


def test_numbers_that_the_gateway_no_longer_holds_are_missing():
    day = today([note(n) for n in (1, 2, 5, 6, 8)], mark(9))
    assert (day.sealed, day.stored, missing(day)) == (9, 5, "3-4 7 9")
    assert day.share == 5 / 9


def test_numbers_that_still_wait_are_no_loss():
    day = today([note(n) for n in (1, 2, 5, 6)], mark(9, oldest=3))
    assert (day.sealed, day.waiting, day.share, missing(day)) == (9, 5, 1.0, "")


def test_what_lies_below_the_oldest_that_waits_is_missing_and_what_lies_above_waits():
    day = today([note(n) for n in (1, 6)], mark(6, oldest=4))
    assert (missing(day), day.waiting) == ("2-3", 2)


def test_a_backlog_behind_the_first_live_batch_waits():
    day = today([note(50)], mark(50, oldest=1))
    assert (day.waiting, day.stored, missing(day)) == (49, 1, "")


def test_a_gateway_of_which_nothing_is_stored_yet_has_all_of_it_waiting():
    day = today([], mark(7, oldest=3))
    assert (day.sealed, day.waiting, day.share) == (5, 5, None)


def test_a_batch_that_came_twice_or_was_noted_twice_is_one():
    day = today([note(1), note(1), note(2, seal_ms=TODAY + 1), note(2)], mark(2))
    assert (day.sealed, day.stored) == (2, 2)


def test_dead_lettered_batches_have_arrived_but_are_not_in_the_store():
    day = today([note(1), note(2, rejected=60), note(3, readings=0), note(4, rejected=1)], mark(4))
    assert (day.stored, day.rejected, missing(day), day.share) == (2, 2, "", 0.5)
    assert (day.readings, day.readings_rejected) == (119, 61)


def test_a_row_sealed_again_when_the_time_was_known_leaves_no_gap_and_counts_on_its_later_day():
    later_ms = TODAY + DAY_MS + MINUTE_MS
    notes = [note(1), note(2, seal_ms=later_ms), note(3)]
    days, _ = account(notes, mark(3), [TODAY, TODAY + DAY_MS])
    assert (days[TODAY].stored, days[TODAY + DAY_MS].stored) == (2, 1)
    assert not days[TODAY].missing
    assert not days[TODAY + DAY_MS].missing


def test_a_new_epoch_in_the_same_file_numbers_on_and_what_waited_is_sent_under_its_name():
    notes = [*(note(n) for n in (1, 2, 5)), *(note(n, B) for n in (3, 4, 6, 7))]
    assert missing(today(notes, mark(7, epoch=B))) == ""
    waits = today(notes[:4], mark(7, oldest=4, epoch=B), Given(A, 6, TODAY + 10 * MINUTE_MS))
    assert (missing(waits), waits.waiting) == ("", 3)


def test_a_number_lost_between_two_epochs_is_missing_once():
    notes = [note(1), note(2), note(5, B)]
    day = today(notes, mark(5, epoch=B), Given(A, 4, TODAY + 4 * MINUTE_MS))
    assert (missing(day), day.sealed) == ("3-4", 5)


def test_a_new_file_begins_at_one_and_hides_no_gap_of_the_old_one():
    day = today(
        [
            note(1),
            note(2),
            note(4),
            *(note(n, C, TODAY + (50 + n) * MINUTE_MS) for n in range(1, 5)),
        ],
        mark(4, epoch=C),
    )
    assert (missing(day), day.sealed) == ("3", 8)


def test_what_waited_on_a_card_that_burnt_is_missing():
    notes = [*(note(n) for n in range(1, 5)), note(1, C, TODAY + 60 * MINUTE_MS)]
    day = today(notes, mark(1, epoch=C), Given(A, 9, TODAY + 10 * MINUTE_MS))
    assert (missing(day), day.stored) == ("5-9", 5)


def test_a_card_restored_from_a_copy_sends_old_numbers_under_a_new_name_without_a_gap():
    # The copy's rows keep their seal times, so their notes replace the first ones.
    notes = [*(note(n) for n in (1, 2, 6, 7)), *(note(n, B) for n in (3, 4, 5))]
    notes += [note(n, B, TODAY + (20 + n) * MINUTE_MS) for n in (6, 7)]
    assert missing(today(notes, mark(7, epoch=B), Given(A, 7, TODAY + 8 * MINUTE_MS))) == ""


def test_numbers_missing_over_midnight_are_spread_over_both_days_and_none_is_counted_twice():
    before, after = TODAY - 30 * MINUTE_MS, TODAY + 30 * MINUTE_MS
    notes = [note(100, seal_ms=before), note(111, seal_ms=after)]
    days, holes = account(notes, mark(111), [TODAY - DAY_MS, TODAY])
    assert (missing(days[TODAY - DAY_MS]), missing(days[TODAY])) == ("101-105", "106-110")
    assert holes == [Hole(A, 101, 110, before, after)]


def test_a_seal_at_midnight_belongs_to_the_day_that_begins():
    days, _ = account(
        [note(1, seal_ms=TODAY - 1), note(2, seal_ms=TODAY)], mark(2), [TODAY - DAY_MS, TODAY]
    )
    assert [day.stored for day in days.values()] == [1, 1]


def test_a_hostile_number_costs_no_time():
    day = today([note(1), note(2**53)], mark(2**53))
    assert day.missing_batches < 2**53


def test_ranges_that_do_not_fit_are_counted():
    holes = [Hole(A, n, n + n % 2, 0, 0) for n in range(10, 90, 5)]
    assert ranges_text(holes[:2], 64) == "10 15-16"
    text = ranges_text(holes, 64)
    assert len(text) <= 64
    shown, _, rest = text.rpartition(" +")
    assert len(shown.split()) + int(rest) == len(holes)
    assert ranges_text(holes, 3) == "+16"


FATES = st.lists(st.sampled_from(["stored", "dropped", "waiting"]), min_size=1, max_size=60)


@given(FATES, st.integers(1, 600), st.data())
def test_any_history_is_accounted_for_number_by_number(fates, step_minutes, data):
    """Fates by sequence; what waits is a suffix-like set, as the gateway says only its oldest."""
    oldest = next((n for n, fate in enumerate(fates, 1) if fate == "waiting"), 0)
    seals = [TODAY - DAY_MS + n * step_minutes * MINUTE_MS for n in range(len(fates) + 1)]
    notes = [note(n, seal_ms=seals[n]) for n, fate in enumerate(fates, 1) if fate == "stored"]
    said = Mark(A, oldest, len(fates), seals[oldest] if oldest else 0, seals[-1] + 1, {})
    days = range(TODAY - DAY_MS, day_of(seals[-1]) + 2 * DAY_MS, DAY_MS)
    counted, _ = account(data.draw(st.permutations(notes)), said, days)
    first = notes[0].sequence if notes else len(fates) + 1
    known = range(1 if oldest else first, len(fates) + 1)  # nobody tells of numbers before these
    lost = {n for n, fate in enumerate(fates, 1) if fate != "stored" and n in known}
    waits = {n for n in lost if oldest and n >= oldest}
    found = [
        number
        for day in counted.values()
        for hole in day.missing
        for number in range(hole.first, hole.last + 1)
    ]
    below = {n for n in lost - waits if notes and n > first}
    assert sorted(found) == sorted(below)
    assert sum(day.waiting for day in counted.values()) == len(waits)
    assert sum(day.stored for day in counted.values()) == len(notes)
    for day in counted.values():
        assert day.stored == sum(day_of(each.seal_ms) == day.start_ms for each in notes)


def test_a_mark_is_what_a_status_says():
    status = Status("gw", True, epoch=A, oldest_sequence=3, newest_sequence=9, time_ms=5)
    status = msgspec.structs.replace(status, ledger=Ledger(dropped={"full": 4}))
    assert Mark.of(status) == Mark(A, 3, 9, 0, 5, {"full": 4})
