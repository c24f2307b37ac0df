"""One bounded HTTP request against real sockets that misbehave."""

from __future__ import annotations

import asyncio

import pytest

from edge.links.http import BODY_MAX, HttpFailed, request
from tests.edge.links.http_server import http_server
from tests.servers import free_port


def test_status_and_body_come_back_and_the_question_arrives_whole():
    async def scenario():
        asked = []

        def answer(method, target, body):
            asked.append((method, target, body))
            return 200, b"pong" * 1000

        async with http_server(answer) as url:
            got = await request("POST", f"{url}/a/b?c=d", 5, b"ping")
        assert (got.status, got.body) == (200, b"pong" * 1000)
        assert asked == [("POST", "/a/b?c=d", b"ping")]

    asyncio.run(scenario())


def test_redirects_are_answers_and_not_followed():
    async def scenario():
        async with http_server(lambda *asked: (302, b"")) as url:
            assert (await request("GET", url, 5)).status == 302

    asyncio.run(scenario())


def test_an_answer_over_the_limit_is_refused():
    async def scenario():
        async with http_server(lambda *asked: (200, bytes(BODY_MAX + 1))) as url:
            with pytest.raises(HttpFailed, match="over"):
                await request("GET", url, 5)
            assert len((await request("GET", url, 5, body_max=BODY_MAX + 1)).body) == BODY_MAX + 1

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"", "closed|not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", "not HTTP"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + bytes(200_000), "not HTTP"),
        (None, "within"),
    ],
)
def test_a_server_that_says_nonsense_or_nothing_fails_in_time(said, why):
    async def scenario():
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            if said is None:
                await reader.read()
            else:
                writer.write(said)
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(HttpFailed, match=why):
                await request("GET", f"http://127.0.0.1:{port}/", 0.5)

    asyncio.run(scenario())


def test_an_answer_that_drips_ends_at_the_total_deadline():
    async def scenario():
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while not writer.is_closing():
                writer.write(b"x")
                await asyncio.sleep(0.01)

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(HttpFailed, match=r"within 0\.2 s"):
                await request("GET", f"http://127.0.0.1:{port}/", 0.2)

    asyncio.run(scenario())


@pytest.mark.parametrize("url", ["ftp://x/", "no url", "http://", "http://[::1", "http://x:99999/"])
def test_what_is_no_url_fails(url):
    async def scenario():
        with pytest.raises(HttpFailed):
            await request("GET", url, 1)

    asyncio.run(scenario())


def test_nobody_listening_fails():
    async def scenario():
        with pytest.raises(HttpFailed):
            await request("GET", f"http://127.0.0.1:{free_port()}/", 1)

    asyncio.run(scenario())
