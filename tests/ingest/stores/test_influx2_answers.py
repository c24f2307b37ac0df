"""What InfluxDB's answers mean, and that halving finds exactly the bad lines.

The server here is a real HTTP server that answers as InfluxDB 2.7.12 was seen to answer.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from ingest.stores import Bucket, Kept, StoreError, Written
from ingest.stores.configuration import InfluxSettings
from ingest.stores.influx2 import BODY_BYTES_MAX, LINES_MAX
from ingest.stores.influx2_answers import judge, retry_after_s
from ingest.stores.live import LiveStore
from ingest.stores.open import open_store
from tests.ingest.stores.databases import CLOCK, NOW_MS, line, query
from tests.secret_file import write_secret

Answer = Callable[[list[str]], web.Response]

CONFLICT = (
    "failure writing points to database: partial write: field type conflict: input field"
    ' "occupied" on measurement "parking_spot" is type float, already exists as type integer'
    " dropped={}"
)


class Server:
    """An HTTP server on 127.0.0.1 that answers a write's lines with `answer`."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.requests: list[list[str]] = []
        self.largest = 0
        self.tokens: list[str] = []
        self.encodings: set[str] = set()

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.largest = max(self.largest, len(body))
        self.encodings.add(request.headers.get("Content-Encoding", ""))
        self.tokens.append(request.headers["Authorization"])
        lines = body.decode().split("\n")
        self.requests.append(lines)
        return self.answer(lines)


def run(
    server: Server,
    folder: Path,
    use: Callable[[LiveStore], Awaitable[object]],
    **settings: object,
) -> None:
    async def main() -> None:
        # aiohttp has decompressed a gzip body already.
        application = web.Application(client_max_size=64 * 1024 * 1024)
        application.router.add_post("/{path:.*}", server.handle)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        write_secret(folder / "token", "secret")
        options = {
            "type": "influxdb2",
            "url": f"http://127.0.0.1:{port}",
            "token_file": str(folder / "token"),
        }
        try:
            async with open_store(
                msgspec.convert(options | settings, InfluxSettings), CLOCK
            ) as store:
                await use(store)
        finally:
            await runner.cleanup()

    asyncio.run(main())


def stored(_lines: list[str]) -> web.Response:
    return web.Response(status=204)


def error(status: int, message: str, **headers: str) -> web.Response:
    text = json.dumps({"code": "any", "message": message})
    return web.Response(status=status, text=text, headers=headers, content_type="application/json")


def keeps(response: Callable[[], web.Response], folder: Path, fate: Kept) -> None:
    async def use(store: LiveStore) -> None:
        found = await store.write(Bucket.CITY, [line(), line("bay-2")])
        assert isinstance(found, Kept)
        assert (found.reason, found.retry_after_s, found.bisect) == (
            fate.reason,
            fate.retry_after_s,
            fate.bisect,
        )
        assert fate.detail in found.detail
        assert await store.probe() == found
        with pytest.raises(StoreError):
            await store.read(query())

    run(Server(lambda _lines: response()), folder, use)


@pytest.mark.parametrize(
    ("status", "fate"),
    [
        (200, Kept("unexpected", "hello")),
        (302, Kept("unexpected")),
        (401, Kept("unauthorized", "hello")),
        (403, Kept("unauthorized")),
        (404, Kept("not_found")),
        (429, Kept("too_many_requests")),
        (500, Kept("server_error", bisect=True)),
        (503, Kept("server_error", bisect=True)),
        (400, Kept("unexpected", bisect=True)),
        (422, Kept("unexpected", bisect=True)),
    ],
)
def test_every_other_answer_keeps_the_lines(status, fate, tmp_path):
    keeps(lambda: error(status, "hello"), tmp_path, fate)
    keeps(lambda: web.Response(status=status, text=f"<html>\n{fate.detail}"), tmp_path, fate)


def test_the_wait_a_server_asks_for_is_honoured(tmp_path):
    fate = Kept("too_many_requests", retry_after_s=7)
    keeps(lambda: error(429, "slow", **{"Retry-After": "7"}), tmp_path, fate)


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({}, 0),
        ({"Retry-After": "30"}, 30),
        ({"Retry-After": "-3"}, 0),
        ({"Retry-After": "soon"}, 0),
        ({"Retry-After": "99999999999"}, 3600),
        ({"Retry-After": "Sun, 22 Nov 2026 04:00:20 GMT"}, 0),
        (
            {
                "Retry-After": "Sun, 22 Nov 2026 04:00:20 GMT",
                "Date": "Sun, 22 Nov 2026 04:00:05 GMT",
            },
            15,
        ),
    ],
)
def test_a_wait_is_seconds_or_a_date_by_the_servers_clock(headers, wait_s):
    assert retry_after_s(headers) == wait_s


@given(st.integers(100, 599), st.binary(max_size=200))
def test_no_answer_is_beyond_judgement(status, body):
    assert judge(status, {}, body) is not None


def test_no_answer_at_all_keeps_the_lines(tmp_path):
    async def forever(_request):
        await asyncio.Event().wait()

    server = Server(stored)
    server.handle = forever  # type: ignore[method-assign]

    async def use(store):
        fate = await store.write(Bucket.CITY, [line()])
        assert isinstance(fate, Kept)
        assert fate.reason == "timeout"
        with pytest.raises(StoreError, match="no answer within"):
            await store.read(query())

    run(server, tmp_path, use, timeout_s=0.2)


def test_nobody_listening_keeps_the_lines(tmp_path):
    async def use(store):
        for fate in (await store.write(Bucket.CITY, [line()]), await store.probe()):
            assert isinstance(fate, Kept)
            assert fate.reason == "away"
        with pytest.raises(StoreError, match="is away"):
            await store.read(query())

    run(Server(stored), tmp_path, use, url="http://127.0.0.1:1")


def bad_answer(bad: set[str], told: Callable[[int], int]) -> Answer:
    def answer(lines: list[str]) -> web.Response:
        dropped = len(bad.intersection(lines))
        return error(422, CONFLICT.format(told(dropped))) if dropped else stored(lines)

    return answer


@given(st.integers(1, 40), st.data())
def test_halving_finds_exactly_the_bad_lines(tmp_path_factory, count, data):
    lines = [line(f"bay-{i}") for i in range(count)]
    bad = data.draw(st.sets(st.integers(0, count - 1)))
    # A conflict in one shard hides what others dropped: the count may be too low, never too high.
    told = data.draw(st.sampled_from([lambda n: n, lambda n: 1, lambda n: max(1, n // 2)]))
    server = Server(bad_answer({lines[i] for i in bad}, told))

    async def use(store):
        fate = await store.write(Bucket.CITY, lines)
        assert fate == Written(dict.fromkeys(bad, "type_conflict"))

    run(server, tmp_path_factory.mktemp("token"), use)
    good = {text for i, text in enumerate(lines) if i not in bad}
    sound = [
        set(request) for request in server.requests if not bad_answer_holds(request, lines, bad)
    ]
    assert good <= set().union(*sound), "each good line stood in a request that was answered 204"


def bad_answer_holds(request: list[str], lines: list[str], bad: set[int]) -> bool:
    return any(lines[i] in request for i in bad)


def test_one_bad_line_in_five_thousand_costs_few_requests(tmp_path):
    lines = [line(f"bay-{i}") for i in range(5000)]
    server = Server(bad_answer({lines[1234]}, lambda dropped: dropped))

    async def use(store):
        assert await store.write(Bucket.CITY, lines) == Written({1234: "type_conflict"})

    run(server, tmp_path, use)
    assert len(server.requests) < 30


def test_a_partial_write_for_a_reason_we_do_not_know_rejects_that_line_alone(tmp_path):
    lines = [line(f"bay-{i}") for i in range(9)]

    def answer(request):
        return error(422, "partial write: too odd dropped=1") if lines[3] in request else stored([])

    async def use(store):
        assert await store.write(Bucket.CITY, lines) == Written({3: "refused"})

    run(Server(answer), tmp_path, use)


def test_a_request_that_is_too_large_is_split(tmp_path):
    lines = [line(f"bay-{i}") for i in range(100)]
    server = Server(lambda request: stored([]) if len(request) <= 7 else error(413, "too large"))

    async def use(store):
        assert await store.write(Bucket.CITY, lines) == Written()

    run(server, tmp_path, use)
    assert {text for request in server.requests if len(request) <= 7 for text in request} == set(
        lines
    )


def test_a_single_line_that_is_too_large_is_kept(tmp_path):
    async def use(store):
        fate = await store.write(Bucket.CITY, [line(), line("bay-2")])
        assert isinstance(fate, Kept)
        assert fate.reason == "too_large"

    run(Server(lambda _: error(413, "")), tmp_path, use)


def test_requests_are_bounded_in_lines_and_bytes(tmp_path):
    server = Server(stored)
    long = [line(f"bay-{i}").replace("1i", '1i,firmware="' + "x" * 4000 + '"') for i in range(3000)]

    async def use(store):
        assert await store.write(Bucket.CITY, long) == Written()
        assert await store.write(Bucket.CITY, [line()] * 12_000) == Written()

    run(server, tmp_path, use)
    assert server.largest <= BODY_BYTES_MAX
    assert max(map(len, server.requests)) <= LINES_MAX
    assert sum(map(len, server.requests)) == 15_000
    assert server.requests[0][0] == long[0]


def test_gzip_makes_the_body_smaller_and_says_so(tmp_path):
    server = Server(stored)
    lines = [line(f"bay-{i}") for i in range(100)]

    async def use(store):
        assert await store.write(Bucket.CITY, lines) == Written()

    run(server, tmp_path, use, gzip=True)
    assert server.encodings == {"gzip"}
    assert server.requests == [lines]


def test_a_token_that_was_renewed_is_read_again_after_401(tmp_path, caplog):
    server = Server(stored)
    server.answer = lambda _: stored([]) if server.tokens[-1] == "Token new" else error(401, "no")

    async def use(store):
        assert isinstance(await store.write(Bucket.CITY, [line()]), Kept)
        (tmp_path / "token").unlink()
        assert isinstance(await store.write(Bucket.CITY, [line()]), Kept)
        (tmp_path / "token").write_text("new\n")  # for all to read: not taken up
        assert isinstance(await store.write(Bucket.CITY, [line()]), Kept)
        assert isinstance(await store.write(Bucket.CITY, [line()]), Kept)
        assert server.tokens[-1] == "Token secret"
        assert "chmod 640" in caplog.text
        (tmp_path / "token").chmod(0o640)
        assert isinstance(await store.write(Bucket.CITY, [line()]), Kept)
        assert await store.write(Bucket.CITY, [line()]) == Written()

    run(server, tmp_path, use)


@pytest.mark.parametrize(
    "answer",
    [
        '{"results":[{"statement_id":0,"error":"database not found: city"}]}',
        '{"error":"no"}',
        '{"results":[]}',
        '{"results":[{"series":[{"name":"m","columns":[],"partial":true}],"partial":true}]}',
        "<html>welcome to the café's WiFi",
        "",
    ],
)
def test_an_answer_that_is_none_is_an_error(answer, tmp_path):
    async def use(store):
        with pytest.raises(StoreError):
            await store.read(query(start_ms=NOW_MS))

    run(Server(lambda _: web.Response(text=answer)), tmp_path, use)


@pytest.mark.parametrize("token", [None, "", "two words", "t\u00f6ken"])
def test_a_store_does_not_open_without_a_token(token, tmp_path):
    file = tmp_path / "token"
    if token is not None:
        write_secret(file, token)

    async def main():
        async with open_store(InfluxSettings(token_file=str(file)), CLOCK):
            pass

    with pytest.raises(StoreError, match="setup"):
        asyncio.run(main())
