"""Devices that publish by themselves, through a real mosquitto."""

from __future__ import annotations

import asyncio
import itertools
import json

import aiomqtt
import pytest

from devices.topics import Listener
from edge.link_settings import JsonTopics, LineTopics, MilesightGateway, MqttServer
from edge.links.milesight_gateway import milesight_stream
from edge.links.mqtt_stream import MqttStream
from edge.links.plain_topics import PlainTopics, Publisher
from tests.devices.test_milesight_gateway import MESSAGE
from tests.edge.links.heard import Heard, running, until
from tests.servers import Mosquitto
from wire.clock import SystemClock

NUMBERS = itertools.count()


@pytest.fixture
def root() -> str:
    return f"plain/{next(NUMBERS)}"


def stream(
    broker: Mosquitto, sink: Heard, *publishers: Publisher, lines: bool = False
) -> MqttStream:
    server = MqttServer(host=broker.host, port=broker.port)
    settings = (LineTopics if lines else JsonTopics)(name=f"p{next(NUMBERS)}", broker=server)
    return PlainTopics(settings, "gw-1", publishers, sink, SystemClock()).stream


def counter(root: str) -> Publisher:
    return Publisher(Listener("corner-1", f"{root}/count"), own_time=False)


def meter(root: str) -> Publisher:
    return Publisher(Listener("bin-7", f"{root}/bins/+"), own_time=True)


async def is_up(link: MqttStream) -> None:
    await until(lambda: link.status().state == "up")


def test_a_people_counter_that_publishes_a_number_is_read(mosquitto, root):
    async def scenario():
        sink = Heard()
        link = stream(mosquitto, sink, counter(root))
        async with aiomqtt.Client(mosquitto.host, mosquitto.port) as out, running(link):
            await is_up(link)
            await out.publish(f"{root}/count", "17", qos=1)
            await out.publish(f"{root}/count", "18", qos=1, retain=True)
            await until(lambda: sink.count("corner-1") == 2)
        assert sink.data("corner-1") == [b"17", b"18"]

    asyncio.run(scenario())


def test_a_retained_count_of_unknown_age_is_not_taken_for_a_fresh_one(mosquitto, root):
    async def scenario():
        sink = Heard()
        link = stream(mosquitto, sink, counter(root))
        async with aiomqtt.Client(mosquitto.host, mosquitto.port) as out:
            await out.publish(f"{root}/count", "99", qos=1, retain=True)
            async with running(link):
                await until(lambda: link.status().errors.get("retained"))
                await out.publish(f"{root}/count", "17", qos=1)
                await until(lambda: sink.count("corner-1"))
        assert sink.data("corner-1") == [b"17"]

    asyncio.run(scenario())


def test_only_messages_that_bring_their_time_wait_for_an_agent_that_is_away(mosquitto, root):
    async def scenario():
        sink = Heard()
        link = stream(mosquitto, sink, counter(root), meter(root))
        async with aiomqtt.Client(mosquitto.host, mosquitto.port) as out:
            async with running(link):
                await is_up(link)
            await out.publish(f"{root}/count", "17", qos=1)
            await out.publish(f"{root}/bins/7", '{"level": 3, "at": 5}', qos=1)
            async with running(link):
                await until(lambda: sink.uplinks)
                await is_up(link)
                await out.publish(f"{root}/count", "18", qos=1)
                await until(lambda: sink.count("corner-1"))
        assert sink.data("corner-1") == [b"18"]
        (uplink,) = sink.uplinks
        assert (uplink.dev_eui, uplink.f_port) == ("bin-7", 0)
        assert json.loads(uplink.decoded) == {"level": 3, "at": 5}

    asyncio.run(scenario())


def test_what_the_outbox_refuses_is_sent_again(mosquitto, root):
    async def scenario():
        sink = Heard()
        sink.accepting = False
        link = stream(mosquitto, sink, meter(root))
        async with aiomqtt.Client(mosquitto.host, mosquitto.port) as out, running(link):
            await is_up(link)
            await out.publish(f"{root}/bins/7", '{"level": 3, "at": 5}', qos=1)
            await until(lambda: link.status().errors.get("not_accepted", 0) >= 2)
            sink.accepting = True
            await until(lambda: sink.uplinks)

    asyncio.run(scenario())


def test_points_of_another_system_reach_their_devices(mosquitto, root):
    async def scenario():
        sink = Heard()
        seven = Publisher(Listener("bin-7", f"{root}/#", {"tags.id": "7"}), own_time=True)
        link = stream(mosquitto, sink, seven, lines=True)
        async with aiomqtt.Client(mosquitto.host, mosquitto.port) as out, running(link):
            await is_up(link)
            lines = "bins,id=7 level=1 5\nbins,id=8 level=2 5\nbroken\nbins,id=7 level=3 6\n"
            await out.publish(f"{root}/telegraf", lines, qos=1)
            await until(lambda: len(sink.uplinks) == 2)
        times = [json.loads(uplink.decoded)["time"] for uplink in sink.uplinks]
        assert times == [5, 6]
        assert link.status().errors == {"unmatched": 1, "garbage": 1}

    asyncio.run(scenario())


def test_nonsense_is_counted_and_delays_nothing(mosquitto, root):
    async def scenario():
        sink = Heard()
        link = stream(mosquitto, sink, counter(root))
        async with aiomqtt.Client(mosquitto.host, mosquitto.port) as out, running(link):
            await is_up(link)
            for payload in (b"\xff\xfe", b"[" * 60_000, b""):
                await out.publish(f"{root}/count", payload, qos=1)
            await out.publish(f"{root}/count", "17", qos=1)
            await until(lambda: sink.count("corner-1"))
        assert link.status().errors == {"garbage": 3}
        assert sink.noises == {(link.name, "garbage"): 3}

    asyncio.run(scenario())


def test_a_milesight_gateways_uplinks_are_acknowledged_once_committed(mosquitto, root):
    async def scenario():
        sink = Heard()
        sink.holding = True
        server = MqttServer(host=mosquitto.host, port=mosquitto.port)
        settings = MilesightGateway(name=f"ug65-{next(NUMBERS)}", broker=server, topic=f"{root}/up")
        link = milesight_stream(settings, "gw-1", sink, SystemClock())
        async with aiomqtt.Client(mosquitto.host, mosquitto.port) as out:
            async with running(link):
                await is_up(link)
                await out.publish(f"{root}/up", json.dumps(MESSAGE), qos=1)
                await until(lambda: sink.together == 1)
            sink.forget()  # killed before the commit
            sink.commit()
            async with running(link):
                await until(lambda: sink.uplinks)
        assert [uplink.dev_eui for uplink in sink.uplinks] == [MESSAGE["devEUI"]]

    asyncio.run(scenario())
