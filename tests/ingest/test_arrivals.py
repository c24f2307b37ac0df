"""Messages are acknowledged in the order in which they came, and what waits for it is bounded."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from ingest.arrivals import (
    ACKNOWLEDGE_S,
    UNACKNOWLEDGED_BYTES_MAX,
    UNACKNOWLEDGED_MAX,
    Arrivals,
)
from wire.mqtt import Message


def message(number: int, size: int = 10) -> Message:
    return Message("t", bytes(size), number, False)


def numbers(messages: list[Message]) -> list[int | None]:
    return [each.mid for each in messages]


@given(st.permutations(range(1, 9)))
def test_whatever_is_settled_first_leaves_after_those_that_came_before_it(order):
    arrivals = Arrivals()
    entered = {each.message.mid: each for each in arrivals.enter([*map(message, range(1, 9))], 0)}
    left: list[int | None] = []
    settled: set[int] = set()
    for number in order:
        entered[number].settle()
        entered[number].settle()  # telling twice counts once
        settled.add(number)
        left += numbers(arrivals.leave(0))
        first_open = min(set(range(1, 10)) - settled)
        assert left == [*range(1, first_open)]
        assert arrivals.in_hand == 8 - len(settled)
    assert arrivals.due_s() is None


def test_after_its_time_a_message_is_acknowledged_and_still_in_hand():
    arrivals = Arrivals()
    first, second = arrivals.enter([message(1), message(2)], 100)
    third = arrivals.enter([message(3)], 102)[0]
    assert arrivals.due_s() == 100 + ACKNOWLEDGE_S
    assert arrivals.leave(99.9 + ACKNOWLEDGE_S) == []
    assert numbers(arrivals.leave(100 + ACKNOWLEDGE_S)) == [1, 2]
    assert arrivals.in_hand == 3
    for each in (first, second, third):
        each.settle()
    assert numbers(arrivals.leave(103)) == [3]
    assert arrivals.in_hand == 0


def test_no_more_enter_than_there_is_room_for_and_one_always_does():
    arrivals = Arrivals()
    many = [message(1 + n % 9) for n in range(UNACKNOWLEDGED_MAX + 5)]
    assert len(arrivals.enter(many, 0)) == UNACKNOWLEDGED_MAX
    assert arrivals.enter(many, 0) == []
    arrivals.leave(ACKNOWLEDGE_S)
    large = message(1, UNACKNOWLEDGED_BYTES_MAX + 1)
    assert len(arrivals.enter([large, large], 0)) == 1
    assert arrivals.enter([message(2)], 0) == []


def test_room_is_told_when_something_leaves():
    async def main() -> None:
        arrivals = Arrivals()
        arrivals.enter([message(1, UNACKNOWLEDGED_BYTES_MAX)], 0)
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(arrivals.room())
            await asyncio.sleep(0)
            assert not waiting.done()
            arrivals.leave(ACKNOWLEDGE_S)
            await waiting
        assert arrivals.enter([message(2)], 0)

    asyncio.run(main())


def test_the_first_that_enters_tells_that_something_will_be_due():
    arrivals = Arrivals()
    assert not arrivals.changed.is_set()
    arrivals.enter([message(1)], 0)
    assert arrivals.changed.is_set()
