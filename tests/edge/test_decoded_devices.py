"""Devices that somebody else decodes, and those with a topic of their own: from the configuration
to the line that is sealed."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiomqtt
import pytest

from devices import things_stack
from devices.chirpstack import Uplink, topic_of, write_envelope
from edge.configuration import EdgeConfiguration, load_configuration
from edge.intake import Intake
from edge.links import Answered, NotAccepted
from edge.links.make import make_links
from edge.outbox_thread import OutboxThread
from edge.records import Tally
from edge.sealing import Sealing
from edge.status import inventory
from edge.uplink_snapshot import LastReadings
from tests.edge.links.heard import Heard, running, until
from tests.edge.links.http_server import http_server
from tests.edge.links.test_things_stack import Store
from tests.edge.test_intake import HandClock
from tests.secret_file import write_secret
from tests.servers import Mosquitto
from wire.clock import SystemClock
from wire.configuration import ConfigurationError
from wire.line import parse_line
from wire.messages import Ledger

NOW = 1_790_000_000_000
EUI, BAY = "24e124713b493357", "24e124713b493358"
HEAD = """
[gateway]
name = "gw-1"
site = "pasar"

[field_map.acme]
kind = "waste_container"
fields.filling_level = { from = "level", unit = "%" }
fields.temperature_c = { from = "temp" }

[field_map.counter]
kind = "people_counter"
fields.people_count = { from = "" }

[field_map.station]
kind = "environment"
fields.temperature_c = { from = "fields.temp" }
time = { from = "time", unit = "ns" }

[[link]]
type = "chirpstack"
name = "lns"
broker = { port = PORT }

[[link]]
type = "json"
name = "topics"
broker = { port = PORT }

[[link]]
type = "line_protocol"
name = "telegraf"
broker = { port = PORT }

[[device]]
name = "bin-1"
driver = "acme"
link = "lns"
dev_eui = "24e124713b493357"

[[device]]
name = "bay-1"
driver = "bosch_tps110"
link = "lns"
dev_eui = "24e124713b493358"

[[device]]
name = "corner-1"
driver = "counter"
link = "topics"
topic = "decoded/count"

[[device]]
name = "air-1"
driver = "station"
link = "telegraf"
topic = "decoded/telegraf"
match = { measurement = "air", "tags.host" = "roof" }
"""


def toml(port: int = 1883, **changes: str) -> str:
    text = HEAD.replace("PORT", str(port))
    for old, new in changes.items():
        text = text.replace(old, new)
    return text


class Bench:
    """An intake, and what it made of it all."""

    def __init__(self) -> None:
        self.tally = Tally()
        configuration = load_configuration(toml(), "gateway.toml")
        self.intake = Intake(configuration, HandClock(NOW), self.tally, lambda: True, {})

    def lines(self, uplink: Uplink) -> list[str]:
        return [line.text for line in self.intake.take_uplink(uplink)]

    def refused(self) -> dict[str, int]:
        return {why: many for (name, why), many in self.tally.counts.items() if name == "refused"}


def test_a_decoded_object_is_read_by_its_map_with_the_radio_facts():
    bench = Bench()
    decoded = b'{"level": 45.0, "temp": 30, "other": []}'
    (line,) = bench.lines(
        Uplink(EUI, 1, b"\xff", NOW, decoded=decoded, rssi_dbm=-80.0, gateways_heard=2)
    )
    reading = parse_line(line)[0]
    assert reading.time_ms == NOW
    assert reading.fields["filling_level"] == 0.45
    assert reading.fields["temperature_c"] == 30.0
    assert (reading.fields["rssi_dbm"], reading.fields["gateways_heard"]) == (-80.0, 2)


def test_an_uplink_that_nobody_decoded_and_one_that_cannot_be_are_refused():
    bench = Bench()
    assert bench.lines(Uplink(EUI, 1, b"\xff", NOW)) == []
    assert bench.lines(Uplink(EUI, 1, b"\xff", NOW + 1, decoded=b'{"level": 200}')) == []
    assert bench.refused() == {"format": 1, "range": 1}


def test_what_the_network_server_tells_goes_along_with_the_next_reading():
    bench = Bench()
    told = Uplink(BAY, 0, b"", NOW, told={"battery_level": 0.88})
    assert bench.lines(told) == []
    (line,) = bench.lines(Uplink(BAY, 1, b"\x01", NOW, frame_counter=9))
    fields = parse_line(line)[0].fields
    assert (fields["battery_level"], fields["occupied"]) == (0.88, 1)
    (after,) = bench.lines(Uplink(BAY, 1, b"\x00", NOW + 1))
    assert "battery_level" not in parse_line(after)[0].fields
    assert bench.tally.counts["taken", ""] == 2


def test_what_is_told_of_a_stranger_is_no_reading():
    bench = Bench()
    assert bench.lines(Uplink("ff" * 8, 0, b"", NOW, told={"battery_level": 0.5})) == []
    assert not bench.refused()


def test_a_message_with_a_time_of_its_own_keeps_it():
    bench = Bench()
    point = {"measurement": "air", "fields": {"temp": 28.5}, "time": (NOW - 60_000) * 1_000_000}
    uplink = Uplink("air-1", 0, b"", NOW, decoded=json.dumps(point).encode())
    (line,) = bench.lines(uplink)
    reading = parse_line(line)[0]
    assert reading.time_ms == NOW - 60_000
    assert reading.fields == {"temperature_c": 28.5}


def test_the_inventory_names_the_map():
    configuration = load_configuration(toml(), "gateway.toml")
    drivers = {device.name: device.driver for device in inventory(configuration).devices}
    assert drivers["bin-1"] == "acme"


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('unit = "%"', 'unit = "V"', "field_map.acme.fields.filling_level.unit"),
        ('fields.people_count = { from = "" }', "fields = {}", "field_map.counter.fields"),
        ("[field_map.acme]", "[field_map.bosch_tps110]", "field_map.bosch_tps110"),
        ('topic = "decoded/count"', "", "device[2] (corner-1).topic"),
        ('topic = "decoded/count"', 'topic = "a/#/b"', "device[2] (corner-1).topic"),
        ('link = "topics"', 'link = "lns"', "device[2] (corner-1).dev_eui"),
        ('driver = "counter"', 'driver = "bosch_tps110"', "device[2] (corner-1).link"),
        ('dev_eui = "24e124713b493357"', "", "device[0] (bin-1).dev_eui"),
        (
            'fields.people_count = { from = "" }',
            'fields.people_count = { from = "" }\ndecoder = "x.js"',
            "device[2] (corner-1).driver",
        ),
    ],
)
def test_what_cannot_work_is_refused_with_its_key(old, new, key):
    with pytest.raises(ConfigurationError) as error:
        load_configuration(toml(**{old: new}), "gateway.toml")
    assert error.value.key == key


def test_a_decoder_without_its_engine_is_refused_with_the_remedy(monkeypatch):
    monkeypatch.setattr("edge.device_checks._HAS_ENGINE", False)
    kind = 'kind = "waste_container"'
    text = toml().replace(kind, f'{kind}\ndecoder = "x.js"')
    with pytest.raises(ConfigurationError, match=r"gampong\[js\]"):
        load_configuration(text, "gateway.toml")


def test_nothing_is_imported_that_no_link_needs():
    code = """
import sys
from edge.configuration import EdgeConfiguration, load_configuration
from edge.links.make import make_links
configuration = load_configuration(sys.stdin.read(), "gateway.toml")
make_links(configuration, None, None)
print(sorted({"paho", "quickjs"} & set(sys.modules)))
"""
    text = toml().partition('[[link]]\ntype = "json"')[0]
    said = subprocess.run(
        [sys.executable, "-c", code], input=text, capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == "[]"


def test_a_decoder_of_the_vendors_stands_before_the_sink(mosquitto, tmp_path):
    """The whole way: a ChirpStack uplink, a vendor's decoder, a map, a reading."""

    async def scenario():
        script = tmp_path / "acme.js"
        script.write_text("function decodeUplink(i) { return {data: {level: i.bytes[0]}}; }")
        text = toml(mosquitto.port).replace(
            'kind = "waste_container"', f'kind = "waste_container"\ndecoder = "{script}"'
        )
        configuration = load_configuration(text, "gateway.toml")
        sink = Heard()
        (link, *_) = make_links(configuration, sink, SystemClock())
        uplink = Uplink(EUI, 1, b"\x2d", NOW, "an-id", gateways_heard=1, decoded=b"")
        async with running(link), aiomqtt.Client(mosquitto.host, mosquitto.port) as server:
            await until(lambda: link.status().state == "up")
            await server.publish(topic_of(uplink), write_envelope(uplink), qos=1)
            await until(lambda: sink.uplinks)
        assert sink.uplinks[0].decoded == b'{"level": 45}'
        bench = Bench()
        assert "filling_level=0.45" in bench.lines(sink.uplinks[0])[0]

    asyncio.run(scenario())


def test_one_uplink_told_twice_under_two_times_is_one_reading(mosquitto):
    async def scenario():
        configuration = load_configuration(toml(mosquitto.port), "gateway.toml")
        sink = Heard()
        (link, *_) = make_links(configuration, sink, SystemClock())
        async with running(link), aiomqtt.Client(mosquitto.host, mosquitto.port) as server:
            await until(lambda: link.status().state == "up")
            for time_ms, id_ in ((NOW, "same"), (NOW + 200, "same"), (NOW + 400, "other")):
                uplink = Uplink(BAY, 1, b"\x01", time_ms, id_, gateways_heard=1)
                await server.publish(topic_of(uplink), write_envelope(uplink), qos=1)
            await until(lambda: len(sink.uplinks) == 2)
        assert [one.time_ms for one in sink.uplinks] == [NOW, NOW + 400]
        assert sink.refusals == {(BAY, "repeat"): 1}

    asyncio.run(scenario())


class Unanswered:
    """A `Sink` that commits and is killed before it can say so."""

    def __init__(self, sealing: Sealing) -> None:
        self.polled, self.refused, self.noise = sealing.polled, sealing.refused, sealing.noise
        self._sealing, self.committed = sealing, 0

    def uplink(self, link: str, uplink: Uplink, answered: Answered) -> None:
        def note(refused: NotAccepted | None) -> None:
            assert refused is None
            self.committed += 1

        self._sealing.uplink(link, uplink, note)


class Life:
    """An agent's inner half: what it was configured with, and its ledger once it has ended."""

    def __init__(self, configuration: EdgeConfiguration, intake: Intake, sealing: Sealing) -> None:
        self.configuration, self.intake, self.sealing = configuration, intake, sealing
        self.ledger = Ledger()


@asynccontextmanager
async def a_life(text: str, folder: Path) -> AsyncIterator[Life]:
    """Runs on a real outbox in that folder; at the end what is on its way is committed."""
    where = f'[outbox]\npath = "{folder}/outbox.db"\n\n[[link]]'
    configuration = load_configuration(text.replace("[[link]]", where, 1), "x")
    settings, clock, tally, last = configuration.outbox, SystemClock(), Tally(), LastReadings()
    outbox = await OutboxThread.open(settings, clock, "machine", "boot")
    try:
        intake = Intake(configuration, clock, tally, lambda: True, await outbox.states())
        sealing = Sealing(settings, outbox, intake, tally, clock, last)
        life = Life(configuration, intake, sealing)
        async with asyncio.TaskGroup() as group:
            running_ = group.create_task(sealing.run())
            yield life
            sealing.end()
            await running_
        life.ledger = await sealing.ledger()
    finally:
        await outbox.close()


def test_a_message_committed_by_an_agent_that_was_killed_then_is_stored_once(tmp_path):
    async def scenario(broker: Mosquitto) -> None:
        clock = SystemClock()
        point = f"air,host=roof temp=28.5 {(clock.now_ms() - 5000) * 1_000_000}"
        async with a_life(toml(broker.port), tmp_path) as life:
            sink = Unanswered(life.sealing)
            (*_, link) = make_links(life.configuration, sink, clock)
            async with running(link), aiomqtt.Client(broker.host, broker.port) as out:
                await until(lambda: link.status().state == "up")
                await out.publish("decoded/telegraf", point, qos=1)
                await until(lambda: sink.committed == 1)
        async with a_life(toml(broker.port), tmp_path) as life:
            (*_, link) = make_links(life.configuration, life.sealing, clock)
            async with running(link), aiomqtt.Client(broker.host, broker.port) as out:
                await until(lambda: link.status().state == "up")
                await out.publish("decoded/telegraf", "broken", qos=1)  # after what came again
                await until(lambda: link.status().errors.get("garbage"))
        assert life.ledger.accepted == 1
        assert life.ledger.refused == {"repeat": 1}
        assert life.ledger.balanced

    with Mosquitto(tmp_path / "broker") as broker:
        asyncio.run(scenario(broker))


THINGS = """
[gateway]
name = "gw-1"
site = "pasar"

[[link]]
type = "things_stack"
name = "things"
broker = { port = PORT }
topic = "v3/app1@restart/devices/+/#"
storage = { url = "URL", application = "app1", api_key_file = "KEY" }

[[device]]
name = "bay-1"
driver = "bosch_tps110"
link = "things"
dev_eui = "24e124713b493358"
"""


def test_an_agent_that_starts_again_fetches_what_it_missed_and_stores_each_once(tmp_path):
    async def scenario(broker: Mosquitto) -> None:
        clock, store = SystemClock(), Store()
        write_secret(tmp_path / "key", "NNSXS.secret")
        start_ms = clock.now_ms() - 3_600_000

        def uplink(nth: int) -> Uplink:
            return Uplink(BAY, 1, bytes([nth % 2]), start_ms + 60_000 * nth, frame_counter=nth)

        async with http_server(store.answer) as url:
            text = THINGS.replace("PORT", str(broker.port)).replace("URL", url)
            text = text.replace("KEY", str(tmp_path / "key"))
            async with a_life(text, tmp_path) as life:
                newest_ms = life.intake.newest_ms
                (link,) = make_links(life.configuration, life.sealing, clock, newest_ms=newest_ms)
                async with running(link), aiomqtt.Client(broker.host, broker.port) as server:
                    await until(lambda: link.status().state == "up" and store.targets)
                    for nth in range(4):
                        store.uplinks.append(uplink(nth))
                        topic = things_stack.topic_of(uplink(nth), "app1@restart")
                        await server.publish(topic, things_stack.write_envelope(uplink(nth)))
                    await until(lambda: newest_ms("bay-1") == uplink(3).time_ms)
            store.uplinks += [uplink(nth) for nth in range(4, 20)]  # nobody is there
            async with a_life(text, tmp_path) as life:
                newest_ms = life.intake.newest_ms
                (link,) = make_links(life.configuration, life.sealing, clock, newest_ms=newest_ms)
                async with running(link):
                    await until(lambda: newest_ms("bay-1") == uplink(19).time_ms)
        assert life.ledger.accepted == 20
        # Two minutes before the newest are asked for again: the outbox knows those.
        assert life.ledger.refused == {"repeat": 2}
        assert life.ledger.balanced

    with Mosquitto(tmp_path / "broker") as broker:
        asyncio.run(scenario(broker))
