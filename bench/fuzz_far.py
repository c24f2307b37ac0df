"""What a server elsewhere answers us, over real connections on this machine, for `bench.fuzz`.

Takers: access points (ubus, RouterOS), The Things Stack's storage and its broker, CKAN, messengers,
a gateway that takes deposits, a name server, a database's words, a vendor's decoder. Each has its
typed refusal, whatever comes.
"""

from __future__ import annotations

import asyncio
import random
import socket
import threading
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import aiohttp
import msgspec

from bench.fuzz_inputs import mutated, mutated_serial, mutated_text
from bench.fuzz_scratch import Scratch
from bench.fuzzing import Broken, Take, Taker
from dashboards.opendata.ckan import Ckan, CkanAway, CkanRefuses, Column
from dashboards.opendata.configuration import CkanSettings
from edge.link_settings import Hotspot, MqttServer, RouterOs, Storage
from edge.links import mqtt_311
from edge.links.access_point import AccountRefused, NoAnswer
from edge.links.health import Health
from edge.links.http import HttpFailed, request
from edge.links.openwrt import OpenWrt
from edge.links.repeats import Recent
from edge.links.routeros import RouterOsRest
from edge.links.things_storage import StorageFailed, ThingsStorage
from gampong.deposit_book import Deposit
from gampong.deposit_post import send
from ingest.alerts.message import Message
from ingest.alerts.receivers import Away, Taken, TelegramSending, WebhookSending
from ingest.alerts.settings import Telegram, Webhook
from wire.clock import SystemClock

STATUSES = (200, 200, 200, 200, 201, 204, 301, 400, 401, 403, 404, 409, 429, 500, 503)
Fate = Taken | Away
SHARE = 0.3
"""Each costs a connection."""

UBUS = [
    b'{"jsonrpc":"2.0","id":1,"result":[0,{"ubus_rpc_session":"0123","data":{},"clients":{}}]}',
    b'{"id":1,"error":{"code":-32002,"message":"Access denied"}}',
]
ROUTEROS = [
    b'[{"name":"bridge","rx-byte":"7","tx-byte":"9"}]',
    b'{"uptime":"1w2d","version":"7.1"}',
]
STORED = (
    b'{"result":{"end_device_ids":{"device_id":"bin-1","dev_eui":"24E124713B391234"},'
    b'"received_at":"2026-11-20T12:00:00Z","uplink_message":{"f_port":85,"frm_payload":"AXVc",'
    b'"received_at":"2026-11-20T12:00:00Z"}}}\n'
)
CKAN = [
    b'{"success":true,"result":{"resources":[{"name":"parking_spot","id":"r-1"}],'
    b'"fields":[{"id":"_id"},{"id":"time"}],"records":[{"time":"2026-08-01T05:00:00"}],'
    b'"resource_id":"r-1"}}',
    b'{"success":false,"error":{"__type":"Validation Error","fields":["wrong"]}}',
    b'{"success":false,"error":{"__type":"Not Found Error","message":"Not found"}}',
]
TELEGRAM = [b'{"ok":false,"error_code":429,"parameters":{"retry_after":7}}', b'{"ok":true}']


class Far:
    """A server that answers whatever it is asked with `said`, and hangs up."""

    def __init__(self) -> None:
        self.said = b""
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._serve, daemon=True).start()

    def answer(self, body: bytes, draw: random.Random, more: bytes = b"") -> None:
        """What an HTTP client gets next."""
        head = f"HTTP/1.1 {draw.choice(STATUSES)} X\r\nContent-Length: {len(body)}\r\n"
        self.said = head.encode() + b"Connection: close\r\n" + more + b"\r\n" + body

    def _serve(self) -> None:
        while True:
            connection, _ = self._listening.accept()
            with connection:
                try:
                    self._converse(connection)
                except OSError:
                    continue  # whoever asked has had enough

    def _converse(self, connection: socket.socket) -> None:
        connection.settimeout(2.0)
        asked = connection.recv(65536)
        head, end, body = asked.partition(b"\r\n\r\n")
        if end:  # HTTP: a body that is left unread would reset the answer
            length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            left = int(length or 0) - len(body)
            while left > 0 and (some := connection.recv(65536)):
                left -= len(some)
        connection.sendall(self.said)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass


def takers(scratch: Scratch) -> list[Taker]:
    """All of them."""
    far, loop = Far(), asyncio.new_event_loop()
    secret = scratch.file("far.key", b"only-for-the-fuzzer-0123456789")
    secret.chmod(0o600)
    return [
        *_access_points(far, loop),
        *_storage(far, loop, secret),
        *_messengers(far, loop, secret),
        _ckan(far, secret),
        _deposits(far),
    ]


def _access_points(far: Far, loop: asyncio.AbstractEventLoop) -> list[Taker]:
    clock = SystemClock()

    def asking(make: Callable[[], OpenWrt | RouterOsRest]) -> Take:
        async def ask() -> None:
            parts: dict[str, msgspec.Raw] = {}
            try:
                await make().ask(parts, clock.monotonic() + 5.0)
            finally:
                msgspec.json.encode(parts)

        def take(data: bytes, draw: random.Random) -> str:
            far.answer(data, draw)
            try:
                loop.run_until_complete(ask())
            except (NoAnswer, AccountRefused) as error:
                return type(error).__name__
            return "answered"

        return take

    def raw(data: bytes, _draw: random.Random) -> str:
        far.said = data
        try:
            answer = loop.run_until_complete(request("GET", far.url, 5.0))
        except HttpFailed:
            return "refused"
        return "answered" if len(answer.body) <= 256 * 1024 else "too much"

    hotspot, routeros = Hotspot(name="w", url=far.url), RouterOs(name="w", url=far.url)
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    plain = b"HTTP/1.1 204 No Content\r\nServer: x\r\nContent-Length: 0\r\n\r\n"
    openwrt, mikrotik = (lambda: OpenWrt(hotspot, clock)), (lambda: RouterOsRest(routeros, clock))
    return [
        Taker("far", "ubus", UBUS, asking(openwrt), mutated_text, SHARE),
        Taker("far", "routeros", ROUTEROS, asking(mikrotik), mutated_text, SHARE),
        Taker("far", "http", [chunked, plain], raw, mutated_text, SHARE),
        Taker("far", "http, by bytes", [chunked, plain], raw, mutated, SHARE),
    ]


def _storage(far: Far, loop: asyncio.AbstractEventLoop, secret: Path) -> list[Taker]:
    clock = SystemClock()
    settings = Storage(url=far.url, application="bins", api_key_file=str(secret))
    storage = ThingsStorage(settings, Health("things"), Recent(10), _NoSink(), clock)  # type: ignore[arg-type]

    def pages(data: bytes, draw: random.Random) -> str:
        far.answer(data, draw)
        try:
            page = loop.run_until_complete(storage._page("bin-1", "2026-11-20T00:00:00Z"))
        except StorageFailed:
            return "refused"
        return "uplinks" if page.uplinks else "none"

    faults: list[Mapping[str, object]] = []
    server = MqttServer(host="127.0.0.1", port=far.port)
    loop.set_exception_handler(lambda _loop, context: faults.append(context))

    async def listen() -> int:
        connection = mqtt_311.Connection(server, "fuzz")
        heard = 0
        try:
            await connection.open()
            while True:
                heard += len(await connection.messages())
        except mqtt_311.Lost:
            return heard
        finally:
            connection.close()

    def broker(data: bytes, _draw: random.Random) -> str:
        far.said = data
        heard = loop.run_until_complete(asyncio.wait_for(listen(), 8.0))
        if faults:
            context = dict(faults.pop())
            faults.clear()
            raise Broken(f"{context.get('message')}") from _cause(context)
        return "messages" if heard else "none"

    connack, publish = b"\x20\x02\x00\x00", b"\x32\x0b\x00\x03a/b\x00\x07{}xy"
    suback, puback, pong = b"\x90\x03\x00\x01\x01", b"\x40\x02\x00\x07", b"\xd0\x00"
    seeds = [connack + publish + suback + puback + pong, connack + publish * 3, b"\x20\x02\x00\x05"]
    return [
        Taker("far", "storage", [STORED * 2], pages, mutated_text, SHARE),
        Taker("far", "mqtt 3.1.1", seeds, broker, mutated_serial, SHARE),
    ]


def _cause(context: Mapping[str, object]) -> BaseException | None:
    cause = context.get("exception")
    return cause if isinstance(cause, BaseException) else None


class _NoSink:
    """Nothing is handed over by a page alone."""


def _messengers(far: Far, loop: asyncio.AbstractEventLoop, secret: Path) -> list[Taker]:
    message = Message("1 alert", "bin-01 is full", [], 0)
    api = Telegram(chat="-100", token_file=str(secret), api_url=far.url)
    hook = Webhook(url=far.url, format="whatsapp", to=("62811", "62812"), token_file=str(secret))

    async def tell(
        make: Callable[[aiohttp.ClientSession], Awaitable[Taken | Away]],
    ) -> Taken | Away:
        async with aiohttp.ClientSession() as session:
            return await make(session)

    def take(data: bytes, draw: random.Random) -> str:
        far.answer(data, draw, draw.choice((b"", b"Retry-After: " + data[:20] + b"\r\n")))
        by_bot = draw.random() < 0.5
        fate = loop.run_until_complete(
            tell(lambda session: TelegramSending(api, session).send(message))
            if by_bot
            else tell(lambda session: WebhookSending(hook, session).send(message))
        )
        if isinstance(fate, Taken):
            return "taken"
        if "only-for-the-fuzzer" in fate.why or not 0 <= fate.retry_after_s <= 3600:
            raise Broken(f"{fate}")
        return "away"

    return [Taker("far", "messenger", TELEGRAM, take, mutated_text, SHARE)]


def _ckan(far: Far, secret: Path) -> Taker:
    settings = CkanSettings(url=far.url, dataset="kota", token_file=str(secret), timeout_s=5.0)
    columns = [Column("time", "timestamp"), Column("device", "text")]
    asks: list[Callable[[Ckan], object]] = [
        lambda ckan: ckan.resource("parking_spot"),
        lambda ckan: ckan.columns("r-1"),
        lambda ckan: ckan.newest("r-1", "time"),
        lambda ckan: ckan.make("parking_spot", "", columns, ["time"]),
        lambda ckan: ckan.upsert("r-1", [{"time": "x"}]),
    ]

    def take(data: bytes, draw: random.Random) -> str:
        far.answer(data, draw)
        try:
            with Ckan(settings) as ckan:
                draw.choice(asks)(ckan)
        except (CkanAway, CkanRefuses) as error:
            return type(error).__name__
        return "answered"

    return Taker("far", "ckan", CKAN, take, mutated_text, SHARE)


def _deposits(far: Far) -> Taker:
    deposit = Deposit(2, "0001", "2026-11-22T09:30:00+07:00", "bank-1", "plastic", 2.5, 25)

    def take(data: bytes, draw: random.Random) -> str:
        far.answer(data, draw)
        sent = send([deposit], f"{far.url}/deposits", b"0123456789abcdef")
        return "away" if sent.away else "refused" if sent.refused else "stored"

    return Taker("far", "deposits", [b'{"result":"stored"}'], take, mutated_text, SHARE)
