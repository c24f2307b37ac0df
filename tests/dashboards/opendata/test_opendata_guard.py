"""Rates by address, in bounded memory, and answers that are made once."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from dashboards.opendata import guard
from dashboards.opendata.asking import Kind, StepName
from dashboards.opendata.guard import Rates, client_of
from dashboards.opendata.history import STEPS
from dashboards.opendata.public import PUBLIC, fields_of, rounded, shown
from dashboards.opendata.shelf import ANSWERS_MAX, Made, Shelf
from devices.kinds import KINDS
from ingest.stores.kinds import HOUR_KINDS
from wire.clock import SystemClock


class HandClock(SystemClock):
    """A clock that a test moves."""

    def __init__(self) -> None:
        super().__init__()
        self.s = 1000.0

    def monotonic(self) -> float:
        return self.s


def test_a_client_has_its_burst_and_then_its_rate():
    clock = HandClock()
    rates = Rates(clock, requests_a_minute=60, burst=20)
    assert [rates.wait_s("a", 1) for _ in range(20)] == [0] * 20
    assert rates.wait_s("a", 1) == 1
    assert rates.wait_s("a", 10) == 10
    assert rates.wait_s("b", 1) == 0
    clock.s += 2
    assert [rates.wait_s("a", 1) for _ in range(3)] == [0, 0, 1]
    clock.s += 1e6
    assert rates.wait_s("a", 20) == 0
    assert rates.wait_s("a", 1) == 1


def test_addresses_are_forgotten_when_there_are_too_many(monkeypatch):
    monkeypatch.setattr(guard, "CLIENTS_MAX", 3)
    rates = Rates(HandClock(), requests_a_minute=60, burst=20)
    for client in "abcdabcd":
        rates.wait_s(client, 20)
    assert len(rates._left) == 3


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", "198.51.100.7", "203.0.113.9"),
        ("127.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("127.0.0.1", "1.2.3.4, 198.51.100.7", "198.51.100.7"),
        ("127.0.0.1", "198.51.100.7, 10.0.0.2", "198.51.100.7"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "not an address", "unknown"),
        ("2001:db8:1:2:3::4", "", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "", "fe80::/64"),
        ("::ffff:203.0.113.7", "", "203.0.113.7"),
    ],
)
def test_the_client_is_who_a_trusted_proxy_says_it_is(peer, forwarded, client):
    headers = [(b"x-forwarded-for", forwarded.encode())]
    scope: dict[str, Any] = {"type": "http", "client": (peer, 1), "headers": headers}
    assert client_of(scope, {"127.0.0.1", "10.0.0.2"}) == client


@pytest.mark.parametrize(
    ("people", "told"), [(0, 0), (1, 0), (2, 0), (2.5, 5), (3, 5), (7, 5), (8, 10), (17, 15)]
)
def test_people_are_told_in_steps(people, told):
    assert rounded(people, 5) == told
    assert shown({"clients": people, "up": 1}, 5) == {"clients": told, "up": 1}
    hour = {"clients_mean": people, "clients_count": 3, "up_mean": 0.7}
    assert shown(hour, 5) == {"clients_mean": told, "clients_count": 3, "up_mean": 0.7}


def test_the_apis_words_are_those_of_the_tables():
    assert {*Kind} == {*PUBLIC}
    assert {*StepName} == {*STEPS}


def test_only_fields_that_exist_are_public_and_none_that_tells_of_one_person():
    for kind, names in PUBLIC.items():
        assert set(names) <= KINDS[kind].fields.keys()
        assert set(fields_of(kind, summed=True)) <= HOUR_KINDS[kind].fields.keys()
    hidden = {"rx_bytes", "tx_bytes", "occupied", "motions", "people_in", "people_out"}
    for kind, names in PUBLIC.items():
        assert not set(names) & (hidden - ({"occupied"} if kind == "parking_spot" else set()))


def test_an_answer_is_made_once_until_there_is_news_or_a_second_went_by():
    clock = HandClock()
    shelf = Shelf(clock)
    made: list[int] = []

    def make() -> bytes:
        made.append(1)
        return b"x" * 2000

    first = shelf.get("q", 1, make)
    assert shelf.get("q", 1, make) is first
    assert shelf.get("q", 2, make) is not first
    clock.s += 1.5
    assert shelf.get("q", 2, make).tag == first.tag
    assert len(made) == 3


def test_a_shelf_keeps_a_bounded_number_of_answers():
    shelf = Shelf(HandClock())
    for question in range(ANSWERS_MAX + 50):
        shelf.get(question, 1, lambda: b"x")
    assert len(shelf._made) == ANSWERS_MAX
    assert shelf._bytes == ANSWERS_MAX
    assert ANSWERS_MAX + 49 in shelf._made


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [("gzip", "gzip"), ("br, gzip;q=0.5", "gzip"), ("gzip;q=0", ""), ("", ""), ("br", "")],
)
def test_a_body_is_compressed_for_who_takes_it(accepted, coding):
    body = b"kosong " * 500
    coded, said = Made(body, 0, 0).coded(accepted)
    assert said == coding
    assert (gzip.decompress(coded) if coding else coded) == body
