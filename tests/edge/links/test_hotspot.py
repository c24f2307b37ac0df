"""A WiFi corner: an access point's ubus over real HTTP, and the probes against real sockets."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.openwrt_ap import decode
from edge.link_settings import Hotspot
from edge.links.hotspot import HotspotWatch
from edge.links.openwrt import OpenWrt
from edge.links.probes import answers, build_query, lookup_ms, portal, round_trips
from tests.edge.links.heard import Heard, running, until
from tests.edge.links.http_server import http_server
from tests.secret_file import write_secret
from tests.servers import free_port
from wire.clock import SystemClock

CLOCK = SystemClock()
MAC = "68:2f:67:8b:98:ed"
PARTS = {
    ("hostapd.wlan0", "get_clients"): {"freq": 5260, "clients": {MAC: {"assoc": True}}},
    ("hostapd.wlan0", "get_status"): {"status": "ENABLED", "airtime": {"utilization": 51}},
    ("network.device", "status"): {"statistics": {"rx_bytes": 7, "tx_bytes": 9}},
    ("system", "info"): {"uptime": 1234},
}


class AccessPoint:
    """Answers ubus as OpenWrt's uhttpd and rpcd do."""

    def __init__(self) -> None:
        self.password = "secret"
        self.parts = dict(PARTS)
        self.denied: set[tuple[str, str]] = set()
        self.session = ""
        self.log_ins = 0

    def answer(self, method: str, target: str, body: bytes) -> tuple[int, bytes]:
        question = json.loads(body)
        session, name, call, arguments = question["params"]
        envelope = {"jsonrpc": "2.0", "id": question["id"]}
        return 200, json.dumps(envelope | self._say(session, name, call, arguments)).encode()

    def _say(self, session, name, call, arguments):
        if (name, call) == ("session", "login"):
            if arguments != {"username": "gampong", "password": self.password}:
                return {"result": [6]}
            self.log_ins += 1
            self.session = f"{self.log_ins:032x}"
            return {"result": [0, {"ubus_rpc_session": self.session, "timeout": 300}]}
        if session != self.session or (name, call) in self.denied:
            return {"error": {"code": -32002, "message": "Access denied"}}
        if (name, call) not in self.parts:
            return {"result": [4]}
        return {"result": [0, self.parts[name, call]]}


@pytest.fixture
def password_file(tmp_path) -> Path:
    file: Path = tmp_path / "password"
    write_secret(file, "secret\n")
    return file


def watch(url: str, password_file: Path, sink: Heard, **settings) -> HotspotWatch:
    hotspot = Hotspot(name="ap", url=url, password_file=str(password_file), **settings)
    return HotspotWatch(hotspot, OpenWrt(hotspot, CLOCK), "corner-1", 0.01, sink, CLOCK)


def latest(sink: Heard) -> dict[str, Any]:
    (values,) = decode(sink.payloads[-1][1])
    return dict(values.fields)


def test_the_access_points_answers_reach_the_driver(password_file):
    async def scenario():
        point, sink = AccessPoint(), Heard()
        async with http_server(point.answer) as url:
            link = watch(url, password_file, sink)
            async with running(link):
                await until(lambda: len(sink.payloads) >= 3)
        assert latest(sink) == {
            "up": 1,
            "clients": 1,
            "channel_utilization": 51 / 255,
            "rx_bytes": 7,
            "tx_bytes": 9,
            "uptime_s": 1234.0,
        }
        assert point.log_ins == 1
        assert link.status().state == "up"
        assert MAC not in repr(link.status())

    asyncio.run(scenario())


def test_a_corner_that_somebody_wants_is_asked_out_of_its_turn(password_file):
    async def scenario():
        point, sink = AccessPoint(), Heard()
        async with http_server(point.answer) as url:
            link = watch(url, password_file, sink)
            link.set_interval("corner-1", 3000.0)
            async with running(link):
                await until(lambda: len(sink.payloads) == 1)
                link.ask_soon("corner-1")
                await until(lambda: len(sink.payloads) == 2)

    asyncio.run(scenario())


def test_a_session_that_is_over_is_begun_again_unnoticed(password_file):
    async def scenario():
        point, sink = AccessPoint(), Heard()
        async with (
            http_server(point.answer) as url,
            running(watch(url, password_file, sink)),
        ):
            await until(lambda: sink.payloads)
            point.session = "rebooted"
            await until(lambda: point.log_ins == 2)
            await until(lambda: len(sink.payloads) >= 5)
        assert all(decode(payload)[0].fields["clients"] == 1 for _, payload in sink.payloads)
        assert not sink.refusals

    asyncio.run(scenario())


def test_a_refused_account_is_told_once_a_poll_and_the_probes_go_on(password_file):
    async def scenario():
        point, sink = AccessPoint(), Heard()
        point.password = "another"
        async with http_server(point.answer) as url:
            link = watch(url, password_file, sink, probe_connect=url.removeprefix("http://"))
            async with running(link):
                await until(lambda: len(sink.payloads) >= 3)
                assert sink.refusals["corner-1", "account"] in (3, 4)
                assert "ACL" in link.status().detail
                fields = latest(sink)
                assert fields["up"] == 1 and fields["loss_ratio"] == 0
                point.password = "secret"
                await until(lambda: latest(sink).get("clients") == 1)
                assert link.status().state == "up"

    asyncio.run(scenario())


def test_an_account_that_may_not_ask_everything_gives_the_rest(password_file):
    async def scenario():
        point, sink = AccessPoint(), Heard()
        point.denied = {("system", "info")}
        async with (
            http_server(point.answer) as url,
            running(watch(url, password_file, sink)),
        ):
            await until(lambda: sink.refusals["corner-1", "account"] >= 2)
        fields = latest(sink)
        assert fields["clients"] == 1 and "uptime_s" not in fields

    asyncio.run(scenario())


def test_a_radio_that_is_off_leaves_its_part_out(password_file):
    async def scenario():
        point, sink = AccessPoint(), Heard()
        del point.parts["hostapd.wlan0", "get_clients"]
        async with (
            http_server(point.answer) as url,
            running(watch(url, password_file, sink)),
        ):
            await until(lambda: sink.payloads)
        assert latest(sink)["up"] == 1 and "clients" not in latest(sink)

    asyncio.run(scenario())


def test_stations_of_all_radios_are_counted_and_one_that_is_off_costs_nothing(password_file):
    async def scenario():
        point, sink = AccessPoint(), Heard()
        other = {"02:00:00:00:00:01": {"assoc": True}, "02:00:00:00:00:02": {"assoc": True}}
        point.parts["hostapd.wlan1", "get_clients"] = {"clients": other}
        point.parts["hostapd.wlan1", "get_status"] = {"airtime": {"utilization": 102}}
        radios = ("wlan0", "wlan1", "wlan2")
        async with (
            http_server(point.answer) as url,
            running(watch(url, password_file, sink, interface=radios)),
        ):
            await until(lambda: sink.payloads)
            assert latest(sink)["clients"] == 3
            assert latest(sink)["channel_utilization"] == 0.4
            del point.parts["hostapd.wlan1", "get_clients"]
            await until(lambda: latest(sink)["clients"] == 1)

    asyncio.run(scenario())


def test_an_access_point_that_is_gone_is_down_and_the_probes_go_on(password_file):
    async def scenario():
        sink = Heard()
        async with http_server(lambda *asked: (204, b"")) as url:
            nobody = f"http://127.0.0.1:{free_port()}/ubus"
            settings = {"probe_portal_url": url, "probe_connect": url.removeprefix("http://")}
            link = watch(nobody, password_file, sink, **settings)
            async with running(link):
                await until(lambda: sink.payloads)
                assert link.status().state == "down"
        fields = latest(sink)
        assert fields.pop("latency_ms") < 1000
        assert fields == {"up": 0, "loss_ratio": 0.0, "portal": "open"}
        assert not sink.refusals

    asyncio.run(scenario())


@pytest.mark.parametrize("said", [b"", b"<html>", b"[]", b'{"result": "x"}', b"[" * 100_000, b"{}"])
def test_an_access_point_that_says_nonsense_is_down(said, password_file):
    async def scenario():
        sink = Heard()
        async with http_server(lambda *asked: (200, said)) as url:
            link = watch(url, password_file, sink)
            async with running(link):
                await until(lambda: len(sink.payloads) >= 2)
                assert link.status().state == "down"
        assert latest(sink) == {"up": 0}

    asyncio.run(scenario())


def test_a_password_file_that_is_missing_is_told_with_its_name(tmp_path):
    async def scenario():
        point, sink = AccessPoint(), Heard()
        async with http_server(point.answer) as url:
            link = watch(url, tmp_path / "none", sink)
            async with running(link):
                await until(lambda: sink.refusals["corner-1", "account"])
                assert str(tmp_path / "none") in link.status().detail

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("status", "word"), [(204, "open"), (200, "portal"), (302, "portal"), (404, "down")]
)
def test_the_portal_is_what_a_visitors_own_check_would_find(status, word):
    async def scenario():
        async with http_server(lambda *asked: (status, b"")) as url:
            assert await portal(url, 5) == word

    asyncio.run(scenario())


def test_round_trips_to_nobody_are_all_lost():
    async def scenario():
        trips = await round_trips(f"127.0.0.1:{free_port()}", 3, 1.0, CLOCK)
        assert (trips.latency_ms, trips.loss_ratio) == (None, 1.0)
        assert (await round_trips("no port", 2, 1.0, CLOCK)).loss_ratio == 1.0
        assert (await round_trips("127.0.0.1:70000", 2, 1.0, CLOCK)).loss_ratio == 1.0

    asyncio.run(scenario())


class NameServer(asyncio.DatagramProtocol):
    """Knows one name; before it answers it sends what belongs to somebody else."""

    def __init__(self, known: str) -> None:
        self._known = known

    def connection_made(self, transport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr) -> None:
        stranger = bytes((data[0] ^ 1,)) + data[1:2] + b"\x81\x80" + data[4:]
        self._transport.sendto(stranger, addr)
        if data == build_query(int.from_bytes(data[:2], "big"), self._known):
            found, code, record = b"\0\1", b"\x80", b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x7f\0\0\1"
        else:
            found, code, record = b"\0\0", b"\x83", b""
        head = data[:2] + b"\x81" + code + b"\0\1" + found + b"\0\0\0\0"
        self._transport.sendto(head + data[12:] + record, addr)


def test_a_name_is_looked_up_at_the_server_that_is_given():
    async def scenario():
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: NameServer("gampong.example"), local_addr=("127.0.0.1", 0)
        )
        server = "{}:{}".format(*transport.get_extra_info("sockname"))
        assert (await lookup_ms("gampong.example", server, 2, CLOCK) or 9999) < 2000
        assert await lookup_ms("nobody.example", server, 2, CLOCK) is None
        transport.close()
        assert await lookup_ms("gampong.example", f"127.0.0.1:{free_port()}", 0.1, CLOCK) is None
        assert await lookup_ms("..", server, 0.1, CLOCK) is None
        assert await lookup_ms("gampong.example", "127.0.0.1:70000", 0.1, CLOCK) is None
        assert (await lookup_ms("localhost", "", 5, CLOCK) or 9999) < 5000

    asyncio.run(scenario())


@given(st.binary(max_size=600))
def test_no_datagram_breaks_the_lookup(data):
    assert answers(build_query(7, "gampong.example"), data) in (None, True, False)
