"""The connection that both ends share, on a real mosquitto and towards brokers that misbehave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest

from tests.ingest.gateway import eventually
from tests.servers import Mosquitto
from wire import mqtt
from wire.mqtt import Connack, Message, Will
from wire.mqtt_link import MESSAGES_A_TURN, TOO_LARGE, Link, Lost

CONNACK = b"\x20\x03\x00\x00\x00"
WITHIN_S = 10.0
WITH_WILL = 0x04
NOBODY_LISTENS, NOT_AUTHORISED, TAKEN_OVER = 0x10, 0x87, 0x8E


@asynccontextmanager
async def opened(
    port: int, name: str, rest_s: float = 0.0, session_expiry_s: int = 0, will: Will | None = None
) -> AsyncIterator[tuple[Link, Connack]]:
    link = Link(30, rest_s=rest_s)
    hello = mqtt.connect(name, 30, session_expiry_s=session_expiry_s, will=will)
    try:
        yield link, await link.open("127.0.0.1", port, None, hello)
    finally:
        await link.close()


async def subscribe(link: Link, *filters: str) -> bytes:
    return await link.ask(lambda mid: mqtt.subscribe(mid, filters))


async def heard(link: Link, count: int) -> list[Message]:
    some: list[Message] = []
    async with asyncio.timeout(WITHIN_S):
        while len(some) < count:
            some += await link.messages()
    return some


def said(text: bytes, topic: str = "t") -> partial[bytes]:
    return partial(mqtt.publish, topic=topic, payload=text)


def test_the_will_is_published_for_whoever_vanishes_and_not_for_whoever_takes_leave(mosquitto):
    async def main() -> None:
        async with opened(mosquitto.port, "heir") as (heir, _):
            await subscribe(heir, "will/+")
            for how in ("abort", "leave", "leave with will"):
                will = Will(f"will/{how}", b"gone", retain=False)
                async with opened(mosquitto.port, f"dying-{how}", will=will) as (link, _):
                    if how == "abort":
                        link.abort()
                    elif how == "leave with will":
                        await link.close(WITH_WILL)
            wills = await heard(heir, 2)
            assert {each.topic for each in wills} == {"will/abort", "will/leave with will"}
            assert {each.payload for each in wills} == {b"gone"}

    asyncio.run(main())


def test_a_resumed_session_brings_what_came_meanwhile_and_what_was_not_acknowledged(mosquitto):
    async def main() -> None:
        async with opened(mosquitto.port, "sender") as (sender, _):
            async with opened(mosquitto.port, "sleeper", session_expiry_s=60) as (link, connack):
                assert not connack.session_present
                await subscribe(link, "t")
                await sender.publish(said(b"acknowledged"), lambda _: None)
                link.acknowledge_all(await heard(link, 1))
                await sender.publish(said(b"not acknowledged"), lambda _: None)
                await heard(link, 1)
            assert await sender.published(said(b"meanwhile")) == 0
            async with opened(mosquitto.port, "sleeper", session_expiry_s=60) as (link, connack):
                assert connack.session_present
                texts = [each.payload for each in await heard(link, 2)]
                assert texts == [b"not acknowledged", b"meanwhile"]
            async with opened(mosquitto.port, "sleeper") as (_, connack):
                assert not connack.session_present

    asyncio.run(main())


def test_a_published_message_is_answered_with_the_brokers_reason(tmp_path):
    async def main() -> None:
        (tmp_path / "acl").write_text("topic readwrite t\n")
        config = f"acl_file {tmp_path}/acl\nmax_packet_size 1000"
        with Mosquitto(tmp_path, config=config) as broker:
            async with opened(broker.port, "asking") as (link, connack):
                assert connack.packet_bytes_max == 1000
                assert await link.published(said(b"x")) == NOBODY_LISTENS
                await subscribe(link, "t")
                assert await link.published(said(b"x")) == 0
                assert await link.published(said(b"x", "other")) == NOT_AUTHORISED
                assert await link.published(said(bytes(2000))) == TOO_LARGE
                assert await link.published(said(b"and it goes on")) == 0
                broker.freeze()
                async with asyncio.TaskGroup() as group:
                    waiting = group.create_task(_lost(link.published(said(b"x"))))
                    await asyncio.sleep(0)
                    broker.thaw()
                    broker.kill()
                    await waiting

    asyncio.run(main())


def test_messages_at_qos_0_arrive_without_an_identifier_and_need_no_acknowledgement(mosquitto):
    async def main() -> None:
        async with opened(mosquitto.port, "both") as (link, _):
            await subscribe(link, "t")
            packets = [mqtt.publish(None, "t", b"%d" % n, 30) for n in range(500)]
            await link.send(b"".join(packets))
            messages = await heard(link, 500)
            assert [each.payload for each in messages] == [b"%d" % n for n in range(500)]
            assert {each.mid for each in messages} == {None}
            link.acknowledge(messages[0])
            link.acknowledge_all(messages)
            assert await link.published(said(b"still here")) == 0

    asyncio.run(main())


def test_subscription_options_leave_out_our_own_and_what_was_retained(mosquitto):
    async def main() -> None:
        async with opened(mosquitto.port, "a") as (a, _), opened(mosquitto.port, "b") as (b, _):
            assert await a.published(partial(said(b"kept", "k"), retain=True)) == NOBODY_LISTENS
            await a.ask(lambda mid: mqtt.subscribe(mid, ["k"], qos=0, own=False, kept=False))
            await b.ask(lambda mid: mqtt.subscribe(mid, ["k"], qos=0))
            assert [each.retain for each in await heard(b, 1)] == [True]
            await a.publish(said(b"mine", "k"), lambda _: None)
            await b.publish(said(b"yours", "k"), lambda _: None)
            assert [each.payload for each in await heard(a, 1)] == [b"yours"]
            assert [each.payload for each in await heard(b, 2)] == [b"mine", b"yours"]

    asyncio.run(main())


def test_a_connection_that_rests_between_reads_brings_everything_in_order(tmp_path):
    async def main() -> None:
        count = 20 * MESSAGES_A_TURN
        with Mosquitto(tmp_path, config="max_queued_messages 0") as broker:
            async with (
                opened(broker.port, "resting", rest_s=0.005) as (resting, _),
                opened(broker.port, "talking") as (talking, _),
            ):
                await subscribe(resting, "t")
                for n in range(count):
                    await talking.publish(said(b"%d" % n), lambda _: None)
                messages = await heard(resting, count)
                assert [each.payload for each in messages] == [b"%d" % n for n in range(count)]
                # It still hears what comes alone, and notices the end.
                assert await talking.published(said(b"last")) == 0
                assert [each.payload for each in await heard(resting, 1)] == [b"last"]
                broker.kill()
                await _lost(resting.messages())

    asyncio.run(main())


def test_a_second_connection_of_the_name_ends_the_first(mosquitto):
    async def main() -> None:
        twin = partial(opened, mosquitto.port, "twin")
        async with twin() as (first, _), twin():
            with pytest.raises(Lost) as lost:
                await heard(first, 1)
            assert lost.value.code in (TAKEN_OVER, None)  # mosquitto 2.0.11 says none
            assert first.is_lost

    asyncio.run(main())


def test_what_came_before_a_loss_is_given_out_before_it():
    last_words = mqtt.publish(1, "t", b"last words") + mqtt.disconnect(0x8B)

    async def main() -> None:
        async with saying(CONNACK + last_words) as port, opened(port, "late") as (link, _):
            await eventually(lambda: link.is_lost)
            assert [each.payload for each in await link.messages()] == [b"last words"]
            with pytest.raises(Lost, match="0x8b") as lost:
                await link.messages()
            assert lost.value.code == 0x8B

    asyncio.run(main())


def test_a_refused_connection_says_with_which_code():
    async def main() -> None:
        async with saying(b"\x20\x03\x00\x87\x00") as port:
            with pytest.raises(Lost) as lost:
                async with opened(port, "stranger"):
                    pass
            assert lost.value.code == NOT_AUTHORISED

    asyncio.run(main())


async def _lost(doing) -> None:
    with pytest.raises(Lost):
        async with asyncio.timeout(WITHIN_S):
            await doing


@asynccontextmanager
async def saying(answer: bytes) -> AsyncIterator[int]:
    """A listener that answers a CONNECT with these bytes; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(answer)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
