"""A MikroTik access point over real HTTP, answering as its documents and a recording say."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from devices.mikrotik_routeros import decode
from edge.link_settings import RouterOs
from edge.links.hotspot import HotspotWatch
from edge.links.routeros import RouterOsRest
from tests.edge.links.heard import Heard, running, until
from tests.edge.links.http_server import http_server
from tests.secret_file import write_secret
from tests.servers import free_port
from wire.clock import SystemClock

CLOCK = SystemClock()
MAC = "00:00:00:00:00:01"
# github.com/home-assistant/core tests/components/mikrotik, as REST says it: every value is text.
STATION = {
    ".id": "*264",
    "interface": "wlan1",
    "mac-address": MAC,
    "ap": "false",
    "bytes": "17536671,2966351",
    "uptime": "5h49m36s",
    "signal-strength": "-62@1Mbps",
}
WIFI_STATION = {".id": "*1", "interface": "wifi1", "mac-address": MAC, "signal": "-61"}
RESOURCE = {"architecture-name": "tile", "uptime": "2d20h12m20s", "version": "7.1beta4"}
WIRELESS = "/rest/interface/wireless/registration-table"
WIFI = "/rest/interface/wifi/registration-table"
TABLES: dict[str, Any] = {
    "/rest/system/resource": RESOURCE,
    "/rest/interface": [
        {".id": "*1", "name": "ether1", "rx-byte": "1", "tx-byte": "2", "mac-address": MAC},
        {".id": "*7", "name": "bridge", "rx-byte": "162806383", "tx-byte": "3384480192"},
    ],
    WIRELESS: [STATION, {**STATION, "interface": "wlan2"}, {**STATION, "ap": "true"}],
}


class Router:
    """Answers GET as RouterOS does: `.proplist` and equal properties are honoured, and a property
    that a table doesn't have is an error (the strictest reading of its documents)."""

    def __init__(self, tables: dict[str, Any] | None = None) -> None:
        self.tables = dict(TABLES if tables is None else tables)
        self.asked: list[str] = []
        self.status = 200
        self.heads: list[str] = []

    def answer(self, method: str, target: str, body: bytes) -> tuple[int, bytes]:
        where = urlsplit(target)
        self.asked.append(where.path)
        if self.status != 200:
            return self.status, b'{"error": 401, "message": "Unauthorized"}'
        if where.path not in self.tables:
            return 400, b'{"detail":"no such command or directory","error":400}'
        said, query = self.tables[where.path], parse_qs(where.query)
        shown = query.pop(".proplist", [""])[0].split(",")
        if isinstance(said, list):
            if not all(name in row for row in said for name in shown):
                return 400, b'{"detail":"unknown parameter","error":400}'
            rows = [r for r in said if all(r.get(k) == v[0] for k, v in query.items())]
            said = [{k: v for k, v in row.items() if k in shown} for row in rows]
        return 200, json.dumps(said).encode()


@pytest.fixture
def password_file(tmp_path) -> Path:
    file: Path = tmp_path / "password"
    write_secret(file, "pässword\n")
    return file


def watch(url: str, password_file: Path, sink: Heard, **settings) -> HotspotWatch:
    point = RouterOs(name="ap", url=url, password_file=str(password_file), **settings)
    return HotspotWatch(point, RouterOsRest(point, CLOCK), "corner-1", 0.01, sink, CLOCK)


def latest(sink: Heard) -> dict[str, Any]:
    (values,) = decode(sink.payloads[-1][1])
    return dict(values.fields)


def test_the_routers_answers_reach_the_driver_and_no_address_leaves_it(password_file):
    async def scenario():
        router, sink = Router(), Heard()
        async with http_server(router.answer, heads=router.heads) as url:
            link = watch(url + "/", password_file, sink)
            async with running(link):
                await until(lambda: len(sink.payloads) >= 3)
                assert link.status().state == "up"
        assert latest(sink) == {
            "up": 1,
            "clients": 2,
            "rx_bytes": 162806383,
            "tx_bytes": 3384480192,
            "uptime_s": 245540.0,
        }
        assert not any(MAC.encode() in payload.data for _, payload in sink.payloads)
        account = base64.b64encode("gampong:pässword".encode()).decode()
        assert all(f"Authorization: Basic {account}" in head for head in router.heads)

    asyncio.run(scenario())


def test_tables_that_are_not_there_are_asked_once(password_file):
    async def scenario():
        router, sink = Router(), Heard()
        async with http_server(router.answer) as url, running(watch(url, password_file, sink)):
            await until(lambda: len(sink.payloads) >= 4)
        assert router.asked.count(WIFI) == 1
        assert router.asked.count("/rest/caps-man/registration-table") == 1
        assert router.asked.count(WIRELESS) >= 4

    asyncio.run(scenario())


def test_stations_of_every_radio_driver_are_one_sum_or_one_interfaces(password_file):
    async def scenario():
        router, sink = Router({**TABLES, WIFI: [WIFI_STATION]}), Heard()
        async with http_server(router.answer) as url:
            async with running(watch(url, password_file, sink)):
                await until(lambda: sink.payloads)
            assert latest(sink)["clients"] == 3
            async with running(watch(url, password_file, sink, interface="wlan2")):
                await until(lambda: latest(sink)["clients"] == 1)

    asyncio.run(scenario())


def test_a_router_that_was_away_is_asked_for_all_tables_again(password_file):
    async def scenario():
        router, sink = Router(), Heard()
        async with http_server(router.answer) as url, running(watch(url, password_file, sink)):
            await until(lambda: len(sink.payloads) >= 2)
            router.status = 503
            await until(lambda: latest(sink) == {"up": 0})
            router.status = 200
            router.tables[WIFI] = [WIFI_STATION]
            await until(lambda: latest(sink).get("clients") == 3)

    asyncio.run(scenario())


def test_a_refused_account_is_told_and_the_access_point_is_up(password_file):
    async def scenario():
        router, sink = Router(), Heard()
        router.status = 401
        async with http_server(router.answer) as url:
            link = watch(url, password_file, sink)
            async with running(link):
                await until(lambda: sink.refusals["corner-1", "account"] >= 2)
                assert "password and group" in link.status().detail
                assert latest(sink) == {"up": 1}
                router.status = 200
                await until(lambda: latest(sink).get("clients") == 2)

    asyncio.run(scenario())


@pytest.mark.parametrize("said", [b"", b"<html>", b"[1", b"[" * 100_000, b'{"a": {}}'])
def test_a_router_that_says_nonsense_harms_nothing(said, password_file):
    async def scenario():
        sink = Heard()
        async with http_server(lambda *asked: (200, said)) as url:
            link = watch(url, password_file, sink)
            async with running(link):
                await until(lambda: len(sink.payloads) >= 2)
                assert link.status().state == "down"

    asyncio.run(scenario())


def test_another_makers_web_server_is_no_router(password_file):
    async def scenario():
        sink = Heard()
        async with http_server(lambda *asked: (404, b"")) as url:
            link = watch(url, password_file, sink)
            async with running(link):
                await until(lambda: "no RouterOS REST" in link.status().detail)
        assert latest(sink) == {"up": 0}

    asyncio.run(scenario())


def test_a_router_that_is_gone_is_down(password_file):
    async def scenario():
        sink = Heard()
        link = watch(f"http://127.0.0.1:{free_port()}", password_file, sink)
        async with running(link):
            await until(lambda: len(sink.payloads) >= 2)
            assert link.status().state == "down"
        assert latest(sink) == {"up": 0}

    asyncio.run(scenario())
