"""A line that breaks the database is found; an outage never costs a line."""

from __future__ import annotations

import asyncio
from collections.abc import Container, Sequence

from hypothesis import given
from hypothesis import strategies as st

from ingest.bisection import bisect
from ingest.stores import Kept, Written

BROKEN = Kept("server_error", bisect=True)
AWAY = Kept("away")


class Choking:
    """A database that answers 5xx to some lines, and to all of them while it is ill."""

    def __init__(self, poison: set[str], ill: Container[int] = (), answer: Kept = BROKEN) -> None:
        self.poison, self.ill, self.answer = poison, ill, answer
        self.stored: set[str] = set()
        self.asked = 0

    async def write(self, lines: Sequence[str]) -> Written | Kept:
        self.asked += 1
        if self.asked - 1 in self.ill:
            return self.answer
        if self.poison & set(lines):
            return BROKEN
        self.stored |= set(lines)
        return Written()


def run(database: Choking, lines: list[str]) -> Written | Kept:
    async def both() -> Written | Kept:
        answer = await database.write(lines)
        if isinstance(answer, Written):
            return answer
        return await bisect(database.write, lines, answer, [OWN])

    return asyncio.run(both())


OWN = "the ingestor's own"
LINES = [str(number) for number in range(100)]
POISON = st.sets(st.sampled_from(LINES), max_size=5)


def test_one_poisonous_line_of_five_thousand_costs_few_writes():
    lines = [str(number) for number in range(5000)]
    database = Choking({"1234"})
    assert run(database, lines) == Written({1234: "server_error"})
    assert database.stored == set(lines) - {"1234"} | {OWN}
    assert database.asked < 40


@given(POISON)
def test_what_is_rejected_is_the_poison_and_the_rest_is_stored(poison):
    database = Choking(poison)
    answer = run(database, LINES)
    assert isinstance(answer, Written)
    assert {LINES[index] for index in answer.rejected} == poison
    assert database.stored - {OWN} == set(LINES) - poison


@given(POISON, st.integers(0, 40), st.integers(2, 40), st.sampled_from([BROKEN, AWAY]))
def test_an_outage_at_any_moment_never_rejects_a_good_line(poison, start, length, answer):
    database = Choking(poison, range(start, start + length), answer)
    result = run(database, LINES)
    if isinstance(result, Written):
        assert {LINES[index] for index in result.rejected} <= poison
        assert database.stored >= set(LINES) - poison


def test_an_outage_from_the_start_costs_few_writes():
    database = Choking(set(), range(10_000))
    assert run(database, LINES) == BROKEN
    assert database.asked == 2


def test_a_lone_bad_line_is_told_from_an_outage_by_a_line_of_the_ingestors_own():
    assert run(Choking({"7"}), ["7"]) == Written({0: "server_error"})
    assert run(Choking({"7", OWN}), ["7"]) == BROKEN


def test_a_line_that_fails_twice_is_kept_when_its_database_is_ill_again_right_after():
    # Calls: the line fails, proof, proof, the line fails, proof.
    for ill in ({0, 3, 4}, {0, 2}, {0, 1}):
        database = Choking(set(), ill)
        assert run(database, ["7"]) == BROKEN
    assert run(Choking(set(), {0}), ["7"]) == Written()
