"""A machine without a clock: uptime until the time is known, then one committed offset."""

from __future__ import annotations

from collections import Counter

import pytest

from edge.lanes import BOOTS
from tests.edge.outbox.rig import START_MS, by_another_dictionary, counts
from wire.batch import decode_batch, digest
from wire.line import parse_line

WRONG_MS = 1_780_000_000_000
"""What a Pi thinks after a power cut: the hour it last saved."""

PLACED_MS = START_MS + BOOTS[0]
"""The offset of a boot that began at START_MS: it ends in the first lane for boots."""


def uptime_line(rig, event=False):
    return rig.line(event, time_ms=round(rig.clock.up * 1000))


def times(batches):
    return [int(line.rpartition(" ")[2]) for b in batches for line in decode_batch(b.payload)]


def boot(rig, uptime_s=20.0, now_ms=WRONG_MS):
    """Start again with uptime from the beginning and the clock anywhere."""
    rig.clock.up, rig.clock.ms = uptime_s, now_ms
    rig.outbox = rig.open()


def test_batches_of_a_boot_without_the_time_are_kept_and_not_sent(rig):
    assert rig.seal([uptime_line(rig), uptime_line(rig)]) == []
    assert rig.waiting() == []
    assert rig.ledger().waiting == 2
    assert (rig.outbox.summary().unplaced, rig.outbox.summary().waiting_batches) == (1, 1)


def test_lines_that_know_their_time_are_sent_meanwhile(rig):
    uplink = rig.line()
    (sealed,) = rig.seal([uptime_line(rig), uplink])
    assert decode_batch(sealed.payload) == [uplink.text]
    assert rig.waiting() == [sealed.key.sequence]


def test_once_the_time_is_known_a_batch_keeps_its_number_and_gets_its_times(rig):
    line = uptime_line(rig, event=True)
    rig.seal([line])
    old = rig.outbox._connection.execute("SELECT digest FROM batches").fetchone()[0]
    rig.outbox.set_boot_offset(START_MS, "")
    (sealed,) = rig.outbox.waiting(0, 9)
    assert sealed.key.sequence == 1
    assert sealed.key.digest == digest(sealed.payload) != old
    assert sealed.first_ms == sealed.last_ms == PLACED_MS + line.time_ms
    assert sealed.event
    reading, site, zone = parse_line(decode_batch(sealed.payload)[0])
    assert (reading.time_ms, site, zone) == (PLACED_MS + line.time_ms, "pasar", "a")
    assert rig.confirm(sealed) == [1]
    rig.flush()
    assert rig.ledger().stored == 1


def test_resealing_is_a_commit_of_its_own_and_happens_once(rig):
    rig.seal([uptime_line(rig)])
    rig.outbox.set_boot_offset(START_MS, "")
    sealed = rig.outbox.waiting(0, 9)
    rig.kill()
    assert rig.outbox.waiting(0, 9) == sealed


def test_resealed_batches_have_seal_times_of_their_own(rig):
    for _ in range(3):
        rig.seal([uptime_line(rig)])
    rig.outbox.set_boot_offset(START_MS, "")
    resealed = rig.outbox.waiting(0, 9)
    assert len({b.seal_ms for b in [*resealed, rig.seal_one()]}) == 4


def test_lines_sealed_after_the_time_is_known_are_placed_at_once(rig):
    rig.outbox.set_boot_offset(START_MS, "")
    line = uptime_line(rig)
    assert rig.seal_one([line]).first_ms == PLACED_MS + line.time_ms


def test_a_journalled_line_of_an_earlier_boot_gets_that_boots_time(rig):
    rig.boot_id = "first"
    line = uptime_line(rig)
    rig.outbox.journal([line], counts(1))
    rig.outbox.set_boot_offset(START_MS, "")
    rig.cut_power()
    rig.boot_id = "second"
    boot(rig)
    assert rig.seal_one(0).first_ms == PLACED_MS + line.time_ms


def test_an_agent_restarted_in_the_same_boot_goes_on_with_its_uptime(rig):
    rig.outbox.close()
    rig.boot_id = "kernel boot"
    rig.outbox = rig.open()
    before = uptime_line(rig)
    rig.seal([before])
    rig.kill()
    assert rig.waiting() == []
    rig.outbox.set_boot_offset(START_MS, "")
    (sealed,) = rig.outbox.waiting(0, 9)
    assert sealed.first_ms == PLACED_MS + before.time_ms
    assert "time_quality" not in decode_batch(sealed.payload)[0]


def test_a_boot_that_never_learnt_the_time_ends_just_before_the_next_one(rig):
    rig.seal([uptime_line(rig)])
    rig.clock.turn(600)
    last = uptime_line(rig)
    rig.seal([last])
    rig.cut_power()
    boot(rig)
    rig.outbox.set_boot_offset(START_MS, "")
    placed = rig.outbox.waiting(0, 9)
    began_ms = START_MS + 20_000
    assert times(placed) == [began_ms - 4 - 601_000, began_ms - 4]  # before it, in the same lane
    for batch in placed:
        (line,) = decode_batch(batch.payload)
        reading, _, _ = parse_line(line)
        assert reading.fields == {"occupied": 1, "time_quality": "estimated"}


def test_several_boots_without_the_time_keep_their_order(rig):
    for _ in range(3):
        rig.seal([uptime_line(rig)])
        rig.clock.turn(60)
        rig.seal([uptime_line(rig)])
        rig.cut_power()
        boot(rig)
    rig.outbox.set_boot_offset(START_MS, "")
    placed = times(rig.outbox.waiting(0, 9))
    assert len(placed) == 6
    assert placed == sorted(set(placed))
    assert placed[-1] < START_MS + 20_000


def test_a_boot_without_the_time_stands_after_the_last_trusted_moment(rig):
    rig.outbox.set_boot_offset(rig.clock.ms - 100_000, "")
    rig.seal()
    trusted_ms = rig.clock.ms
    rig.cut_power()
    boot(rig)
    rig.seal([uptime_line(rig)])
    rig.clock.turn(3600)
    rig.seal([uptime_line(rig)])
    rig.cut_power()
    boot(rig)
    rig.outbox.set_boot_offset(trusted_ms + 1_000_000 - 20_000, "")  # began 1,000 s after it
    placed = times(rig.outbox.waiting(1, 9))
    assert placed[0] > trusted_ms
    assert placed == sorted(placed)


def test_a_known_boot_is_not_moved_by_a_later_one(rig):
    rig.outbox.set_boot_offset(START_MS, "")
    line = uptime_line(rig)
    rig.seal([line])
    rig.cut_power()
    boot(rig)
    rig.outbox.set_boot_offset(START_MS + 10**9, "")
    assert times(rig.outbox.waiting(0, 9)) == [PLACED_MS + line.time_ms]


def test_the_length_of_a_gap_is_mended_once_the_time_is_known(rig):
    rig.seal()
    left_ms = rig.clock.ms
    rig.cut_power()
    boot(rig)  # the clock is behind the last commit: the gap looks empty
    assert (rig.ledger().gaps, rig.ledger().gap_ms) == (1, 0)
    rig.outbox.set_boot_offset(left_ms + 7_200_000 - 20_000, "")
    assert (rig.ledger().gaps, rig.ledger().gap_ms) == (1, 7_200_000)
    rig.outbox.set_boot_offset(left_ms + 7_200_000 - 19_000, "")
    assert rig.ledger().gap_ms == 7_200_000


def test_an_unclean_end_in_1970_is_no_gap_of_half_a_century(rig):
    # `make chaos`, seed 1: the last commit's time was told by a clock that began in 1970.
    rig.outbox.set_boot_offset(START_MS, "")
    rig.seal()
    left_ms = rig.clock.ms
    rig.cut_power()
    boot(rig, now_ms=20_000)
    rig.seal([uptime_line(rig)])
    rig.cut_power()
    boot(rig, now_ms=left_ms + 3_600_000)
    assert rig.ledger().gaps == 2
    assert 0 < rig.ledger().gap_ms <= 3_600_000


def test_an_offset_before_1973_is_a_mistake_of_ours(rig):
    with pytest.raises(ValueError, match="1973"):
        rig.outbox.set_boot_offset(5, "")


def test_boots_that_nothing_refers_to_any_more_are_forgotten(rig):
    for _ in range(5):
        rig.restart()
    assert rig.outbox._connection.execute("SELECT count(*) FROM boots").fetchone() == (1,)


def test_a_full_batch_of_uptimes_still_fits_the_wire_when_it_is_placed(rig):
    rig.seal([uptime_line(rig) for _ in range(20_000)])
    rig.cut_power()
    boot(rig)
    rig.outbox.set_boot_offset(START_MS, "")
    placed = rig.outbox.waiting(0, 99)
    assert sum(batch.readings for batch in placed) == len(times(placed)) == 20_000
    assert rig.outbox.ledger(Counter(), 0).balanced


def test_a_batch_of_a_newer_version_waits_for_it_and_the_others_are_sent(rig):
    theirs, ours = uptime_line(rig), uptime_line(rig)
    rig.seal([theirs])
    rig.seal([ours])
    newer = by_another_dictionary(f"{theirs.text}\n".encode())
    for table in ("payloads", "batches"):
        sql = f"UPDATE {table} SET digest = ? WHERE sequence = 1"
        rig.outbox._connection.execute(sql, (digest(newer),))
    rig.outbox._connection.execute("UPDATE payloads SET payload = ? WHERE sequence = 1", (newer,))
    rig.outbox.set_boot_offset(START_MS, "")
    assert rig.waiting() == [2]
    assert rig.ledger().waiting == 2
