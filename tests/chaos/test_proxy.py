"""The proxy spoils connections as it says: chaos that only seems to be some proves nothing."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.chaos.proxy import HOST, Mood, Route
from tests.servers import free_port


class Echo:
    """A server that says everything back, and keeps what it heard."""

    def __init__(self) -> None:
        self.heard = b""

    async def answer(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while piece := await source.read(4096):
            self.heard += piece
            sink.write(piece)
        sink.close()


class Near:
    """The client's side of a connection through the route."""

    def __init__(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        self.source, self.sink = source, sink

    async def echoed(self, text: bytes) -> bool:
        """Whether these bytes come back soon."""
        self.sink.write(text)
        try:
            async with asyncio.timeout(0.5):
                return await self.source.readexactly(len(text)) == text
        except TimeoutError:
            return False


@asynccontextmanager
async def through() -> AsyncIterator[tuple[Route, Echo, int]]:
    echo = Echo()
    server = await asyncio.start_server(echo.answer, HOST, 0)
    port = free_port()
    route = Route(port, server.sockets[0].getsockname()[1], random.Random(1))
    await route.open()
    try:
        yield route, echo, port
    finally:
        await route.close()
        server.close()


async def near(port: int) -> Near:
    return Near(*await asyncio.open_connection(HOST, port))


def test_a_good_route_carries_both_ways_and_the_end() -> None:
    async def go() -> None:
        async with through() as (_, _, port):
            client = await near(port)
            assert await client.echoed(b"hello")
            client.sink.write_eof()
            assert await client.source.read() == b""

    asyncio.run(go())


def test_a_cut_resets_what_is_open_and_lets_new_ones_through() -> None:
    async def go() -> None:
        async with through() as (route, _, port):
            client = await near(port)
            assert await client.echoed(b"hello")
            await route.become(Mood.CUT)
            with pytest.raises(ConnectionResetError):
                await client.source.read()
            assert await (await near(port)).echoed(b"again")

    asyncio.run(go())


def test_a_truncated_piece_arrives_in_part_and_ends_the_connection() -> None:
    async def go() -> None:
        async with through() as (route, echo, port):
            client = await near(port)
            assert await client.echoed(b"hello")
            await route.become(Mood.TRUNCATE)
            client.sink.write(b"a longer text")
            await client.source.read()
            text = echo.heard.removeprefix(b"hello")
            assert b"a longer text".startswith(text)
            assert len(text) < len(b"a longer text")

    asyncio.run(go())


def test_a_stalled_route_goes_on_where_it_stood() -> None:
    async def go() -> None:
        async with through() as (route, _, port):
            client = await near(port)
            await route.become(Mood.STALL)
            assert not await client.echoed(b"hello")
            await route.become(Mood.GOOD)
            assert await client.source.readexactly(5) == b"hello"

    asyncio.run(go())


def test_a_swallowed_connection_stays_dead_and_a_new_one_lives() -> None:
    async def go() -> None:
        async with through() as (route, echo, port):
            client = await near(port)
            await route.become(Mood.SWALLOW)
            assert not await client.echoed(b"hello")
            await route.become(Mood.GOOD)
            assert not await client.echoed(b"still there?")
            assert echo.heard == b""
            assert await (await near(port)).echoed(b"again")

    asyncio.run(go())


def test_a_delayed_route_carries_all_in_order() -> None:
    async def go() -> None:
        async with through() as (route, _, port):
            client = await near(port)
            await route.become(Mood.DELAY)
            client.sink.write(b"one")
            await client.sink.drain()
            client.sink.write(b"two")
            assert await client.source.readexactly(6) == b"onetwo"

    asyncio.run(go())


def test_a_port_that_refuses_serves_again_when_it_is_good() -> None:
    async def go() -> None:
        async with through() as (route, _, port):
            await route.become(Mood.REFUSE)
            with pytest.raises(ConnectionRefusedError):
                await near(port)
            await route.become(Mood.GOOD)
            assert await (await near(port)).echoed(b"hello")

    asyncio.run(go())
