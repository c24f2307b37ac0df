"""The Command Center from outside, with accounts: nothing of it without a session."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
import websockets
from nicegui import __version__ as nicegui_version
from nicegui.client import templates
from starlette.types import Message, Receive, Scope, Send
from websockets.typing import Origin

from dashboards.configuration import AccountSettings
from dashboards.operators.door import HEADERS, Door
from dashboards.operators.pages import SECTIONS
from dashboards.operators.scripts import mark_scripts
from tests.dashboards.operators.entrance_rig import PASSWORD, hidden
from tests.dashboards.page_process import COMMAND, ROOT, account, page, page_with_accounts
from tests.dashboards.small_city import store_now, whole_city
from wire.clock import SystemClock

FILE = f"/_nicegui/{nicegui_version}/static/nicegui.js"
SOCKET = "/_nicegui_ws/socket.io/?EIO=4&transport="


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("accounts")
    store_now(made / "city.db", whole_city(SystemClock().now_ms()))
    account(made, "add", "malam", "--role", "operator", password=PASSWORD)
    account(made, "add", "tamu", password=PASSWORD)
    account(made, "add", "kepala", "--role", "admin", password=PASSWORD)
    return made


@pytest.fixture(scope="module")
def running(folder):
    token = folder / "state.token"
    token.touch(mode=0o600)
    token.write_text("rahasia-rahasia-rahasia-1\n")
    with page_with_accounts(folder, more=f'tries = 100\ntoken_file = "{token}"') as process:
        yield process


def browser(running) -> httpx.Client:
    return httpx.Client(base_url=running.address, headers={"accept": "text/html,*/*"})


@contextmanager
def logged_in(running, name: str) -> Iterator[httpx.Client]:
    with browser(running) as opened:
        own = {"origin": running.address.rstrip("/")}
        token = hidden(opened.get("/login").text)
        fields = {"name": name, "password": PASSWORD, "token": token, "next": "/"}
        assert opened.post("/login", data=fields, headers=own).status_code == 303
        yield opened


def test_without_a_session_only_the_log_in_page_and_the_health_are_there(running):
    with browser(running) as stranger:
        assert stranger.get("/healthz").text == "ok"
        assert stranger.get("/login").status_code == 200
        assert stranger.get("/manifest.webmanifest").json()["display"] == "standalone"
        for name in ("icon.svg", "icon-192.png", "icon-512.png", "log_in.css"):
            assert stranger.get(f"/assets/{name}").status_code == 200
        for path in ("/", "/alerts", "/audit", "/nowhere", "/login/x", "/assets/x/y", "/docs"):
            answer = stranger.get(path)
            assert (answer.status_code, answer.headers["location"][:12]) == (303, "/login?next="), (
                path
            )
        for path in ("/api/state", "/api/board", "/api/visitor"):
            assert stranger.get(path).status_code == 401
        assert stranger.get(FILE, headers={"accept": "*/*"}).status_code == 401
        for method in ("HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"):
            own = {"origin": running.address.rstrip("/")}
            assert stranger.request(method, "/login", headers=own).status_code in (303, 401)


def test_the_live_socket_is_refused_without_a_session_and_to_a_strangers_page(running):
    host = running.address.removeprefix("http://").rstrip("/")
    own = f"http://{host}"

    async def connect(cookie: str, origin: str | None) -> int:
        headers = {"cookie": f"gampong_session={cookie}"} if cookie else {}
        try:
            async with websockets.connect(
                f"ws://{host}{SOCKET}websocket",
                origin=Origin(origin) if origin else None,
                additional_headers=headers,
            ) as socket:
                assert str(await socket.recv()).startswith("0{")  # engine.io says hello
                return 101
        except websockets.InvalidStatus as refused:
            return refused.response.status_code

    with browser(running) as stranger, logged_in(running, "malam") as operator:
        polled = stranger.get(f"{SOCKET}polling", headers={"accept": "*/*"})
        assert polled.status_code == 401
        cookie = operator.cookies["gampong_session"]
        for given, origin, status in (
            ("", own, 403),
            ("x" * 43, own, 403),
            (cookie, "https://evil.example", 403),
            (cookie, None, 403),
            (cookie, own, 101),
        ):
            assert asyncio.run(connect(given, origin)) == status


def test_a_page_is_no_others_whoever_knows_its_id(running):
    host = running.address.removeprefix("http://").rstrip("/")

    async def answer(who: httpx.Client, page: str) -> str:
        own = "&implicit_handshake=true&tab_id=t&document_id=d&next_message_id=0&old_tab_id="
        cookie = who.cookies["gampong_session"]
        async with websockets.connect(
            f"ws://{host}{SOCKET}websocket&client_id={page}{own}",
            origin=Origin(f"http://{host}"),
            additional_headers={"cookie": f"gampong_session={cookie}"},
        ) as socket:
            await socket.recv()
            await socket.send("40")
            return str(await socket.recv())[:2]

    with logged_in(running, "tamu") as viewer, logged_in(running, "malam") as operator:
        (page,) = re.findall(r"client_id\W+([0-9a-f-]{36})", operator.get("/").text)
        assert asyncio.run(answer(viewer, page)) == "44"  # socket.io: refused
        assert asyncio.run(answer(operator, page)) == "40"


def test_the_socket_of_a_session_that_ends_is_cut(running):
    host = running.address.removeprefix("http://").rstrip("/")
    own = {"origin": f"http://{host}"}

    async def story() -> None:
        with logged_in(running, "malam") as operator:
            cookie = operator.cookies["gampong_session"]
            async with websockets.connect(
                f"ws://{host}{SOCKET}websocket", origin=Origin(f"http://{host}"),
                additional_headers={"cookie": f"gampong_session={cookie}"},
            ) as socket:  # fmt: skip
                await socket.recv()
                html = operator.get("/").text
                form = html.partition("&quot;form&quot;:&quot;")[2][:64] or _form_of(html)
                data = {"form": form}
                out = await asyncio.to_thread(operator.post, "/logout", data=data, headers=own)
                assert out.status_code == 303
                with pytest.raises(websockets.ConnectionClosed):
                    while True:
                        await socket.recv()

    asyncio.run(story())


def _form_of(html: str) -> str:
    """The header's token, as it stands in the page's JSON of JSON."""
    return html.partition('form\\\\\\":\\\\\\"')[2][:64] or html.partition('form\\":\\"')[2][:64]


def test_every_answer_has_the_headers_and_a_page_has_no_script_without_its_nonce(running):
    with browser(running) as stranger, logged_in(running, "malam") as operator:
        for who, path in [
            *((stranger, path) for path in ("/", "/login", "/healthz", "/api/state", "/x")),
            *((operator, path) for path in ("/", "/api/state", "/nowhere", FILE, "/audit")),
        ]:
            answer = who.get(path)
            said = {name: answer.headers.get(name, "") for name in HEADERS}
            assert said == HEADERS, path
            policy = answer.headers["content-security-policy"]
            scripts = policy.partition("script-src")[2].partition(";")[0]
            assert "frame-ancestors 'none'" in policy
            assert "default-src 'none'" in policy
            assert "unsafe-inline" not in scripts
            assert "server" not in answer.headers
        for path in (*(section.path for section in SECTIONS), "/nowhere"):
            opened = operator.get(path)
            nonce = opened.headers["content-security-policy"].partition("'nonce-")[2][:24]
            assert len(nonce) == 24
            marked = opened.text.count(f'<script nonce="{nonce}"')
            assert opened.text.count("<script") == marked > 3, path
            assert operator.get(path).headers["content-security-policy"].count(nonce) == 0


def test_a_script_that_comes_with_a_pages_text_has_no_nonce():
    mark_scripts()
    smuggled = "<script>window.owned = 1</script>"
    request = {"scope": {"gampong": {"nonce": "of-this-answer"}}}
    filled = ("title", "head_html", "body_html", "elements", "vue_config", "imports", "prefix")
    page = templates.env.get_template("index.html").render(
        request=request, **dict.fromkeys(filled, smuggled), dark="None", translations={}
    )
    assert page.count(smuggled) >= len(filled) - 1  # the title is text
    assert page.count('<script nonce="of-this-answer"') == page.count("<script ") > 3


def test_the_address_can_be_no_prefix_of_a_strangers_choosing(running):
    with logged_in(running, "malam") as operator:
        html = operator.get("/", headers={"x-forwarded-prefix": "/evil"}).text
        assert "/evil" not in html


def test_roles_see_what_is_theirs(running):
    with logged_in(running, "tamu") as viewer, logged_in(running, "kepala") as admin:
        assert viewer.get("/api/visitor").json() == {"name": "tamu", "role": "viewer"}
        assert viewer.get("/audit").status_code == 403
        shown = admin.get("/audit")
        assert shown.status_code == 200
        assert "log-in" in shown.text


def test_the_state_is_read_by_its_token(running):
    headers = {"authorization": "Bearer rahasia-rahasia-rahasia-1"}
    with httpx.Client(base_url=running.address, headers=headers) as reader:
        assert len(json.loads(reader.get("/api/state").text)["devices"]) == 11
        assert reader.get("/api/visitor").status_code == 401


def test_a_new_password_ends_the_sessions_on_every_screen(folder, running):
    with logged_in(running, "tamu") as viewer:
        assert viewer.get("/api/visitor").status_code == 200
        assert "new password" in account(folder, "password", "tamu", password=PASSWORD)
        assert viewer.get("/api/visitor").status_code == 401
        said = account(folder, "list")
        assert "tamu  viewer  0 sessions" in said


def test_without_accounts_only_this_machine_looks(tmp_path):
    store_now(tmp_path / "city.db", whole_city(SystemClock().now_ms()))
    command = [*COMMAND, "--store", f"sqlite:{tmp_path / 'city.db'}", "--host", "0.0.0.0"]
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 2
    assert "gampong account add" in ended.stderr
    with page(tmp_path / "city.db") as running, browser(running) as local:
        assert local.get("/").status_code == 200
        assert local.get("/api/visitor").json() == {"name": "demo", "role": "operator"}
        for name in ("evil.example", "127.0.0.1.evil.example", "192.168.1.7", ""):
            assert local.get("/", headers={"host": name}).status_code == 421
        assert local.get("/", headers={"host": "localhost:8080"}).status_code == 200


@pytest.mark.parametrize(
    ("header", "status"),
    [("X-Forwarded-For", 421), ("Forwarded", 421), ("Via", 421), ("Accept-Language", 200)],
)
def test_without_accounts_nobody_becomes_an_operator_through_a_proxy(header, status):
    said: list[Message] = []

    async def inside(scope: Scope, receive: Receive, send: Send) -> None:
        kind = "websocket.accept" if scope["type"] == "websocket" else "http.response.start"
        await send({"type": kind, "status": 200, "headers": []})

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        said.append(message)

    async def story() -> None:
        door = Door(inside, AccountSettings(), None)
        own = [(b"host", b"127.0.0.1:8080"), (b"origin", b"http://127.0.0.1:8080")]
        headers = [*own, (header.lower().encode(), b"203.0.113.7")]
        asked = {"path": "/", "raw_path": b"/", "query_string": b"", "headers": headers}
        await door({"type": "http", "method": "GET", **asked}, receive, send)
        await door({"type": "websocket", **asked}, receive, send)

    asyncio.run(story())
    assert said[0]["status"] == status
    assert said[-1]["type"] == ("websocket.close" if status == 421 else "websocket.accept")


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [
        (["add", "{toml}", "Malam"], "lower-case", 1),
        (["add", "{toml}", "baru", "--password-file", "/nowhere"], "/nowhere", 2),
        (["add", "{toml}", "baru"], "nobody to ask", 2),
        (["remove", "{toml}", "siapa"], "no account", 1),
        (["list", "/nowhere.toml"], "/nowhere.toml", 2),
    ],
)
def test_what_cant_be_done_with_an_account_is_said_with_its_remedy(folder, words, said, code):
    if said == "lower-case":
        words = [*words, "--password-file", str(folder / "password")]
    filled = [word.format(toml=folder / "page.toml") for word in words]
    ended = subprocess.run(
        [sys.executable, "-m", "gampong", "account", *filled],
        cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    assert said in ended.stderr
    assert ended.returncode == code
