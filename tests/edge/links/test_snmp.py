"""An access point over SNMP: a real UDP socket; an agent that restarts, wraps, loses datagrams."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.snmp_ap import decode
from edge.link_settings import SnmpAgent
from edge.links.hotspot import HotspotWatch
from edge.links.snmp import (
    IF_DESCR,
    IF_HC_IN,
    IF_HC_OUT,
    IF_IN,
    IF_NAME,
    IF_OUT,
    SYS_UPTIME,
    SnmpPoint,
    Wrapping,
)
from tests.edge.links.heard import Heard, running, until
from tests.edge.links.snmp_agent import COUNTER, COUNTER64, INTEGER, TEXT, TICKS, agent, number, tlv
from tests.secret_file import write_secret
from wire.clock import SystemClock

CLOCK = SystemClock()
STATIONS = (1, 3, 6, 1, 4, 1, 14988, 1, 1, 1, 3, 1, 6, 5)
OID = ".1.3.6.1.4.1.14988.1.1.1.3.1.6.5"
Objects = dict[tuple[int, ...], tuple[int, int | bytes]]
OBJECTS: Objects = {
    SYS_UPTIME: (TICKS, 6_764_600),
    **{(*IF_NAME, n): (TEXT, b"eth%d" % n) for n in range(1, 5)},
    (*IF_NAME, 5): (TEXT, b"wlan0"),
    (*IF_NAME, 6): (TEXT, b"wlan0.1"),
    (*IF_HC_IN, 5): (COUNTER64, 2**40 + 7),
    (*IF_HC_OUT, 5): (COUNTER64, 2**62),
    (*IF_IN, 5): (COUNTER, 7),
    (*IF_OUT, 5): (COUNTER, 0),
    STATIONS: (INTEGER, 12),
}


def watch(host: str, sink: Heard, **settings) -> HotspotWatch:
    point = SnmpAgent(name="ap", host=host, **{"timeout_s": 1.0, **settings})
    return HotspotWatch(point, SnmpPoint(point, CLOCK), "corner-1", 0.01, sink, CLOCK)


def latest(sink: Heard) -> dict[str, Any]:
    (values,) = decode(sink.payloads[-1][1])
    return dict(values.fields)


def test_an_agents_counters_and_stations_reach_the_driver():
    async def scenario():
        sink = Heard()
        async with agent(OBJECTS) as (_, host):
            link = watch(host, sink, client_oids=(OID,))
            async with running(link):
                await until(lambda: len(sink.payloads) >= 2)
                assert link.status().state == "up"
        assert latest(sink) == {
            "up": 1,
            "clients": 12,
            "rx_bytes": 2**40 + 7,
            "tx_bytes": 2**62,
            "uptime_s": 67646.0,
        }

    asyncio.run(scenario())


def test_an_old_agent_names_its_interface_in_ifdescr_and_its_counters_are_made_whole():
    async def scenario():
        sink = Heard()
        objects: Objects = {
            SYS_UPTIME: (TICKS, 100),
            (*IF_DESCR, 1): (TEXT, b"wlan0"),
            (*IF_IN, 1): (COUNTER, 2**32 - 1),
            (*IF_OUT, 1): (COUNTER, 5),
        }
        async with agent(objects) as (old, host), running(watch(host, sink)):
            await until(lambda: sink.payloads)
            assert latest(sink)["rx_bytes"] == 2**32 - 1
            old.objects |= {SYS_UPTIME: (TICKS, 200), (*IF_IN, 1): (COUNTER, 9)}
            await until(lambda: latest(sink)["rx_bytes"] == 2**32 + 9)
            assert latest(sink)["tx_bytes"] == 5
            old.objects |= {SYS_UPTIME: (TICKS, 3), (*IF_IN, 1): (COUNTER, 4)}
            await until(lambda: latest(sink)["rx_bytes"] == 4)  # it began anew

    asyncio.run(scenario())


def test_an_uptime_that_wraps_is_no_new_start():
    async def scenario():
        sink = Heard()
        objects: Objects = {
            SYS_UPTIME: (TICKS, 2**32 - 5),
            (*IF_NAME, 1): (TEXT, b"wlan0"),
            (*IF_IN, 1): (COUNTER, 1000),
            (*IF_OUT, 1): (COUNTER, 5),
        }
        async with agent(objects) as (old, host), running(watch(host, sink)):
            await until(lambda: sink.payloads)
            old.objects |= {SYS_UPTIME: (TICKS, 5), (*IF_IN, 1): (COUNTER, 10)}
            await until(lambda: latest(sink).get("rx_bytes") == 2**32 + 10)

    asyncio.run(scenario())


def test_rows_that_were_numbered_anew_are_found_again():
    async def scenario():
        sink = Heard()
        async with agent(OBJECTS) as (point, host), running(watch(host, sink)):
            await until(lambda: latest(sink)["rx_bytes"] if sink.payloads else 0)
            point.objects |= {
                (*IF_NAME, 5): (TEXT, b"eth5"),
                (*IF_NAME, 9): (TEXT, b"wlan0"),
                (*IF_HC_IN, 9): (COUNTER64, 99),
                (*IF_HC_OUT, 9): (COUNTER64, 98),
            }
            await until(lambda: latest(sink).get("rx_bytes") == 99)

    asyncio.run(scenario())


def test_lost_datagrams_and_strangers_answers_cost_nothing():
    async def scenario():
        sink, stranger = Heard(), tlv(0x30, number(2, 1) + tlv(4, b"x"))
        async with agent(OBJECTS) as (point, host):
            point.lost, point.first_say = 2, [b"", b"\x30", stranger, bytes(1400)]
            async with running(watch(host, sink, timeout_s=0.6)):
                await until(lambda: sink.payloads)
        assert latest(sink)["rx_bytes"] == 2**40 + 7
        assert not sink.refusals

    asyncio.run(scenario())


def test_a_wrong_community_is_silence_and_says_where_to_look(tmp_path: Path):
    async def scenario():
        sink, file = Heard(), tmp_path / "community"
        write_secret(file, "wrong\n")
        async with agent(OBJECTS, b"secret") as (point, host):
            link = watch(host, sink, community_file=str(file), timeout_s=0.2)
            async with running(link):
                await until(lambda: sink.payloads)
                assert latest(sink) == {"up": 0}
                assert "community" in link.status().detail
                assert point.asked >= 3
                write_secret(file, "secret\n")
                await until(lambda: latest(sink).get("up") == 1)

    asyncio.run(scenario())


@pytest.mark.parametrize("host", ["..", "a" * 70 + ".example", "nowhere.invalid"])
def test_an_address_that_leads_nowhere_is_down_and_not_a_crash(host):
    async def scenario():
        sink = Heard()
        link = watch(host, sink)
        async with running(link):
            await until(lambda: sink.payloads)
            assert link.status().state == "down"
        assert latest(sink) == {"up": 0}

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("settings", "word"), [({"interface": "wlan7"}, "no interface 'wlan7'"), ({}, "error 16")]
)
def test_what_an_agent_cannot_give_is_told(settings, word):
    async def scenario():
        sink = Heard()
        async with agent(OBJECTS) as (point, host):
            point.error = 16 if "error" in word else 0
            link = watch(host, sink, **settings)
            async with running(link):
                await until(lambda: word in link.status().detail)
        assert "rx_bytes" not in latest(sink)

    asyncio.run(scenario())


def test_stations_are_counted_only_when_every_part_of_the_sum_is_there():
    async def scenario():
        sink = Heard()
        async with (
            agent(OBJECTS) as (point, host),
            running(watch(host, sink, client_oids=(OID, OID[:-1] + "6"))),
        ):
            await until(lambda: sink.payloads)
            assert "clients" not in latest(sink)
            point.objects[(*STATIONS[:-1], 6)] = (INTEGER, 3)
            await until(lambda: latest(sink).get("clients") == 15)

    asyncio.run(scenario())


@given(st.lists(st.integers(0, 2**31), max_size=40))
def test_a_wrapping_counter_is_the_sum_of_its_steps(steps):
    counter, total = Wrapping(), 0
    for step in steps:
        total += step
        assert counter.whole(total % 2**32) == total
