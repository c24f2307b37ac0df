"""LoRaWAN devices: what they say, what is lost, and what arrives on a real broker."""

from __future__ import annotations

import asyncio
from itertools import islice, pairwise, takewhile

import aiomqtt
import msgspec
import pytest

from devices.chirpstack import read_envelope, topic_of, write_envelope
from devices.driver import load_driver
from devices.envelope import Notice, Uplink, radio_fields
from devices.reading import Payload, check_fields
from simulators.city import City, Gateway
from simulators.envelopes import ChirpStack
from simulators.faults import NO_FAULTS, Faults
from simulators.local_time import DAY_MS, HOUR_MS, MINUTE_MS
from simulators.network_server import NetworkServer
from simulators.radio import UNKNOWN_EUI, Air
from simulators.radio_devices import FIRMWARE, RadioDevice
from simulators.seeds import generator
from simulators.truth import Truth, read_truth
from simulators.world import World
from tests.servers import Mosquitto
from wire.clock import CityTime, SystemClock
from wire.configuration import Broker

START_MS = 1_795_136_400_000
WAIT_S = 10


def devices_of(gateway: Gateway, world):
    seed = world.city.seed
    return [RadioDevice(seed, one, world.sight(one.name)) for one in gateway.by_radio]


def day_of_radio(seed):
    """Everything that 53 devices transmit in a day, by device."""
    city = City.demo(seed)
    world = World(city, START_MS)
    return {
        device: list(
            takewhile(
                lambda said: said.uplink.time_ms < START_MS + DAY_MS, device.transmissions(START_MS)
            )
        )
        for gateway in city.gateways
        for device in devices_of(gateway, world)
    }


@pytest.fixture(scope="module")
def a_day():
    return day_of_radio(1)


def test_the_same_seed_gives_the_same_uplinks(seed):
    one, other = day_of_radio(seed), day_of_radio(seed)
    assert list(one.values()) == list(other.values())


def test_every_uplink_decodes_to_its_truth(a_day):
    for device, said in a_day.items():
        for one in said:
            uplink = read_envelope(topic_of(one.uplink), write_envelope(one.uplink))
            assert isinstance(uplink, Uplink)
            assert uplink.time_ms == one.uplink.time_ms
            [record] = device.driver.decode(Payload(uplink.data, uplink.f_port))
            assert {**record.fields, **radio_fields(uplink)} == one.fields
            check_fields(device.driver.kind, one.fields)


def test_every_uplink_of_a_device_has_a_later_millisecond_and_the_next_counter(a_day):
    for said in a_day.values():
        for before, after in pairwise(one.uplink for one in said):
            assert after.time_ms > before.time_ms
            assert after.frame_counter == before.frame_counter + 1


def test_all_devices_speak_once_soon_after_the_start(a_day):
    for device, said in a_day.items():
        assert said[0].uplink.time_ms < START_MS + MINUTE_MS
        assert ("firmware" in said[0].fields) == (device.driver.name in FIRMWARE)


def test_a_parking_sensor_tells_each_change_within_five_seconds():
    city = City.demo(1)
    world = World(city, START_MS)
    device = devices_of(city.gateways[0], world)[0]
    says = list(islice(device.transmissions(START_MS), 30))
    end_ms = says[-1].uplink.time_ms
    events = [one for one in says if one.uplink.f_port == 1]
    changes = world.bay(device.name).changes(says[0].uplink.time_ms, end_ms - 5000)
    for moment, occupied in changes:
        assert any(
            0 < one.uplink.time_ms - moment <= 5000 and one.fields["occupied"] == occupied
            for one in events
        )


def test_bins_report_every_twenty_minutes(a_day):
    for device, said in a_day.items():
        if device.driver.name == "milesight_em400":
            gaps = [b.uplink.time_ms - a.uplink.time_ms for a, b in pairwise(said)]
            assert max(gaps) <= load_driver("milesight_em400").heartbeat_s * 1000


def test_radio_loses_a_few_percent(a_day):
    heard = [one.heard for said in a_day.values() for one in said]
    assert 0.02 < 1 - sum(heard) / len(heard) < 0.2
    assert len(heard) > 1000


async def broadcast(broker, gateway, truth_path, faults, wanted, device="+"):
    """Run a gateway's air fast until `wanted` uplinks or notices have come back; all that did."""
    clock = SystemClock(CityTime(SystemClock().now_ms(), START_MS, 3000))
    world = World(City.demo(1), START_MS)
    truth = Truth(truth_path)
    messages: list[tuple[str, bytes]] = []
    server = NetworkServer(Broker(host=broker.host, port=broker.port))
    application_id, draws = gateway.application_id, generator(1, "air")
    devices = devices_of(gateway, world)
    air = Air(devices, ChirpStack(application_id), faults, draws)
    async with aiomqtt.Client(broker.host, broker.port) as client:
        async with asyncio.timeout(WAIT_S), asyncio.TaskGroup() as group:
            task = group.create_task(air.run(server, clock, truth))  # which waits for a subscriber
            await client.subscribe(f"application/{application_id}/device/{device}/event/+", qos=1)
            while len(messages) < wanted:
                message = await anext(aiter(client.messages))
                messages.append((str(message.topic), bytes(message.payload)))
            task.cancel()
        await server.close()
        while len(client.messages):
            message = await anext(aiter(client.messages))
            messages.append((str(message.topic), bytes(message.payload)))
    truth.close()
    return messages, read_truth(truth_path)


def told(rows):
    return {(row.device, row.time_ms) for row in rows if row.how == "sent"}


def test_what_arrives_on_the_broker_is_what_the_truth_says_was_sent(mosquitto, tmp_path):
    city = City.demo(1)
    gateway = city.gateways[0]
    names = {one.dev_eui: one.name for one in gateway.by_radio}
    messages, rows = asyncio.run(
        broadcast(mosquitto, gateway, tmp_path / "truth.jsonl", NO_FAULTS, 150)
    )
    read = [read_envelope(*message) for message in messages]
    uplinks = [one for one in read if isinstance(one, Uplink)]
    assert {(names[one.dev_eui], one.time_ms) for one in uplinks} <= told(rows)
    assert len(told(rows)) - len(uplinks) <= 1  # the last may be on its way
    assert len(uplinks) == len({(one.dev_eui, one.time_ms) for one in uplinks})
    assert {one.name for one in read if isinstance(one, Notice)} >= {"join"}
    lost = {(row.device, row.time_ms) for row in rows if row.how == "lost"}
    assert not lost & {(names[one.dev_eui], one.time_ms) for one in uplinks}


@pytest.fixture
def alone(tmp_path):
    """A broker on which nobody has left a session that would listen."""
    with Mosquitto(tmp_path / "alone") as broker:
        yield broker


def test_gateways_see_only_their_own_devices(mosquitto, tmp_path):
    city = City.demo(1)
    gateway = city.gateways[1]
    own = {one.dev_eui for one in gateway.by_radio}
    messages, _ = asyncio.run(broadcast(mosquitto, gateway, tmp_path / "t", NO_FAULTS, 60))
    for topic, payload in messages:
        event = read_envelope(topic, payload)
        assert isinstance(event, Uplink | Notice)
        assert event.dev_eui in own
        body = msgspec.json.decode(payload)
        assert body["deviceInfo"]["applicationId"] == gateway.application_id


def test_uplink_faults_arrive_and_are_noted(mosquitto, tmp_path):
    faults = Faults(late=0.1, duplicate=0.2, unknown_device=0.2, not_json=0.2)
    gateway = City.demo(1).gateways[0]
    messages, rows = asyncio.run(broadcast(mosquitto, gateway, tmp_path / "t", faults, 200))
    noted = {row.fault for row in rows}
    assert noted >= {"", "late", "duplicate", "unknown_device", "not_json"}
    read = [read_envelope(*message) for message in messages]
    uplinks = [one for one in read if isinstance(one, Uplink)]
    assert any(one.dev_eui == UNKNOWN_EUI for one in uplinks)
    assert any(not isinstance(one, Uplink | Notice) for one in read)
    assert len(uplinks) > len({(one.dev_eui, one.time_ms) for one in uplinks})
    assert all(row.how == "lost" for row in rows if row.fault == "not_json")


def test_an_uplink_that_nobody_subscribes_to_is_lost_in_the_truth(alone, tmp_path):
    gateway = City.demo(1).gateways[1]
    listened = gateway.by_radio[0]  # which asks to join first
    _, rows = asyncio.run(
        broadcast(alone, gateway, tmp_path / "t", NO_FAULTS, 5, device=listened.dev_eui)
    )
    heard = {(row.how, row.fault) for row in rows if row.device == listened.name}
    others = {(row.how, row.fault) for row in rows if row.device != listened.name}
    assert ("sent", "") in heard
    assert ("lost", "nobody_listens") in others
    assert "sent" not in {how for how, _ in others}


def test_devices_wait_for_somebody_who_subscribes(alone, tmp_path):
    gateway = City.demo(1).gateways[0]
    _, rows = asyncio.run(broadcast(alone, gateway, tmp_path / "t", NO_FAULTS, 60))
    assert "nobody_listens" not in {row.fault for row in rows}


def test_a_burning_bin_says_so_at_once():
    city = City.demo(1)
    world = World(city, START_MS)
    by_radio = [bin_ for bin_ in city.bins if bin_.dev_eui]
    fires = [
        (moment, bin_)
        for bin_ in by_radio
        for moment, status in world.bin(bin_.name).changes(START_MS, START_MS + 300 * DAY_MS)
        if status == "burning"
    ]
    moment, bin_ = min(fires, key=lambda fire: fire[0])
    device = RadioDevice(1, bin_, world.sight(bin_.name))
    said = [
        one
        for one in islice(device.transmissions(moment - HOUR_MS), 20)
        if one.uplink.time_ms == moment
    ]
    assert [one.fields["status"] for one in said] == ["burning"]
