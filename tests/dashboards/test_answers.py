"""Many ask, one is made: answers are shared, follow the news, and are only made for who asks."""

from __future__ import annotations

import asyncio
import gzip
import zlib

import pytest

from dashboards.answers import Answers
from wire.clock import SystemClock

WITHIN_S = 20.0


class City:
    """Something to ask about; counts how often it was encoded."""

    def __init__(self) -> None:
        self.text, self.encoded = b"first", 0
        self.again = asyncio.Event()

    def encode(self) -> bytes:
        self.encoded += 1
        if self.encoded > 1:
            self.again.set()
        return self.text


def test_a_hundred_who_ask_at_once_share_one_answer():
    async def scenario() -> None:
        city = City()
        answers = Answers(city.encode, SystemClock())
        got = await asyncio.gather(*(answers.get("gzip, deflate") for _ in range(100)))
        assert city.encoded == 1
        assert {(gzip.decompress(each.body), each.tag) for each in got} == {(b"first", got[0].tag)}

    asyncio.run(scenario())


def test_news_are_in_the_next_answer_under_another_tag_while_somebody_asks():
    async def scenario() -> None:
        city = City()
        answers = Answers(city.encode, SystemClock())
        async with asyncio.TaskGroup() as group, asyncio.timeout(WITHIN_S):
            running = group.create_task(answers.run())
            first = await answers.get("")
            city.text = b"second"
            answers.tell()
            await city.again.wait()
            second = await answers.get("")
            assert second.body == b"second"
            assert second.tag != first.tag
            running.cancel()

    asyncio.run(scenario())


def test_who_has_an_answer_of_before_a_restart_isnt_told_that_it_is_still_so():
    before, after = City(), City()
    after.text = b"second"
    first, second = (
        asyncio.run(Answers(city.encode, SystemClock()).get("gzip")) for city in (before, after)
    )
    assert first.tag != second.tag


def test_nothing_is_made_while_nobody_asks():
    async def scenario() -> None:
        city, news = City(), 0
        answers = Answers(city.encode, SystemClock())
        async with asyncio.TaskGroup() as group, asyncio.timeout(WITHIN_S):
            running = group.create_task(answers.run())
            for news in range(5):
                answers.tell(str(news))
                await asyncio.sleep(0)
            running.cancel()
        assert (city.encoded, news) == (0, 4)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("", ""),
        ("identity", ""),
        ("br", ""),
        ("gzip, deflate, br", "gzip"),
        ("GZIP;q=0.5", "gzip"),
        ("gzip;q=0, zstd", "zstd"),
        ("gzip; q=0.0", ""),
        ("gzip, deflate, br, zstd", "zstd"),
    ],
)
def test_the_coding_is_the_cheapest_that_is_accepted(accepted, coding):
    answer = asyncio.run(Answers(City().encode, SystemClock()).get(accepted))
    assert answer.coding == coding
    if coding == "gzip":
        assert zlib.decompress(answer.body, 31) == b"first"
    assert (answer.body == b"first") == (coding == "")
