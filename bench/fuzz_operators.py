"""The operators' pages, for `bench.fuzz`: everything that a browser may send them.

Takers: requests and websockets through the door and the log-in (a stranger's, and one with a
session), answers to alerts, the trucks of a round, where a log-in leads to, the audit log. Whoever
has no session gets to nothing but what is open to all.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
from contextlib import suppress
from urllib.parse import unquote, urlsplit

import h11
import msgspec
import orjson
from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send

from bench.fuzz_inputs import mutated, mutated_text
from bench.fuzzing import Broken, Mutate, Take, Taker, as_text
from dashboards.configuration import AccountSettings
from dashboards.operators.account_file import MEMORY, open_file
from dashboards.operators.accounts import Accounts
from dashboards.operators.alarms import in_bounds
from dashboards.operators.audit import Audit, Entry
from dashboards.operators.door import HEADERS, OPEN, Door, entrance_of
from dashboards.operators.log_in import LogIn, safe_next
from dashboards.operators.pages.alerts import Answer
from dashboards.operators.pages.waste import _names
from dashboards.operators.sessions import Sessions
from dashboards.operators.visitor import Role
from wire.clock import SystemClock

HOST = b"pusat.kota.id"
CLIENT = ("203.0.113.7", 50_000)
TRIES = AccountSettings(tries=2, try_seconds=1e9, file=MEMORY, trusted_proxies=("127.0.0.1",))
"""Few tries, and none again: a password is reckoned with for a tenth of a second."""


def takers() -> list[Taker]:
    """All of them."""
    center = _Center()
    say = [
        b'{"key":"k","kind":"acknowledge","rule":"bin_full","device":"b-1","site":"s","why":"x"}'
    ]
    trucks, ways = [b'["BL 8123 AH","BL 1"]', b"[]"], [b"/alerts?rule=bin_full&x=1#a", b"/"]
    entry = [b"admin", "bay-1 \u202e".encode(), b"203.0.113.7"]
    return [
        _taker("door", center.seeds(), center.ask(center.door), mutated_text, 3.0),
        _taker("door, by bytes", center.seeds(), center.ask(center.door), mutated, 2.0),
        _taker("door without accounts", center.seeds(b"localhost"), center.ask(center.demo)),
        _taker("websocket", center.sockets(), center.ask(center.door, socket=True)),
        _taker("answer", say, _answer),
        _taker("trucks", trucks, _trucks),
        _taker("after the log-in", ways, _after),
        _taker("audit log", entry, center.write),
    ]


def _taker(
    name: str, seeds: list[bytes], take: Take, mutate: Mutate = mutated_text, share: float = 1.0
) -> Taker:
    return Taker("operators", name, seeds, take, mutate, share)


class _Center:
    """The door and the log-in before an application that says who came through."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        clock, file = SystemClock(), open_file(MEMORY)
        self._file: sqlite3.Connection = file
        accounts = Accounts(file)
        accounts.add("sari", Role.OPERATOR, "three words of hers", clock.now_ms())
        self._sessions = Sessions(file, clock, idle_s=1e6, life_s=1e6)
        self._token = self._sessions.begin("sari")
        self._log = Audit(file, 100)
        app = FastAPI(openapi_url=None)
        LogIn(TRIES, accounts, self._sessions, self._log, clock).add(app)
        app.mount("/", self._inside)
        self.door = Door(app, TRIES, self._sessions)
        self.demo = Door(self._inside, AccountSettings(), None)
        self._cookie, self._form = self._log_in_form()

    def seeds(self, host: bytes = HOST) -> list[bytes]:
        """A stranger's, somebody's with a session, the log-in's form, the log-out's."""
        session = b"Cookie: gampong_session=" + self._token.encode() + b"; gampong_language=id\r\n"
        form = b"Content-Type: application/x-www-form-urlencoded\r\n"
        own = b"Origin: http://" + host + b"\r\nSec-Fetch-Site: same-origin\r\n"
        said = b"name=sari&password=wrong+words&next=%2Falerts&token=" + self._form.encode()
        length = b"Content-Length: " + str(len(said)).encode() + b"\r\n"
        cookie = b"Cookie: gampong_form=" + self._cookie.encode() + b"\r\n"
        to = b" HTTP/1.1\r\nHost: " + host + b"\r\n"
        bearer = b"Authorization: Bearer x\r\nX-Forwarded-For: 10.0.0.1\r\n"
        return [
            b"GET /alerts?lang=en&before=7" + to + b"Accept: text/html\r\n\r\n",
            b"GET /alerts" + to + own + session + b"\r\n",
            b"GET /login?next=%2Fwaste" + to + b"\r\n",
            b"GET /api/state" + to + bearer + b"\r\n",
            b"POST /login" + to + own + form + cookie + length + b"\r\n" + said,
            b"POST /logout" + to + own + form + session + b"Content-Length: 6\r\n\r\nform=x",
        ]

    def sockets(self) -> list[bytes]:
        """A page's live connection, with a session and without."""
        live = b"GET /_nicegui_ws/socket.io/?client_id=x HTTP/1.1\r\nHost: " + HOST + b"\r\n"
        own = b"Origin: http://" + HOST + b"\r\n"
        session = b"Cookie: gampong_session=" + self._token.encode() + b"\r\n"
        return [live + own + session + b"\r\n", live + own + b"\r\n", live + session + b"\r\n"]

    def ask(self, door: Door, socket: bool = False) -> Take:
        """A request as the server would hand it over."""

        def take(data: bytes, _draw: random.Random) -> str:
            try:
                scope, body = _read(data)
            except h11.RemoteProtocolError:
                return "not HTTP"
            if scope is None:
                return "waits"
            if socket:
                scope.update(type="websocket", scheme="ws", subprotocols=[])
            return self._loop.run_until_complete(self._asked(door, scope, body))

        return take

    async def _asked(self, door: Door, scope: Scope, body: bytes) -> str:
        said: list[Message] = []
        connect = scope["type"] == "websocket"
        coming = [{"type": "websocket.connect"} if connect else
                  {"type": "http.request", "body": body, "more_body": False}]  # fmt: skip

        async def receive() -> Message:
            return coming.pop(0) if coming else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            said.append(message)

        await door(scope, receive, send)
        if connect:
            return str(said[0]["type"]) if said else "nothing"
        status, headers = said[0]["status"], dict(said[0]["headers"])
        if status >= 500 and status != 503:
            raise Broken(f"{status} to {scope['method']} {scope['path'][:100]!r}")
        if any(name.lower().encode() not in headers for name in HEADERS):
            raise Broken(f"a {status} without its headers")
        return f"{status}"

    async def _inside(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What nobody may reach without a session."""
        entrance = entrance_of(scope)
        if not entrance.digest and entrance.visitor.name != "demo" and scope["path"] not in OPEN:
            raise Broken(f"a stranger is inside, at {scope['path'][:100]!r}")
        headers = dict(scope["headers"])
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
            return
        if scope["method"] not in ("GET", "HEAD") and headers.get(b"origin"):
            origin = urlsplit(headers[b"origin"].decode("latin-1")).netloc
            if origin != headers.get(b"host", b"").decode("latin-1"):
                raise Broken("a stranger's page changes something")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"inside"})

    def _log_in_form(self) -> tuple[str, str]:
        """The cookie and the token of a form of ours."""
        data = b"GET /login HTTP/1.1\r\nHost: " + HOST + b"\r\n\r\n"
        scope, _ = _read(data)
        assert scope
        page = bytearray()
        cookies: list[bytes] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            page.extend(message.get("body", b""))
            headers = message.get("headers", [])
            cookies.extend(value for name, value in headers if name == b"set-cookie")

        self._loop.run_until_complete(self.door(scope, receive, send))
        token = bytes(page).partition(b'name="token" value="')[2].partition(b'"')[0]
        assert token and cookies, "the form has changed"
        return cookies[0].partition(b"=")[2].partition(b";")[0].decode(), token.decode()

    def write(self, data: bytes, _draw: random.Random) -> str:
        """An entry with text from outside: stored, on one line, and read again."""
        text = data.decode("utf-8", "surrogateescape")
        self._log.write(Entry(5, text, text, "log-in refused", text, text))
        ((_, newest),) = self._log.newest(1)
        if "\n" in newest.who or len(newest.who) > 240:
            raise Broken(f"an entry of {newest.who[:300]!r}")
        return "written"


def _read(data: bytes) -> tuple[Scope | None, bytes]:
    """A request's scope, as uvicorn makes it, and what came of its body.

    Raises:
        h11.RemoteProtocolError: not HTTP.
    """
    server, body = h11.Connection(h11.SERVER), b""
    server.receive_data(data)
    head = server.next_event()
    if not isinstance(head, h11.Request):
        return None, b""
    with suppress(h11.RemoteProtocolError):
        while isinstance(event := server.next_event(), h11.Data):
            body += bytes(event.data)
    path, _, query = bytes(head.target).partition(b"?")
    return {
        "type": "http", "http_version": "1.1", "method": head.method.decode(), "scheme": "http",
        "path": unquote(path.decode("latin-1")), "raw_path": path, "query_string": query,
        "root_path": "", "headers": [(name, value) for name, value in head.headers],
        "client": CLIENT, "server": ("127.0.0.1", 80), "app": None, "state": {},
    }, body  # fmt: skip


def _sent(data: bytes) -> object:
    """What NiceGUI's socket makes of it.

    Raises:
        orjson.JSONDecodeError: nothing.
    """
    return orjson.loads(data)


def _answer(data: bytes, _draw: random.Random) -> str:
    """An operator's word on an alert, as the page's own code reads it."""
    try:
        said = msgspec.convert(_sent(data), Answer)
        why = in_bounds(said.why)
    except (orjson.JSONDecodeError, msgspec.ValidationError):
        return "not an answer"
    except ValueError:
        return "refused"
    if "\n" in why or len(why) > 200:
        raise Broken(f"a reason of {why[:300]!r}")
    msgspec.json.encode(said)
    return "taken"


def _trucks(data: bytes, _draw: random.Random) -> str:
    try:
        return "chosen" if _names(_sent(data)) else "none"
    except orjson.JSONDecodeError:
        return "not JSON"


def _after(data: bytes, _draw: random.Random) -> str:
    asked = as_text(data)
    then = safe_next(asked)
    parts = urlsplit(then)
    if parts.netloc or parts.scheme or not then.startswith("/") or then.startswith(("//", "/\\")):
        raise Broken(f"the log-in leads to {then!r}")
    then.encode("latin-1")
    return "first page" if then == "/" else "there"
