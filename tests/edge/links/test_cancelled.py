"""A link that is told to stop stops, in whatever moment: also while it finds that it is lost.

Each link is cancelled once, and once only, in every turn of the event loop around a loss. One that
lost its cancellation on the way would repair itself and go on.
"""

from __future__ import annotations

import asyncio
import os
import resource
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial

import pytest

from devices.driver import UartLink
from devices.ff_frame import FfFramer
from edge.link_settings import ChirpStack, MqttServer, UartPort
from edge.links import Link
from edge.links.chirpstack import ChirpStackStream
from edge.links.make import make_links
from edge.links.mqtt_stream import MqttStream
from edge.links.uart import UartSensor
from edge.links.webhook import WebhookLink
from tests.edge.links.heard import Heard, until
from tests.edge.links.sender import NOW_MS, configured, payment, signed, written
from tests.edge.test_intake import HandClock
from wire.clock import SystemClock
from wire.configuration import Broker
from wire.together import together

TURNS = range(24)
"""From the far side's last word on: all of them before the link's first pause are among these."""

STOP_S = 20.0
Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Lost(Exception):
    """What a part of a link finds."""


@asynccontextmanager
async def far_side(answer: Answer) -> AsyncIterator[int]:
    """Its port; every connection is hung up on once it was answered."""

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(served, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def cancelled_after(turns: int, serving: asyncio.Task[None]) -> None:
    """It ends by one cancellation, so many turns of the loop from now."""
    for _ in range(turns):
        await asyncio.sleep(0)
    serving.cancel()
    await asyncio.wait({serving}, timeout=STOP_S)
    assert serving.cancelled(), f"cancelled after {turns} turns, it went on"


async def lost_and_cancelled(make: Callable[[int], Link], answer: Answer, turns: int) -> None:
    gone = asyncio.Event()

    async def answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answer(reader, writer)
        gone.set()

    async with far_side(answered) as port, asyncio.TaskGroup() as group:
        serving = group.create_task(make(port).run())
        await gone.wait()
        await cancelled_after(turns, serving)


def ranger(question: bytes) -> Callable[[int], Link]:
    def make(port: int) -> Link:
        settings = UartPort(name="uart", port=f"socket://127.0.0.1:{port}")
        asks = UartLink(FfFramer, poll=question)
        return UartSensor(settings, "bin-1", asks, 60.0, Heard(), SystemClock())

    return make


def server(port: int) -> Link:
    settings = MqttServer(port=port)
    return MqttStream("things", settings, "gw-1", [("up", 1)], lambda _: [], Heard(), SystemClock())


def network_server(port: int) -> Link:
    settings = ChirpStack(name="lorawan", broker=Broker(port=port))
    return ChirpStackStream(settings, "gw-1", Heard(), SystemClock())


async def says_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A serial server that takes the line and hangs up."""


async def lets_in(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A broker that hangs up instead of answering the subscription."""
    await reader.read(1024)
    writer.write(b"\x20\x02\x00\x00")
    await reader.read(1024)


async def subscribes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One that hangs up afterwards."""
    await reader.read(1024)
    writer.write(b"\x20\x02\x00\x00")
    asked = await reader.read(1024)
    writer.write(b"\x90\x03" + asked[2:4] + b"\x01")
    await writer.drain()


async def lets_in_5(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The same in MQTT 5."""
    await reader.read(1024)
    writer.write(b"\x20\x03\x00\x00\x00")
    await reader.read(1024)


async def subscribes_5(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1024)
    writer.write(b"\x20\x03\x00\x00\x00")
    asked = await reader.read(1024)
    writer.write(b"\x90\x04" + asked[2:4] + b"\x00\x01")
    await writer.drain()


@pytest.mark.parametrize(
    ("make", "answer"),
    [
        (ranger(b""), says_nothing),
        (ranger(b"\x55"), says_nothing),
        (server, lets_in),
        (server, subscribes),
        (network_server, lets_in_5),
        (network_server, subscribes_5),
    ],
    ids=["ranger", "ranger, asked", "3.1.1", "3.1.1, subscribed", "5", "5, subscribed"],
)
def test_a_link_that_loses_its_far_side_stops_when_it_is_told_to_in_any_turn(make, answer):
    async def scenario() -> None:
        for turns in TURNS:
            await lost_and_cancelled(make, answer, turns)

    asyncio.run(scenario())


def is_open(link: WebhookLink) -> bool:
    return link.status().state == "up"


def is_shut(link: WebhookLink) -> bool:
    return not is_open(link)


def test_a_webhook_stops_when_it_is_told_to_in_any_turn_of_an_event(tmp_path):
    async def scenario() -> None:
        clock = HandClock(NOW_MS + 1000)
        for turns in TURNS:
            (link,) = make_links(configured(tmp_path), Heard(), clock)
            assert isinstance(link, WebhookLink)
            async with asyncio.TaskGroup() as group:
                serving = group.create_task(link.run())
                await until(partial(is_open, link))
                _, writer = await asyncio.open_connection("127.0.0.1", link.port)
                writer.write(written(payment(), signed(payment(), clock.now_ms())))
                await cancelled_after(turns, serving)
                writer.close()

    asyncio.run(scenario())


@contextmanager
def no_more_files() -> Iterator[None]:
    """This process can open none."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    next_one = os.dup(0)
    os.close(next_one)
    resource.setrlimit(resource.RLIMIT_NOFILE, (next_one, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_webhook_that_loses_its_door_stops_in_any_turn_and_else_opens_it_again(tmp_path):
    async def scenario() -> None:
        for turns in (*TURNS, None):
            (link,) = make_links(configured(tmp_path), Heard(), SystemClock())
            assert isinstance(link, WebhookLink)
            async with asyncio.TaskGroup() as group:
                serving = group.create_task(link.run())
                await until(partial(is_open, link))
                with socket.create_connection(("127.0.0.1", link.port)) as one:
                    one.sendall(b"POST")  # an answer that is under way
                    for _ in range(4):
                        await asyncio.sleep(0)
                    with socket.create_connection(("127.0.0.1", link.port)), no_more_files():
                        if turns is not None:
                            await cancelled_after(turns, serving)
                            continue
                        await until(partial(is_shut, link))
                await until(partial(is_open, link))
                assert link.status().errors["door"] >= 1
                serving.cancel()

    asyncio.run(scenario())


@pytest.mark.parametrize("slow_turns", [0, 1, 3])
def test_parts_of_which_one_is_lost_keep_a_cancellation_in_any_turn(slow_turns):
    """Every await of it: the parts', those while they are cancelled, and the group's."""

    async def loses() -> None:
        for _ in range(4):
            await asyncio.sleep(0)
        raise Lost

    async def holds() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(slow_turns):
                await asyncio.sleep(0)

    async def link() -> None:
        while True:  # one that repairs itself
            try:
                await together(Lost, holds(), loses(), loses())
            except Lost:
                await asyncio.sleep(0)

    async def scenario() -> None:
        for turns in TURNS:
            async with asyncio.TaskGroup() as group:
                await cancelled_after(turns, group.create_task(link()))

    asyncio.run(scenario())


def test_parts_end_with_what_the_first_of_them_found_and_all_are_over_then():
    ended = []

    async def holds(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(name)

    async def does_its_work_and_ends() -> None:
        ended.append("done")

    async def loses() -> None:
        await until(lambda: ended)
        raise Lost("hung up")

    async def scenario() -> None:
        with pytest.raises(Lost, match="hung up"):
            await together(Lost, holds("a"), holds("b"), does_its_work_and_ends(), loses())
        assert sorted(ended) == ["a", "b", "done"]
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0

    asyncio.run(scenario())
