"""A gateway spoils its own series and nothing else: so much a second, so many new names a day."""

from __future__ import annotations

import asyncio
from itertools import count

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.allowances import Allowances
from ingest.dead_letters import DeadLetters
from ingest.guard import (
    LINE_COST_BYTES,
    MESSAGE_COST_BYTES,
    Checked,
    Limits,
    Noise,
    Postponed,
    check,
    cost_of,
    postpone,
)
from ingest.latest import BYTES_MAX, Latest
from ingest.newcomers import DAY_MS, PLACES_MAX, Newcomers
from ingest.overload import TOLD_A_SECOND
from ingest.registry import CLAIMS_MAX, DEVICES_PER_GATEWAY_MAX, Registry, RegistryFile
from ingest.replay import replay
from tests.ingest.batches import GATEWAY, NOW_MS, envelope, key_of, line, lines
from tests.ingest.gateway import Gateway, configuration, eventually, ingesting
from tests.ingest.test_poison import health
from tests.ingest.test_watch import newest, watching
from wire.clock import SystemClock
from wire.messages import MESSAGE_BYTES_MAX, Inventory, InventoryDevice, encode_message
from wire.mqtt import Message
from wire.topics import Leaf, topic

DAY_2_MS = NOW_MS + DAY_MS


def checked_of(message: Message, *more) -> Checked:
    checked = check(message, NOW_MS, Limits(), *more)
    assert isinstance(checked, Checked)
    return checked


def nobody(device: str, time_ms: int = 0) -> None:
    return None


def place(device: str, zone: str = "a") -> str:
    return f"{device},site=pasar,zone={zone}"


# So much at once and so much a second.


@given(st.lists(st.tuples(st.floats(0, 3), st.floats(0.1, 30)), max_size=60))
def test_nobody_gets_more_than_the_burst_and_the_pace_together(moves):
    allowances, now_s, taken, largest = Allowances(10.0, 4.0), 0.0, 0.0, 0.0
    for pause_s, cost in moves:
        now_s += pause_s
        if allowances.wait_s("gw", now_s) <= 0:
            allowances.charge("gw", cost, now_s)
            taken, largest = taken + cost, max(largest, cost)
    assert taken <= 10.0 * (now_s + 4.0) + largest + 1e-6


def test_who_waits_as_long_as_told_may_go_on_and_others_never_wait():
    allowances = Allowances(10.0, 4.0)
    allowances.charge("hostile", 1000.0, 5.0)
    wait_s = allowances.wait_s("hostile", 5.0)
    assert wait_s == pytest.approx(96.0)
    assert allowances.wait_s("hostile", 5.0 + wait_s) == pytest.approx(0.0)
    assert allowances.wait_s("good", 5.0) <= 0


def test_a_million_senders_take_a_bounded_room():
    allowances = Allowances(10.0, 4.0)
    for number in range(200_000):
        allowances.charge(f"gw-{number}", 100.0, 1.0)
    assert len(allowances._paid_s) <= 65_536


def test_a_rejected_line_costs_as_much_as_many_good_ones():
    good, bad = envelope(lines(10)), envelope([line(time_ms=10**12)] * 10)
    costs = [cost_of(check(message, NOW_MS, Limits()), message) for message in (good, bad)]
    assert costs[1] == MESSAGE_COST_BYTES + 10 * LINE_COST_BYTES > 2 * costs[0]
    garbage = envelope(b"not a batch")
    assert cost_of(check(garbage, NOW_MS, Limits()), garbage) > MESSAGE_COST_BYTES


def test_what_is_postponed_is_named_without_looking_into_it():
    bomb = envelope(b"\x28\xb5\x2f\xfd" + bytes(60_000), sequence=7)
    assert postpone(bomb) == Postponed(GATEWAY, key_of(bomb.payload, 7))
    assert postpone(envelope(lines(1), sequence=None)) == Noise("rate")
    assert postpone(Message("gampong/v1/gw/batch", b"", 1, False)) == Noise("probe")
    assert postpone(Message("elsewhere", b"x", 1, False)) == Noise("topic")
    bad_key = msgspec.structs.replace(bomb, correlation_data=b"short")
    assert postpone(bad_key) == Noise("correlation")


def test_a_flood_is_held_and_nothing_of_it_is_lost_while_another_gateway_is_prompt(
    tmp_path, mosquitto
):
    async def main() -> None:
        settings = configuration(tmp_path, mosquitto)
        slow = msgspec.structs.replace(settings.ingest, gateway_kb_per_s_max=4)
        now = SystemClock().now_ms()
        async with (
            ingesting(msgspec.structs.replace(settings, ingest=slow)) as (ingestor, store),
            Gateway(mosquitto) as flood,
            Gateway(mosquitto) as good,
        ):
            sent = 12 * TOLD_A_SECOND
            for sequence in range(1, sent + 1):
                flood.send([line("bay-1", now + sequence, occupied=1)], sequence)
                if sequence % TOLD_A_SECOND == 0:
                    good.send([line("bay-2", now + sequence, occupied=1)], sequence)
                    assert (await good.fate(sequence)).stored == 1
            await eventually(lambda: ingestor.counters.received == sent + 12, "all have come")
            stored = [n for n in range(1, sent + 1) if flood.final(n)]
            held = {n: flood.held(n) for n in range(1, sent + 1) if flood.held(n)}
            silent = ingestor.counters.held["rate_silent"]
            assert len(stored) + len(held) + silent == sent
            assert held
            assert all(fate.hold_s >= 5 for fates in held.values() for fate in fates)
            assert ingestor.counters.rejected.total() == 0
            for gateways in (1, 0):  # since the last report
                await ingestor.report()
                assert (await health(store))["over_limit"] == gateways

    asyncio.run(main())


# New names and places.


def test_new_devices_are_known_from_then_on_and_limited_a_day():
    newcomers = Newcomers(2, nobody)
    assert [newcomers.admits("gw", place(f"bay-{n}"), NOW_MS) for n in range(4)] == [
        True, True, False, False,
    ]  # fmt: skip
    assert newcomers.over == {"gw": 2}
    assert newcomers.admits("gw", place("bay-0"), NOW_MS)
    assert newcomers.are_sure("gw", [place("bay-0"), place("bay-1")])
    assert not newcomers.are_sure("gw", [place("bay-2")])
    assert newcomers.admits("other", place("bay-9"), NOW_MS)
    assert newcomers.admits("gw", place("bay-2"), DAY_2_MS)


def test_a_device_that_is_registered_has_its_first_place_free_and_each_other_one_counts():
    newcomers = Newcomers(1, lambda device: "gw" if device.startswith("own") else None)
    assert all(newcomers.admits("gw", place(f"own-{n}"), NOW_MS) for n in range(2000))
    assert newcomers.admits("gw", place("own-1", "b"), NOW_MS)
    assert not newcomers.admits("gw", place("stranger"), NOW_MS)


def test_all_registered_devices_may_move_to_another_zone_in_one_day_and_not_to_a_third():
    newcomers = Newcomers(1, lambda device: "gw")
    assert all(newcomers.admits("gw", place(f"own-{n}"), NOW_MS) for n in range(600))
    assert all(newcomers.admits("gw", place(f"own-{n}", "b"), NOW_MS) for n in range(600))
    assert not newcomers.admits("gw", place("own-1", "c"), NOW_MS)


def test_what_was_too_new_takes_no_room_of_what_may_come_that_day():
    newcomers = Newcomers(2, lambda device: "gw" if device.startswith("own") else None)
    assert all(newcomers.admits("gw", place(f"own-{n}"), NOW_MS) for n in range(4))
    for _ in range(9):  # each minute anew
        newcomers.admits("gw", place("stranger-1"), NOW_MS)
        newcomers.admits("gw", place("stranger-2"), NOW_MS)
        newcomers.admits("gw", place("stranger-3"), NOW_MS)
    assert newcomers.over == {"gw": 9}
    assert newcomers.admits("gw", place("own-1", "b"), NOW_MS)


def test_a_million_names_take_a_bounded_room():
    newcomers = Newcomers(500, nobody)
    for day in range(100):
        for name in range(10_000):
            newcomers.admits("gw", place(f"x-{day}-{name}"), NOW_MS + day * DAY_MS)
    known = newcomers._gateways["gw"]
    assert len(known.sure) + len(known.unsure) <= PLACES_MAX


def test_lines_of_too_many_new_devices_are_named_and_take_none_with_them():
    newcomers = Newcomers(3, nobody)
    message = envelope(lines(5))
    for _ in range(2):
        checked = checked_of(message, nobody, newcomers)
        assert len(checked.lines) == 3
        assert [(each.index, each.reason) for each in checked.rejected] == [
            (3, "too_many_new"), (4, "too_many_new"),
        ]  # fmt: skip


def test_a_line_in_another_zone_each_time_is_a_new_series_each_time():
    newcomers = Newcomers(10, lambda device: GATEWAY)
    same = [line("bay-1", NOW_MS + n) for n in range(50)]
    moving = [text.replace("zone=a", f"zone=a{n}") for n, text in enumerate(same)]
    owner_of = {"bay-1": GATEWAY}
    checked = checked_of(envelope(moving), lambda name, _: owner_of.get(name), newcomers)
    assert len(checked.lines) == 11  # the first is free


def test_what_was_too_new_is_kept_and_a_replay_stores_it(tmp_path, broker):
    async def main() -> None:
        settings = configuration(tmp_path, broker)
        strict = msgspec.structs.replace(settings.ingest, new_a_day_max=70, registry="needed")
        settings = msgspec.structs.replace(settings, ingest=strict)
        now = SystemClock().now_ms()
        async with (
            ingesting_with_registry(settings, broker) as (ingestor, store),
            Gateway(broker) as gateway,
        ):
            gateway.send(lines(72, now), 1)
            fate = await gateway.fate(1)
            assert (fate.stored, fate.rejected) == (70, {"too_many_new": 2})
            await ingestor.report()
            letters = DeadLetters.of(settings.dead_letters)
            newcomers = Newcomers(70, nobody)
            done = await replay(letters, store, SystemClock(), Limits(), nobody, newcomers)
            assert (done.stored, done.still_bad) == (2, {})

    asyncio.run(main())


def test_without_a_registry_gateways_are_trusted_and_no_new_name_is_too_many(tmp_path, mosquitto):
    async def main() -> None:
        settings = configuration(tmp_path, mosquitto)
        trusted = msgspec.structs.replace(settings.ingest, new_a_day_max=5, registry="none")
        now = SystemClock().now_ms()
        async with (
            ingesting(msgspec.structs.replace(settings, ingest=trusted)),
            Gateway(mosquitto) as gateway,
        ):
            bad = line("bay-x", now).replace("=1i", "=9i")
            for sequence, content in enumerate(([], [bad]), 1):  # at once, and line by line
                gateway.send([*lines(20, now), *content], sequence)
                fate = await gateway.fate(sequence)
                assert (fate.stored, sum(fate.rejected.values())) == (20, len(content))

    asyncio.run(main())


def ingesting_with_registry(settings, broker):
    """`ingesting`, with an empty registry retained at the broker."""
    from paho.mqtt import publish

    publish.single(
        "gampong/v1/registry", b"{}", qos=1, retain=True, hostname=broker.host, port=broker.port
    )
    return ingesting(settings)


# What the watch takes in.


def inventory(gateway: str, *devices: str, zone: str = "a", site: str = "pasar") -> Inventory:
    return Inventory(
        gateway,
        site,
        60,
        tuple(InventoryDevice(d, "parking_spot", "x", zone, 600, 1560) for d in devices),
    )


def names(prefix: str, count_: int) -> list[str]:
    return [f"{prefix}-{n}" for n in range(count_)]


def counted(registry: Registry, gateway: str = "a") -> list[str]:
    return [device.name for device in registry.inventories[gateway].devices]


def test_a_technician_installs_72_sensors_in_a_day_and_none_waits():
    registry = Registry()
    registry.announce(inventory("a", "first"), NOW_MS)
    registry.announce(inventory("a", "first", *names("bay", 72)), NOW_MS)
    assert len(counted(registry)) == 73
    assert not registry.waiting


def test_what_a_gateway_announces_beyond_the_limit_waits_for_the_next_day_by_itself():
    registry = Registry(new_a_day=10)
    registry.announce(inventory("a", "old"), NOW_MS)
    many = ["old", *names("bay", 25)]
    for _ in range(3):  # saying it again helps nobody
        assert registry.announce(inventory("a", *many), NOW_MS) == ""
        assert counted(registry) == many[:11]
        assert set(registry.waiting) == {"a"}
    assert registry.announce_waiting(NOW_MS + 1) == []
    assert set(registry.file.owners) == {*many[:11]}
    for day, there in ((1, 22), (2, 26)):
        assert registry.announce_waiting(NOW_MS + day * DAY_MS) == ["a"]
        assert len(counted(registry)) == there
    assert not registry.waiting


def test_devices_that_are_moved_to_ever_new_zones_and_sites_stay_where_they_were():
    registry = Registry(new_a_day=10)
    registry.announce(inventory("a", *names("bay", 6)), NOW_MS)
    for zone in "bcd":
        registry.announce(inventory("a", *names("bay", 6), zone=zone), NOW_MS)
    zones = {device.zone for device in registry.inventories["a"].devices}
    assert "d" not in zones  # 6 + 4 moves were allowed
    registry.announce(inventory("a", *names("bay", 6), site="elsewhere"), NOW_MS)
    assert registry.inventories["a"].site == "pasar"
    registry.announce_waiting(DAY_2_MS)
    assert registry.inventories["a"].site == "elsewhere"


def test_a_million_announced_names_make_no_million_owners():
    registry, fresh = Registry(), count()
    for _ in range(500):
        devices = [f"x-{next(fresh)}" for _ in range(DEVICES_PER_GATEWAY_MAX)]
        registry.announce(inventory("hostile", *devices), NOW_MS)
    assert len(registry.file.owners) <= 2 * DEVICES_PER_GATEWAY_MAX
    registry.announce(inventory("good", "bay-1"), NOW_MS)
    assert counted(registry, "good") == ["bay-1"]


def test_claims_of_one_gateway_are_bounded():
    registry = Registry(RegistryFile(), new_a_day=10**6)
    for part in range(3):
        registry.announce(inventory(f"good-{part}", *names(f"p{part}", 2000)), NOW_MS)
    for part in range(3):
        registry.announce(inventory("hostile", *names(f"p{part}", 2000)), NOW_MS + part)
    assert len(registry.file.claims) == CLAIMS_MAX


def test_a_gateway_over_its_limits_is_seen_in_its_health_and_the_others_are_not(tmp_path, broker):
    async def main() -> None:
        settings = configuration(tmp_path, broker)
        async with (
            watching(settings, tmp_path, SystemClock()) as (watch, store),
            Gateway(broker) as greedy,
            Gateway(broker) as good,
        ):
            for gateway, devices in ((greedy, 1), (good, 1), (greedy, 900), (good, 70)):
                said = encode_message(inventory(gateway.name, *names(gateway.name, devices)))
                gateway.client.publish(topic(gateway.name, Leaf.INVENTORY), said, qos=1)
            await eventually(
                lambda: (
                    len(watch.registry.inventories.get(good.name, inventory("", "")).devices) == 70
                    and greedy.name in watch.registry.waiting
                ),
                "all are announced",
            )
            await watch.round(SystemClock().now_ms())
            found = await newest(store, "gateway_health")
            told = {name: row.fields["over_limit"] for name, row in found.items()}
            assert (told[greedy.name], told[good.name]) == (1, 0)

    asyncio.run(main())


# Of who talks too much, the newest word.


def test_the_newest_of_a_flood_of_statuses_is_heard_in_the_end_and_others_at_once():
    latest = Latest()
    heard = [n for n in range(1000) if latest.is_turn("status", b"%d" % n, 1.0)]
    assert 30 <= len(heard) <= 32
    assert latest.is_turn("other", b"x", 1.0)
    assert latest.due(1.0) == []
    assert latest.due(60.0) == [("status", b"999")]
    assert latest.due(60.0) == []
    assert latest.over == {"status"}
    assert latest.counts["superseded"] == 1000 - len(heard) - 1


def test_what_waits_for_its_turn_is_bounded_in_bytes():
    latest, payload = Latest(), bytes(MESSAGE_BYTES_MAX)
    for n in range(1000):
        for _ in range(40):
            latest.is_turn(f"topic-{n}", payload, 1.0)
    assert latest._bytes <= BYTES_MAX
    assert sum(map(len, latest._waiting.values())) == latest._bytes
    assert latest.counts["dropped"]


def test_a_line_of_ten_thousand_fields_is_refused():
    fields = ",".join(f"field_{n}=1" for n in range(10_000))
    bad = format_line_with(fields)
    checked = checked_of(envelope([line("bay-1"), bad]))
    assert [(each.index, each.reason) for each in checked.rejected] == [(1, "unknown_field")]
    assert len(checked.lines) == 1


def format_line_with(fields: str) -> str:
    return f"parking_spot,device=bay-2,site=pasar,zone=a {fields} {NOW_MS}"


@pytest.mark.parametrize("year_ms", [0, 10**11, 3_786_912_000_000])
def test_a_clock_in_1970_or_2090_spoils_its_own_lines_alone(year_ms):
    wrong = line("bay-2").replace(str(NOW_MS), str(year_ms))
    checked = checked_of(envelope([line("bay-1"), wrong]))
    assert len(checked.lines) == 1
    assert checked.rejected[0].reason in ("time", "grammar")
