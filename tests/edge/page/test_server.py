"""Connections of the page: a fault in an answer, silent and endless ones, a taken address."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from edge.page.http import Answer, Refused, Request
from edge.page.seats import FROM_ONE_MAX, SEATS
from edge.page.server import Handle, Peer, serve
from tests.edge.uplink.far_side import WAIT_S, until
from tests.servers import free_port

TECHNICIAN = "127.0.0.77"
Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]
GET = b"GET %s HTTP/1.1\r\nHost: h\r\n\r\n"


async def handle(request: Request, peer: Peer) -> Answer:
    if request.path == "/fault":
        raise ZeroDivisionError("a bug")
    if request.path == "/faults":
        raise ExceptionGroup("two at once", [OSError("no file"), KeyError("key")])
    if request.path == "/refused":
        raise Refused(404, "not here")
    return Answer(200, b"x" * 200_000)


def knows(address: str) -> bool:
    return address == TECHNICIAN


async def opened(port: int, source: str, data: bytes = b"") -> Line:
    line = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    line[1].write(data)
    return line


async def asked(port: int, data: bytes, source: str = "127.0.0.1") -> bytes:
    return await answer_on(await opened(port, source, data))


async def answer_on(line: Line) -> bytes:
    try:
        async with asyncio.timeout(WAIT_S):
            return await line[0].read(-1)
    except ConnectionError:
        return b""
    finally:
        line[1].close()


def with_server(do: Callable[[int], Awaitable[None]], handle: Handle = handle) -> None:
    async def run() -> None:
        port = free_port()

        async with asyncio.TaskGroup() as group:
            serving = group.create_task(serve("127.0.0.1", port, handle, knows))
            await asyncio.sleep(0)  # its first step opens the port
            await do(port)
            serving.cancel()

    asyncio.run(run())


def test_a_fault_in_one_answer_is_logged_and_the_next_one_is_given(caplog):
    async def do(port: int) -> None:
        assert b" 500 " in await asked(port, GET % b"/fault")
        assert b" 500 " in await asked(port, GET % b"/faults")
        assert b" 404 " in await asked(port, GET % b"/refused")
        answer = await asked(port, GET % b"/")
        assert answer.endswith(b"\r\n\r\n" + b"x" * 200_000)
        assert not (await asked(port, b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n")).endswith(b"x")

    with caplog.at_level(logging.ERROR):
        with_server(do)
    assert "event=page_fault path='/fault'" in caplog.text
    assert "ZeroDivisionError" in caplog.text
    assert "event=page_fault path='/faults'" in caplog.text
    assert "KeyError: 'key'" in caplog.text


def test_one_address_has_few_connections_and_its_oldest_silent_one_makes_way():
    async def do(port: int) -> None:
        silent = [await opened(port, "127.0.0.1") for _ in range(FROM_ONE_MAX)]
        other = await opened(port, "127.0.0.2")
        assert (await asked(port, GET % b"/")).endswith(b"x")
        assert not (await answer_on(silent[0])).endswith(b"x")
        for line in (*silent[1:], other):
            line[1].write(GET % b"/")
            assert (await answer_on(line)).endswith(b"x")

    with_server(do)


def test_a_technician_comes_in_though_strangers_hold_every_seat_and_say_nothing():
    async def do(port: int) -> None:
        silent = [await opened(port, f"127.0.1.{n + 1}", b"G") for n in range(SEATS)]
        for _ in range(3):  # not logged in, so nobody to the page but somebody who asks
            assert (await asked(port, GET % b"/", "127.0.0.9")).endswith(b"x")
            silent.append(await opened(port, f"127.0.2.{len(silent)}", b"G"))
        for _, writer in silent:
            writer.close()

    with_server(do)


def test_no_stranger_takes_the_seat_of_who_is_logged_in():
    async def do(port: int) -> None:
        slow = await opened(port, TECHNICIAN, b"GET / HTT")
        strangers = [await opened(port, f"127.0.3.{n + 1}") for n in range(4 * SEATS)]
        assert (await asked(port, GET % b"/", "127.0.0.9")).endswith(b"x")
        slow[1].write(b"P/1.1\r\nHost: h\r\n\r\n")
        assert (await answer_on(slow)).endswith(b"x")
        for _, writer in strangers:
            writer.close()

    with_server(do)


def test_an_answer_under_way_is_finished_though_every_seat_is_wanted():
    async def do(port: int) -> None:
        works = [await opened(port, f"127.0.4.{n + 1}", GET % b"/slow") for n in range(SEATS)]
        await until(lambda: len(working) == SEATS)
        assert await asked(port, GET % b"/", "127.0.0.9") == b""
        done.set()
        for line in works:
            assert (await answer_on(line)).endswith(b"x")

    working: list[Peer] = []
    done = asyncio.Event()

    async def slow(request: Request, peer: Peer) -> Answer:
        working.append(peer)
        await done.wait()
        return await handle(request, peer)

    with_server(do, slow)


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
            serving = group.create_task(serve("127.0.0.1", port, handle, knows))
            await until(lambda: "event=page_down" in caplog.text)
            assert not serving.done()
            serving.cancel()
        taken.close()

    with caplog.at_level(logging.ERROR):
        asyncio.run(run())
