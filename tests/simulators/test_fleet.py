"""A fleet's gateways say what real ones do: batches that the guard takes, each reading once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.fleet import FleetGateway, fleet_name
from simulators.fleet_link import Packet
from wire import mqtt
from wire.batch import CONTENT_TYPE, decode_batch, digest
from wire.line import parse_line
from wire.topics import Leaf, topic

NOW_MS = 1_790_000_000_000


@given(
    readings=st.integers(1, 80),
    steps_ms=st.lists(st.integers(-5_000, 60_000), min_size=2, max_size=6),
)
def test_every_reading_is_new_and_seal_times_rise_even_when_the_clock_steps_back(
    readings, steps_ms
):
    gateway, now_ms, sealed = FleetGateway(1, readings, seed=1), NOW_MS, []
    for step_ms in steps_ms:
        now_ms += step_ms
        sealed.append(gateway.seal(now_ms))
    lines = [parse_line(line)[0] for batch in sealed for line in decode_batch(batch.payload)]
    assert len({(line.device, line.time_ms) for line in lines}) == readings * len(steps_ms)
    assert [batch.key.sequence for batch in sealed] == [*range(1, len(sealed) + 1)]
    assert all(batch.key.digest == digest(batch.payload) for batch in sealed)
    times = [batch.seal_ms for batch in sealed]
    assert times == sorted(set(times))


@pytest.mark.parametrize("readings", [1, 2, 13, 60])
def test_the_inventory_names_the_devices_that_speak(readings):
    gateway = FleetGateway(7, readings, seed=1)
    spoken = {parse_line(line)[0].device for line in gateway.lines(NOW_MS)}
    assert {device.name for device in gateway.inventory().devices} == spoken
    assert len(spoken) == readings
    assert all(name.startswith(fleet_name(7)) for name in spoken)


def test_a_status_balances():
    gateway = FleetGateway(1, 13, seed=1)
    for _ in range(5):
        gateway.seal(NOW_MS)
    status = gateway.status(NOW_MS, waiting_batches=2)
    assert status.ledger.balanced
    assert (status.ledger.waiting, status.oldest_sequence) == (26, 4)


def test_a_packet_is_the_message_that_another_implementation_hears():
    batch = FleetGateway(1, 13, seed=1).seal(NOW_MS)
    name, user = topic("fleet-00001", Leaf.BATCH), (("seal_ms", str(batch.seal_ms)),)
    packet = Packet(
        name,
        batch.payload,
        expiry_s=30,
        content_type=CONTENT_TYPE,
        correlation=batch.key.pack(),
        user=user,
    ).with_identifier(9)
    start, end = mqtt.next_packet(packet, 0)
    heard = mqtt.read_publish(packet[0], packet, start, end)
    said = mqtt.Message(name, batch.payload, 9, False, CONTENT_TYPE, batch.key.pack(), user)
    assert (heard, end) == (said, len(packet))
