"""Who may come in: a clock that is given, no socket."""

from __future__ import annotations

import pytest

from edge.page.entry import (
    FIRST_S,
    HOUR_S,
    IDLE_S,
    LONGEST_S,
    SESSION_S,
    SESSIONS_MAX,
    TRIES,
    TRIES_OF_ALL,
    Lockout,
    Sessions,
    is_host,
    is_own_origin,
)

PHONE, STRANGER = "192.168.4.17", "192.168.4.66"


def wrong(lockout: Lockout, times: int, address: str = STRANGER, now: float = 0.0) -> None:
    for _ in range(times):
        lockout.wrong(address, now)


def test_four_wrong_pins_are_forgiven_and_the_fifth_locks_that_address_out():
    lockout = Lockout()
    wrong(lockout, TRIES - 1)
    assert lockout.wait_s(STRANGER, 0.0) == 0
    assert lockout.wrong(STRANGER, 0.0)
    assert lockout.wait_s(STRANGER, 0.0) == FIRST_S
    assert lockout.wait_s(STRANGER, FIRST_S) == 0
    assert lockout.wait_s(PHONE, 0.0) == 0


def test_each_further_wrong_pin_doubles_the_wait_up_to_an_hour():
    lockout = Lockout()
    now, waits = 0.0, []
    for _ in range(TRIES + 10):
        lockout.wrong(STRANGER, now)
        waits.append(lockout.wait_s(STRANGER, now))
        now += waits[-1] + HOUR_S  # far apart, so that the bound of all isn't what counts
    assert waits[TRIES - 1 : TRIES + 2] == [FIRST_S, 2 * FIRST_S, 4 * FIRST_S]
    assert waits[-1] == LONGEST_S


def test_a_right_pin_ends_the_count():
    lockout = Lockout()
    wrong(lockout, TRIES - 1, PHONE)
    lockout.right(PHONE)
    wrong(lockout, TRIES - 1, PHONE)
    assert lockout.wait_s(PHONE, 0.0) == 0


def test_a_thousand_addresses_get_no_more_tries_than_thirty_an_hour():
    lockout = Lockout()
    tried = 0
    for n in range(1000):
        address = f"10.0.{n // 250}.{n % 250}"
        if lockout.wait_s(address, 1.0 * n) == 0:
            tried += 1
            lockout.wrong(address, 1.0 * n)
    assert tried == TRIES_OF_ALL
    assert lockout.wait_s(PHONE, 1000.0) > 0
    assert lockout.wait_s(PHONE, HOUR_S + 1) == 0


def test_all_of_a_neighbourhoods_ipv6_addresses_count_as_one():
    lockout = Lockout()
    for n in range(TRIES):
        lockout.wrong(f"fe80::{n + 1:x}%wlan0", 0.0)
    assert lockout.wait_s("fe80::beef", 0.0) > 0
    assert lockout.wait_s("fe81::1", 0.0) == 0
    wrong(lockout, TRIES, "::ffff:192.168.4.66")
    assert lockout.wait_s(STRANGER, 0.0) > 0


def test_a_session_ends_when_nobody_uses_it_and_after_a_day_of_work():
    sessions = Sessions()
    token = sessions.begin(0.0)
    assert sessions.holds(token, IDLE_S)
    assert not sessions.holds(token, 2 * IDLE_S + 1)
    token = sessions.begin(0.0)
    now = 0.0
    while now < SESSION_S:
        now += IDLE_S
        assert sessions.holds(token, now) == (now <= SESSION_S)
    assert not sessions.holds(token, SESSION_S + 1)


def test_a_ninth_session_ends_the_oldest():
    sessions = Sessions()
    tokens = [sessions.begin(0.0) for _ in range(SESSIONS_MAX + 1)]
    assert [sessions.holds(token, 1.0) for token in tokens] == [False] + [True] * SESSIONS_MAX


def test_nobody_is_in_with_a_token_that_was_ended_or_made_up():
    sessions = Sessions()
    token = sessions.begin(0.0)
    assert not sessions.holds("", 0.0)
    assert not sessions.holds(token[:-1], 0.0)
    sessions.end(token)
    assert not sessions.holds(token, 0.0)
    token = sessions.begin(0.0)
    sessions.end_all()
    assert not sessions.holds(token, 0.0)


def test_an_address_is_known_while_its_session_goes_on():
    sessions = Sessions()
    token = sessions.begin(0.0, STRANGER)
    assert sessions.knows(STRANGER, 1.0)
    assert sessions.holds(token, 1.0, PHONE)  # it has another address now
    assert sessions.knows(PHONE, 1.0)
    assert not sessions.knows(STRANGER, 1.0)
    assert not sessions.knows(PHONE, IDLE_S + 2.0)
    sessions.end(token)
    assert not sessions.knows(PHONE, 1.0)


def test_a_forms_token_is_that_sessions_and_that_processs():
    sessions = Sessions()
    mine, theirs = sessions.begin(0.0), sessions.begin(0.0)
    token = sessions.form_token(mine)
    assert sessions.is_form_token(mine, token)
    assert not sessions.is_form_token(theirs, token)
    assert not Sessions().is_form_token(mine, token)
    assert not sessions.is_form_token(mine, "ä")


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("192.168.4.1:8080", "192.168.4.1"),
        ("192.168.4.1", "192.168.4.1"),
        ("gampong.local:8080", "192.168.4.1"),
        ("GAMPONG.local.:8080", "192.168.4.1"),
        ("[fe80::1]:8080", "fe80::1%wlan0"),
        ("192.168.4.1:8080", "::ffff:192.168.4.1"),
        ("localhost:8080", "127.0.0.1"),
        ("[::1]:8080", "::1"),
    ],
)
def test_a_request_to_this_gateways_address_or_name_is_taken(host, here):
    assert is_host(host, here, "gampong.local")


@pytest.mark.parametrize(
    "host",
    ["", "evil.example:8080", "192.168.4.2:8080", "gampong.local.evil.example", "localhost:8080",
     "0.0.0.0:8080", "[::]:8080", "192.168.4.1.evil.example", "3232236545", "[", "ä"],
)  # fmt: skip
def test_a_name_that_was_made_to_point_here_is_refused(host):
    assert not is_host(host, "192.168.4.1", "gampong.local")


def test_a_form_of_another_page_is_not_ours():
    assert is_own_origin("http://gampong.local:8080", "gampong.local:8080")
    for origin in ("", "null", "https://gampong.local:8080", "http://evil.example",
                   "http://gampong.local"):  # fmt: skip
        assert not is_own_origin(origin, "gampong.local:8080")
