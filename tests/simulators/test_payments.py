"""Terminals of the simulated city: most drivers pay, and a collector who keeps it shows."""

from __future__ import annotations

import asyncio
import json

import aiomqtt
import pytest

from devices.payments import settled_ms
from edge.configuration import load_configuration
from simulators.city import City
from simulators.faults import NO_FAULTS, Faults, with_shares
from simulators.gateway_files import write_gateway_files
from simulators.local_time import DAY_MS, HOUR_MS
from simulators.payments import IDR_PER_HOUR, Till
from simulators.running import RunningCity
from simulators.seeds import generator
from simulators.world import World
from tests.servers import Mosquitto
from wire.configuration import Broker

START_MS = 1_790_000_000_000


def tills(faults: Faults = NO_FAULTS, seed: int = 1) -> dict[str, Till]:
    """By site and zone."""
    city = City.demo(seed)
    world = World(city, START_MS)
    return {
        f"{gateway.site.name}/{one.zone.name}": Till(
            seed, one, [world.bay(name) for name in one.bays], faults, generator(seed, one.name)
        )
        for gateway in city.gateways
        for one in gateway.terminals
    }


def week(till: Till, step_ms: int):
    return [
        payment
        for at_ms in range(START_MS, START_MS + 7 * DAY_MS, step_ms)
        for payment in till.payments(at_ms, at_ms + step_ms)
    ]


def test_a_payment_is_made_once_however_often_one_looks():
    assert week(tills()["pasar-mahirah/masjid"], HOUR_MS) == week(
        tills()["pasar-mahirah/masjid"], 7 * HOUR_MS
    )


def test_no_two_payments_of_a_terminal_share_a_second_or_a_number():
    for till in tills().values():
        paid = week(till, DAY_MS)
        assert len(paid) > 50
        assert len({one.time_ms // 1000 for one in paid}) == len(paid)
        assert len({one.transaction for one in paid}) == len(paid)


def test_a_believable_share_of_what_the_tariff_says_is_paid():
    city = City.demo(1)
    world = World(city, START_MS)
    for gateway in city.gateways:
        for terminal in gateway.terminals:
            bays = [world.bay(name) for name in terminal.bays]
            stood = [bay.departures(START_MS, START_MS + 7 * DAY_MS) for bay in bays]
            due = sum(ms for stays in stood for _, ms in stays) / HOUR_MS * IDR_PER_HOUR
            till = Till(1, terminal, bays, NO_FAULTS, generator(1, terminal.name))
            paid = sum(one.amount_idr for one in week(till, DAY_MS))
            assert 0.75 < paid / due < 1.0


def test_a_collector_keeps_most_of_one_zone_and_nothing_of_the_others():
    faults = with_shares(NO_FAULTS, ["collector_keeps=pelataran"])
    for name, till in tills(faults).items():
        paid = week(till, DAY_MS)
        share = sum(one.amount_idr for one in paid if one.kept) / sum(o.amount_idr for o in paid)
        assert 0.6 < share < 0.9 if name.endswith("/pelataran") else share == 0


def test_the_message_is_read_by_the_map_of_the_gateways_file(tmp_path):
    here = Broker(host="127.0.0.1", port=1883)
    paths = write_gateway_files(City.demo(1), tmp_path, cloud_broker=here, site_broker=here)
    configuration = load_configuration(paths[0].read_text(), str(paths[0]))
    devices = {device.name: device for device in configuration.device}
    till = tills()["pasar-mahirah/pelataran"]
    told = json.loads(week(till, DAY_MS)[0].message)
    device = devices[till.terminal.name]
    assert (device.topic, device.zone) == (till.terminal.topic, "pelataran")
    assert device.match.items() <= told.items()
    assert set(told) >= {
        one.from_ for one in configuration.field_map[device.driver].fields.values()
    }


@pytest.mark.parametrize("faults", [NO_FAULTS, Faults(duplicate=1.0)], ids=["well", "twice"])
def test_what_a_terminal_said_is_in_the_truth_with_the_time_of_its_point(
    mosquitto: Mosquitto, tmp_path, faults
):
    address = f"{mosquitto.host}:{mosquitto.port}"
    heard: list[dict[str, str]] = []

    async def listen(city: RunningCity) -> None:
        async with aiomqtt.Client(mosquitto.host, mosquitto.port) as client:
            await client.subscribe("payments/#", qos=1)
            async for message in client.messages:
                heard.append(json.loads(message.payload))
                rows = [row for row in city.rows() if row.kind == "payment" and row.how == "sent"]
                if len(rows) > 5:
                    return

    start_ms = START_MS // DAY_MS * DAY_MS + 2 * HOUR_MS  # nine in the morning
    with RunningCity(
        mqtt=address, faults=faults, speed=120, start_ms=start_ms, directory=tmp_path
    ) as city:
        asyncio.run(asyncio.wait_for(listen(city), 60))
        rows = [row for row in city.rows() if row.kind == "payment"]
    known = {row.fields["transaction"]: row for row in rows if row.how == "sent"}
    for told in heard[:4]:
        row = known[told["transaction_id"]]
        assert row.fields["amount_idr"] == float(told["gross_amount"])
        assert row.time_ms == settled_ms(row.time_ms, told["transaction_id"])
    doubled = {row.fault for row in rows if row.how == "sent"}
    assert doubled == ({"", "duplicate"} if faults.duplicate else {""})
