"""Requests from anyone: what is taken, what is refused, and nothing else ever happens."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.page.http import (
    BODY_BYTES_MAX,
    HEAD_BYTES_MAX,
    SECURITY,
    Answer,
    Incoming,
    Refused,
    Request,
    encode,
)

GOOD = (
    b"POST /calibrate?x=1 HTTP/1.1\r\nHost: 192.168.4.1:8080\r\nCookie: a=1; gampong_page=t\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 24\r\n\r\n"
    b"device=bin-01&target=ful"
)
GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


def take(data: bytes, at_once: int = 4096) -> Request | None:
    """What a connection with these bytes asks for; it hangs up afterwards."""
    incoming = Incoming()
    for start in range(0, len(data), at_once):
        if request := incoming.feed(data[start : start + at_once]):
            return request
    return incoming.feed(b"")


def code_of(data: bytes, at_once: int = 4096) -> int:
    with pytest.raises(Refused) as refused:
        take(data, at_once)
    return refused.value.code


@pytest.mark.parametrize("at_once", [1, 7, 4096])
def test_a_form_comes_whole_however_it_is_cut(at_once):
    request = take(GOOD, at_once)
    assert request
    assert (request.method, request.path) == ("POST", "/calibrate")
    assert request.query == {"x": "1"}
    assert request.form == {"device": "bin-01", "target": "ful"}
    assert request.cookies["gampong_page"] == "t"


def test_a_chunked_form_is_a_form():
    head = GOOD.partition(b"Content-Length")[0] + b"Transfer-Encoding: chunked\r\n\r\n"
    request = take(head + b"5\r\na=%C3\r\n3\r\n%A9\r\n0\r\n\r\n")
    assert request
    assert request.form == {"a": "é"}


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),  # no Host
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET http://evil/ HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"GET //evil/ HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", 405),
        (b"CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n", 405),
        (b"PUT / HTTP/1.1\r\nHost: h\r\n\r\n", 405),
        (b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 999999999999\r\n\r\n", 413),
        (b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET /?" + b"a=1&" * 100 + b" HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"GET /?a=%ff HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),  # TLS
        (b"", 400),
        (GET[:-2], 400),  # hung up in the head
        (GOOD[:-3], 400),  # and in the body
        (GOOD.replace(b"x-www-form-urlencoded", b"json"), 415),
        (GOOD.replace(b"device", b"\xffevice"), 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
    ],
)
def test_what_is_no_request_of_ours_is_refused(data, code):
    assert code_of(data) == code


def test_heads_and_bodies_without_an_end_are_refused_within_bounds():
    endless = b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"a" * 10 * HEAD_BYTES_MAX
    assert code_of(endless) == 431
    many = b"GET / HTTP/1.1\r\nHost: h\r\n" + b"a: b\r\n" * 100 + b"\r\n"
    assert code_of(many) == 431
    head = GOOD.partition(b"Content-Length")[0] + b"Transfer-Encoding: chunked\r\n\r\n"
    assert code_of(head + b"1\r\na\r\n" * 10 * BODY_BYTES_MAX) == 413
    assert code_of(head + b"ffff\r\n" + b"a" * 4 * BODY_BYTES_MAX) == 413


def test_a_second_request_on_the_same_connection_is_nobodys():
    request = take(GET + b"POST /again HTTP/1.1\r\nHost: evil\r\n\r\n")
    assert request
    assert request.path == "/"


def test_every_answer_says_what_the_browser_may_do_with_it():
    data = encode(Answer(200, b"x"))
    head, _, body = data.partition(b"\r\n\r\n")
    assert body == b"x"
    for name, value in SECURITY:
        assert f"\r\n{name}: {value}\r\n".lower().encode() in head.lower() + b"\r\n"
    assert b"unsafe" not in head
    assert b"cache-control: no-store" in head.lower()
    assert encode(Answer(200, b"x"), only_head=True).endswith(b"\r\n\r\n")
    assert encode(Answer(304)).endswith(b"\r\n\r\n")


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=600), st.integers(1, 64))
def test_no_bytes_do_anything_but_ask_or_be_refused(data, at_once):
    try:
        request = take(data, at_once)
    except Refused as refused:
        assert 400 <= refused.code < 600
    else:
        assert isinstance(request, Request)


def test_no_damaged_request_does_anything_but_ask_or_be_refused(seed):
    draw = random.Random(seed)
    for _ in range(3000):
        data = bytearray(draw.choice([GOOD, GET]))
        for _ in range(draw.randint(1, 6)):
            at = draw.randrange(len(data))
            match draw.randrange(4):
                case 0:
                    data[at] = draw.randrange(256)
                case 1:
                    del data[at : at + draw.randint(1, 8)]
                case 2:
                    data[at:at] = draw.randbytes(draw.randint(1, 8))
                case _:
                    data[at:at] = data[at : at + 16] * draw.randint(1, 4)
            data = data or bytearray(b"x")
        try:
            request = take(bytes(data), draw.choice([1, 3, 4096]))
        except Refused as refused:
            assert 400 <= refused.code < 600
        else:
            assert isinstance(request, Request)
