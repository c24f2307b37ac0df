"""A WiFi corner as a gateway meets it: ubus over HTTP, and what the probes reach."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import aiohttp
import msgspec
import pytest
from aiohttp import web

from devices.openwrt_ap import decode
from devices.reading import Payload
from simulators.access_point import SESSION_S, AccessPoint
from simulators.city import City
from simulators.endpoints import HOST, PROBE_NAME, USERNAME, endpoints_of
from simulators.internet import TcpTarget, answer_name, portal_application, serve_names
from simulators.local_time import DAY_MS, MINUTE_MS
from simulators.truth import Truth, read_truth
from simulators.world import World

START_MS = 1_795_136_400_000
WAIT_S = 5.0
CITY = City.demo(1)
CORNER = CITY.corners[0]
PARTS = {
    "clients": ("hostapd.wlan0", "get_clients", {}),
    "status": ("hostapd.wlan0", "get_status", {}),
    "device": ("network.device", "status", {"name": "br-lan"}),
    "system": ("system", "info", {}),
}
DENIED = {"code": -32002, "message": "Access denied"}


class SetClock:
    """A clock that stands where a test puts it."""

    def __init__(self, now_ms):
        self.city_ms = now_ms
        self.wall_s = 1000.0

    def now_ms(self):
        return self.city_ms

    def uptime_s(self):
        return self.city_ms / 1000

    def monotonic(self):
        return self.wall_s

    async def sleep(self, seconds):
        await asyncio.sleep(0)

    async def pause(self, seconds):
        await asyncio.sleep(0)


class Corner:
    """One corner served, asked by a client of its own."""

    def __init__(self, folder, http, clock, world, endpoints):
        self.folder, self.http, self.clock = folder, http, clock
        self.history, self.endpoints = world.corner(CORNER.name), endpoints

    async def post(self, body):
        async with self.http.post(self.endpoints.ubus_url, data=msgspec.json.encode(body)) as reply:
            return msgspec.json.decode(await reply.read())

    async def call(self, session, object_, method, arguments):
        params = [session, object_, method, arguments]
        return await self.post({"jsonrpc": "2.0", "id": 1, "method": "call", "params": params})

    async def login(self, password=None):
        own = {"username": USERNAME, "password": password or self.endpoints.password}
        return await self.call("0" * 32, "session", "login", own)

    async def session(self):
        return (await self.login())["result"][1]["ubus_rpc_session"]

    async def round(self, session):
        """One whole poll, decoded as the gateway does."""
        answers = {"probe": None}
        for part, question in PARTS.items():
            status, answers[part] = (await self.call(session, *question))["result"]
            assert status == 0
        return decode(Payload(msgspec.json.encode(answers)))[0].fields

    def to(self, name, value):
        """Put the clock into the next outage of that name (or its end)."""
        changes = self.history.outages(self.clock.city_ms, self.clock.city_ms + 90 * DAY_MS)
        self.clock.city_ms = next(at for at, what, now in changes if (what, now) == (name, value))


@contextlib.asynccontextmanager
async def corner(folder):
    clock, world = SetClock(START_MS), World(CITY, START_MS)
    endpoints, truth = endpoints_of(CITY, folder)[CORNER.name], Truth(folder / "truth.jsonl")
    history = world.corner(CORNER.name)
    clock.city_ms = next(
        at
        for at in range(START_MS, START_MS + DAY_MS, MINUTE_MS)
        if history.is_up(at) and history.portal(at) == "open"
    )
    access_point = AccessPoint(CORNER, history, endpoints, clock, truth)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(truth.close)
        served = (
            (access_point.application(), endpoints.ubus),
            (portal_application(history, clock), endpoints.portal),
        )
        for application, port in served:
            runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, HOST, port).start()
        http = await stack.enter_async_context(aiohttp.ClientSession())
        yield Corner(folder, http, clock, world, endpoints)


def visit(folder, work):
    async def run():
        async with asyncio.timeout(WAIT_S), corner(folder) as one:
            return await work(one)

    return asyncio.run(run())


def test_a_round_of_questions_decodes_to_its_truth_row(tmp_path):
    async def work(one):
        return await one.round(await one.session())

    fields = visit(tmp_path, work)
    [row] = read_truth(tmp_path / "truth.jsonl")
    assert row.fields == fields
    assert (row.device, row.driver, row.how) == ("wifi-01", "openwrt_ap", "asked")


def test_one_round_sees_one_moment_and_the_next_another(tmp_path):
    async def work(one):
        session = await one.session()
        rounds = []
        for _ in range(3):
            one.clock.city_ms += 17 * MINUTE_MS
            rounds.append(await one.round(session))
        return rounds

    rounds = visit(tmp_path, work)
    rows = read_truth(tmp_path / "truth.jsonl")
    assert [row.fields for row in rows] == rounds
    assert len({row.fields["uptime_s"] for row in rows}) == 3


def test_a_wrong_password_opens_nothing(tmp_path):
    assert visit(tmp_path, lambda one: one.login("guess"))["result"] == [6]


def test_without_a_session_access_is_denied(tmp_path):
    async def work(one):
        return [await one.call(session, *PARTS["clients"]) for session in ("0" * 32, "a" * 32)]

    assert [answer["error"] for answer in visit(tmp_path, work)] == [DENIED, DENIED]


def test_a_session_ends_when_nobody_uses_it(tmp_path):
    async def work(one):
        session = await one.session()
        one.clock.wall_s += SESSION_S - 1
        kept = await one.call(session, *PARTS["system"])
        one.clock.wall_s += SESSION_S + 1
        return kept, await one.call(session, *PARTS["system"])

    kept, ended = visit(tmp_path, work)
    assert kept["result"][0] == 0
    assert ended["error"] == DENIED


@pytest.mark.parametrize("body", ["nothing", {"method": "call"}, {"method": "list", "params": []}])
def test_what_is_no_call_is_an_error(tmp_path, body):
    assert "error" in visit(tmp_path, lambda one: one.post(body))


def test_an_object_nobody_has_is_not_found(tmp_path):
    async def work(one):
        session = await one.session()
        missing = await one.call(session, "hostapd.wlan7", "get_clients", {})
        other_device = await one.call(session, "network.device", "status", {"name": "eth9"})
        return missing["error"]["code"], other_device["result"]

    assert visit(tmp_path, work) == (-32000, [2])


def test_an_access_point_without_power_answers_nothing_and_forgets_its_sessions(tmp_path):
    async def work(one):
        session = await one.session()
        one.to("up", 0)
        with pytest.raises(aiohttp.ClientError):
            await one.call(session, *PARTS["system"])
        one.to("up", 1)
        return await one.call(session, *PARTS["system"])

    assert visit(tmp_path, work)["error"] == DENIED


def test_the_portal_check_meets_what_the_world_says(tmp_path):
    async def check(one):
        async with one.http.get(one.endpoints.portal_url, allow_redirects=False) as reply:
            return reply.status

    async def work(one):
        statuses = [await check(one)]
        one.to("portal", 1)
        statuses.append(await check(one))
        one.to("line", 0)
        with pytest.raises(aiohttp.ClientError):
            await check(one)
        return statuses

    assert visit(tmp_path, work) == [204, 302]


def test_a_cut_line_refuses_connections_and_a_mended_one_takes_them(tmp_path):
    async def work(one):
        target = TcpTarget(one.history, one.endpoints.connect, one.clock)
        seen = []
        for name, value in ((None, 1), ("line", 0), ("line", 1)):
            if name:
                one.to(name, value)
            await target.follow()
            with contextlib.suppress(ConnectionRefusedError):
                _, writer = await asyncio.open_connection(HOST, one.endpoints.connect)
                writer.close()
                seen.append(name)
        target.close()
        return seen

    assert visit(tmp_path, work) == [None, "line"]


def question(name, kind=b"\x00\x01"):
    labels = b"".join(bytes((len(part),)) + part.encode() for part in name.split("."))
    return b"\x12\x34\x01\x00\x00\x01" + bytes(6) + labels + b"\x00" + kind + b"\x00\x01"


def test_the_name_server_knows_one_name():
    known = answer_name(question(PROBE_NAME))
    assert (known[:2], known[3] & 15, known[7]) == (b"\x12\x34", 0, 1)
    assert known.endswith(bytes((10, 20, 0, 1)))
    other = answer_name(question("example.org"))
    assert (other[3] & 15, other[7]) == (3, 0)
    address6 = answer_name(question(PROBE_NAME, b"\x00\x1c"))
    assert (address6[3] & 15, address6[7]) == (0, 0)


def test_what_is_no_dns_question_gets_no_reply():
    for data in (b"", b"x" * 11, question(PROBE_NAME)[:-1], bytes(40)[:14]):
        assert answer_name(data) == b""


def test_the_name_server_is_silent_while_the_line_is_cut(tmp_path):
    async def ask(one):
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.setblocking(False)
            await loop.sock_connect(probe, (HOST, one.endpoints.dns))
            await loop.sock_sendall(probe, question(PROBE_NAME))
            async with asyncio.timeout(0.5):
                return await loop.sock_recv(probe, 512)

    async def work(one):
        names = await serve_names(one.history, one.endpoints, one.clock)
        reply = await ask(one)
        one.to("line", 0)
        with pytest.raises(TimeoutError):
            await ask(one)
        names.close()
        return reply

    assert visit(tmp_path, work)[:2] == b"\x12\x34"
