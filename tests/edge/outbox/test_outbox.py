"""What goes in comes out, in order, as often as asked, until it is confirmed."""

from __future__ import annotations

import random
from collections import Counter

import msgspec
import pytest

from devices.envelope import Uplink
from edge.intake import Intake
from edge.outbox_reader import count_uplinks
from edge.outbox_room import KEYS_KEPT_MS
from edge.records import Line
from tests.edge.outbox.rig import DAY_MS, by_device, counts, fate
from tests.edge.test_payments import NOW, Bench, message, same_millisecond
from wire.batch import COMPRESSED_BYTES_MAX, RAW_BYTES_MAX, decode_batch, digest
from wire.line import parse_line
from wire.messages import Fate

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def test_a_sealed_batch_holds_its_lines_and_says_what_it_holds(rig):
    lines = rig.lines(3)
    sealed = rig.seal_one(lines)
    assert decode_batch(sealed.payload) == [line.text for line in lines]
    assert sealed.key.digest == digest(sealed.payload)
    assert (sealed.readings, sealed.event) == (3, False)
    assert sealed.first_ms == sealed.last_ms == lines[0].time_ms
    assert rig.outbox.waiting(0, 10) == [sealed]


def test_asking_removes_nothing_and_keeps_the_order(rig):
    numbers = [rig.seal_one().key.sequence for _ in range(5)]
    assert rig.waiting() == rig.waiting() == numbers == sorted(numbers)
    assert [s.key.sequence for s in rig.outbox.waiting(numbers[1], 2)] == numbers[2:4]


def test_a_batch_with_an_event_among_its_lines_is_an_event(rig):
    assert rig.seal_one([rig.line(), rig.line(event=True)]).event
    assert not rig.seal_one().event


def test_a_seal_is_split_within_the_bounds_of_the_wire(rig):
    draw = random.Random(1)
    lines = [rig.line(noise="".join(draw.choices(ALPHABET, k=64))) for _ in range(9000)]
    batches = rig.seal(lines)
    assert len(batches) >= 8
    texts = [decode_batch(sealed.payload) for sealed in batches]
    assert all(len(sealed.payload) <= COMPRESSED_BYTES_MAX for sealed in batches)
    assert all(sum(len(t) + 1 for t in text) <= RAW_BYTES_MAX for text in texts)
    packed = [t for text in texts for t in text]
    assert by_device(packed) == by_device([line.text for line in lines])
    assert all(text == sorted(text, key=lambda t: t.split(",")[:2]) for text in texts)
    assert rig.ledger().waiting == 9000


def test_a_confirmed_batch_waits_no_longer(rig):
    first, second = rig.seal_one(), rig.seal_one(2)
    assert rig.confirm(first) == [first.key.sequence]
    assert rig.waiting() == [second.key.sequence]
    assert (rig.ledger().stored, rig.ledger().waiting) == (1, 2)
    rig.flush()
    assert (rig.ledger().stored, rig.ledger().waiting) == (1, 2)
    assert rig.waiting() == [second.key.sequence]


def test_a_confirmation_is_on_disk_with_the_next_seal_and_not_before(rig):
    first = rig.seal_one()
    rig.confirm(first)
    rig.kill()
    assert rig.waiting() == [first.key.sequence]
    rig.confirm(first)
    rig.seal()
    rig.kill()
    assert first.key.sequence not in rig.waiting()
    assert rig.ledger().stored == 1


def test_rejected_readings_are_counted_by_reason(rig):
    rig.confirm(rig.seal_one(5), rejected={"range": 2, "claim": 1})
    rig.flush()
    assert rig.ledger().rejected == {"claim": 1, "range": 2}
    assert rig.ledger().stored == 2


def test_only_epoch_sequence_and_digest_together_confirm(rig):
    sealed = rig.seal_one()
    outbox, right = rig.outbox, fate(sealed)
    assert outbox.confirm(bytes(16), [right]) == []
    assert outbox.confirm(outbox.epoch, [Fate(99, right.digest, 1)]) == []
    assert outbox.confirm(outbox.epoch, [Fate(right.sequence, bytes(8), 1)]) == []
    assert rig.waiting() == [right.sequence]
    assert outbox.summary().ignored == {"epoch": 1, "unknown": 1, "digest": 1}


def test_another_digest_for_a_known_number_raises_the_cloned_alarm(rig):
    sealed = rig.seal_one()
    assert rig.outbox.summary().alarms == ()
    rig.outbox.confirm(rig.outbox.epoch, [Fate(sealed.key.sequence, bytes(8), 1)])
    assert rig.outbox.summary().alarms == ("cloned",)
    rig.outbox.new_epoch("cloned")
    assert rig.outbox.summary().alarms == ()


def test_a_hold_settles_nothing(rig):
    sealed = rig.seal_one()
    hold = Fate(sealed.key.sequence, sealed.key.digest, hold_s=30.0)
    assert rig.outbox.confirm(rig.outbox.epoch, [hold]) == []
    assert rig.waiting() == [sealed.key.sequence]


def test_the_first_final_confirm_counts(rig):
    sealed = rig.seal_one(3)
    rig.confirm(sealed, rejected={"range": 1})
    assert rig.confirm(sealed) == []
    rig.flush()
    assert rig.confirm(sealed) == []
    rig.flush()
    assert (rig.ledger().stored, rig.ledger().rejected) == (2, {"range": 1})


@pytest.mark.parametrize(
    ("stored", "rejected", "ledger"),
    [
        (2, {}, (2, {"uncounted": 3})),
        (0, {"not_zstd": 0}, (0, {"not_zstd": 5})),  # the cloud couldn't open it
        (9, {"range": 4}, (5, {})),
        (-3, {"range": 9}, (0, {"range": 5})),
        (0, {"range": -2, "Robert'); DROP": 5}, (0, {"other": 5})),
    ],
)
def test_the_ledger_balances_whatever_numbers_a_cloud_says(rig, stored, rejected, ledger):
    sealed = rig.seal_one(5)
    said = Fate(sealed.key.sequence, sealed.key.digest, stored, rejected)
    rig.outbox.confirm(rig.outbox.epoch, [said])
    assert (rig.ledger().stored, rig.ledger().rejected) == ledger
    rig.flush()
    assert (rig.ledger().stored, rig.ledger().rejected) == ledger


def test_a_flush_with_nothing_new_writes_nothing(rig):
    rig.seal(2, {"bay-1": b"x"})
    rig.outbox.mark_sent(1)
    before = rig.log.stat().st_size, rig.log.read_bytes()
    assert rig.outbox.seal([], {"bay-1": b"x"}, Counter()) == []
    assert (rig.log.stat().st_size, rig.log.read_bytes()) == before


def test_counts_and_what_they_count_are_one_commit(rig):
    taken = Counter({("taken", ""): 6, ("refused", "range"): 2, ("suppressed", ""): 1})
    taken["noise", "garbage"] = 7
    rig.outbox.seal(rig.lines(3), {}, taken)
    ledger = rig.ledger()
    assert (ledger.taken, ledger.refused, ledger.suppressed) == (6, {"range": 2}, 1)
    assert (ledger.accepted, ledger.noise) == (3, {"garbage": 7})
    rig.kill()
    assert msgspec.structs.replace(rig.ledger(), gaps=0, gap_ms=0) == ledger


def test_the_ledger_holds_what_the_caller_has_not_committed_yet(rig):
    rig.seal(2)
    tally = Counter({("taken", ""): 5, ("refused", "checksum"): 1})
    ledger = rig.outbox.ledger(tally, 4)
    assert ledger.balanced
    assert (ledger.taken, ledger.open, ledger.refused) == (7, 4, {"checksum": 1})


def test_callers_cannot_count_what_the_outbox_counts(rig):
    with pytest.raises(ValueError, match="accepted"):
        rig.outbox.seal([], {}, Counter({("accepted", ""): 1}))


def test_seal_times_rise_strictly_though_the_clock_steps_back(rig):
    times = [rig.seal_one().seal_ms]
    for step_s in (-3600, 0, -1, 10_000, -9999):
        rig.clock.turn(step_s)
        times.append(rig.seal_one().seal_ms)
        rig.restart()
    assert times == sorted(set(times))


def test_a_number_is_never_used_twice(make_rig):
    rig = make_rig(keep_confirmed_days=0.0)
    numbers = []
    for _ in range(3):
        sealed = rig.seal_one()
        numbers.append(sealed.key.sequence)
        rig.confirm(sealed)
        rig.flush()
        rig.clock.turn(4000)
        rig.outbox.seal([], {"bay": str(numbers).encode()}, Counter())  # deletes the newest row
        assert rig.outbox._connection.execute("SELECT * FROM batches").fetchall() == []
        rig.restart()
    assert numbers == [1, 2, 3]
    assert rig.outbox.summary().newest_sequence == 3


def test_a_journalled_line_is_accepted_at_once_and_survives(rig):
    lines = rig.lines(2)
    assert rig.outbox.journal(lines, counts(2)) == [True, True]
    assert (rig.ledger().accepted, rig.ledger().waiting) == (2, 2)
    rig.kill()
    assert rig.ledger().waiting == 2
    assert rig.waiting() == []
    sealed = rig.seal_one(1)
    assert decode_batch(sealed.payload)[:2] == [line.text for line in lines]
    assert sealed.readings == 3
    assert rig.ledger().waiting == 3
    assert rig.seal(0) == []


def test_a_repeat_is_refused_and_counted_for_31_days(rig):
    line = rig.line()
    again = rig.line(time_ms=line.time_ms)
    assert rig.outbox.journal([line, line, again], counts(3)) == [True, False, True]
    rig.seal()
    rig.kill()
    assert rig.outbox.journal([line], counts(1)) == [False]
    assert rig.ledger().refused == {"repeat": 2}
    rig.clock.turn(KEYS_KEPT_MS / 1000 + 3600)
    rig.seal()
    assert rig.outbox.journal([line], counts(1)) == [True]


def test_another_kind_of_the_same_device_and_moment_is_no_repeat(rig):
    line = rig.line()
    other = Line(line.text, line.device, "waste_container", line.time_ms)
    assert rig.outbox.journal([line, other], counts(2)) == [True, True]


def test_two_payments_on_one_millisecond_are_two_even_with_a_restart_between(rig):
    names = same_millisecond()

    def tell(name: str, intake: Intake) -> bool:
        (line,) = intake.take_uplink(Uplink("terminal-1", 0, b"", NOW, decoded=message(name)))
        return all(rig.outbox.journal([line], counts(1)))

    for name in names:
        assert tell(name, Bench().intake)
        rig.kill()
    running = Bench().intake
    again = [tell(name, intake) for intake in (running, Bench().intake) for name in names[::-1]]
    assert not any(again)
    readings = [parse_line(text)[0] for text in decode_batch(rig.seal_one(0).payload)]
    assert [reading.fields["transaction"] for reading in readings] == [*names]
    assert readings[1].time_ms == readings[0].time_ms + 1
    assert count_uplinks(rig.path) == 2


def test_no_payment_is_lost_or_doubled_however_often_the_agent_restarts(rig, seed):
    draw, intake = random.Random(seed), Bench().intake
    names = [f"trx-{number}" for number in range(100)]  # of one second: some share a millisecond
    for name in (*names, *draw.choices(names, k=100), *draw.sample(names, len(names))):
        if draw.random() < 0.1:
            intake = Bench().intake
        uplink = Uplink("terminal-1", 0, b"", NOW, decoded=message(name))
        rig.outbox.journal(intake.take_uplink(uplink), counts(1))
    readings = [parse_line(text)[0] for text in decode_batch(rig.seal_one(0).payload)]
    assert sorted(str(reading.fields["transaction"]) for reading in readings) == sorted(names)
    assert len({reading.time_ms for reading in readings}) == len(names)


def test_a_payment_whose_key_was_kept_without_its_number_is_still_a_repeat(rig):
    line = rig.line()
    numbered = msgspec.structs.replace(line, number="trx-1")
    assert rig.outbox.journal([line, numbered], counts(2)) == [True, False]


def test_uplinks_can_be_counted_beside_the_agent(rig, tmp_path):
    assert count_uplinks(tmp_path / "nowhere.db") == 0
    (tmp_path / "empty.db").touch()
    assert count_uplinks(tmp_path / "empty.db") == 0
    line = rig.line()
    rig.outbox.journal([line, line, rig.line()], counts(3))
    rig.seal()
    assert count_uplinks(rig.path) == 2


def test_keys_are_bounded_by_a_share_of_the_outbox(make_rig):
    rig = make_rig(bytes_max=1024 * 1024)
    most = 1024 * 1024 // 8 // 24
    lines = [rig.line(time_ms=rig.clock.ms + n) for n in range(most // 500 * 500 + 1000)]
    for start in range(0, len(lines), 500):
        rig.outbox.journal(lines[start : start + 500], counts(500))
        rig.confirm(rig.seal_one(0))
    rig.clock.turn(3601)
    rig.seal()
    assert rig.outbox._connection.execute("SELECT count(*) FROM keys").fetchone() == (most,)
    assert rig.outbox.journal([lines[0], lines[-1]], counts(2)) == [True, False]


def test_states_come_back_after_a_restart_and_only_changes_are_written(rig):
    rig.seal(0, {"a": b"1", "b": b"2"})
    rig.seal(0, {"a": b"3", "b": b"2"})
    assert rig.outbox.states() == {"a": b"3", "b": b"2"}
    rig.kill()
    assert rig.outbox.states() == {"a": b"3", "b": b"2"}
    saved = dict(rig.outbox._connection.execute("SELECT device, saved_ms FROM states"))
    assert saved["a"] > saved["b"]


def test_the_state_of_a_device_that_is_gone_is_forgotten_after_31_days(rig):
    rig.seal(0, {"gone": b"1"})
    rig.clock.turn(40 * DAY_MS / 1000)
    rig.seal(0, {"here": b"1"})
    assert rig.outbox.states() == {"here": b"1"}


def test_a_parked_batch_waits_out_of_the_way(rig):
    first, second = rig.seal_one(), rig.seal_one()
    rig.outbox.park(first.key.sequence, "0x99")
    assert rig.waiting() == [second.key.sequence]
    rig.kill()
    assert rig.waiting() == [second.key.sequence]
    assert (rig.outbox.summary().parked, rig.ledger().waiting) == (1, 2)
    rig.outbox.unpark_all()
    assert rig.waiting() == [first.key.sequence, second.key.sequence]


def test_a_parked_batch_can_still_be_confirmed(rig):
    sealed = rig.seal_one()
    rig.outbox.park(sealed.key.sequence, "0x95")
    assert rig.confirm(sealed) == [sealed.key.sequence]
    rig.flush()
    assert (rig.outbox.summary().parked, rig.ledger().stored) == (0, 1)


def test_resending_makes_confirmed_batches_wait_again_from_a_moment_on(rig):
    batches = []
    for _ in range(4):
        batches.append(rig.seal_one(3))
        rig.clock.turn(60)
    rig.confirm(batches[0], batches[1])
    rig.confirm(batches[2], batches[3], rejected={"range": 1})  # in memory until now
    assert rig.outbox.resend_since(batches[2].first_ms) == 2
    assert rig.waiting() == [3, 4]
    assert (rig.ledger().stored, rig.ledger().rejected, rig.ledger().waiting) == (6, {}, 6)
    assert rig.outbox.waiting(0, 9) == batches[2:]
    rig.confirm(*batches[2:])
    rig.flush()
    assert (rig.ledger().stored, rig.ledger().waiting) == (12, 0)


def test_confirmed_batches_are_kept_for_days_after_their_confirmation(rig):
    sealed = rig.seal_one()
    rig.clock.turn(20 * DAY_MS / 1000)  # a long outage: age alone deletes nothing
    rig.confirm(sealed)
    rig.seal()
    rig.clock.turn(6.9 * DAY_MS / 1000)
    rig.seal()
    assert rig.outbox.resend_since(0) == 1
    rig.confirm(sealed)
    rig.seal()
    rig.clock.turn(7.1 * DAY_MS / 1000)
    rig.seal()
    assert rig.outbox.resend_since(0) == 0


def test_another_machine_or_card_begins_a_new_epoch_with_what_waits(rig):
    sealed, old = rig.seal_one(), rig.outbox.epoch
    rig.restart()
    assert rig.outbox.epoch == old
    rig.outbox.close()
    rig.identity = "machine another-card"
    rig.outbox = rig.open()
    assert rig.outbox.epoch != old
    assert rig.outbox.confirm(old, [fate(sealed)]) == []
    (again,) = rig.outbox.waiting(0, 9)
    assert again.key.epoch == rig.outbox.epoch
    assert again.payload == sealed.payload
    assert rig.confirm(again) == [1]


def test_a_new_epoch_can_be_asked_for_and_survives(rig):
    sealed, old = rig.seal_one(), rig.outbox.epoch
    rig.confirm(sealed)
    rig.outbox.new_epoch("the retained status is ahead")
    new = rig.outbox.epoch
    assert new != old
    assert rig.ledger().stored == 1
    rig.kill()
    assert rig.outbox.epoch == new
    assert rig.waiting() == []


def test_a_clean_stop_leaves_no_gap_and_an_unclean_one_leaves_its_length(rig):
    rig.seal()
    rig.outbox.close()
    rig.clock.turn(500)
    rig.outbox = rig.open()
    assert (rig.ledger().gaps, rig.ledger().gap_ms) == (0, 0)
    rig.seal()
    rig.clock.turn(42)
    rig.kill()
    assert (rig.ledger().gaps, rig.ledger().gap_ms) == (1, 42_000)


def test_closing_commits_what_was_confirmed_and_again_does_no_harm(rig):
    sealed = rig.seal_one()
    rig.confirm(sealed)
    rig.restart()
    assert rig.ledger().stored == 1
    rig.outbox.close()
    rig.outbox.close()


def test_a_payload_that_the_card_changed_is_never_sent_and_counted_as_damaged(rig):
    first, second = rig.seal_one(4), rig.seal_one()
    sql = "UPDATE payloads SET payload = zeroblob(length(payload)) WHERE sequence = 1"
    rig.outbox._connection.execute(sql)
    assert rig.outbox.waiting(0, 1) == [second]
    assert rig.ledger().dropped == {"damaged": 4}
    assert rig.outbox.summary().alarms == ("damaged",)
    rig.flush()
    assert rig.ledger().dropped == {"damaged": 4}
    rig.kill()
    assert rig.waiting() == [second.key.sequence]
    rig.outbox.confirm(rig.outbox.epoch, [fate(first)])  # it had been sent before
    rig.flush()
    assert (rig.ledger().dropped, rig.ledger().stored) == ({}, 4)


def test_the_summary_says_what_waits_since_when_and_how_long_there_is_room(rig):
    empty = rig.outbox.summary()
    assert (empty.oldest_sequence, empty.newest_sequence, empty.oldest_waiting_ms) == (0, 0, 0)
    assert empty.hours_left is None
    batches = []
    for _ in range(3):
        batches.append(rig.seal_one(2))
        rig.clock.turn(60)
    rig.confirm(batches[0])
    summary = rig.outbox.summary()
    assert summary.epoch == rig.outbox.epoch.hex()
    assert (summary.oldest_sequence, summary.newest_sequence) == (2, 3)
    assert summary.oldest_waiting_ms == batches[1].first_ms
    assert (summary.waiting_batches, summary.waiting_readings) == (2, 4)
    pages = rig.outbox._connection.execute("PRAGMA page_count").fetchone()[0]
    assert summary.bytes == 4096 * pages + rig.log.stat().st_size
    assert summary.bytes_max == rig.settings.bytes_max
    assert summary.hours_left is not None
    assert 100 < summary.hours_left < 100_000
    assert summary.ledger == rig.ledger()
