"""HTTP and SNMP, for `bench.fuzz`.

Takers: the gateway's page and its webhook, request by request and in parts; signatures and the
events they are of; what the public API may be asked; whose address counts behind a proxy; an
access point's SNMP answers.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl

import h11
from pydantic import BaseModel, ValidationError

from bench.fuzz_inputs import mutated, mutated_text
from bench.fuzzing import Broken, Taker, refusing
from dashboards.opendata.asking import (
    AskedError,
    EntitiesQuery,
    HistoryQuery,
    StateQuery,
    ZonesQuery,
    question,
)
from dashboards.opendata.guard import client_of
from devices.signature import NotGenuine, Rule, check, opened, sign
from devices.topics import Listener, read_json, read_lines
from edge.links import webhook
from edge.links.snmp_message import (
    GET,
    RESPONSE,
    NotSnmp,
    build_request,
    host_and_port,
    parse_oid,
    parse_response,
)
from edge.page.http import Incoming, Refused

NOW_MS = 1_795_136_400_000
SECRET = b"0123456789abcdef"
GET_PAGE = (
    b"GET /devices?name=bay-1&x=%20 HTTP/1.1\r\nHost: 10.42.0.1\r\nCookie: s=abc; t=1\r\n\r\n"
)
POST_PIN = (
    b"POST /enter HTTP/1.1\r\nHost: 10.42.0.1\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\nOrigin: http://10.42.0.1\r\n"
    b"Content-Length: 20\r\n\r\npin=123456&back=%2Fa"
)
POST_EVENT = (
    b"POST /payments/p1 HTTP/1.1\r\nHost: pay.kota.id\r\nX-Signature: ab12\r\n"
    b'Content-Length: 17\r\nConnection: close\r\n\r\n{"order_id":"x"}\n'
)
CHUNKED = (
    b"POST /payments/p1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\n{\"a\":\r\n2\r\n1}\r\n0\r\n\r\n"
)  # fmt: skip


def takers() -> list[Taker]:
    """All of them."""
    seeds = [GET_PAGE, POST_PIN, POST_EVENT, CHUNKED]
    return [
        Taker("http", "gateway's page", seeds, _page, mutated_text, 2.0),
        Taker("http", "gateway's page, by bytes", seeds, _page, mutated),
        Taker("http", "webhook", seeds, _Webhook().take, mutated_text),
        *_signatures(),
        *_public(),
        *_snmp(),
    ]


def _page(data: bytes, draw: random.Random) -> str:
    incoming, at = Incoming(), 0
    for end in sorted({*(draw.randrange(len(data) + 1) for _ in range(2)), len(data)}):
        try:
            request = incoming.feed(data[at:end]) if end > at or not data else None
        except Refused as refused:
            if not 400 <= refused.code < 600:
                raise Broken(f"refused with {refused.code}") from refused
            return f"refused {refused.code}"
        if request is not None:
            if not request.path.startswith("/"):
                raise Broken(f"a path {request.path!r}")
            _ = request.cookies
            return "request"
        at = end
    return "waits"


class _Webhook:
    """Requests through the link's own reader."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()

    def take(self, data: bytes, _draw: random.Random) -> str:
        return self._loop.run_until_complete(self._read(data))

    async def _read(self, data: bytes) -> str:
        reader = asyncio.StreamReader(limit=webhook.READ_SIZE)
        reader.feed_data(data)
        reader.feed_eof()
        protocol = h11.Connection(h11.SERVER, max_incomplete_event_size=webhook.HEAD_BYTES_MAX)
        try:
            await webhook._read(protocol, reader, _Nowhere(), 64 * 1024)  # type: ignore[arg-type]
        except webhook._Refused as refused:
            return f"refused {refused.outcome.status}"
        return "request"


class _Nowhere:
    """Where `100 Continue` goes."""

    def write(self, _data: bytes) -> None:
        """Away."""


def _signatures() -> list[Taker]:
    rules = [
        Rule(),
        Rule("hmac-sha512", encoding="base64", time_header="x-time"),
        Rule("token", header="x-callback-token"),
        Rule("midtrans"),
    ]
    body = b'{"order_id":"a","status_code":"200","gross_amount":"2000.00","signature_key":"00"}'
    listener = Listener("pay-1", "payments/p1", {"status": "settled"})

    def judge(data: bytes, draw: random.Random) -> str:
        rule = draw.choice(rules)
        head, _, rest = data.partition(b"\n")
        headers: Mapping[str, str] = {rule.header: head.decode("latin-1"), "x-time": "1795136400"}
        try:
            check(rule, [SECRET], headers, rest, NOW_MS / 1000)
        except NotGenuine as error:
            return f"refused {error.reason}"
        if rule.scheme == "midtrans" or head not in signed:
            raise Broken("genuine")
        return "genuine"

    def event(data: bytes, draw: random.Random) -> str:
        read = draw.choice((read_json, read_lines))
        heard = read([listener], draw.choice(("payments/p1", "elsewhere")), data)
        return "garbage" if heard.garbage else "messages" if heard.messages else "nobody's"

    first = sign(rules[0], SECRET, body, NOW_MS / 1000)["x-signature"].encode()
    signed = {first, SECRET}
    wrapped = b'{"body":"{\\"a\\":1}","x-signature":"00","x-time":"1795136400"}'
    return [
        Taker("http", "signature", [first + b"\n" + body, b"00\n" + body], judge, mutated_text),
        Taker("http", "signed envelope", [wrapped], refusing(opened, NotGenuine), mutated_text),
        Taker("http", "event", [body, b'{"status":"settled","a":{"b":[1]}}'], event, mutated_text),
    ]


def _public() -> list[Taker]:
    asked = b"kind=parking_spot&site=pasar&zone=a&limit=50&format=csv&after=bay-1"
    history = (
        b"step=reading&device=bay-1&start=2026-08-01T00:00:00%2B07:00&stop=2026-08-02T00:00:00Z"
    )

    def asking(data: bytes, draw: random.Random) -> str:
        model: type[BaseModel] = draw.choice((StateQuery, ZonesQuery, HistoryQuery, EntitiesQuery))
        query = dict(parse_qsl(data.decode("latin-1"), keep_blank_values=True))
        try:
            said = model.model_validate(query)
            if isinstance(said, HistoryQuery):
                question("parking_spot", said, NOW_MS)
        except (ValidationError, AskedError):
            return "refused"
        return "asked"

    def address(data: bytes, draw: random.Random) -> str:
        peer = draw.choice(("127.0.0.1", data.decode("latin-1")))
        scope = {
            "type": "http",
            "client": (peer, 1),
            "headers": [(b"x-forwarded-for", data), (b"x-forwarded-for", b"10.0.0.1")],
        }
        return "unknown" if client_of(scope, {"127.0.0.1"}) == "unknown" else "an address"

    return [
        Taker("http", "public API's query", [asked, history], asking, mutated_text),
        Taker("http", "address", [b"203.0.113.7, 2001:db8::1%eth0"], address, mutated_text),
    ]


def _snmp() -> list[Taker]:
    oids = [parse_oid("1.3.6.1.2.1.1.3.0"), parse_oid("1.3.6.1.2.1.31.1.1.1.6.4294967295")]
    request = build_request(GET, b"public", 77, oids)
    answer = bytes((*request,)).replace(bytes((GET,)), bytes((RESPONSE,)), 1)

    def words(data: bytes, draw: random.Random) -> str:
        parse: Callable[[str], object] = draw.choice((parse_oid, host_and_port))
        try:
            parse(data.decode("utf-8", "replace"))
        except ValueError:
            return "refused"
        return "parsed"

    return [
        Taker("snmp", "response", [answer], refusing(parse_response, NotSnmp), mutated, 2.0),
        Taker("snmp", "oid and host", [b".1.3.6.1", b"[::1]:161"], words, mutated_text, 0.3),
    ]
