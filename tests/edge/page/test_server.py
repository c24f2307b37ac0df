"""Connections of the page: a fault in an answer, silent and endless ones, a taken address."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from edge.page.http import Answer, Refused, Request
from edge.page.server import FROM_ONE_MAX, Peer, serve
from tests.edge.uplink.far_side import until
from tests.servers import free_port

GET = b"GET %s HTTP/1.1\r\nHost: h\r\n\r\n"


async def handle(request: Request, peer: Peer) -> Answer:
    if request.path == "/fault":
        raise ZeroDivisionError("a bug")
    if request.path == "/refused":
        raise Refused(404, "not here")
    return Answer(200, b"x" * 200_000)


async def asked(port: int, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    answer = await reader.read(-1)
    writer.close()
    return answer


def with_server(do: Callable[[int], Awaitable[None]]) -> None:
    async def run() -> None:
        port = free_port()

        async with asyncio.TaskGroup() as group:
            serving = group.create_task(serve("127.0.0.1", port, handle))
            await asyncio.sleep(0)  # its first step opens the port
            await do(port)
            serving.cancel()

    asyncio.run(run())


def test_a_fault_in_one_answer_is_logged_and_the_next_one_is_given(caplog):
    async def do(port: int) -> None:
        assert b" 500 " in await asked(port, GET % b"/fault")
        assert b" 404 " in await asked(port, GET % b"/refused")
        answer = await asked(port, GET % b"/")
        assert answer.endswith(b"\r\n\r\n" + b"x" * 200_000)
        assert not (await asked(port, b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n")).endswith(b"x")

    with caplog.at_level(logging.ERROR):
        with_server(do)
    assert "event=page_fault path='/fault'" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_one_address_has_few_connections_at_a_time_and_its_place_back_when_one_ends():
    async def do(port: int) -> None:
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(FROM_ONE_MAX)]
        assert await asked_or_nothing(port) == b""
        silent.pop()[1].close()
        for _ in range(1000):  # until the place is free
            if answer := await asked_or_nothing(port):
                break
            await asyncio.sleep(0.01)
        assert answer
        for _, writer in silent:
            writer.close()

    async def asked_or_nothing(port: int) -> bytes:
        try:
            return await asked(port, GET % b"/")
        except ConnectionError:
            return b""

    with_server(do)


def test_a_client_that_sends_without_end_is_answered_and_hung_up_on():
    async def do(port: int) -> None:
        answer = await asked(port, b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"a" * 100_000)
        assert b" 431 " in answer or b" 413 " in answer

    with_server(do)


def test_an_address_that_is_taken_is_said_and_tried_again(caplog):
    async def run() -> None:
        port = free_port()
        taken = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", port)
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(serve("127.0.0.1", port, handle))
            await until(lambda: "event=page_down" in caplog.text)
            assert not serving.done()
            serving.cancel()
        taken.close()

    with caplog.at_level(logging.ERROR):
        asyncio.run(run())
