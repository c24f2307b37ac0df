"""Connections that want nothing, or want it slowly: they end, and keep nobody out meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import socket as sockets
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
import websockets
from starlette.types import Receive, Scope, Send

from dashboards.serving import WAITING_FROM_ONE_MAX, Bounds, Server, listen
from tests.dashboards.opendata.public_process import public
from tests.dashboards.page_process import page
from tests.dashboards.small_city import store_now, whole_city
from wire.clock import SystemClock

GET = b"GET / HTTP/1.1\r\nHost: city.example\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: city.example\r\nConnection: close\r\n\r\n"
END = b"hello\r\n0\r\n\r\n"  # uvicorn answers in chunks
LARGE = b"x" * 8_000_000
SHORT_S = 0.5
FOR_EVER = Bounds(head_s=600, body_s=600, unread_s=600)
WITHIN_S = 30.0

Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Serving(NamedTuple):
    """A server at `port`. `heard` is what its application hears and when it has told."""

    port: int
    heard: asyncio.Queue[bytes]
    connections: Collection[Any] = ()

    async def open(self, data: bytes = b"", source: str = "127.0.0.1") -> Line:
        """A connection from that address that has sent so much."""
        line = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(source, 0))
        line[1].write(data)
        await line[1].drain()
        return line

    async def ask(self, source: str = "127.0.0.1") -> bytes:
        """The answer to somebody who asks as browsers do."""
        line = await self.open(LAST, source)
        return await the_end_of(line)


async def the_end_of(line: Line) -> bytes:
    """What is said until the server closes it."""
    async with asyncio.timeout(WITHIN_S):
        try:
            return await line[0].read(-1)
        except ConnectionError:
            return b""
        finally:
            line[1].close()


def serving(
    test: Callable[[Serving], Awaitable[None]],
    bounds: Bounds = FOR_EVER,
    proxies: tuple[str, ...] = (),
) -> None:
    """Run it beside a server of a small application."""
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            while (message := await receive())["type"] == "websocket.receive":
                await send({"type": "websocket.send", "text": message["text"]})
        elif scope["type"] == "http":
            await _answer(scope, receive, send, heard)

    async def run() -> None:
        answering = asyncio.Event()
        with listen("127.0.0.1", 0) as (listening, address):
            server = Server(app, answering.set, live=True, proxies=proxies, bounds=bounds)
            connections = server.server_state.connections
            async with asyncio.TaskGroup() as group:
                group.create_task(server.serve([listening]))
                await answering.wait()
                try:
                    await test(Serving(urlsplit(address).port or 0, heard, connections))
                finally:
                    server.end()

    asyncio.run(run())


async def _answer(scope: Scope, receive: Receive, send: Send, heard: asyncio.Queue[bytes]) -> None:
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            heard.put_nowait(b"broken: " + body)
            return
        body, more = body + message.get("body", b""), message.get("more_body", False)
    heard.put_nowait(body)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"] == "/news":
        for _ in range(3):
            await asyncio.sleep(SHORT_S)
            await send({"type": "http.response.body", "body": b"news", "more_body": True})
    body = LARGE if scope["path"] == "/large" else b"hello"
    await send({"type": "http.response.body", "body": body, "more_body": True})
    await send({"type": "http.response.body"})  # waits until most of it is taken
    heard.put_nowait(b"told")


@contextlib.asynccontextmanager
async def dribbling(line: Line, byte: bytes) -> AsyncIterator[None]:
    """A byte now and then, until the block ends or the line does."""

    async def dribble() -> None:
        with contextlib.suppress(ConnectionError):
            while not line[1].is_closing():
                line[1].write(byte)
                await line[1].drain()
                await asyncio.sleep(SHORT_S / 4)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(dribble())
        yield
        task.cancel()


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nX: "], ids=["nothing", "half a head"])
def test_who_sends_no_whole_head_in_time_is_hung_up_on_though_a_byte_comes_now_and_then(said):
    async def test(server: Serving) -> None:
        assert await the_end_of(await server.open(said)) == b""
        slow = await server.open(said or b"G")
        async with dribbling(slow, b"E"):
            assert await the_end_of(slow) == b""
        again = await server.open(GET)  # and so is who asked once, and then only dribbles
        assert (await again[0].readuntil(END)).startswith(b"HTTP/1.1 200 ")
        async with dribbling(again, b"G"):
            assert await the_end_of(again) == b""

    serving(test, FOR_EVER._replace(head_s=SHORT_S))


def test_a_body_that_never_ends_is_given_up_and_the_page_is_told_so():
    async def test(server: Serving) -> None:
        head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n"
        line = await server.open(head)
        async with dribbling(line, b"x"):
            assert b"200" not in await the_end_of(line)
        assert (await server.heard.get()).startswith(b"broken: x")
        assert b"hello" in await server.ask()

    serving(test, FOR_EVER._replace(body_s=SHORT_S))


def test_who_takes_nothing_of_a_large_answer_is_given_up_and_who_takes_it_gets_all_of_it():
    large = LAST.replace(b"/ ", b"/large ", 1)

    async def takes_nothing(server: Serving) -> None:
        deaf = await server.open(large)
        deaf[1].transport.pause_reading()  # type: ignore[attr-defined]
        while await server.heard.get() != b"told":
            pass
        deaf[1].transport.resume_reading()  # type: ignore[attr-defined]
        assert (await the_end_of(deaf)).count(b"x") < len(LARGE)

    async def takes_all(server: Serving) -> None:
        assert (await the_end_of(await server.open(large))).count(b"x") == len(LARGE)

    serving(takes_nothing, FOR_EVER._replace(unread_s=SHORT_S))
    serving(takes_all)


def test_a_live_page_and_a_long_answer_have_no_end_but_their_own():
    async def test(server: Serving) -> None:
        async with websockets.connect(f"ws://127.0.0.1:{server.port}/") as socket:
            news = await server.open(LAST.replace(b"/ ", b"/news ", 1))
            assert (await the_end_of(news)).count(b"news") == 3  # three times the time for a head
            await socket.send("still here")
            assert await socket.recv() == "still here"

    serving(test, FOR_EVER._replace(head_s=SHORT_S, body_s=SHORT_S, unread_s=SHORT_S))


def test_the_second_part_of_an_answer_doesnt_wait_for_the_receipt_of_the_first():
    async def test(server: Serving) -> None:
        line = await server.open(GET)
        await line[0].readuntil(END)
        (one,) = server.connections
        accepted = one.transport.get_extra_info("socket")
        assert accepted.getsockopt(sockets.IPPROTO_TCP, sockets.TCP_NODELAY)
        line[1].close()

    serving(test)


def test_one_address_keeps_few_waiting_and_the_one_that_waits_longest_goes():
    async def test(server: Serving) -> None:
        waiting = [await server.open(b"G") for _ in range(3)]
        assert b"hello" in await server.ask()  # who asks comes in as a fourth
        assert await the_end_of(waiting[0]) == b""
        kept = await server.open(GET)
        await kept[0].readuntil(END)  # waits for its next request as the third
        assert b"hello" in await server.ask()
        assert await the_end_of(waiting[1]) == b""
        waiting[2][1].write(LAST[1:])
        assert b"hello" in await the_end_of(waiting[2])
        kept[1].write(LAST)
        assert b"hello" in await the_end_of(kept)

    serving(test, FOR_EVER._replace(waiting_from_one_max=3))


def test_a_trusted_proxy_keeps_as_many_open_as_it_likes():
    async def test(server: Serving) -> None:
        waiting = [await server.open() for _ in range(10)]
        for line in waiting:
            line[1].write(LAST)
            assert b"hello" in await the_end_of(line)

    serving(test, FOR_EVER._replace(waiting_from_one_max=3), proxies=("127.0.0.1",))


def test_many_addresses_that_hold_every_place_and_say_nothing_keep_nobody_out():
    async def test(server: Serving) -> None:
        async with websockets.connect(f"ws://127.0.0.1:{server.port}/") as socket:
            sources = [f"127.0.1.{number}" for number in range(1, 41)]
            silent = [await server.open(b"G", each) for each in sources for _ in range(5)]
            for _ in range(50):
                assert b"hello" in await server.ask()
            await socket.send("still here")
            assert await socket.recv() == "still here"
            for line in silent[:180]:
                assert await the_end_of(line) == b""
            for _, writer in silent:
                writer.close()

    serving(test, FOR_EVER._replace(open_max=20))


def test_when_every_place_is_answering_one_more_is_told_to_come_again():
    async def test(server: Serving) -> None:
        news = [await server.open(LAST.replace(b"/ ", b"/news ", 1)) for _ in range(4)]
        for _ in news:
            assert await server.heard.get() == b""
        assert b" 503 " in await server.ask()
        for line in news:
            assert (await the_end_of(line)).count(b"news") == 3

    serving(test, FOR_EVER._replace(open_max=5))


@pytest.mark.parametrize("which", ["operators", "public"])
def test_five_hundred_that_say_nothing_keep_nobody_from_the_pages(tmp_path, which):
    store_now(tmp_path / "city.db", whole_city(SystemClock().now_ms()))
    with _running(which, tmp_path) as address:
        asyncio.run(_crowd(Serving(urlsplit(address).port or 0, asyncio.Queue())))


@contextlib.contextmanager
def _running(which: str, folder: Path) -> Iterator[str]:
    if which == "operators":
        with page(folder / "city.db") as operators:
            yield operators.address
    else:
        with public(folder / "city.db", folder) as everybody:
            yield everybody.address


async def _crowd(server: Serving) -> None:
    silent = [await server.open(b"G" * (number % 2)) for number in range(500)]
    asked = LAST.replace(b"/ ", b"/healthz ", 1).replace(b"city.example", b"127.0.0.1")
    assert (await the_end_of(await server.open(asked))).endswith(b"ok")
    for line in silent[: 500 - WAITING_FROM_ONE_MAX]:
        assert await the_end_of(line) == b""
    for _, writer in silent:
        writer.close()
