"""The comparison sees every difference: one that can't fail would prove nothing."""

from __future__ import annotations

from gampong.truth import Comparison, TruthRow, compare
from ingest.stores import Row

T = 1_790_000_000_000
UPLINK = ("bay-1", "parking_spot", "bosch_tps110")
POLLED = ("bin-1", "waste_container", "dfrobot_a02yyuw")


def sent(seconds: int, occupied: int, fault: str = "") -> TruthRow:
    return TruthRow(*UPLINK, "sent", T + 1000 * seconds, {"occupied": occupied}, fault)


def asked(seconds: int, distance_mm: float) -> TruthRow:
    return TruthRow(*POLLED, "asked", T + 1000 * seconds, {"distance_mm": distance_mm})


def stored(seconds: float, **fields: float) -> Row:
    return Row(round(T + 1000 * seconds), {}, dict(fields))


def compared(truth: list[TruthRow], rows: list[Row], any_time: tuple[str, ...] = ()) -> Comparison:
    return compare(truth, {truth[0].device: rows}, 5000, any_time=any_time)


def test_what_was_sent_and_is_stored_so_differs_in_nothing() -> None:
    found = compared([sent(1, 0), sent(2, 1)], [stored(2, occupied=1), stored(1, occupied=0)])
    assert (found.words, found.uplinks_sent, found.uplinks_stored) == ([], 2, 2)


def test_an_uplink_that_isnt_stored_is_missing() -> None:
    found = compared([sent(1, 0), sent(2, 1)], [stored(1, occupied=0)])
    assert (found.differences, found.uplinks_missing) == (1, 1)


def test_a_point_that_nobody_sent_and_a_value_that_nobody_gave_differ() -> None:
    assert compared([sent(1, 0)], [stored(1, occupied=0), stored(3, occupied=0)]).differences == 1
    assert compared([sent(1, 0)], [stored(1, occupied=1)]).differences == 1


def test_an_uplink_that_nobody_acknowledged_may_be_there_or_not() -> None:
    truth = [sent(1, 0), sent(2, 1, "unacknowledged")]
    for rows in ([stored(1, occupied=0)], [stored(1, occupied=0), stored(2, occupied=1)]):
        assert compared(truth, rows).words == []


def test_a_polled_value_must_have_been_given_shortly_before() -> None:
    truth = [asked(0, 700.0), asked(100, 300.0)]
    assert compared(truth, [stored(2, distance_mm=700.0)]).words == []
    assert compared(truth, [stored(50, distance_mm=700.0)]).differences == 1
    assert compared(truth, [stored(2, distance_mm=705.0)]).differences == 1


def test_where_the_clock_was_wrong_a_polled_value_may_have_been_given_at_any_time() -> None:
    truth = [asked(0, 700.0), asked(100, 300.0)]
    found = compared(truth, [stored(50, distance_mm=700.0)], any_time=("bin-1",))
    assert found.words == []
    found = compared(truth, [stored(50, distance_mm=705.0)], any_time=("bin-1",))
    assert found.differences == 1
