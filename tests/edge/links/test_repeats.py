"""The same uplink again: handed on once, and never acknowledged before the first is committed."""

from __future__ import annotations

from devices.envelope import Uplink
from edge.links import NotAccepted
from edge.links.repeats import Once, Recent
from tests.edge.links.heard import Heard

EUI = "24e124713b493357"


class Answers(list[NotAccepted | None]):
    """What was answered, in order."""


def uplink(id_: str, time_ms: int = 0) -> Uplink:
    return Uplink(EUI, 1, b"", time_ms, id_)


def sink() -> tuple[Heard, Once]:
    heard = Heard()
    heard.holding = True  # what comes waits until the test says commit
    return heard, Once(heard)


def test_a_repeat_of_a_committed_uplink_is_acknowledged_and_counted():
    heard, once = sink()
    answers = Answers()
    once.uplink("lns", uplink("a"), answers.append)
    heard.commit()
    once.uplink("lns", uplink("a", 200), answers.append)
    assert answers == [None, None]
    assert heard.refusals == {(EUI, "repeat"): 1}
    assert [one.time_ms for one in heard.uplinks] == [0]


def test_a_repeat_of_one_under_way_is_answered_only_with_it():
    heard, once = sink()
    first, again = Answers(), Answers()
    once.uplink("lns", uplink("a"), first.append)
    once.uplink("lns", uplink("a"), again.append)
    assert heard.together == 1
    assert not first + again
    heard.commit()
    assert (first, again) == ([None], [None])
    assert heard.refusals == {(EUI, "repeat"): 1}


def test_one_that_could_not_be_committed_may_come_again():
    heard, once = sink()
    heard.accepting = False
    first, again = Answers(), Answers()
    once.uplink("lns", uplink("a"), first.append)
    once.uplink("lns", uplink("a"), again.append)
    heard.commit()
    assert all(isinstance(one, NotAccepted) for one in first + again)
    assert not heard.refusals
    heard.accepting, heard.holding = True, True
    once.uplink("lns", uplink("a"), first.append)
    heard.commit()
    assert first[-1] is None
    assert len(heard.uplinks) == 1


def test_uplinks_without_an_id_are_all_handed_on():
    heard, once = sink()
    answers = Answers()
    for _ in range(3):
        once.uplink("lns", uplink(""), answers.append)
    heard.commit()
    assert len(heard.uplinks) == 3


def test_so_many_ids_are_remembered_and_no_more():
    recent = Recent(3)
    for id_ in "abcd":
        recent.add(id_)
    assert [id_ for id_ in "abcd" if id_ in recent] == ["b", "c", "d"]
    recent.discard("c")
    assert "c" not in recent
