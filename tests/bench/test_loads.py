"""The loads of the benchmarks are what they say: both gateways hear readings, and the agent's are
good ones."""

from __future__ import annotations

import json
import os
import time

from bench.agent_rate import Climb
from bench.gateway import write_gateway
from bench.json_gateway import json_of
from bench.processes import used
from bench.uplinks import DEVICES, Devices, Publisher, paced
from devices.chirpstack import Uplink, read_envelope
from edge.configuration import load_configuration
from edge.intake import Intake
from edge.records import Tally
from tests.line.listening import Client, until
from wire.clock import SystemClock

NOW_MS = 1_790_000_000_000


def test_every_uplink_is_a_reading_for_the_agent_and_decoded_json_for_a_json_gateway(
    tmp_path, seed
):
    file = write_gateway(tmp_path, ("127.0.0.1", 1), ("127.0.0.1", 2))
    configuration = load_configuration(file.read_text(), str(file))
    tally = Tally()
    intake = Intake(configuration, SystemClock(), tally, lambda: True, {})
    devices = Devices(DEVICES, seed)
    lines = []
    for nth in range(3 * DEVICES):
        topic, payload = devices.next(nth % DEVICES, NOW_MS)
        uplink = read_envelope(topic, payload)
        assert isinstance(uplink, Uplink)
        lines += intake.take_uplink(uplink)
        assert json.loads(payload)["object"]
    assert tally.counts == {("taken", ""): 3 * DEVICES}
    assert len({(line.device, line.time_ms) for line in lines}) == 3 * DEVICES


def test_a_line_as_json_has_the_same_device_time_and_fields():
    line = f'parking_spot,device=bay-1,site=s,zone=z occupied=1i,quality="ok" {NOW_MS}'
    entry = {"ts": NOW_MS, "values": {"occupied": 1, "quality": "ok"}}
    assert json.loads(json_of(line)) == {"bay-1": [entry]}


def test_the_publisher_speaks_mqtt_and_waits_for_each_acknowledgement(mosquitto):
    class Ear(Client):
        topics = ("bench/#",)

        def __init__(self, broker):
            super().__init__(broker)
            self.heard = []

        def _arrived(self, _client, _data, message):
            self.heard.append((message.topic, message.payload))

    with Ear(mosquitto) as ear:
        publisher = Publisher(mosquitto.host, mosquitto.port)
        packets = [(f"bench/{nth}", b"x" * 200 * nth) for nth in range(700)]
        for begin in range(0, 700, 100):
            publisher.publish(packets[begin : begin + 100])
        publisher.settle(0)
        until(lambda: len(ear.heard) == 700, "all of them")
    assert ear.heard == packets


def test_a_paced_load_sends_every_one_of_them_and_no_faster():
    began = time.monotonic()
    assert sum(paced(2000, 500)) == 500
    assert time.monotonic() - began >= 499 / 2000


def test_a_rate_is_the_slope_between_the_first_and_the_last_change():
    climb = Climb()
    for at, count in [(0.0, 0), (1.0, 500), (2.0, 500), (3.0, 2500), (3.5, 2500)]:
        climb.look(at, count)
    assert climb.per_s == 1000
    assert Climb().per_s == 0


def test_what_a_process_has_used_only_grows():
    before = used(os.getpid())
    sum(range(3_000_000))
    after = used(os.getpid())
    assert after.cpu_s >= before.cpu_s > 0
    assert after.resident_bytes > 1e6
